"""The wire: what an outcome says about whether the provider may have taken the call."""

import socket
from typing import Any

import pytest

from engine.core.http import Failure, HttpRequest, HttpResponse, call, download
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


def test_a_brake_says_for_how_long_and_the_next_answer_does_not() -> None:
    with running_provider() as provider:
        provider.behave = lambda _request: (
            Answer(429, headers="Retry-After: 7\r\n") if len(provider.taken) == 1 else Answer(429)
        )
        wire = Wire(1)

        brakes = [*outcomes(wire, provider.url, 1), *outcomes(wire, provider.url, 1)]

        assert [dict(brake.headers) for brake in brakes] == [{"retry-after": "7"}, {}]
        wire.close()


@pytest.mark.parametrize("token", ["EAAsecret part\n two", "EAAs\u00e9cret", "EAAsecret\x00"])
@pytest.mark.parametrize("way", ["call", "download"])
def test_a_token_that_can_not_be_sent_is_not_repeated_in_what_went_wrong(token: str, way: str) -> None:
    with running_provider() as provider:
        request = HttpRequest("GET", provider.url, {"Authorization": f"Bearer {token}"})

        outcome = (
            call(request) if way == "call" else download(request, lambda _piece: None, most=1, seconds=1.0)
        )

    assert isinstance(outcome, Failure)
    assert outcome.detail in {"LocalProtocolError", "UnicodeEncodeError"}


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
