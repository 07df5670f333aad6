"""The screens, driven by what the browser would say, over the stand-in API."""

import json
import re
from pathlib import Path

import pytest

from console import app, components, views
from console.views import NOT_FOUND, ROUTES, find_view
from console.views.campaign_editor import CampaignEditor
from console.views.campaign_live import CampaignPage
from console.views.campaigns import CampaignList
from console.views.connection import ConnectionPage
from console.views.connections import ConnectionList
from console.views.contacts import Contacts
from console.views.imports import ImportList
from console.views.new_connection import NewConnection
from console.views.overview import OverviewPage
from console.views.template_editor import TemplatePage
from console.views.templates import TemplateList
from tests.console.console_fake_data import Store, counts
from tests.console.console_setup import Ear, ask, asked_paths, confirming, enter, fact, make_tab, say

KIT = Path(components.__file__).parent


@pytest.mark.parametrize("role", ["owner", "agent", "analyst"])
@pytest.mark.parametrize("kind", [kind for _, kind in ROUTES] + [NOT_FOUND])
def test_every_screen_is_built_for_every_role_without_asking_anything(kind: type, role: str) -> None:
    store = Store()

    view = kind(make_tab(store, role=role))

    assert view.panel is not None
    assert store.asked == []


def test_routes_lead_to_their_screens() -> None:
    found = {
        path: find_view(path)[0]
        for path in ("/", "/campaigns", "/campaigns/new", "/contacts/imports", "/nope/x")
    }

    assert found == {
        "/": OverviewPage, "/campaigns": CampaignList, "/campaigns/new": CampaignEditor,
        "/contacts/imports": ImportList, "/nope/x": NOT_FOUND,
    }  # fmt: skip
    assert find_view("/campaigns/0198-ab?tab=1") == (CampaignPage, {"campaign_id": "0198-ab"})


def test_the_list_of_campaigns_answers_a_question_with_rows_and_progress() -> None:
    view = CampaignList(make_tab())
    ear = Ear(view.table)

    ask(view.table)

    rows = ear.last("page")["rows"]
    assert [row["name"] for row in rows][:2] == ["Black Friday: clientes VIP", "Volta às aulas"]
    assert rows[0]["progress"] == pytest.approx((4904 - 1874) / 4904)


def test_a_filter_reaches_the_api() -> None:
    view = CampaignList(make_tab())
    ear = Ear(view.table)

    ask(view.table, filters={"status": "draft"})

    assert [row["status"] for row in ear.last("page")["rows"]] == ["draft"]


def test_a_fact_patches_only_the_cells_that_changed() -> None:
    store = Store()
    view = CampaignList(make_tab(store))
    ear = Ear(view.table)
    ask(view.table)
    running = store.campaigns[0]
    later = {**counts(**running["counts"]), "queued": 1000, "delivered": 2160}

    view.take(
        [fact("campaign.changed", {"id": running["id"], "revision": 2, "status": "running", "counts": later})]
    )

    (cells,) = ear.last("patch")["rows"].values()
    assert set(cells) == {"progress", "delivered", "read"}


def test_an_older_fact_changes_nothing() -> None:
    store = Store()
    view = CampaignList(make_tab(store))
    ear = Ear(view.table)
    ask(view.table)

    view.take([fact("campaign.changed", {"id": store.campaigns[0]["id"], "revision": 0, "status": "draft"})])

    assert ear.of("patch") == []


def test_a_campaign_made_elsewhere_has_the_page_asked_again() -> None:
    view = CampaignList(make_tab())
    ear = Ear(view.table)
    ask(view.table)

    view.take([fact("campaign.changed", {"id": "new-one", "revision": 1, "status": "running"})])

    assert ear.of("refresh")


def test_the_page_of_a_campaign_moves_by_facts_and_ignores_other_campaigns() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    ear = Ear(view.live)
    running = store.campaigns[0]
    enter(view, campaign_id=running["id"])

    view.take([
        fact("campaign.changed", {"id": store.campaigns[1]["id"], "revision": 9, "status": "cancelled"}),
        fact("campaign.changed", {"id": running["id"], "revision": 3, "status": "paused", "counts": running["counts"]}),
        fact("campaign.changed", {"id": running["id"], "revision": 2, "status": "pausing", "counts": running["counts"]}),
    ])  # fmt: skip

    assert ear.last("campaign")["campaign"]["name"] == running["name"]
    assert ear.last("patch")["fields"]["status"] == "paused"
    assert ear.last("failures")["items"][0]["n"] == 48


def test_pausing_asks_the_api_and_draws_what_came_of_it() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    ear = Ear(view.live)
    enter(view, campaign_id=store.campaigns[0]["id"])

    say(view.live, "command", name="pause")

    assert asked_paths(store) == [f"/v1/campaigns/{store.campaigns[0]['id']}/pause"]
    assert ear.last("campaign")["campaign"]["status"] == "paused"
    assert view.live.busy_command == ""


def test_a_verb_that_comes_too_late_is_told_with_how_the_campaign_stands_and_it_is_fetched_again() -> None:
    store = Store()
    view = CampaignPage(make_tab(store))
    shell, ear = Ear(view.tab.shell), Ear(view.live)
    enter(view, campaign_id=store.campaigns[3]["id"])

    say(view.live, "command", name="pause")

    assert shell.last("toast") | {"action": None} == {
        "type": "toast", "text": "That is not possible any more. The campaign now stands at: Draft",
        "kind": "info", "action": None,
    }  # fmt: skip
    assert len(ear.of("campaign")) == 2


def test_an_analyst_has_no_button_but_export() -> None:
    assert CampaignPage(make_tab(role="analyst")).live.allowed == ["export"]
    assert CampaignList(make_tab(role="analyst")).table.toolbar == []
    assert Contacts(make_tab(role="analyst")).table.selectable is False
    assert ConnectionList(make_tab(role="agent")).table.toolbar == []


def test_an_agent_writes_contacts_but_starts_no_campaign() -> None:
    assert "start" not in CampaignPage(make_tab(role="agent")).live.allowed
    assert Contacts(make_tab(role="agent")).table.selectable is True


def test_a_page_is_asked_for_with_its_query_and_without_what_bokeh_adds() -> None:
    assert app.asked_route("", {"period": [b"7d"], "bokeh-session-id": [b"x"]}) == "/?period=7d"
    assert app.asked_route("campaigns/new", {}) == "/campaigns/new"


def test_a_new_contact_has_no_facts_to_wait_for() -> None:
    view = Contacts(make_tab())
    known = Ear(view.person.known)

    say(view.table, "toolbar", key="add")

    assert known.last("rows")["rows"] == []


def test_a_contact_is_opened_changed_and_saved() -> None:
    store = Store()
    view = Contacts(make_tab(store))
    form = Ear(view.person.form)
    enter(view, contact_id=store.contacts[1]["id"])

    shown = form.last("values")["values"]

    assert (shown["name"], shown["consent"], shown["field.cidade"]) == ("Bruno Lima", "granted", "São Paulo")
    assert view.person.drawer.open is True


def test_what_is_wrong_with_a_field_is_said_beside_it() -> None:
    view = Contacts(make_tab())
    form = Ear(view.person.form)
    say(view.table, "toolbar", key="add")

    say(view.person.form, "submit", values={"name": "Zé", "phone": "123", "consent": "none"})

    assert form.last("errors")["errors"] == {"phone": "Este telefone está incompleto."}
    assert view.person.drawer.open is True


def test_deleting_contacts_asks_first() -> None:
    store = Store()
    view = Contacts(make_tab(store))

    with confirming(view.tab, answer=False) as asked:
        say(view.table, "bulk", key="delete", ids=["a", "b"])

    assert asked == ["Delete 2 contacts?"]
    assert asked_paths(store, "DELETE") == []


def test_a_campaign_is_written_step_by_step_and_started_once_confirmed() -> None:
    store = Store()
    view = CampaignEditor(make_tab(store))
    picker = Ear(view.picker)
    enter(view)
    template = store.templates[0]["id"]

    say(
        view.basics.form, "change", name="name", values={"name": "Natal", "channel_id": view.draft.channel_id}
    )
    say(view.basics.form, "change", name="template_id",
        values={"name": "Natal", "channel_id": view.draft.channel_id, "template_id": template})  # fmt: skip
    say(view.page, "action", key="next")
    say(view.picker, "change", audience={"tags": ["vip"]}, seq=7)
    say(view.page, "action", key="next")
    say(view.mapper, "change", variables={"body.1": "contact.name", "body.2": {"text": "30%"}}, complete=True)
    say(view.page, "action", key="next")
    with confirming(view.tab, answer=True) as asked:
        say(view.page, "action", key="start")

    assert (picker.last("count")["seq"], picker.last("count")["count"]["will_send"]) == (7, 4904)
    assert asked == ["Send to 4,904 people?"]
    saved = store.campaigns[0]
    assert (saved["name"], saved["audience"], saved["status"]) == ("Natal", {"tags": ["vip"]}, "running")
    assert view.tab.shell.route == f"/campaigns/{saved['id']}"


def test_the_editor_does_not_go_past_a_step_that_lacks_something() -> None:
    view = CampaignEditor(make_tab())
    enter(view)

    say(view.stepper, "step", key="review")

    assert view.stepper.current == "message"
    assert view.page.actions[0]["disabled"] is True


def test_a_new_template_goes_to_the_provider_with_its_channel() -> None:
    store = Store()
    view = TemplatePage(make_tab(store))
    enter(view)

    assert view.editor.readonly is False
    assert view.editor.channels[0]["label"] == "Vendas"


def test_an_approved_template_is_read_until_somebody_asks_to_change_it() -> None:
    store = Store()
    view = TemplatePage(make_tab(store))
    about = Ear(view.about)
    enter(view, template_id=store.templates[0]["id"])
    read = (view.editor.readonly, view.page.hidden, view.tab.shell.title)

    say(view.page, "action", key="edit")
    written = (view.editor.readonly, view.page.hidden)
    say(view.editor, "cancel")

    assert read == (True, ["notice"], "black_friday")
    assert written == (False, ["notice", "about"])
    assert view.editor.readonly is True
    assert {row["key"]: row["value"] for row in about.last("rows")["rows"]}["channel"] == "Vendas"


def test_a_rejected_template_says_why() -> None:
    store = Store()
    view = TemplatePage(make_tab(store))

    enter(view, template_id=store.templates[3]["id"])

    assert (view.notice.tone, view.notice.text) == ("danger", "O texto promete um prêmio.")
    assert (view.page.hidden, view.editor.readonly) == (["about"], False)


def test_the_list_of_templates_shows_the_text_shortened() -> None:
    view = TemplateList(make_tab())
    ear = Ear(view.table)

    ask(view.table)

    assert ear.last("page")["rows"][0]["text"].startswith("Olá {{1}}! Hoje tudo")


def test_a_connection_shows_its_webhook_and_what_needs_attention() -> None:
    store = Store()
    view = ConnectionPage(make_tab(store))
    webhook = Ear(view.webhook)

    enter(view, channel_id=store.channels[1]["id"])

    rows = {row["key"]: row for row in webhook.last("rows")["rows"]}
    told = next(place["text"] for place in view.page.layout if place["key"] == "webhook")
    assert all(field in told for field in ("messages", "message_template_status_update", "account_update"))
    assert rows["url"]["kind"] == "copy"
    assert (rows["token"]["kind"], rows["token"]["value"]) == ("secret", "tok-verify-1")
    assert view.notice.text == "A Meta recusou o token de acesso. Gere outro."


def test_a_number_is_connected_and_its_secrets_are_not_kept_on_screen() -> None:
    store = Store()
    view = NewConnection(make_tab(store))
    form = Ear(view.form)
    enter(view)
    values = {"name": "Loja", "environment": "sandbox", "phone_number_id": " 1 ", "waba_id": "2",
              "access_token": "EAA", "app_secret": "abc", "rate_per_second": 80}  # fmt: skip

    say(view.form, "submit", values=values)

    body = json.loads(
        next(sent for asked, path, sent in store.asked if (asked, path) == ("POST", "/v1/channels"))
    )
    assert body["credentials"] == {
        "phone_number_id": "1",
        "waba_id": "2",
        "access_token": "EAA",
        "app_secret": "abc",
    }
    assert "EAA" not in json.dumps(form.sent)
    assert view.tab.shell.route == f"/connections/{store.channels[-1]['id']}"


def test_an_ended_session_leads_to_the_sign_in_page() -> None:
    store = Store()
    view = CampaignList(make_tab(store))
    shell = Ear(view.tab.shell)
    store.tokens.clear()

    enter(CampaignPage(view.tab), campaign_id=store.campaigns[0]["id"])

    assert shell.last("reload")["path"] == "/sign-in?ended=1"


def test_a_fixed_text_still_empty_fills_no_gap_and_is_not_sent() -> None:
    store = Store()
    view = CampaignEditor(make_tab(store))
    enter(view)
    say(
        view.basics.form,
        "change",
        name="template_id",
        values={"name": "Natal", "template_id": store.templates[0]["id"]},
    )

    say(view.mapper, "change", variables={"body.1": "contact.name", "body.2": {"text": " "}}, complete=False)

    sent = [json.loads(body) for _, path, body in store.asked if path.endswith("/preview")]
    assert sent[-1]["variables"] == {"body.1": "contact.name"}
    assert view.draft.lacking == ["body.2"]


def test_every_icon_a_screen_names_is_in_the_kit() -> None:
    drawn = set(
        re.findall(r"\b[A-Z][A-Za-z0-9]+\b", (KIT / "src" / "kit" / "icons.jsx").read_text().split("}", 1)[0])
    )
    sources = [*Path(views.__file__).parent.glob("*.py"), Path(app.__file__)]
    named = {name for path in sources for name in re.findall(r'icon"?[:=] ?"([A-Z]\w+)"', path.read_text())}

    assert named - drawn == set()
