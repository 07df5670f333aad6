"""The screens when answers come late, not at all, or after the person has gone elsewhere."""

import asyncio
from operator import attrgetter

import pytest

from console.app import Screens
from console.components import LiveTable
from console.views.base import View
from console.views.campaign_editor import CampaignEditor
from console.views.campaign_live import CampaignPage
from console.views.campaigns import CampaignList
from console.views.connection import ConnectionPage
from console.views.connections import ConnectionList
from console.views.contacts import Contacts
from console.views.import_wizard import ImportWizard
from console.views.imports import ImportList, ImportPage
from console.views.template_editor import TemplatePage
from console.views.templates import TemplateList
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

BROKEN = "Something went wrong on our side. Please try again in a moment."


def late(view: View, first: dict[str, str], second: dict[str, str], path: str, store: Store) -> None:
    """Opens one thing, another one at once, and has the answer about the first come last."""

    async def story() -> None:
        gate = store.gates[path] = asyncio.Event()
        view.tab.shell.active = view.key
        opening = asyncio.create_task(view.enter(**first))
        await pause()
        await view.enter(**second)
        await pause()
        gate.set()
        await opening

    play(story)


@pytest.mark.parametrize(
    "kind", [CampaignList, ImportList, TemplateList, ConnectionList, Contacts, CampaignPage]
)
def test_a_list_that_could_not_be_fetched_says_so_in_its_place(kind: type[View]) -> None:
    store = Store()
    view = kind(make_tab(store))
    if isinstance(view, CampaignPage):
        enter(view, campaign_id=store.campaigns[0]["id"])
    table: LiveTable = view.table  # type: ignore[attr-defined]
    ear = Ear(table)
    store.is_away = True

    ask(table, seq=4)

    assert ear.of("page_error") == [{"type": "page_error", "seq": 4, "text": BROKEN}]


@pytest.mark.parametrize(
    ("kind", "parts", "part"),
    [(CampaignPage, {"campaign_id": "c"}, "live"), (ImportPage, {"import_id": "i"}, "progress"),
     (ConnectionPage, {"channel_id": "c"}, "health"), (TemplatePage, {"template_id": "t"}, "editor"),
     (CampaignEditor, {"campaign_id": "c"}, "basics.form")],
)  # fmt: skip
def test_a_page_that_could_not_be_fetched_says_so_in_its_place(
    kind: type[View], parts: dict[str, str], part: str
) -> None:
    store = Store()
    view = kind(make_tab(store))
    ear = Ear(attrgetter(part)(view))
    store.is_away = True

    enter(view, **parts)

    assert ear.last("error")["text"] == BROKEN


def test_a_page_brought_on_screen_is_told_what_failed() -> None:
    store = Store()
    store.is_away = True
    tab = make_tab(store)
    screens, said = Screens(tab), Ear(tab.shell)

    screens.show("/campaigns/0198-ab")

    view = screens._active
    assert isinstance(view, CampaignPage)
    assert view.live._kept["error"]["text"] == BROKEN
    assert said.of("toast") == []


def test_late_reasons_of_one_campaign_are_not_drawn_on_another() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    ear = Ear(view.live)
    first, second = store.campaigns[0]["id"], store.campaigns[4]["id"]
    enter(view, campaign_id=first)
    drawn = len(ear.of("failures"))

    async def story() -> None:
        gate = store.gates[f"/v1/campaigns/{first}/failures"] = asyncio.Event()
        asking = asyncio.create_task(view._show_reasons())
        await pause()
        await view.enter(campaign_id=second)
        gate.set()
        await asking

    play(story)

    assert len(ear.of("failures")) == drawn + 1
    assert view._failed_shown == store.campaigns[4]["counts"]["failed"]


def test_a_late_answer_about_one_campaign_is_not_drawn_on_another() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    ear = Ear(view.live)
    first, second = store.campaigns[0]["id"], store.campaigns[4]["id"]

    late(view, {"campaign_id": first}, {"campaign_id": second}, f"/v1/campaigns/{first}", store)

    assert {message["campaign"]["id"] for message in ear.of("campaign")} == {second}
    assert view.tab.shell.title == store.campaigns[4]["name"]


def test_a_page_that_was_left_no_longer_names_the_tab() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))

    async def story() -> None:
        gate = store.gates[f"/v1/campaigns/{store.campaigns[0]['id']}"] = asyncio.Event()
        view.tab.shell.active = view.key
        opening = asyncio.create_task(view.enter(campaign_id=store.campaigns[0]["id"]))
        await pause()
        view.tab.shell.param.update(active="contacts", title="Contacts")
        gate.set()
        await opening

    play(story)

    assert view.tab.shell.title == "Contacts"


def test_a_template_whose_answer_is_late_is_not_drawn_over_another() -> None:
    store = Store()
    view = TemplatePage(make_tab(store))
    first, second = store.templates[0]["id"], store.templates[1]["id"]

    late(view, {"template_id": first}, {"template_id": second}, f"/v1/templates/{first}", store)

    assert view.page.title == store.templates[1]["name"]


def test_a_person_whose_answer_is_late_is_not_opened_over_the_list() -> None:
    store = Store()
    view = Contacts(make_tab(store))
    person = store.contacts[0]["id"]

    late(view, {"contact_id": person}, {}, f"/v1/contacts/{person}", store)

    assert view.person.drawer.open is False


@pytest.mark.parametrize(
    ("kind", "part", "rows"),
    [(ImportPage, "import_id", "imports"), (ConnectionPage, "channel_id", "channels")],
)
def test_what_comes_late_leaves_the_heading_of_the_newer_page(kind: type[View], part: str, rows: str) -> None:
    store = Store()
    view = kind(make_tab(store))
    first, second = getattr(store, rows)[:2]
    folder = "/v1/contacts/imports/" if rows == "imports" else "/v1/channels/"

    late(view, {part: first["id"]}, {part: second["id"]}, folder + first["id"], store)

    assert view.page.title == (second.get("filename") or second["name"])  # type: ignore[attr-defined]


def test_a_screen_that_is_not_shown_asks_for_nothing() -> None:
    store = Store()
    tab = make_tab(store)
    screens = Screens(tab)
    screens.show("/")
    screens.show("/contacts")
    asked = len(store.asked)

    bucket = {"at": "2026-11-23T15:00:00+00:00", "channel_id": "c", "accepted": 1, "revision": 1}
    screens.take([fact("activity.changed", {"buckets": [bucket]})])

    assert len(store.asked) == asked


def changed(campaign_id: str, revision: int, status: str = "running") -> Fact:
    return fact("campaign.changed", {"id": campaign_id, "revision": revision, "status": status})


def test_a_campaign_that_a_filter_leaves_out_has_the_page_asked_again_once() -> None:
    store = Store()
    view = CampaignList(make_tab(store))
    ear = Ear(view.table)
    ask(view.table)
    ask(view.table, seq=2, filters={"status": "draft"})
    running = store.campaigns[0]["id"]

    for revision in range(2, 12):
        view.take([changed(running, revision)])
        ask(view.table, seq=2 + revision, filters={"status": "draft"})
    asked = len(ear.of("refresh"))
    view.take([changed(running, 12, "paused")])

    assert (asked, len(ear.of("refresh"))) == (1, 2)


@pytest.mark.parametrize(
    ("kind", "told"), [(ImportList, "import.changed"), (TemplateList, "template.changed"),
                       (ConnectionList, "channel.changed")],
)  # fmt: skip
def test_a_burst_of_facts_has_a_list_asked_once(kind: type[View], told: str) -> None:
    view = kind(make_tab())
    table: LiveTable = view.table  # type: ignore[attr-defined]
    ear = Ear(table)
    ask(table)

    async def story() -> None:
        for number in range(5):
            view.take([fact(told, {"id": f"new-{number}", "revision": 1, "status": "running"})])

    play(story)

    assert len(ear.of("refresh")) == 1


def test_a_campaign_deleted_elsewhere_leaves_the_list() -> None:
    store = Store()
    view = CampaignList(make_tab(store))
    ear = Ear(view.table)
    ask(view.table)

    view.take([fact("campaign.deleted", {"id": store.campaigns[3]["id"], "revision": 2})])

    assert ear.last("remove")["ids"] == [store.campaigns[3]["id"]]


def test_the_page_of_a_campaign_deleted_elsewhere_says_so_and_leads_back() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    shell = Ear(view.tab.shell)
    enter(view, campaign_id=store.campaigns[3]["id"])

    view.take([fact("campaign.deleted", {"id": store.campaigns[3]["id"], "revision": 2})])

    assert shell.last("toast")["text"] == "The campaign was deleted."
    assert view.tab.shell.route == "/campaigns"


def test_deleting_a_campaign_is_said_once_though_a_fact_follows() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    shell = Ear(view.tab.shell)
    gone = store.campaigns[3]["id"]
    enter(view, campaign_id=gone)

    say(view.live, "command", name="delete")
    view.take([fact("campaign.deleted", {"id": gone, "revision": 2})])

    assert asked_paths(store, "DELETE") == [f"/v1/campaigns/{gone}"]
    assert len(shell.of("toast")) == 1


def test_contacts_that_are_gone_already_do_not_stop_a_deletion() -> None:
    store = Store()
    view = Contacts(make_tab(store))
    table, shell = Ear(view.table), Ear(view.tab.shell)
    ask(view.table)
    ids = ["0198-gone", store.contacts[0]["id"], store.contacts[1]["id"]]

    with confirming(view.tab, answer=True):
        say(view.table, "bulk", key="delete", ids=ids)

    assert [one for message in table.of("remove") for one in message["ids"]] == ids
    assert shell.last("toast")["text"] == "3 contacts deleted."


def sent_file(view: ImportWizard) -> None:
    say(view.file, "uploaded", name="file", answer={"id": "0198-import"}, again=True)


def test_a_file_that_was_sent_leads_to_its_import() -> None:
    view = ImportWizard(make_tab())
    enter(view)

    sent_file(view)

    assert view.tab.shell.route == "/contacts/imports/0198-import"


def test_a_file_that_was_sent_moves_nobody_who_went_elsewhere() -> None:
    view = ImportWizard(make_tab())
    shell = Ear(view.tab.shell)
    enter(view)
    view.tab.shell.param.update(active="template", route="/templates/new")

    sent_file(view)

    assert view.tab.shell.route == "/templates/new"
    assert shell.last("toast")["action"]["path"] == "/contacts/imports/0198-import"
