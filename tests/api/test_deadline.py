"""Whoever asks is answered in time, whatever hangs behind the API."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.deadline import Deadline
from engine.core import db

from .conftest import World


@pytest.fixture
def database_hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The application's database at an address that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Longer than any deadline: what is tested is that nobody waits for it.
        hanging = create_engine(
            f"postgresql+psycopg://x:y@127.0.0.1:{silent.getsockname()[1]}/z",
            connect_args={"connect_timeout": 8},
        )
        monkeypatch.setattr(db, "app_engine", lambda: hanging)
        monkeypatch.setattr("engine.api.routes.health.app_engine", lambda: hanging)
        yield


@pytest.mark.usefixtures("database_hangs")
def test_ready_is_answered_within_seconds_however_often_it_is_asked(world: World) -> None:
    client = world.client()
    began = time.monotonic()

    answers = [client.get("/readyz") for _ in range(2)]

    assert time.monotonic() - began < 7.5
    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].json() == {"status": "unready", "database": "away", "schema": "unknown", "redis": "ok"}


def ask(app: ASGIApp, *pieces: bytes, wait: float = 0.0) -> list[Message]:
    """What a request is answered, whose body comes in pieces with so many seconds before each."""
    sent: list[Message] = []
    waiting = list(pieces)

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(60)
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"accept-language", b"en")]}
    asyncio.run(_to_the_end(app, scope, receive, send))
    return sent


async def _to_the_end(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)
    await asyncio.sleep(0.4)  # what was let go on comes to its end


def answering(after: float, *, reads: bool = False, extends: float = 0.0) -> tuple[ASGIApp, list[str]]:
    """An application that answers after so many seconds, and what it came to."""
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while reads and (await receive()).get("more_body"):
            continue
        if extends:
            scope["state"]["patience"].extend(extends)
        await asyncio.sleep(after)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(after)
        await send({"type": "http.response.body", "body": b"done"})
        reached.append("end")

    return app, reached


def status(sent: list[Message]) -> Any:
    return sent[0]["status"]


def test_an_answer_in_time_goes_out_as_it_is() -> None:
    app, _ = answering(0.0)

    sent = ask(Deadline(app, seconds=0.2))

    assert (status(sent), sent[-1]["body"]) == (200, b"done")


def test_who_waits_too_long_is_told_so_and_the_late_answer_is_dropped() -> None:
    app, reached = answering(0.2)

    sent = ask(Deadline(app, seconds=0.1))

    assert status(sent) == 503
    assert b"too_slow" in sent[1]["body"]
    assert (len(sent), reached) == (2, ["end"])


def test_an_answer_that_has_begun_may_take_its_time() -> None:
    app, _ = answering(0.15)

    assert status(ask(Deadline(app, seconds=0.2))) == 200


def test_the_time_in_which_a_body_comes_in_is_not_counted() -> None:
    app, _ = answering(0.05, reads=True)

    assert status(ask(Deadline(app, seconds=0.15), b"a", b"b", b"c", wait=0.1)) == 200


def test_a_route_that_waits_on_a_provider_has_longer() -> None:
    app, _ = answering(0.2, extends=0.5)

    assert status(ask(Deadline(app, seconds=0.1))) == 200


def test_an_error_goes_on_to_whoever_logs_it() -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("unforeseen")

    with pytest.raises(ValueError, match="unforeseen"):
        ask(Deadline(broken, seconds=0.2))


def test_connections_notice_a_server_that_has_vanished(database: Callable[[], None]) -> None:
    with db.app_engine().connect() as connection:
        told = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]

    assert told["tcp_user_timeout"] == "10000"
    assert told["keepalives_idle"] == "5"
