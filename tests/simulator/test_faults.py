"""Each named fault, and limits that are real."""

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from engine.simulator.phones import Sent, plan
from engine.simulator.scenarios import SCENARIOS
from tests.simulator.harness import CLIENT, Account, Receiver, Running, eventually


def code_of(answer: httpx.Response) -> int:
    return int(answer.json()["error"]["code"])


def row_of(account: Account) -> dict[str, Any]:
    (row,) = account.simulator.accepts(phone_number_id=account.number)
    return row


def test_accept_then_timeout_is_accepted_and_never_answered(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("quick", accept_then_timeout=1.0)

    with pytest.raises(httpx.ReadTimeout):
        account.greet("cmp:1", timeout=0.4)

    assert row_of(account)["outcome"] == "timeout"
    status = eventually(lambda: receiver.statuses(account.hook))[0]
    assert status["biz_opaque_callback_data"] == "cmp:1"


def test_accept_then_timeout_is_cut_after_its_time(account: Account) -> None:
    account.choose("quick", accept_then_timeout=1.0, hold_seconds=0.2)

    with pytest.raises(httpx.TransportError):
        account.greet("cmp:1")

    assert row_of(account)["outcome"] == "timeout"


def test_accept_then_error_says_500_and_has_accepted(account: Account) -> None:
    account.choose("quick", accept_then_error=1.0)

    answer = account.greet("cmp:1")

    assert (answer.status_code, code_of(answer)) == (500, 131000)
    assert row_of(account)["outcome"] == "error"


def test_accept_then_reset_cuts_the_connection_and_has_accepted(account: Account) -> None:
    account.choose("quick", accept_then_reset=1.0)

    with pytest.raises(httpx.TransportError):
        account.greet("cmp:1")

    assert row_of(account)["outcome"] == "reset"


def test_accept_then_cut_begins_to_answer_and_has_accepted(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.choose("quick", accept_then_cut=1.0)
    heard: list[int] = []
    heads = [lambda answer: heard.append(answer.status_code)]
    monkeypatch.setitem(CLIENT.event_hooks, "response", heads)

    with pytest.raises(httpx.TransportError):
        account.greet("cmp:1")

    assert heard == [200]
    assert row_of(account)["outcome"] == "cut"


def test_a_brake_can_say_how_long(account: Account) -> None:
    account.choose("quick", refusals={"130429": 1.0}, retry_after=7)

    answer = account.greet("cmp:1")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(("scenario", "code"), [("spam", 131048), ("token_expired", 190)])
def test_a_refusal_accepts_nothing(account: Account, scenario: str, code: int) -> None:
    account.choose(scenario)

    answer = account.greet("cmp:1")

    assert code_of(answer) == code
    assert account.simulator.accepts(phone_number_id=account.number) == []


def test_an_expired_token_has_metas_subcode_on_every_call(account: Account) -> None:
    account.simulator.admin("POST", f"/_admin/accounts/{account.number}", token_expires_at=1)

    answers = [account.greet("cmp:1"), account.call("GET", account.number)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert {answer.json()["error"]["error_subcode"] for answer in answers} == {463}


def test_down_cuts_or_says_500_and_accepts_nothing(account: Account) -> None:
    account.choose("down")
    seen = set()

    for n in range(4):
        try:
            seen.add(account.greet(f"cmp:{n}").status_code)
        except httpx.TransportError:
            seen.add(0)

    assert seen == {0, 500}
    assert account.simulator.accepts(phone_number_id=account.number) == []


def test_throughput_is_a_bucket_that_fills_again(simulator: Running) -> None:
    account = simulator.account(rate=20)
    account.choose("throttle")

    answers = [account.greet(f"cmp:{n}") for n in range(12)]

    refused = [code_of(answer) for answer in answers if answer.status_code != 200]
    assert refused
    assert set(refused) == {130429}
    eventually(lambda: account.greet("later").status_code == 200)


def test_the_pair_limit_holds_one_person_only(account: Account) -> None:
    account.choose("pair_limit")

    first, second = account.greet("a", to="+5511900000101"), account.greet("b", to="+5511900000101")
    other = account.greet("c", to="+5511900000102")

    assert (first.status_code, code_of(second), other.status_code) == (200, 131056, 200)


def test_the_window_scenario_spares_templates(account: Account) -> None:
    account.inbound(**{"from": "+5511900000101"})
    account.choose("window")

    text = account.send("+5511900000101", type="text", text={"body": "Oi"})

    assert code_of(text) == 131047
    assert account.greet("cmp:1").status_code == 200


def test_the_window_can_also_close_later(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("window_later")

    answer = account.send("+5511900000101", type="text", text={"body": "Oi"})

    status = eventually(lambda: receiver.statuses(account.hook))[0]
    assert answer.status_code == 200
    assert (status["status"], status["errors"][0]["code"]) == ("failed", 131047)


def test_faulty_throws_the_same_for_the_same_keys_and_a_retry_throws_anew(account: Account) -> None:
    account.choose("faulty", refusals={"130429": 0.3}, accept_then_timeout=0.0, accept_then_error=0.0)
    first = [account.greet(f"k{n}").status_code for n in range(60)]
    account.choose("faulty", refusals={"130429": 0.3}, accept_then_timeout=0.0, accept_then_error=0.0)
    second = [account.greet(f"k{n}").status_code for n in range(60)]
    refused = first.index(429)

    again = [account.greet(f"k{refused}").status_code for _ in range(20)]

    assert first == second
    assert 200 in again


def test_the_faulty_shares_are_as_named() -> None:
    faulty, count = SCENARIOS["faulty"], 20_000
    base = Sent(
        sequence=0,
        at=0.0,
        number_id="1",
        wamid="wamid.x",
        recipient="5511900000101",
        by_user_id=False,
        opaque=None,
        kind="text",
        template=None,
        pricing="service:free_customer_service",
        body_hash="",
        body=None,
        scenario=faulty,
        failure=None,
    )

    plans = [plan(replace(base, opaque=f"k{n}")) for n in range(count)]

    steps = sum(len({step.event for step in steps}) for steps in plans)
    copies = sum(len(steps) for steps in plans) - steps
    mixed = sum([step.at for step in steps] != sorted(step.at for step in steps) for steps in plans)
    assert abs(copies / steps - 0.10) < 0.01
    assert mixed / count > 0.4


def test_a_custom_scenario_must_have_known_fields(simulator: Running) -> None:
    wrong = [
        {"name": "nonsense"},
        {"nonsense": 1},
        {"refusals": "x"},
        {"window": "ajar"},
        {"webhooks": 1},
        {"read_after": 3},
    ]

    answers = [httpx.post(f"{simulator.url}/_admin/scenario", json=body) for body in wrong]

    assert [answer.status_code for answer in answers] == [400] * len(wrong)
    assert all(answer.json()["error"] for answer in answers)


def test_fast_answers_without_looking_and_posts_nothing(account: Account, receiver: Receiver) -> None:
    account.subscribe(receiver)
    account.choose("fast")

    answer = account.send(type="template", template={"name": "unknown", "language": {"code": "pt_BR"}})
    time.sleep(0.2)

    assert answer.status_code == 200
    assert receiver.posts == []
    assert row_of(account)["planned"] == []
