"""The views of one tab: what reaches which of them, and when."""

from collections.abc import Sequence
from typing import Any, cast

from console.app import Screens
from console.views.base import View
from engine.client import Fact, FactKind
from tests.console.console_setup import fact, make_tab


class Listening:
    """A view that hears of campaigns, and does something each time."""

    facts = (FactKind.CAMPAIGN_CHANGED,)

    def __init__(self, does: Any) -> None:
        self.heard: list[Fact] = []
        self._does = does

    def take(self, facts: Sequence[Fact]) -> None:
        """Keeps what it hears."""
        self.heard.extend(facts)
        self._does()


def test_a_view_made_while_facts_are_handed_out_does_no_harm() -> None:
    screens = Screens(make_tab())
    views = cast(dict[str, Any], screens._views)
    late = Listening(lambda: None)
    first, second = Listening(lambda: views.setdefault("late", cast(View, late))), Listening(lambda: None)
    views.update(first=first, second=second)

    screens.take([fact("campaign.changed", {"id": "c1"})])

    assert (len(first.heard), len(second.heard), len(late.heard)) == (1, 1, 0)
