"""What the simulator accepts, refuses, and how it answers."""

from typing import Any

import httpx
import pytest

from tests.simulator.harness import Account, Running

BUTTON = {"type": "reply", "reply": {"id": "1", "title": "Sim"}}


def code_of(answer: httpx.Response) -> int:
    return int(answer.json()["error"]["code"])


def test_an_accepted_message_is_answered_as_meta_does(account: Account) -> None:
    answer = account.greet("cmp:1", to="+55 11 90000-0101")

    body = answer.json()
    assert answer.status_code == 200
    assert body["messaging_product"] == "whatsapp"
    assert body["contacts"] == [{"input": "+55 11 90000-0101", "wa_id": "5511900000101"}]
    assert body["messages"][0]["id"].startswith("wamid.HBgN")
    assert body["messages"][0]["message_status"] == "accepted"
    assert account.waba in answer.headers["x-business-use-case-usage"]


def test_the_witness_log_holds_what_was_accepted(account: Account) -> None:
    wamid = account.greet("cmp:7").json()["messages"][0]["id"]

    (row,) = account.simulator.accepts(phone_number_id=account.number)
    assert (row["wamid"], row["opaque"], row["recipient"]) == (wamid, "cmp:7", "5511900000101")
    assert (row["template"], row["outcome"]) == ("hello_world", "answered")
    assert row["body"]["biz_opaque_callback_data"] == "cmp:7"


def test_a_brazilian_number_of_the_north_east_loses_its_ninth_digit(account: Account) -> None:
    answer = account.send("+5571980000102")

    assert answer.json()["contacts"][0]["wa_id"] == "557180000102"


def test_a_number_without_country_code_gets_the_one_of_the_business(account: Account) -> None:
    answer = account.send("11900000101")

    assert answer.json()["contacts"][0]["wa_id"] == "5511900000101"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer nonsense", "Basic abc"])
def test_a_call_without_a_known_token_is_refused_with_190(account: Account, authorization: str) -> None:
    headers = {"authorization": authorization}

    send = account.call("POST", f"{account.number}/messages", json={}, headers=headers)
    read = account.call("GET", account.number, headers=headers)

    for answer in (send, read):
        assert answer.status_code == 401
        assert code_of(answer) == 190
        assert answer.json()["error"]["type"] == "OAuthException"
        assert "fbtrace_id" in answer.json()["error"]


def test_a_token_does_not_reach_the_number_of_another_business(simulator: Running, account: Account) -> None:
    other = simulator.account()

    answer = account.call("POST", f"{other.number}/messages", json={"messaging_product": "whatsapp"})

    assert (answer.status_code, code_of(answer)) == (400, 100)
    assert answer.json()["error"]["error_subcode"] == 33


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "text", "text": {}}, 131008),
        ({"type": "text", "text": {"body": ""}}, 131008),
        ({"type": "text", "text": {"body": 7}}, 131009),
        ({"type": "text", "text": {"body": "x" * 4097}}, 100),
        ({"type": "text"}, 131008),
        ({"type": "nonsense", "nonsense": {}}, 100),
        ({"type": "image", "image": {}}, 100),
        ({"type": "image", "image": {"id": "1", "link": "https://ex.test/a.jpg"}}, 100),
        ({"type": "image", "image": {"id": "12345"}}, 131009),
        ({"type": "audio", "audio": {"link": "https://ex.test/a.ogg", "caption": "x"}}, 100),
        ({"type": "location", "location": {"latitude": 91, "longitude": 0}}, 131009),
        ({"type": "contacts", "contacts": []}, 131009),
        ({"type": "reaction", "reaction": {"emoji": "👍"}}, 131008),
        ({"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {}}}, 131009),
        (
            {"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": [BUTTON] * 4}}},
            131009,
        ),
        (
            {"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": [BUTTON] * 2}}},
            131009,
        ),
        ({"type": "template", "template": {"name": "gone", "language": {"code": "pt_BR"}}}, 132001),
        ({"type": "template", "template": {"name": "hello_world", "language": {"code": "pt_BR"}}}, 132001),
        ({"type": "template", "template": {"name": "hello_world"}}, 131009),
        ({"type": "text", "text": {"body": "Oi"}, "biz_opaque_callback_data": "x" * 513}, 100),
        ({"type": "text", "text": {"body": "Oi"}, "messaging_product": "sms"}, 100),
        ({"type": "text", "text": {"body": "Oi"}, "recipient_type": "group"}, 100),
    ],
)  # fmt: skip
def test_a_wrong_message_is_refused_and_not_accepted(
    account: Account, message: dict[str, Any], code: int
) -> None:
    account.choose("quick", window="ignored")

    answer = account.send(**message)

    assert code_of(answer) == code
    assert account.simulator.accepts(phone_number_id=account.number) == []


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({"to": "abc"}, 131009),
        ({"to": "+1"}, 131009),
        ({}, 100),
        ({"recipient": "12"}, 131009),
        ({"to": ""}, 100),
    ],
)
def test_a_recipient_that_is_none_is_refused(account: Account, target: dict[str, str], code: int) -> None:
    template = {"name": "hello_world", "language": {"code": "en_US"}}
    body = {"messaging_product": "whatsapp", "type": "template", "template": template} | target

    answer = account.call("POST", f"{account.number}/messages", json=body)

    assert code_of(answer) == code


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(account: Account, raw: bytes) -> None:
    answer = account.call("POST", f"{account.number}/messages", content=raw)

    assert (answer.status_code, code_of(answer)) == (400, 100)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": {"body": "Olá"}},
        {"type": "image", "image": {"link": "https://ex.test/a.jpg", "caption": "Foto"}},
        {"type": "location", "location": {"latitude": -23.5, "longitude": -46.6, "name": "Loja"}},
        {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+5511900000101"}]}]},
        {"type": "reaction", "reaction": {"message_id": "wamid.HBgN", "emoji": ""}},
        {"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": [BUTTON]}}},
        {
            "type": "interactive",
            "interactive": {
                "type": "list",
                "body": {"text": "Escolha"},
                "action": {"button": "Ver", "sections": [{"rows": [{"id": "1", "title": "Um"}]}]},
            },
        },
    ],
)  # fmt: skip
def test_every_kind_of_message_is_accepted(account: Account, message: dict[str, Any]) -> None:
    account.choose("quick", window="ignored")

    assert account.send(**message).status_code == 200


def test_outside_the_window_only_templates_pass(account: Account) -> None:
    text = account.send(type="text", text={"body": "Oi"})
    template = account.greet("k")

    assert code_of(text) == 131047
    assert template.status_code == 200


def test_a_message_from_the_person_opens_the_window(account: Account) -> None:
    account.inbound(**{"from": "+5511900000101", "text": "Oi, tudo bem?"})

    assert account.send(type="text", text={"body": "Oi"}).status_code == 200
    assert code_of(account.send("+5511900000999", type="text", text={"body": "Oi"})) == 131047


def test_a_person_is_reached_by_user_id_without_showing_a_phone(account: Account) -> None:
    user_id = account.inbound(username="caio", text="Oi")["user_id"]

    answer = account.send("", recipient=user_id, type="text", text={"body": "Oi"})

    assert answer.json()["contacts"] == [{"input": user_id, "user_id": user_id}]


def test_the_phone_wins_when_both_are_given(account: Account) -> None:
    template = {"name": "hello_world", "language": {"code": "en_US"}}

    answer = account.send("+5511900000101", recipient="BR.123", type="template", template=template)

    assert answer.json()["contacts"][0]["wa_id"] == "5511900000101"


def test_read_marks_and_typing_are_noted(account: Account) -> None:
    wamid = account.inbound(**{"from": "+5511900000101"})["id"]
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}

    answer = account.call(
        "POST", f"{account.number}/messages", json=mark | {"typing_indicator": {"type": "text"}}
    )

    assert answer.json() == {"success": True}
    marks = account.simulator.admin("GET", "/_admin/marks")["items"]
    assert {"typing"} == {m["kind"] for m in marks if m["message_id"] == wamid}


def test_a_number_that_is_not_registered_cannot_send(account: Account) -> None:
    account.call("POST", f"{account.number}/deregister", json={})

    refused = account.greet("k")
    account.call(
        "POST", f"{account.number}/register", json={"messaging_product": "whatsapp", "pin": "123456"}
    )

    assert code_of(refused) == 133010
    assert account.greet("k").status_code == 200


def test_a_blocked_person_is_neither_written_to_nor_heard(account: Account) -> None:
    account.inbound(**{"from": "+5511900000101"})
    users = {"messaging_product": "whatsapp", "block_users": [{"user": "+5511900000101"}]}

    blocked = account.call("POST", f"{account.number}/block_users", json=users)

    assert blocked.json()["block_users"]["added_users"][0]["wa_id"] == "5511900000101"
    assert code_of(account.greet("k")) == 130403
    assert account.inbound(**{"from": "+5511900000101"}) == {"blocked": True}


def test_the_marketing_edge_takes_only_marketing_templates(account: Account) -> None:
    body = {
        "messaging_product": "whatsapp",
        "to": "+5511900000101",
        "type": "template",
        "template": {"name": "hello_world", "language": {"code": "en_US"}},
    }

    answer = account.call("POST", f"{account.number}/marketing_messages", json=body)

    assert code_of(answer) == 131055
