"""The overview, driven by what the browser would say: its figures, its period, and how facts move them."""

import pytest

from console.views.overview import PERIODS, OverviewPage, period_of
from tests.console.console_fake_data import CHANNEL
from tests.console.console_setup import Ear, enter, fact, make_tab, say


def test_the_overview_draws_its_figures_and_hides_the_welcome() -> None:
    view = OverviewPage(make_tab())
    kpis, funnel, heatmap = Ear(view.kpis), Ear(view.funnel), Ear(view.heatmap)

    enter(view)

    cards = kpis.last("items")["items"]
    assert [card["key"] for card in cards] == [
        "sent",
        "delivered_rate",
        "read_rate",
        "replied",
        "failed_rate",
    ]
    assert [step["label"] for step in funnel.last("steps")["steps"]] == [
        "Accepted",
        "Delivered",
        "Read",
        "Replied",
    ]
    assert len(heatmap.last("cells")["cells"]) == 7
    assert view.page.hidden == ["welcome"]
    assert len(view.chart.source.data["at"]) == 30


def test_a_page_asked_for_with_a_period_is_built_with_it() -> None:
    tab = make_tab()
    tab.shell.route = "/?period=7d"

    assert OverviewPage(tab).page.tab == "7d"


def test_activity_moves_the_sums_at_once_and_twice_told_counts_once() -> None:
    view = OverviewPage(make_tab())
    kpis = Ear(view.kpis)
    enter(view)
    before = next(card["value"] for card in kpis.last("items")["items"] if card["key"] == "sent")

    def bucket(accepted: int, revision: int, at: str = "2026-11-23T15:00:00+00:00") -> dict[str, object]:
        return {"at": at, "channel_id": CHANNEL, "accepted": accepted, "read": 2, "revision": revision}

    told = [bucket(10, 12), bucket(25, 27), bucket(25, 27), bucket(4, 6, "2026-11-23T15:15:00+00:00")]
    view.take([fact("activity.changed", {"buckets": [one]}) for one in told])

    moved = [message["fields"]["value"] for message in kpis.of("patch") if message["key"] == "sent"]
    assert moved == [before + 15 + 4]


def test_activity_from_before_the_period_moves_nothing() -> None:
    view = OverviewPage(make_tab())
    kpis = Ear(view.kpis)
    enter(view)

    for revision in (5, 9):
        old = {
            "at": "2026-09-01T15:00:00+00:00",
            "channel_id": CHANNEL,
            "accepted": revision,
            "revision": revision,
        }
        view.take([fact("activity.changed", {"buckets": [old]})])

    assert kpis.of("patch") == []


def test_a_failing_api_shows_in_the_cards_with_a_way_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PERIODS, "year", "A year")  # which the API does not know
    view = OverviewPage(make_tab())
    kpis = Ear(view.kpis)
    view.tab.shell.route = "/?period=year"

    enter(view)

    assert kpis.last("error")["text"] == "Something went wrong on our side. Please try again in a moment."


def test_the_period_of_the_overview_stands_in_the_address() -> None:
    view = OverviewPage(make_tab())
    kpis = Ear(view.kpis)

    say(view.page, "tab", key="7d")
    enter(view)

    assert (view.tab.shell.route, view.page.tab) == ("/?period=7d", "7d")
    assert len(view.chart.source.data["at"]) == 7 * 24
    assert {card["versus"] for card in kpis.last("items")["items"]} == {"vs 7 days before"}


@pytest.mark.parametrize("route", ["/", "/?period=", "/?period=century"])
def test_an_address_without_a_known_period_means_thirty_days(route: str) -> None:
    assert period_of(route) == "30d"
