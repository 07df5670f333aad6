"""More requests than the database has connections wait their turn; none starves another."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import World


def test_more_requests_than_connections_are_all_answered(samples: World) -> None:
    caller = samples.caller()

    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(lambda _: caller.http.get("/v1/samples/slow"), range(80)))

    assert {answer.status_code for answer in answers} == {200}


def test_who_waits_too_long_for_a_place_is_told_to_come_again(
    samples: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.api.deps.WAIT_SECONDS", 0.01)
    caller = samples.caller()

    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(lambda _: caller.http.get("/v1/samples/slow"), range(80)))

    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "busy")}
    assert caller.http.get("/v1/samples/slow").status_code == 200
