"""How many went on, step by step."""

from typing import ClassVar

from console.components.base import Component
from console.components.words import FALLING
from console.i18n import N_


class Funnel(Component):
    """Bars of steps, each with its share of the step before. A step: {key, label, value}."""

    LABELS: ClassVar = {
        **FALLING,
        "summary": N_("Funnel"),
        "failed": N_("The funnel could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    def draw(self, steps: list[dict[str, object]]) -> None:
        """Draw these steps; a later call moves the bars."""
        self._keep("steps", steps=steps)
