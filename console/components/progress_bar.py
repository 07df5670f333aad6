"""How far something is."""

from typing import ClassVar

from console.components.base import Component
from console.i18n import N_


class ProgressBar(Component):
    """One bar with what it is about on the left and how far on the right."""

    LABELS: ClassVar = {
        "failed": N_("The progress could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    def draw(
        self, share: float | None, *, label: str = "", detail: str = "", tone: str = "accent", link: str = ""
    ) -> None:
        """Draw the share done, 0..1; None draws a bar that only moves (not known how far).

        `tone`: accent, success, warning, danger. `link` is a URL to download what came out, labelled `detail`.
        """
        self._keep("progress", share=share, label=label, detail=detail, tone=tone, link=link)
