"""What happened, newest first or in order."""

from typing import ClassVar

from console.components.base import Component
from console.i18n import N_


class Timeline(Component):
    """A list of happenings. An item: {id, at?, title, text?, tone?, icon?, path?}; `at` is an ISO instant."""

    LABELS: ClassVar = {
        "failed": N_("The list could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
        "empty": N_("Nothing has happened yet"),
    }

    def draw(self, items: list[dict[str, object]]) -> None:
        """Draw these items, in this order."""
        self._keep("items", items=items)
