"""Writing a campaign when it has a time, when answers come late, and when a button is pressed twice."""

import asyncio
import json
from typing import Any

from console.views.campaign_editor import CampaignEditor
from tests.console.console_fake_data import NOW, Store, campaign, iso
from tests.console.console_setup import Ear, asked_paths, confirming, enter, make_tab, pause, play, say

LATER = "2026-11-30T12:00:00Z"


def buttons(view: CampaignEditor) -> dict[str, dict[str, Any]]:
    """The buttons of the step on screen, by key."""
    return {str(button["key"]): button for button in view.page.actions}


def choose_template(view: CampaignEditor, store: Store) -> None:
    """A name and a template, as the first step asks for."""
    values = {"name": "Natal", "channel_id": view.draft.channel_id, "template_id": store.templates[1]["id"]}
    say(view.basics.form, "change", name="template_id", values=values)


def at_review(store: Store, campaign_id: str) -> CampaignEditor:
    """The editor at the last step of a campaign that has all it needs."""
    view = CampaignEditor(make_tab(store))
    enter(view, campaign_id=campaign_id)
    say(view.stepper, "step", key="review")
    assert view.stepper.current == "review"
    return view


def test_a_new_campaign_does_not_inherit_the_time_of_the_one_before() -> None:
    store = Store()
    view = at_review(store, store.campaigns[3]["id"])
    say(view.review.timing, "change", values={"when": "later", "at": LATER})

    enter(view, campaign_id=store.campaigns[3]["id"])
    say(view.stepper, "step", key="review")

    assert (buttons(view)["start"]["label"], buttons(view)["start"]["disabled"]) == ("Start sending", False)


def test_a_draft_with_a_time_opens_with_it() -> None:
    store = Store()
    store.campaigns.append(campaign(6, "Natal", "draft", scheduled_at=LATER))

    view = at_review(store, store.campaigns[-1]["id"])

    assert buttons(view)["start"]["label"] == "Schedule"


def test_a_scheduled_campaign_is_saved_not_started_and_keeps_a_time() -> None:
    store = Store()
    scheduled = store.campaigns[2]
    view = at_review(store, scheduled["id"])
    asked = [field["name"] for field in view.review.timing.fields]
    offered = set(buttons(view))

    say(view.review.timing, "change", values={"at": LATER})
    say(view.page, "action", key="save")

    assert (asked, offered) == (["at"], {"back", "test", "save"})
    assert (scheduled["status"], scheduled["scheduled_at"]) == ("scheduled", LATER)
    assert asked_paths(store, "PATCH") == [f"/v1/campaigns/{scheduled['id']}"]
    assert view.tab.shell.route == f"/campaigns/{scheduled['id']}"


def test_a_scheduled_campaign_without_a_time_cannot_be_saved() -> None:
    store = Store()
    view = at_review(store, store.campaigns[2]["id"])

    say(view.review.timing, "change", values={"at": None})

    assert buttons(view)["save"]["disabled"] is True


def test_a_field_that_does_not_fit_is_told_in_its_own_words() -> None:
    store = Store()
    view = at_review(store, store.campaigns[2]["id"])
    shell = Ear(view.tab.shell)

    view.draft.scheduled_at = iso(NOW.replace(year=2020))  # it passed while the person looked at it
    say(view.page, "action", key="save")

    assert shell.last("toast")["text"] == "Este horário já passou."


def test_a_late_count_of_an_audience_is_dropped() -> None:
    store = Store()
    view = CampaignEditor(make_tab(store))
    ear = Ear(view.picker)
    enter(view)
    choose_template(view, store)

    async def story() -> None:
        gate = store.gates["/v1/campaigns/audience"] = asyncio.Event()
        say(view.picker, "change", audience={"all": True}, seq=1)
        await pause()
        del store.gates["/v1/campaigns/audience"]
        say(view.picker, "change", audience={"tags": ["vip"]}, seq=2)
        await pause()
        await asyncio.sleep(0.05)
        view._count = None
        gate.set()

    play(story)

    assert [message["seq"] for message in ear.of("count")] == [2]
    assert view._count is None


def test_an_audience_that_comes_before_the_template_is_counted_once_there_is_one() -> None:
    store = Store()
    view = CampaignEditor(make_tab(store))
    ear = Ear(view.picker)
    enter(view)

    say(view.picker, "change", audience={"all": True}, seq=1)
    before = asked_paths(store, "POST").count("/v1/campaigns/audience")
    choose_template(view, store)
    say(view.page, "action", key="next")

    assert (before, ear.of("count_error")) == (0, [])
    assert [message["seq"] for message in ear.of("count")] == [1]
    assert view.stepper.current == "audience"


def test_a_late_preview_is_not_drawn_over_a_newer_one() -> None:
    store = Store()
    view = CampaignEditor(make_tab(store))
    enter(view)
    template = store.templates[0]["id"]
    say(view.basics.form, "change", name="template_id", values={"name": "Natal", "template_id": template})
    ear = Ear(view.preview)

    async def story() -> None:
        path = f"/v1/templates/{template}/preview"
        gate = store.gates[path] = asyncio.Event()
        say(view.mapper, "change", variables={}, complete=False)
        await pause()
        del store.gates[path]
        say(view.mapper, "change", variables={"body.1": "contact.name"}, complete=False)
        await pause()
        await asyncio.sleep(0.05)
        gate.set()

    play(story)

    assert [message["message"]["missing"] for message in ear.of("message")] == [["body.2"]]


def test_a_button_pressed_twice_saves_one_draft() -> None:
    store = Store()
    view = CampaignEditor(make_tab(store))
    enter(view)
    choose_template(view, store)
    say(view.picker, "change", audience={"all": True}, seq=1)
    say(view.stepper, "step", key="review")
    seen: list[dict[str, dict[str, Any]]] = []

    async def story() -> None:
        gate = store.gates["/v1/campaigns"] = asyncio.Event()
        say(view.page, "action", key="save")
        say(view.page, "action", key="save")
        await pause()
        seen.append(buttons(view))
        gate.set()

    play(story)

    assert asked_paths(store).count("/v1/campaigns") == 1
    assert (seen[0]["save"]["busy"], seen[0]["start"]["disabled"]) == (True, True)
    assert buttons(view)["start"]["disabled"] is False


def test_a_time_that_has_passed_is_refused_in_its_field() -> None:
    store = Store()
    view = at_review(store, store.campaigns[3]["id"])
    timing = Ear(view.review.timing)

    say(view.review.timing, "change", values={"when": "later", "at": "2020-01-01T13:00:00Z"})
    refused = (timing.last("errors")["errors"], buttons(view)["start"]["disabled"])
    say(view.review.timing, "change", values={"when": "later", "at": LATER})

    assert refused == ({"at": "This time has passed. Choose a later one."}, True)
    assert (timing.last("errors")["errors"], buttons(view)["start"]["disabled"]) == ({}, False)


def test_the_question_before_scheduling_names_the_time() -> None:
    store = Store()
    view = at_review(store, store.campaigns[3]["id"])
    said: list[str] = []

    async def confirm(title: str, text: str = "", **_: object) -> bool:
        said.append(text)
        return False

    view.tab.shell.confirm = confirm  # type: ignore[method-assign]
    say(view.review.timing, "change", values={"when": "later", "at": LATER})
    say(view.page, "action", key="start")

    assert "Nov 30, 2026, 9:00" in said[0]


def test_leaving_is_guarded_from_the_first_change_until_it_is_saved() -> None:
    store = Store()
    view = CampaignEditor(make_tab(store))
    enter(view, campaign_id=store.campaigns[3]["id"])
    say(view.picker, "change", audience=store.campaigns[3]["audience"], seq=1)
    guarded = [view.page.guard]

    say(view.mapper, "change", variables={"body.1": "contact.phone", "body.2": {"text": "30%"}})
    guarded.append(view.page.guard)
    say(view.page, "action", key="save")
    guarded.append(view.page.guard)

    assert guarded == [False, True, False]


def test_a_test_message_leaves_the_draft_under_an_address_of_its_own() -> None:
    store = Store()
    tab = make_tab(store)
    view = CampaignEditor(tab)
    enter(view)
    choose_template(view, store)
    say(view.picker, "change", audience={"all": True}, seq=1)
    say(view.stepper, "step", key="review")

    say(view.page, "action", key="test")
    enter(view, campaign_id=view.draft.id)  # as the address that it was led to does

    assert tab.shell.route == f"/campaigns/{view.draft.id}/edit"
    assert (view.stepper.current, view.test.dialog.open) == ("review", True)
    assert tab.shell.title == "Edit campaign"


def test_of_a_campaign_that_has_begun_only_the_words_are_changed_and_only_once_confirmed() -> None:
    store = Store()
    running = next(one for one in store.campaigns if one["status"] == "running")
    view = CampaignEditor(make_tab(store))
    summary = Ear(view.review.summary)
    enter(view, campaign_id=running["id"])
    view.draft.variables |= {"body.1": {"text": "Oi"}}
    say(view.stepper, "step", key="review")
    told = {row["key"] for row in summary.last("rows")["rows"]}
    steps = [str(step["key"]) for step in view.stepper.steps]
    offered = set(buttons(view))

    with confirming(view.tab, answer=False) as first:
        say(view.page, "action", key="change")
    before = asked_paths(store, "PATCH")
    with confirming(view.tab, answer=True) as second:
        say(view.page, "action", key="change")

    assert "audience" not in steps
    assert "waiting" in told
    assert "will_send" not in told
    assert (offered, "timing" in view.page.hidden) == ({"back", "change"}, True)
    assert first == second == ["Change the message for 1,850 people?"]
    assert before == []
    assert asked_paths(store, "PATCH") == [f"/v1/campaigns/{running['id']}"]
    [body] = [body for method, _, body in store.asked if method == "PATCH"]
    assert set(json.loads(body)) == {"name", "template_id", "variables"}
    assert view.tab.shell.route == f"/campaigns/{running['id']}"


def test_another_name_of_a_campaign_under_way_is_no_change_of_its_message_and_asks_nothing() -> None:
    store = Store()
    running = next(one for one in store.campaigns if one["status"] == "running")
    view = CampaignEditor(make_tab(store))
    enter(view, campaign_id=running["id"])
    view.draft.name = "Outro nome"
    say(view.stepper, "step", key="review")

    with confirming(view.tab, answer=False) as asked:
        say(view.page, "action", key="change")

    assert asked == []
    assert asked_paths(store, "PATCH") == [f"/v1/campaigns/{running['id']}"]
    assert view.tab.shell.route == f"/campaigns/{running['id']}"


def test_a_campaign_that_has_ended_is_not_opened_for_a_change() -> None:
    store = Store()
    view = CampaignEditor(make_tab(store))
    shell = Ear(view.tab.shell)

    enter(view, campaign_id=store.campaigns[4]["id"])

    assert view.tab.shell.route == f"/campaigns/{store.campaigns[4]['id']}"
    assert shell.last("toast")["text"] == "This campaign has ended, so it can't be changed."


def test_the_review_says_what_is_left_of_the_limit_of_the_day() -> None:
    store = Store()
    store.daily_limit = {"limit": 2000, "left": 1500}
    view = CampaignEditor(make_tab(store))
    summary = Ear(view.review.summary)
    enter(view, campaign_id=store.campaigns[3]["id"])
    say(view.stepper, "step", key="review")
    rows = {row["key"]: row for row in summary.last("rows")["rows"]}

    assert rows["daily"]["value"] == 1500
    assert str(rows["daily"]["hint"]).startswith("WhatsApp lets this number begin with 2,000 people a day.")
