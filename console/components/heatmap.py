"""When things happen: hours across, weekdays down."""

from typing import ClassVar

from console.components.base import Component
from console.i18n import N_


class Heatmap(Component):
    """A 7 × 24 map, Monday first, in the company's time zone. Days and hours are named in the reader's language."""

    LABELS: ClassVar = {
        "cell": N_("{day}, {from} to {to}: {n}"),
        "less": N_("Less"),
        "more": N_("More"),
        "peak": N_("Busiest: {day}, {from} to {to}"),
        "failed": N_("The map could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    def draw(self, cells: list[list[int]], *, measure: str = "") -> None:
        """Draw seven rows (Monday first) of 24 numbers; `measure` names what is counted, in words."""
        self._keep("cells", cells=cells, measure=measure)
