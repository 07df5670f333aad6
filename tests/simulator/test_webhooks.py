"""What comes back by webhook: statuses, replies, signatures, handshakes, retries."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.simulator.payloads import encode, sign
from tests.simulator.harness import Account, Receiver, Running, eventually

PAYLOADS = Path(__file__).parent / "payloads"
RANKS = {"sent": 0, "delivered": 1, "read": 2}


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def shape(value: Any) -> Any:
    """The keys and types of a payload, without its values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def wait_for_statuses(account: Account, receiver: Receiver, count: int) -> list[dict[str, Any]]:
    eventually(lambda: len(receiver.statuses(account.hook)) >= count)
    return receiver.statuses(account.hook)


def finish(account: Account) -> dict[str, Any]:
    """The summary, once nothing of this business is under way."""
    path = f"/_admin/accepts/summary?phone_number_id={account.number}"
    eventually(lambda: account.simulator.admin("GET", path)["under_way"] == 0)
    return account.simulator.admin("GET", path)  # type: ignore[no-any-return]


def test_bodies_are_written_and_signed_as_meta_does() -> None:
    vector = payload("signature_vectors")["meta"]

    body = encode(payload("message_text_emoji"))

    assert sign(vector["app_secret"], body) == vector["value"]


def test_a_message_is_sent_delivered_and_read_with_the_opaque_data_each_time(
    account: Account, receiver: Receiver
) -> None:
    account.subscribe(receiver)
    account.choose("quick", read_share=1.0, reply_share=0.0)

    wamid = account.greet("cmp_7:rcpt_9f3a").json()["messages"][0]["id"]

    statuses = wait_for_statuses(account, receiver, 3)
    assert [status["status"] for status in statuses] == ["sent", "delivered", "read"]
    assert {status["id"] for status in statuses} == {wamid}
    assert {status["biz_opaque_callback_data"] for status in statuses} == {"cmp_7:rcpt_9f3a"}
    assert all(post.is_signed_with(account.made["app_secret"]) for post in receiver.posts)


def test_a_delivered_status_has_the_shape_of_metas(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("quick", read_share=0.0, sent_after=[0.0, 0.0], delivered_after=[0.2, 0.2])

    account.greet("cmp:1")

    eventually(lambda: len(receiver.statuses(account.hook)) == 2)
    assert shape(receiver.posts[-1].body) == shape(payload("status_delivered"))


def test_a_failed_status_has_the_shape_of_metas(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("undeliverable", failures=[[131026, 1.0]])

    account.greet("cmp:1")

    eventually(lambda: receiver.statuses(account.hook))
    assert shape(receiver.posts[-1].body) == shape(payload("status_failed_131026"))
    assert receiver.statuses(account.hook)[0]["errors"][0]["code"] == 131026


def test_a_reply_opens_the_window_and_is_a_message_of_the_person(
    account: Account, receiver: Receiver
) -> None:
    account.subscribe(receiver)
    account.choose("quick", read_share=1.0, reply_share=1.0, opt_out_share=1.0)

    account.greet("cmp:1", to="+5511900000101")

    (message,) = eventually(lambda: receiver.messages(account.hook))
    assert message["from"] == "5511900000101"
    assert message["from_user_id"].startswith("BR.")
    assert message["type"] == "text"
    assert account.send("+5511900000101", type="text", text={"body": "Tudo bem"}).status_code == 200


def test_a_person_presses_the_button_of_a_template(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("quick", read_share=1.0, reply_share=1.0, opt_out_share=0.0, review_after=[0.0, 0.0])
    buttons = {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Falar com atendente"}]}
    body = {"type": "BODY", "text": "Seu pedido saiu."}
    made = account.template("com_botao", components=[body, buttons])
    account.simulator.admin("POST", f"/_admin/templates/{made['id']}", status="APPROVED")
    part = {
        "type": "button",
        "sub_type": "quick_reply",
        "index": "0",
        "parameters": [{"type": "payload", "payload": "AJUDA"}],
    }
    template = {"name": "com_botao", "language": {"code": "pt_BR"}, "components": [part]}

    for n in range(20):
        account.send(
            f"+55119000001{n:02}", type="template", template=template, biz_opaque_callback_data=f"b{n}"
        )

    eventually(lambda: len(receiver.messages(account.hook)) >= 20)
    pressed = [m for m in receiver.messages(account.hook) if m["type"] == "button"]
    assert pressed
    assert all(m["button"] == {"payload": "AJUDA", "text": "Falar com atendente"} for m in pressed)
    assert all(m["context"]["id"].startswith("wamid.") for m in pressed)


def test_the_handshake_is_really_made(account: Account, receiver: Receiver) -> None:
    wrong = {"override_callback_uri": receiver.url + "/x", "verify_token": "another token"}

    answer = account.call("POST", f"{account.waba}/subscribed_apps", json=wrong)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, 2200)
    assert "403" in error["message"]
    assert account.call("GET", f"{account.waba}/subscribed_apps").json() == {"data": []}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "ftp://ex.test/x", "nonsense"])
def test_an_address_that_cannot_be_reached_is_not_subscribed(account: Account, url: str) -> None:
    target = {"override_callback_uri": url, "verify_token": "x"}

    answer = account.call("POST", f"{account.waba}/subscribed_apps", json=target)

    assert answer.status_code == 400


def test_subscriptions_are_listed_and_removed(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)

    listed = account.call("GET", f"{account.waba}/subscribed_apps").json()["data"]
    removed = account.call("DELETE", f"{account.waba}/subscribed_apps").json()

    assert listed[0]["override_callback_uri"] == receiver.url + account.hook
    assert listed[0]["whatsapp_business_api_data"]["id"] == account.made["app_id"]
    assert removed == {"success": True}
    assert account.call("GET", f"{account.waba}/subscribed_apps").json() == {"data": []}


def test_without_a_subscription_nothing_is_posted_and_the_log_says_so(account: Account) -> None:
    account.choose("quick", read_share=1.0, reply_share=0.0)

    account.greet("cmp:1")

    summary = finish(account)
    assert summary["updates"]["sent"] == {"emitted": 0, "acknowledged": 0, "unrouted": 1, "given_up": 0}
    (row,) = account.simulator.accepts(phone_number_id=account.number)
    assert row["dropped"] == ["sent", "delivered", "read"]


def test_the_numbers_own_address_goes_before_that_of_the_account(
    account: Account, receiver: Receiver
) -> None:
    account.subscribe(receiver)
    own = {"override_callback_uri": receiver.url + "/own", "verify_token": receiver.verify_token}

    account.call("POST", account.number, json={"webhook_configuration": own})
    account.inbound(**{"from": "+5511900000101", "text": "Oi"})

    eventually(lambda: receiver.messages("/own"))
    assert receiver.messages(account.hook) == []


def test_the_apps_address_is_used_when_there_is_no_other(account: Account, receiver: Receiver) -> None:
    app_token = f"{account.made['app_id']}|{account.made['app_secret']}"
    wanted = {
        "object": "whatsapp_business_account",
        "callback_url": receiver.url + "/app",
        "verify_token": receiver.verify_token,
        "fields": "messages",
    }

    answer = account.call(
        "POST",
        f"{account.made['app_id']}/subscriptions",
        data=wanted,
        headers={"authorization": f"Bearer {app_token}"},
    )
    account.call("POST", f"{account.waba}/subscribed_apps")
    account.inbound(**{"from": "+5511900000101", "text": "Oi"})

    assert answer.json() == {"success": True}
    eventually(lambda: receiver.messages("/app"))


def test_what_is_not_answered_with_200_comes_again(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    receiver.answer = 503
    wamid = account.inbound(**{"from": "+5511900000101", "text": "Oi"})["id"]
    counts = f"/_admin/accepts/summary?phone_number_id={account.number}"
    eventually(
        lambda: account.simulator.admin("GET", counts)["updates"].get("messages", {}).get("emitted") == 1
    )

    receiver.answer = 200

    (message,) = eventually(lambda: receiver.messages(account.hook))
    assert message["id"] == wamid


def test_many_updates_travel_in_few_posts_and_none_is_lost(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("quick", read_share=1.0, reply_share=0.0)

    with httpx.Client() as client:
        for n in range(300):
            client.post(
                f"{account.simulator.url}/v25.0/{account.number}/messages",
                headers={"authorization": f"Bearer {account.made['access_token']}"},
                json={
                    "messaging_product": "whatsapp",
                    "to": f"+55119{n:08}",
                    "type": "template",
                    "template": {"name": "hello_world", "language": {"code": "en_US"}},
                    "biz_opaque_callback_data": f"k{n}",
                },
            )

    summary = finish(account)
    statuses = receiver.statuses(account.hook)
    assert Counter(s["status"] for s in statuses) == {"sent": 300, "delivered": 300, "read": 300}
    assert summary["accepted"] == summary["distinct_opaque"] == 300
    assert summary["duplicates"] == 0
    assert summary["messages"]["read"] == {"planned": 300, "acknowledged": 300}
    assert summary["updates"]["delivered"]["acknowledged"] == 300


def test_duplicates_come_twice(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("duplicates", read_share=1.0, reply_share=0.0)

    account.greet("cmp:1")

    statuses = wait_for_statuses(account, receiver, 6)
    assert Counter(s["status"] for s in statuses) == {"sent": 2, "delivered": 2, "read": 2}


def test_disorder_mixes_the_order_but_not_the_times(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose(
        "disorder",
        read_share=1.0,
        reply_share=0.0,
        skipped_delivered=0.0,
        delivered_after=[2, 2],
        read_after=[2, 2],
        speed=1.5,
    )

    account.greet("cmp:1")

    statuses = wait_for_statuses(account, receiver, 3)
    arrival = [RANKS[s["status"]] for s in statuses]
    by_time = sorted(statuses, key=lambda s: int(s["timestamp"]))
    assert arrival != [0, 1, 2]
    assert [RANKS[s["status"]] for s in by_time] == [0, 1, 2]


def test_late_statuses_carry_their_true_time(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("late_statuses", late_after=[1.5, 1.5], sent_after=[0, 0], read_share=0.0)

    account.greet("cmp:1")
    (row,) = account.simulator.accepts(phone_number_id=account.number)

    status = eventually(lambda: receiver.statuses(account.hook))[0]
    assert int(status["timestamp"]) == row["at"] // 1000


def test_statuses_of_a_person_without_a_phone_carry_only_the_user_id(
    account: Account, receiver: Receiver
) -> None:
    account.subscribe(receiver)
    user_id = account.inbound(username="caio", text="Oi")["user_id"]

    account.send("", recipient=user_id, type="text", text={"body": "Oi"})

    status = eventually(lambda: receiver.statuses(account.hook))[0]
    assert status["recipient_user_id"] == user_id
    assert "recipient_id" not in status


def test_a_raw_payload_goes_out_as_it_is(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    fixture = payload("message_text_emoji")

    account.inbound(payload=fixture)

    (post,) = eventually(lambda: list(receiver.posts))
    assert post.body == fixture
    assert post.raw == encode(fixture)
    assert post.is_signed_with(account.made["app_secret"])


def test_a_raw_payload_can_be_made_our_own(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)

    account.inbound(payload=payload("message_text_emoji"), adopt=True)

    (value,) = eventually(lambda: receiver.values(account.hook, "messages"))
    assert value["metadata"]["phone_number_id"] == account.number


def test_an_inbound_picture_can_be_downloaded_with_the_same_token(
    simulator: Running, account: Account, receiver: Receiver
) -> None:
    account.subscribe(receiver)
    media = {"mime_type": "image/jpeg", "data": "/9j/4AAQSkZJRg==", "caption": "Foto do pedido"}

    account.inbound(**{"from": "+5511900000101", "type": "image", "media": media})

    image = eventually(lambda: receiver.messages(account.hook))[0]["image"]
    assert image["caption"] == "Foto do pedido"
    assert account.call("GET", image["url"]).content.startswith(b"\xff\xd8\xff")
    assert httpx.get(image["url"]).status_code == 401
    assert simulator.account().call("GET", image["url"]).status_code == 404
