"""What a whole is made of: states side by side, with a legend."""

from typing import ClassVar

from console.components.base import Component
from console.i18n import N_


class StateBar(Component):
    """A stacked bar with its legend. A part: {key, label, value, tone}.

    Tones: neutral, accent, info, success, warning, danger, violet, violet-soft, soft, muted.
    """

    LABELS: ClassVar = {
        "part": N_("{label}: {n} ({share})"),
        "total": N_("Total"),
        "failed": N_("The states could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    def draw(self, parts: list[dict[str, object]]) -> None:
        """Draw these parts; a later call moves them."""
        self._keep("parts", parts=parts)
