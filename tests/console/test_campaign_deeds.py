"""What is done with campaigns from their page and from their row, and what they show before they begin."""

import asyncio

from console.views.campaign_live import CampaignPage
from console.views.campaigns import CampaignList, campaign_cells
from console.views.connection import ConnectionPage
from engine.client import Fact
from tests.console.console_fake_data import Store
from tests.console.console_setup import (
    Ear,
    ask,
    asked_paths,
    confirming,
    enter,
    fact,
    make_tab,
    pause,
    play,
    say,
)


def test_a_campaign_that_has_not_begun_shows_what_it_would_send_instead_of_figures() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    summary, preview = Ear(view.plan.summary), Ear(view.plan.preview)

    enter(view, campaign_id=store.campaigns[3]["id"])
    planned = set(view.page.hidden)
    enter(view, campaign_id=store.campaigns[0]["id"])

    rows = {row["key"]: row["value"] for row in summary.of("rows")[0]["rows"]}
    assert (rows["audience"], rows["will_send"], rows["body.2"]) == ("Everyone", 4904, "“30%”")
    assert preview.of("message")
    assert (planned, set(view.page.hidden)) == ({"recipients"}, {"plan", "preview"})


def test_a_command_pressed_twice_is_carried_out_once() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    running = store.campaigns[0]["id"]
    enter(view, campaign_id=running)

    async def story() -> None:
        gate = store.gates[f"/v1/campaigns/{running}/pause"] = asyncio.Event()
        say(view.live, "command", name="pause")
        await pause()
        say(view.live, "command", name="pause")
        await pause()
        gate.set()

    play(story)

    assert asked_paths(store) == [f"/v1/campaigns/{running}/pause"]


def test_a_row_offers_what_fits_the_state_of_its_campaign() -> None:
    table = CampaignList(make_tab()).table

    def offered(status: str) -> list[str]:
        fits = (a for a in table.row_actions if status in a.get("when", {"status": [status]})["status"])
        return [str(action["key"]) for action in fits]

    assert offered("draft") == ["edit", "duplicate", "delete"]
    assert offered("running") == ["pause", "edit", "duplicate", "export", "cancel"]
    assert offered("held") == offered("running")
    assert offered("completed") == ["duplicate", "export"]


def test_the_list_says_why_a_campaign_that_is_to_send_does_not_until_it_does() -> None:
    store = Store()
    view = CampaignList(make_tab(store))
    running = store.campaigns[0]
    running |= {"rate_per_second": 0.0, "pause_reason": {"code": "daily_limit", "text": "Full for today."}}
    ear = Ear(view.table)

    ask(view.table)
    held = ear.last("page")["rows"][0]
    take(view, fact("campaign.changed", {"id": running["id"], "revision": 90, "rate_per_second": 4.0}))
    moving = ear.of("patch")[0]["rows"][running["id"]]

    assert (held["status"], held["about"]) == ("held", "Full for today.")
    assert (moving["status"], moving["about"]) == ("running", "black_friday · Vendas")


def test_the_list_asks_again_when_a_campaign_stops_to_move_or_its_connection_changes() -> None:
    store = Store()
    view = CampaignList(make_tab(store))
    running = store.campaigns[0]
    running["rate_per_second"] = 4.0
    ear = Ear(view.table)
    ask(view.table)

    def asks(told: Fact) -> int:
        before = len(ear.of("refresh"))
        take(view, told)
        return len(ear.of("refresh")) - before

    assert asks(fact("campaign.changed", {"id": running["id"], "revision": 90, "rate_per_second": 3.0})) == 0
    assert asks(fact("campaign.changed", {"id": running["id"], "revision": 91, "rate_per_second": 0.0})) == 1
    assert asks(fact("channel.changed", {"id": running["channel_id"], "revision": 2})) == 1
    assert asks(fact("channel.changed", {"id": "another", "revision": 2})) == 0


def test_a_campaign_is_copied_from_its_row_and_deleted_once_confirmed() -> None:
    store = Store()
    view = CampaignList(make_tab(store))
    view.tab.shell.active = view.key
    done, draft = store.campaigns[4], store.campaigns[3]

    with confirming(view.tab, answer=True) as asked:
        say(view.table, "action", key="delete", id=draft["id"])
    say(view.table, "action", key="duplicate", id=done["id"])

    copy = store.campaigns[0]
    assert asked == ["Delete this campaign?"]
    assert draft not in store.campaigns
    assert (copy["name"], copy["template_id"]) == (f"Copy of {done['name']}", done["template_id"])
    assert view.tab.shell.route == f"/campaigns/{copy['id']}/edit"


def test_a_campaign_that_was_cancelled_at_once_made_no_progress() -> None:
    counts = {"total": 40, "skipped": 4, "cancelled": 36}
    row = {"id": "1", "status": "cancelled", "started_at": "2026-11-01T00:00:00Z", "counts": counts}

    assert campaign_cells(row)["progress"] == 0


def test_a_campaign_is_fetched_again_when_it_or_its_connection_comes_to_stand_differently() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    ear = Ear(view.live)
    running = store.campaigns[0]
    enter(view, campaign_id=running["id"])
    running |= {
        "rate_per_second": 0.0,
        "pause_reason": {"code": "token_refused", "text": "Meta refuses the access token."},
    }

    take(view, fact("channel.changed", {"id": running["channel_id"], "revision": 2, "status": "attention"}))
    by_channel, held = (ear.last("campaign")["campaign"].get(name) for name in ("pause_reason", "held"))
    running["pause_reason"] = None
    take(view, fact("campaign.changed", {"id": running["id"], "revision": 3, "status": "paused"}))
    by_itself = ear.last("campaign")["campaign"]["pause_reason"]

    assert (by_channel["code"], held) == ("token_refused", True)
    assert by_itself is None
    assert not ear.last("campaign")["campaign"]["held"]


def take(view: CampaignPage | CampaignList, told: Fact) -> None:
    """A fact arrives, and what it leads to has ended."""

    async def story() -> None:
        view.take([told])
        await pause()

    play(story)


def test_a_draft_to_an_import_names_its_file_and_the_sender_that_people_see() -> None:
    store = Store()
    draft, imported = store.campaigns[3], store.imports[0]
    draft["audience"] = {"import_id": imported["id"]}
    view = CampaignPage(make_tab(store))
    summary = Ear(view.plan.summary)

    enter(view, campaign_id=draft["id"])

    rows = {row["key"]: row["value"] for row in summary.of("rows")[0]["rows"]}
    assert rows["audience"] == f"The people of {imported['filename']}"
    assert view.plan.preview.sender == "Acme Varejo"


def test_a_check_that_fails_is_not_told_as_a_success() -> None:
    store = Store()
    view = ConnectionPage(make_tab(store))
    shell = Ear(view.tab.shell)
    enter(view, channel_id=store.channels[0]["id"])
    store.channels[0] |= store.channel(0, "Vendas", "attention", "live")

    say(view.page, "action", key="check")

    assert shell.last("toast")["kind"] == "error"


def test_a_connection_is_paused_and_switched_on_from_its_page() -> None:
    store = Store()
    view = ConnectionPage(make_tab(store))
    enter(view, channel_id=store.channels[0]["id"])

    def stands() -> tuple[str, list[str]]:
        noticed = [] if "notice" in view.page.hidden else view.notice.actions
        return store.channels[0]["status"], [str(action["key"]) for action in (*view.page.actions, *noticed)]

    before = stands()
    with confirming(view.tab, answer=False):
        say(view.page, "action", key="pause")
    after_all = stands()
    with confirming(view.tab, answer=True) as asked:
        say(view.page, "action", key="pause")
    paused = stands()
    say(view.notice, "action", key="resume")

    assert before == after_all == stands() == ("connected", ["delete", "pause", "edit", "check"])
    assert asked == ["Pause this connection?"]
    assert paused == ("paused", ["delete", "edit", "check", "resume"])


def test_the_time_a_cancelled_campaign_was_to_start_at_is_no_date_of_its_own() -> None:
    row = {"id": "1", "scheduled_at": "2027-01-01T00:00:00Z", "created_at": "2026-11-01T00:00:00Z"}

    dates = [campaign_cells(row | {"status": status})["at"] for status in ("scheduled", "cancelled", "draft")]

    assert dates == [row["scheduled_at"], row["created_at"], row["created_at"]]
