"""What the API refuses, as the console tells it: at the field, once, in words that help."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from console.views.connection import ConnectionPage
from console.views.contacts import Contacts
from console.views.template_editor import TemplatePage
from console.views.template_faults import part_errors
from console.views.templates import TemplateList
from engine.client import RefusedError
from engine.client.answers import Channel
from tests.console.console_fake_data import Store
from tests.console.console_setup import Ear, ask, enter, make_tab, read_as, say

COMPONENTS = [{"type": "BODY", "text": "{{1}} oi"}, {"type": "BUTTONS", "buttons": [{}, {}]}]
GENERAL = "Parte do que você enviou não está certa. Confira os campos abaixo."


def refusal(status: int, code: str, detail: str, **problem: Any) -> RefusedError:
    """An answer of the API that says no."""
    return RefusedError(status, code, detail, problem=problem)


def fault(field: str, detail: str) -> dict[str, str]:
    """What is wrong with one field."""
    return {"field": field, "code": "bad", "detail": detail}


def refusing(error: RefusedError) -> Callable[..., Coroutine[Any, Any, None]]:
    """A call of the API that is refused."""

    async def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def test_what_is_wrong_with_a_part_of_a_template_is_said_at_that_part() -> None:
    error = refusal(422, "invalid", GENERAL, fields=[
        fault("components.0.text", "Uma."), fault("components.0.text", "Outra."), fault("components.1.buttons.1.url", "Endereço."),
        fault("components.1.buttons", "Demais."), fault("name", "Nome."),
    ])  # fmt: skip

    assert part_errors(error, COMPONENTS) == {
        "body": "Uma. Outra.", "buttons.1": "Endereço.", "buttons": "Demais.", "name": "Nome.",
    }  # fmt: skip


def test_a_template_that_is_refused_shows_why_and_nothing_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    view = TemplatePage(make_tab())
    ear = Ear(view.editor)
    enter(view)
    error = refusal(422, "invalid", GENERAL, fields=[fault("components.0.text", "Ponha uma palavra antes.")])
    monkeypatch.setattr(view.tab.api.templates, "create", refusing(error))

    say(view.editor, "submit", template={"name": "x", "components": COMPONENTS})

    told = ear.last("errors")
    assert (told["errors"], told["text"]) == ({"body": "Ponha uma palavra antes."}, "")


def test_one_broken_connection_keeps_no_other_from_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    view = TemplateList(make_tab(store))
    shell, table, asked = Ear(view.tab.shell), Ear(view.table), []
    ask(view.table)

    async def sync(channel_id: str) -> None:
        asked.append(channel_id)
        if channel_id == store.channels[0]["id"]:
            raise refusal(502, "token_expired", "O token de acesso expirou.")

    monkeypatch.setattr(view.tab.api.templates, "sync", sync)

    say(view.table, "toolbar", key="sync")

    assert asked == [channel["id"] for channel in store.channels]
    assert [toast["text"] for toast in shell.of("toast")] == [
        "Vendas: O token de acesso expirou.",
        "The templates are up to date.",
    ]
    assert table.of("refresh")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refusal(502, "token_expired", "O token expirou."), "O token expirou."),
        (refusal(500, "internal", "x"), "Something went wrong on our side. Please try again in a moment."),
        (refusal(502, "http_502", "Bad Gateway"), "Something went wrong on our side. Please try again in a moment."),
        (refusal(422, "invalid", GENERAL, fields=[fault("at", "Escolha uma hora que ainda vem.")]), "Escolha uma hora que ainda vem."),
        (refusal(409, "wrong_state", "A campanha não está enviando."), "A campanha não está enviando."),
    ],
)  # fmt: skip
def test_a_passing_message_says_why(error: RefusedError, told: str) -> None:
    assert make_tab().explain(error) == told


def test_a_phone_that_somebody_has_leads_to_that_person(monkeypatch: pytest.MonkeyPatch) -> None:
    view = Contacts(make_tab())
    form = Ear(view.person.form)
    say(view.table, "toolbar", key="add")
    error = refusal(409, "phone_taken", "+5511961000001 já pertence a outro contato.", contact_id="c-7")
    monkeypatch.setattr(view.tab.api.contacts, "add", refusing(error))

    say(view.person.form, "submit", values={"name": "Zé", "phone": "11961000001", "consent": "none"})

    told = form.last("errors")
    assert (told["errors"], told["text"]) == ({"phone": "+5511961000001 já pertence a outro contato."}, "")
    assert told["links"] == {"phone": {"label": "Open that contact", "path": "/contacts/c-7"}}


def test_an_access_token_is_replaced_and_what_is_left_empty_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    view = ConnectionPage(make_tab(store))
    enter(view, channel_id=store.channels[1]["id"])
    bodies = list[dict[str, Any]]()

    async def change(_: str, body: dict[str, Any]) -> Channel:
        bodies.append(body)
        return read_as(
            Channel, store.channels[1] | {"status": "connected", "status_reason": None, "revision": 2}
        )

    monkeypatch.setattr(view.tab.api.channels, "change", change)
    say(view.notice, "action", key="edit")

    say(
        view.form,
        "submit",
        values={"name": "Teste", "rate_per_second": 80, "access_token": " EAA2 ", "app_secret": ""},
    )

    assert bodies == [{"name": "Teste", "rate_per_second": 80, "credentials": {"access_token": "EAA2"}}]
    assert view.edit.open is False
    assert view.page.hidden == ["notice"]
