"""A row of figures that matter, each with its change and its course."""

from typing import ClassVar

import param

from console.components.base import Component
from console.i18n import N_


class KpiCards(Component):
    """Cards of one figure each: value, change against the period before, sparkline.

    An item: {key, label, value, unit: count|ratio|seconds|money, previous?, good?: up|down, spark?: [numbers],
    hint?, versus?, path?}. Ratios are 0..1; money is integer micros of `currency`. `good` says which direction is good
    news (default up); `versus` names the period before. A value of None shows a dash. A count is compared with no fewer
    than ten.
    """

    LABELS: ClassVar = {
        "versus": N_("vs previous period"),
        "up": N_("up {change}"),
        "down": N_("down {change}"),
        "same": N_("no change"),
        "points": N_("{n} pp"),
        "times": N_("{n}×"),
        "few": N_("Too few before to compare"),
        "failed": N_("These figures could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    count = param.Integer(default=4, doc="How many cards the skeleton shows.")

    def draw(self, items: list[dict[str, object]]) -> None:
        """Draw these cards."""
        self._keep("items", items=[dict(item) for item in items])

    def patch(self, key: str, **fields: object) -> None:
        """Change fields of one card; a new value counts up (or down) to itself."""
        kept = self._kept.get("items", {}).get("items")
        for item in kept if isinstance(kept, list) else []:
            if item["key"] == key:
                item.update(fields)
        self._tell("patch", key=key, fields=fields)
