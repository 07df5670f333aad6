"""Templates over HTTP, reviewed by a real simulator."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from engine.accounts.models import Role
from engine.core.db import tenant_session
from engine.core.errors import Invalid, NotFound
from engine.core.settings import settings
from engine.messaging.channels.base import TemplateNotice
from engine.messaging.templates import apply_notice, snapshot_for
from tests.messaging.conftest import Company

BODY = {"type": "BODY", "text": "Oi {{nome}}, o pedido {{pedido}} saiu para entrega."}


def template_body(channel: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {
        "channel_id": channel["id"],
        "name": "pedido_enviado",
        "language": "pt_BR",
        "category": "UTILITY",
        "components": [BODY],
    } | given


def submit(company: Company, channel: dict[str, Any], **given: Any) -> dict[str, Any]:
    answer = company.http.post("/v1/templates", json=template_body(channel, **given))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def reviewed(company: Company, template: dict[str, Any]) -> TemplateNotice:
    """The word of the review, once it has come and was kept."""
    provider_id = company.account.call(
        "GET", f"{company.account.waba}/message_templates?name={template['name']}"
    ).json()["data"][0]["id"]
    notice = company.told(
        lambda event: isinstance(event, TemplateNotice) and event.provider_template_id == provider_id
    )
    assert isinstance(notice, TemplateNotice)
    with tenant_session(company.tenant_id) as session:
        apply_notice(session, notice)
    return notice


def shown(company: Company, template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = company.http.get(f"/v1/templates/{template['id']}").json()
    return found


@pytest.fixture
def channel(company: Company) -> dict[str, Any]:
    """A connected channel."""
    return company.connect()


def test_a_template_is_submitted_reviewed_and_approved_by_webhook(
    company: Company, channel: dict[str, Any]
) -> None:
    template = submit(company, channel)

    reviewed(company, template)

    assert (template["status"], template["parameter_format"]) == ("pending", "NAMED")
    assert [variable["key"] for variable in template["variables"]] == ["body.nome", "body.pedido"]
    assert shown(company, template)["status"] == "approved"


def test_a_rejection_comes_with_its_reason_in_plain_words(company: Company, channel: dict[str, Any]) -> None:
    template = submit(company, channel, name="reject_promotional")

    reviewed(company, template)

    after = shown(company, template)
    assert (after["status"], after["status_reason"]["code"]) == ("rejected", "PROMOTIONAL")
    assert "MARKETING" in after["status_reason"]["action"]


def test_a_review_that_ends_before_its_answer_was_written_down_finds_its_template(
    company: Company, channel: dict[str, Any]
) -> None:
    template = submit(company, channel)
    with tenant_session(company.tenant_id) as session:
        session.execute(text("update templates set provider_id = null, status = 'draft'"))

    with tenant_session(company.tenant_id) as session:
        notice = TemplateNotice(
            None, company.account.waba, "77123", status="approved", name=template["name"], language="pt-BR"
        )
        told = apply_notice(session, notice)

    assert [(one.provider_id, one.status) for one in told] == [("77123", "approved")]


def test_examples_that_nobody_gave_are_the_variables_own_names(
    company: Company, channel: dict[str, Any]
) -> None:
    buttons = {
        "type": "BUTTONS",
        "buttons": [{"type": "URL", "text": "Ver", "url": "https://x.example/{{1}}"}],
    }

    template = submit(company, channel, components=[BODY, buttons])

    assert template["variables"] == [
        {"key": "body.nome", "example": "nome"},
        {"key": "body.pedido", "example": "pedido"},
        {"key": "button.0.1", "example": "exemplo"},
    ]


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"name": "Pedido Enviado"}, "name", "bad_name"),
        ({"language": "português"}, "language", "bad_language"),
        ({"category": "FUN"}, "category", "unknown_choice"),
        ({"components": [{"type": "FOOTER", "text": "x"}]}, "components", "body_missing"),
        ({"components": [BODY, BODY]}, "components.1", "double_part"),
        ({"components": [BODY, {"type": "HOLOGRAM"}]}, "components.1.type", "unknown_part"),
        ({"components": [{"type": "BODY", "text": "{{1}}, olá você aí"}]}, "components.0.text", "variable_at_edge"),
        ({"components": [{"type": "BODY", "text": "olá você aí {{1}}"}]}, "components.0.text", "variable_at_edge"),
        ({"components": [{"type": "BODY", "text": "Oi {{1}} {{2}} olá"}]}, "components.0.text", "adjacent_variables"),
        ({"components": [{"type": "BODY", "text": "Oi {{2}} olá"}]}, "components.0.text", "bad_variable"),
        ({"components": [{"type": "BODY", "text": "Oi {{Nome}} olá"}]}, "components.0.text", "bad_variable"),
        ({"components": [{"type": "BODY", "text": "Oi {{seu nome}} olá"}]}, "components.0.text", "bad_variable"),
        ({"components": [{"type": "BODY", "text": "x" * 1025}]}, "components.0.text", "too_long"),
        ({"components": [{"type": "BODY", "text": " "}]}, "components.0.text", "missing"),
        ({"components": [BODY, {"type": "FOOTER", "text": "{{1}} x"}]}, "components.1.text", "variable_in_footer"),
        ({"components": [BODY, {"type": "HEADER", "format": "TEXT", "text": "x" * 61}]}, "components.1.text", "too_long"),
        ({"components": [BODY, {"type": "HEADER", "format": "IMAGE"}]}, "components.1.example", "example_missing"),
        ({"components": [BODY, {"type": "HEADER", "format": "SMELL"}]}, "components.1.format", "unknown_choice"),
        ({"components": [BODY, {"type": "BUTTONS", "buttons": []}]}, "components.1.buttons", "too_many"),
        ({"components": [BODY, {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "x.example"}]}]},
         "components.1.buttons.0.url", "bad_address"),
        ({"components": [BODY, {"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Ver", "url": "https://x.example/{{1}}/y"}]}]},
         "components.1.buttons.0.url", "bad_variable"),
        ({"components": [BODY, {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "a"}, {"type": "PHONE_NUMBER", "text": "b", "phone_number": "+5511"},
            {"type": "QUICK_REPLY", "text": "c"}]}]}, "components.1.buttons", "mixed_buttons"),
    ],
)  # fmt: skip
def test_what_whatsapp_would_refuse_is_named_before_it_is_asked(
    company: Company, channel: dict[str, Any], given: dict[str, Any], field: str, code: str
) -> None:
    answer = company.http.post("/v1/templates", json=template_body(channel, **given))

    assert answer.status_code == 422
    assert (field, code) in [(one["field"], one["code"]) for one in answer.json()["fields"]]
    assert company.http.get("/v1/templates").json()["items"] == []


def test_what_whatsapp_refuses_itself_is_told_in_its_words_and_not_kept(
    company: Company, channel: dict[str, Any]
) -> None:
    crowded = {"type": "BODY", "text": "a {{1}} b {{2}} c {{3}} d"}

    answer = company.http.post("/v1/templates", json=template_body(channel, components=[crowded]))

    assert (answer.status_code, answer.json()["code"]) == (422, "template_refused")
    assert "too many variables" in answer.json()["detail"]
    assert company.http.get("/v1/templates").json()["items"] == []


def test_the_same_name_in_the_same_language_exists_once(company: Company, channel: dict[str, Any]) -> None:
    submit(company, channel)

    answer = company.http.post("/v1/templates", json=template_body(channel))

    assert answer.status_code == 422
    assert answer.json()["fields"][0]["code"] == "template_exists"


def test_a_name_that_only_whatsapp_knows_is_told(company: Company, channel: dict[str, Any]) -> None:
    company.account.template("pedido_enviado")

    answer = company.http.post("/v1/templates", json=template_body(channel))

    assert (answer.status_code, answer.json()["code"]) == (422, "template_exists")


def test_words_that_could_not_reach_whatsapp_are_kept_as_a_draft_and_submitted_later(
    company: Company, channel: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setenv("MASTERIA_SIMULATOR_URL", "http://127.0.0.1:9")
        settings.cache_clear()
        draft = submit(company, channel)
    settings.cache_clear()

    again = company.http.patch(f"/v1/templates/{draft['id']}", json={}).json()

    assert (draft["status"], draft["status_reason"]["code"]) == ("draft", "provider_unreachable")
    assert (again["status"], again["status_reason"]) == ("pending", None)


def test_a_submission_whose_answer_was_lost_is_recognised(company: Company, channel: dict[str, Any]) -> None:
    template = submit(company, channel)
    with tenant_session(company.tenant_id) as session:
        session.execute(
            text("update templates set provider_id = null, status = 'draft', status_reason = 'ambiguous'")
        )

    again = company.http.patch(f"/v1/templates/{template['id']}", json={})

    assert again.json()["status"] in {"pending", "approved"}
    assert len(company.http.get("/v1/templates", params={"search": "pedido"}).json()["items"]) == 1


def test_a_synchronisation_brings_all_pages_and_forgets_what_is_gone(
    company: Company, channel: dict[str, Any]
) -> None:
    for number in range(120):
        company.account.template(f"modelo_{number:03d}")
    gone = submit(company, channel)
    company.account.call("DELETE", f"{company.account.waba}/message_templates?name={gone['name']}")

    first = company.http.post("/v1/templates/sync", json={"channel_id": channel["id"]}).json()
    second = company.http.post("/v1/templates/sync", json={"channel_id": channel["id"]}).json()

    assert first == {"total": 121, "created": 121, "updated": 0, "gone": 1}
    assert (second["created"], second["gone"]) == (0, 0)
    assert company.http.get(f"/v1/templates/{gone['id']}").status_code == 404


def test_a_list_is_paged_searched_and_filtered(company: Company, channel: dict[str, Any]) -> None:
    for number in range(5):
        company.account.template(f"modelo_{number}")
    company.http.post("/v1/templates/sync", json={"channel_id": channel["id"]})
    names: list[str] = []
    after = None

    while True:
        given = {"limit": 2, "search": "Modelo"} | ({"after": after} if after else {})
        page = company.http.get("/v1/templates", params=given).json()
        names += [item["name"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert names == [f"modelo_{number}" for number in range(5)]
    assert company.http.get("/v1/templates", params={"status": "draft"}).json()["items"] == []
    assert company.http.get("/v1/templates", params={"after": "nonsense"}).status_code == 422


def test_a_change_is_reviewed_again(company: Company, channel: dict[str, Any]) -> None:
    template = submit(company, channel)
    reviewed(company, template)
    text_ = "Oi {{nome}}, o pedido {{pedido}} chega hoje mesmo."

    changed = company.http.patch(
        f"/v1/templates/{template['id']}", json={"components": [{"type": "BODY", "text": text_}]}
    ).json()

    assert changed["status"] == "pending"
    assert changed["components"][0]["text"] == text_


def test_a_template_under_review_can_not_be_changed(company: Company, channel: dict[str, Any]) -> None:
    template = submit(company, channel, name="stay_pending")

    answer = company.http.patch(f"/v1/templates/{template['id']}", json={"category": "MARKETING"})

    assert (answer.status_code, answer.json()["state"]) == (409, "pending")


def test_a_change_that_whatsapp_refuses_changes_nothing(company: Company, channel: dict[str, Any]) -> None:
    template = submit(company, channel)
    reviewed(company, template)

    answer = company.http.patch(f"/v1/templates/{template['id']}", json={"category": "MARKETING"})

    assert (answer.status_code, answer.json()["code"]) == (422, "template_locked")
    assert shown(company, template)["category"] == "UTILITY"


def test_a_text_at_the_provider_that_can_not_be_stored_costs_one_sign_and_no_synchronisation(
    company: Company, channel: dict[str, Any]
) -> None:
    path = f"{company.account.waba}/message_templates"
    asked = {
        "name": "estranho",
        "language": "pt_BR",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Chegou\0 novidade."}],
    }
    company.account.call("POST", path, json=asked).raise_for_status()

    answer = company.http.post("/v1/templates/sync", json={"channel_id": channel["id"]})

    [found] = company.http.get("/v1/templates", params={"search": "estranho"}).json()["items"]
    assert answer.status_code == 200, answer.text
    assert found["components"][0]["text"] == "Chegou\ufffd novidade."


def test_a_text_that_can_not_be_stored_is_not_asked_of_the_provider(
    company: Company, channel: dict[str, Any]
) -> None:
    template = submit(company, channel)
    reviewed(company, template)

    answer = company.http.patch(
        f"/v1/templates/{template['id']}", json={"components": [{"type": "BODY", "text": "Oi\0"}]}
    )

    there = company.account.call("GET", f"{company.account.waba}/message_templates?name=pedido").json()
    assert [one["field"] for one in answer.json()["fields"]] == ["components.0.text"]
    assert "\0" not in str(there)


def test_a_deleted_template_is_gone_here_and_there(company: Company, channel: dict[str, Any]) -> None:
    template = submit(company, channel)

    answer = company.http.delete(f"/v1/templates/{template['id']}")

    there = company.account.call("GET", f"{company.account.waba}/message_templates?name=pedido").json()
    assert answer.status_code == 204
    assert company.http.get(f"/v1/templates/{template['id']}").status_code == 404
    assert there["data"] == []


def test_one_that_is_gone_there_already_can_be_deleted_here(
    company: Company, channel: dict[str, Any]
) -> None:
    template = submit(company, channel)
    company.account.call("DELETE", f"{company.account.waba}/message_templates?name={template['name']}")

    assert company.http.delete(f"/v1/templates/{template['id']}").status_code == 204


def test_a_provider_that_is_away_is_told_as_such_and_nothing_is_lost(
    company: Company, channel: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    template = submit(company, channel)
    monkeypatch.setenv("MASTERIA_SIMULATOR_URL", "http://127.0.0.1:9")
    settings.cache_clear()

    answers = [
        company.http.post("/v1/templates/sync", json={"channel_id": channel["id"]}),
        company.http.delete(f"/v1/templates/{template['id']}"),
    ]
    monkeypatch.undo()
    settings.cache_clear()

    assert [(one.status_code, one.json()["code"]) for one in answers] == [(502, "provider_unreachable")] * 2
    assert shown(company, template)["id"] == template["id"]


def test_an_agent_reads_and_previews_and_can_not_submit(company: Company, channel: dict[str, Any]) -> None:
    template = submit(company, channel)
    agent = company.colleague(Role.AGENT)

    assert agent.get("/v1/templates").status_code == 200
    assert agent.post(f"/v1/templates/{template['id']}/preview", json={}).status_code == 200
    assert agent.post("/v1/templates", json=template_body(channel)).status_code == 403


def test_another_company_can_not_use_a_channel_or_template(company: Company, channel: dict[str, Any]) -> None:
    template = submit(company, channel)
    stranger = company.world.caller().http

    refused = stranger.post("/v1/templates", json=template_body(channel)).json()
    assert [(one["field"], one["code"]) for one in refused["fields"]] == [("channel_id", "not_found")]
    assert stranger.post("/v1/templates/sync", json={"channel_id": channel["id"]}).status_code == 422
    assert stranger.get(f"/v1/templates/{template['id']}").status_code == 404
    assert stranger.delete(f"/v1/templates/{template['id']}").status_code == 404


def test_a_preview_is_filled_for_a_contact_or_with_examples(
    company: Company, channel: dict[str, Any]
) -> None:
    template = submit(company, channel)
    url = f"/v1/templates/{template['id']}/preview"
    with tenant_session(company.tenant_id) as session:
        contact_id = session.scalar(
            text(
                "insert into contacts (id, name, phone, fields) values (uuidv7(), 'Ana Maria', null, '{}') returning id"
            )
        )
    variables = {"body.nome": "contact.first_name", "body.pedido": "field.pedido"}

    with_examples = company.http.post(url, json={}).json()
    filled = company.http.post(url, json={"contact_id": str(contact_id), "variables": variables}).json()

    assert (with_examples["body"], with_examples["missing"]) == (
        "Oi nome, o pedido pedido saiu para entrega.",
        [],
    )
    assert (filled["body"], filled["missing"]) == (
        "Oi Ana, o pedido {{pedido}} saiu para entrega.",
        ["body.pedido"],
    )


def test_a_preview_of_a_template_that_is_not_saved(company: Company) -> None:
    answer = company.http.post(
        "/v1/templates/preview",
        json={
            "components": [{"type": "BODY", "text": "Oi {{1}} e {{2}}!"}, {"type": "FOOTER", "text": "Loja"}],
            "variables": {"body.1": {"text": "Ana"}},
        },
    )

    assert answer.json() == {
        "header": None,
        "body": "Oi Ana e {{2}}!",
        "footer": "Loja",
        "buttons": [],
        "missing": ["body.2"],
    }


def test_an_unknown_contact_or_source_is_told(company: Company, channel: dict[str, Any]) -> None:
    url = f"/v1/templates/{submit(company, channel)['id']}/preview"

    nobody = company.http.post(url, json={"contact_id": "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90"})
    strange = company.http.post(
        url, json={"variables": {"body.nome": "contact.shoe_size", "body.9": "contact.name"}}
    )

    assert [(one["field"], one["code"]) for one in nobody.json()["fields"]] == [("contact_id", "not_found")]
    assert {one["field"] for one in strange.json()["fields"]} == {"variables.body.nome", "variables.body.9"}


def test_a_snapshot_is_used_again_until_something_differs(company: Company, channel: dict[str, Any]) -> None:
    template_id = UUID(submit(company, channel)["id"])
    sources = {"body.nome": "contact.name", "body.pedido": {"text": "42"}}
    with tenant_session(company.tenant_id) as session:
        first = snapshot_for(session, template_id, sources)
        same = snapshot_for(session, template_id, dict(reversed(sources.items())))
        other = snapshot_for(session, template_id, sources | {"body.pedido": {"text": "43"}})

    assert same.id == first.id
    assert (first.version, other.version) == (1, 2)


def test_a_snapshot_needs_a_source_for_every_gap_and_a_template_that_is_there(
    company: Company, channel: dict[str, Any]
) -> None:
    template_id = UUID(submit(company, channel)["id"])

    with tenant_session(company.tenant_id) as session:
        with pytest.raises(Invalid):
            snapshot_for(session, template_id, {"body.nome": "contact.name"})
        with pytest.raises(NotFound):
            snapshot_for(session, UUID(int=7), {})


def test_two_channels_of_one_account_are_both_told(company: Company, channel: dict[str, Any]) -> None:
    second = company.connect_second(name="Outra")
    template = submit(company, channel)
    company.http.post("/v1/templates/sync", json={"channel_id": second["id"]})

    reviewed(company, template)

    items = company.http.get("/v1/templates", params={"search": template["name"]}).json()["items"]
    assert {item["channel_id"] for item in items} == {channel["id"], second["id"]}
    assert {item["status"] for item in items} == {"approved"}


def test_the_newest_fact_says_of_each_field_what_the_api_says(
    company: Company, channel: dict[str, Any]
) -> None:
    template = submit(company, channel, name="reject_scam")
    reviewed(company, template)

    with tenant_session(company.tenant_id) as session:
        told = session.scalars(
            text("select payload from outbox where kind = 'template.changed' order by id desc limit 1")
        ).one()

    del told["deleted"]
    reason = told.pop("status_reason")
    fresh = shown(company, template)
    assert told == {name: fresh[name] for name in told}
    assert reason == {name: fresh["status_reason"][name] for name in reason}


def test_the_same_key_submits_once(company: Company, channel: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "one"}

    answers = [
        company.http.post("/v1/templates", json=template_body(channel), headers=headers) for _ in range(2)
    ]

    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
