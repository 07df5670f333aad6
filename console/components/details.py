"""Facts about one thing: name and value."""

from typing import ClassVar

from console.components.base import Component
from console.i18n import N_


class Details(Component):
    """Names and values. A row: {key, label, value, kind?, tone?, hint?, path?}.

    Kinds: text, copy (with a copy button), secret (hidden until shown, with copy), badge, date, ago, number,
    percent, tags, link.
    """

    LABELS: ClassVar = {
        "copy": N_("Copy"),
        "copied": N_("Copied"),
        "show": N_("Show"),
        "hide": N_("Hide"),
        "none": N_("Nothing yet"),
        "failed": N_("This could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    def draw(self, rows: list[dict[str, object]]) -> None:
        """Draw these rows."""
        self._keep("rows", rows=rows)
