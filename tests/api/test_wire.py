"""Connections that never come to the point are closed; honest ones notice nothing."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import Body, FastAPI, Form

from engine.api import deadline, wire
from engine.api.deadline import Deadline
from engine.api.errors import answer_errors
from engine.api.wire import HEAD_BYTES, PatientProtocol
from tests.api.served import wait_for

KEPT_ALIVE = 0.3  # seconds
SHORT = 0.3


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """An application with a route for JSON and one for a form, behind our protocol and our deadline."""
    api = FastAPI()
    answer_errors(api)

    @api.get("/healthz")
    def health() -> None: ...

    @api.post("/json")
    def take_json(body: Annotated[Any, Body()]) -> int:
        return len(body)

    @api.post("/form")
    def take_form(a: Annotated[str, Form()]) -> int:
        return len(a)

    config = uvicorn.Config(
        Deadline(api), port=0, http=PatientProtocol, log_level="error", timeout_keep_alive=KEPT_ALIVE
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", SHORT)
    monkeypatch.setattr(deadline, "BODY_SECONDS", SHORT)


def said_to(port: int, *pieces: bytes, every: float = 0.0) -> tuple[bytes, float]:
    """All that is answered until the connection is closed, and after how many seconds it was."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(every)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            answer = b"reset"
        return answer, time.monotonic() - began


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("pieces", [(), (b"GET /hea",), (HEALTH, b"X-A: b\r\n", b"X-C: d\r\n")])
def test_a_head_that_does_not_come_is_not_waited_for(port: int, pieces: tuple[bytes, ...]) -> None:
    answer, seconds = said_to(port, *pieces, every=0.1)

    assert answer == b""
    assert SHORT <= seconds < 5


@pytest.mark.usefixtures("hurry")
def test_after_an_answer_a_head_that_drips_in_is_not_waited_for(port: int) -> None:
    drip = [b"X-%d: y\r\n" % number for number in range(30)]

    answer, seconds = said_to(port, HEALTH + b"\r\n", HEALTH, *drip, every=0.1)

    assert answer.count(b"200 OK") == 1 or answer == b"reset"
    assert seconds < 5


def test_a_connection_that_is_used_is_kept(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.1)

    answer, _ = said_to(port, *[HEALTH + b"\r\n"] * 6, every=0.2)

    assert answer.count(b"200 OK") == 6


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * HEAD_BYTES * 8,
        HEALTH + b"X-Long: " + b"a" * HEAD_BYTES * 8,
        HEALTH + b"X: y\r\n" * HEAD_BYTES,
    ],
)
def test_a_head_without_end_is_cut_off(port: int, head: bytes) -> None:
    answer, seconds = said_to(port, *[head[at : at + 16384] for at in range(0, len(head), 16384)])

    assert answer == b"reset" or answer.startswith(b"HTTP/1.1 431")
    assert seconds < 5


def test_trailers_without_end_are_cut_off(port: int) -> None:
    head = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailers = [b"X: y\r\n" * 2000] * 40

    answer, seconds = said_to(port, head + b"3\r\n[1]\r\n0\r\n", *trailers)

    assert answer in (b"", b"reset")
    assert seconds < 5


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("path", "kind"), [("json", b"application/json"), ("form", b"application/x-www-form-urlencoded")]
)
def test_a_body_that_does_not_come_is_answered_408(port: int, path: str, kind: bytes) -> None:
    head = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\n"

    answer, seconds = said_to(port, head % (path.encode(), kind), b"[", b"1", b"2", every=0.05)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"timed_out" in answer
    assert b"connection: close" in answer.lower()
    assert seconds < 5


@pytest.mark.usefixtures("hurry")
def test_a_large_body_may_take_longer_at_an_honest_pace(port: int) -> None:
    piece = b"1," * 8 * 1024
    head = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    answer, seconds = said_to(port, head % (len(piece) * 8 + 3), b"[", *[piece] * 8, b"1]", every=0.1)

    assert answer.startswith(b"HTTP/1.1 200")
    assert seconds > 2 * SHORT
