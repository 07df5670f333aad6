"""The views of one tab: what reaches which of them, and when."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import pytest

from console.app import Screens
from console.components import EmptyState
from console.views.base import View
from engine.client import Fact, FactKind
from tests.console.console_fake_data import Store
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


def test_facts_reach_the_view_on_screen_alone() -> None:
    screens = Screens(make_tab())
    shown, away = Listening(lambda: None), Listening(lambda: None)
    screens._active = cast(View, shown)

    screens.take([fact("campaign.changed", {"id": "c1"})])

    assert (len(shown.heard), len(away.heard)) == (1, 0)


@pytest.mark.parametrize("status", [404, 422], ids=["unknown", "malformed"])
def test_an_address_that_names_nothing_says_so_and_leads_to_the_list(status: int) -> None:
    store = Store()
    tab = make_tab(store)
    missing = f"/campaigns/{UUID(int=7)}" if status == 404 else "/campaigns/nope"
    store.refused[f"/v1{missing}"] = status

    tab.shell.route = missing
    Screens(tab).show(missing)

    assert (tab.shell.active, tab.shell.title) == ("not-found", "Not found")
    shown = cast(EmptyState, tab.shell.views[-1])
    assert shown.actions[0]["path"] == "/campaigns"
