"""The wire: what an outcome says about whether the provider may have taken the call."""

import gc
import socket
import threading
import time
import weakref
from typing import Any

import pytest

from engine.core import dialing
from engine.core.http import Failure, HttpRequest, HttpResponse
from engine.core.wire import Wire
from tests.provider import Answer, Provider, accepted, running_provider

HEADERS = {"Content-Type": "application/json"}


def outcomes(wire: Wire, url: str, amount: int) -> list[Any]:
    for number in range(amount):
        wire.begin(HttpRequest("POST", url, HEADERS, b'{"n": %d}' % number), number)
    ended: list[Any] = []
    while wire.under_way:
        ended += [outcome for _, outcome in wire.collect(1.0)]
    return ended


def test_many_calls_share_kept_connections_and_each_gets_its_own_answer() -> None:
    with running_provider() as provider:
        wire = Wire(8)

        first = outcomes(wire, provider.url, 8)
        second = outcomes(wire, provider.url, 8)

        assert all(isinstance(outcome, HttpResponse) and outcome.status == 200 for outcome in first + second)
        assert sorted(request["n"] for request in provider.taken) == sorted([*range(8), *range(8)])
        wire.close()


def test_a_refused_connection_has_never_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    wire = Wire(1)

    [outcome] = outcomes(wire, f"http://127.0.0.1:{port}", 1)

    assert isinstance(outcome, Failure)
    assert outcome.never_left
    wire.close()


def test_who_waits_for_one_name_that_nobody_has_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def nobody(host: str, port: int, flags: int = 0) -> list[Any]:
        if not flags:
            asked.append(host)
            time.sleep(0.1)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(dialing, "_addresses", nobody)
    wire = Wire(4)

    ended = outcomes(wire, "http://nobody.test", 4)

    assert all(isinstance(outcome, Failure) and outcome.never_left for outcome in ended)
    assert all("no such name" in outcome.detail for outcome in ended)
    assert asked == ["nobody.test"]
    wire.close()


def test_a_name_that_was_not_found_while_nobody_waited_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find, came_late = dialing._addresses, threading.Event()

    def not_found(host: str, port: int, flags: int = 0) -> list[Any]:
        if not flags:
            time.sleep(0.4)
            came_late.set()
        raise socket.gaierror(socket.EAI_AGAIN, "ask again")

    def found(host: str, port: int, flags: int = 0) -> list[Any]:
        if flags and host == "late.test":
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        return find("127.0.0.1", port, flags)

    monkeypatch.setattr(dialing, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(dialing, "UNKNOWN_KEPT", 0.1)
    monkeypatch.setattr(dialing, "_addresses", not_found)
    wire = Wire(4)
    with running_provider() as provider:
        url = provider.url.replace("127.0.0.1", "late.test")
        [given_up] = outcomes(wire, url, 1)
        came_late.wait(5)
        time.sleep(0.2)
        monkeypatch.setattr(dialing, "_addresses", found)
        monkeypatch.setattr(dialing, "CONNECT_SECONDS", 5.0)
        [taken] = outcomes(wire, url, 1)

    assert isinstance(given_up, Failure)
    assert isinstance(taken, HttpResponse), taken
    wire.close()


@pytest.mark.parametrize("ends", ["taken", "cut"])
def test_a_call_that_has_ended_is_kept_by_nobody(ends: str) -> None:
    class Token:
        """Something that a weak reference can point to."""

    with running_provider() as provider:
        if ends == "cut":
            provider.behave = lambda _request: Answer(None)
        wire, token = Wire(1), Token()
        kept = weakref.ref(token)
        gc.disable()
        try:
            wire.begin(HttpRequest("POST", provider.url, HEADERS, b"{}"), token)
            del token
            while wire.under_way:
                wire.collect(1.0)
            is_kept = kept() is not None
        finally:
            gc.enable()
        wire.close()

    assert not is_kept


def test_a_brake_says_for_how_long_and_the_next_answer_does_not() -> None:
    with running_provider() as provider:
        provider.behave = lambda _request: (
            Answer(429, headers="Retry-After: 7\r\n") if len(provider.taken) == 1 else Answer(429)
        )
        wire = Wire(1)

        brakes = [*outcomes(wire, provider.url, 1), *outcomes(wire, provider.url, 1)]

        assert [dict(brake.headers) for brake in brakes] == [{"retry-after": "7"}, {}]
        wire.close()


def test_an_answer_that_does_not_come_in_time_may_have_been_taken() -> None:
    with running_provider() as provider:
        provider.behave = lambda _request: Answer(200, {}, after=5)
        wire = Wire(1, call_seconds=0.3)

        [outcome] = outcomes(wire, provider.url, 1)

        assert isinstance(outcome, Failure)
        assert not outcome.never_left
        wire.close()


def hang_up_from_the_second_on(provider: Provider) -> None:
    def behave(request: dict[str, Any]) -> Answer:
        return accepted(request) if len(provider.taken) == 1 else Answer(None)

    provider.behave = behave


def test_a_kept_connection_that_ends_without_an_answer_is_not_sent_on_again() -> None:
    with running_provider() as provider:
        hang_up_from_the_second_on(provider)
        wire = Wire(1)
        outcomes(wire, provider.url, 1)

        [outcome] = outcomes(wire, provider.url, 1)

        assert isinstance(outcome, Failure)
        assert not outcome.never_left
        assert len(provider.taken) == 2
        wire.close()
