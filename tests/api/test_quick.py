"""The short way of a request that comes whole: answered as on the usual way, in order, and never left without an answer."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from engine.api import wire
from engine.api.wire import Answer, Headers, PatientProtocol
from tests.api.served import wait_for

KEPT_ALIVE = 0.4  # seconds
POST = b"POST /hooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"


class Door:
    """Takes what it is told to take, and answers when it is told to."""

    prefix = b"/hooks/"

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.held: list[Answer] = []
        self.takes = True
        self.holds = False

    def take(self, target: bytes, headers: Headers, body: bytes, answer: Answer) -> bool:
        """Note a body."""
        if not self.takes:
            return False
        assert target == b"/hooks/x"
        assert (b"host", b"x") in headers
        self.taken.append(body)
        if self.holds:
            self.held.append(answer)
        else:
            answer(200, [(b"content-length", b"5")], b"quick")
        return True


async def usual(scope: Scope, receive: Receive, send: Send) -> None:
    """The usual way: says which body came."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    said = b"usual %d" % len(body)
    head = [(b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(scope="module")
def server() -> Iterator[uvicorn.Server]:
    config = uvicorn.Config(
        usual, port=0, http=PatientProtocol, log_level="error", timeout_keep_alive=KEPT_ALIVE, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    yield server
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    number: int = server.servers[0].sockets[0].getsockname()[1]
    return number


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    one = Door()
    monkeypatch.setattr(PatientProtocol, "quick", one)
    return one


@pytest.fixture
def line(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        yield connection


def answer_of(line: socket.socket) -> bytes:
    """The body of the next answer; empty when there is none and the line is closed."""
    said = b""
    while b"\r\n\r\n" not in said:
        more = line.recv(65536)
        if not more:
            return b""
        said += more
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += line.recv(65536)
    return body


def test_what_comes_whole_is_offered_and_many_share_a_line(door: Door, line: socket.socket) -> None:
    for number in range(3):
        line.sendall(POST % (4, b"no %d" % number))
        assert answer_of(line) == b"quick"

    assert door.taken == [b"no 0", b"no 1", b"no 2"]


def test_what_comes_in_two_pieces_is_offered_whole(door: Door, line: socket.socket) -> None:
    words = POST % (10, b"0123456789")
    line.sendall(words[:-6])
    time.sleep(wire.BODY_SOON / 5)
    line.sendall(words[-6:])

    assert answer_of(line) == b"quick"
    assert door.taken == [b"0123456789"]


def test_a_body_that_takes_its_time_goes_the_usual_way(door: Door, line: socket.socket) -> None:
    words = POST % (10, b"0123456789")
    line.sendall(words[:-6])
    time.sleep(wire.BODY_SOON * 3)
    line.sendall(words[-6:])

    assert answer_of(line) == b"usual 10"
    assert door.taken == []


def test_a_large_body_goes_the_usual_way(door: Door, line: socket.socket) -> None:
    line.sendall(POST % (500_000, b"x" * 500_000))

    assert answer_of(line) == b"usual 500000"
    assert door.taken == []


@pytest.mark.parametrize(
    "head",
    [
        b"GET /hooks/x HTTP/1.1\r\nContent-Length: 4\r\n",
        b"POST /other HTTP/1.1\r\nContent-Length: 4\r\n",
        b"POST /hooks/x HTTP/1.0\r\nContent-Length: 4\r\n",
        b"POST /hooks/x HTTP/1.1\r\nContent-Length: 4\r\nConnection: close\r\n",
    ],
)
def test_what_is_not_a_plain_post_to_a_door_goes_the_usual_way(
    door: Door, line: socket.socket, head: bytes
) -> None:
    line.sendall(head + b"Host: x\r\n\r\nbody")

    assert answer_of(line) == b"usual 4"
    assert door.taken == []


def test_what_the_door_does_not_take_goes_the_usual_way_and_the_next_is_offered_again(
    door: Door, line: socket.socket
) -> None:
    answers = []
    for takes in (True, False, True, False):
        door.takes = takes
        line.sendall(POST % (4, b"body"))
        answers.append(answer_of(line))

    assert answers == [b"quick", b"usual 4", b"quick", b"usual 4"]


def test_a_fault_of_the_door_is_told_and_the_request_goes_the_usual_way(
    door: Door, line: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError("a fault of ours")

    told: list[str] = []
    monkeypatch.setattr(wire.log, "exception", told.append)
    monkeypatch.setattr(door, "take", fail)
    line.sendall(POST % (4, b"body"))
    first = answer_of(line)
    monkeypatch.delattr(door, "take")
    line.sendall(POST % (4, b"body"))

    assert (first, answer_of(line)) == (b"usual 4", b"quick")
    assert told == ["quick.failed"]


def test_a_request_that_does_not_wait_for_the_answer_ahead_of_it_is_not_half_taken(
    server: uvicorn.Server, door: Door, line: socket.socket
) -> None:
    door.holds = True
    line.sendall(POST % (5, b"first") + POST % (6, b"second"))
    wait_for(lambda: len(door.held) == 1)
    time.sleep(0.05)
    loop = server.servers[0].get_loop()
    loop.call_soon_threadsafe(door.held[0], 200, [(b"content-length", b"5")], b"quick")

    assert answer_of(line) == b"quick"
    assert (
        answer_of(line) == b""
    )  # the line is closed: whoever sent the second knows that it was not answered
    assert door.taken == [b"first"]


def test_a_line_that_rests_is_closed_and_one_that_works_is_not(door: Door, line: socket.socket) -> None:
    began = time.monotonic()
    while time.monotonic() - began < 2 * KEPT_ALIVE:
        line.sendall(POST % (4, b"body"))
        assert answer_of(line) == b"quick"
        time.sleep(KEPT_ALIVE / 8)
    rested = time.monotonic()

    assert line.recv(1) == b""
    assert KEPT_ALIVE / 2 < time.monotonic() - rested < KEPT_ALIVE * 4


def test_a_head_that_drips_in_after_an_answer_is_not_waited_for(
    door: Door, line: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.3)
    line.sendall(POST % (4, b"body"))
    assert answer_of(line) == b"quick"
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        line.sendall(b"GET /healthz HTTP/1.1\r\n")
        while time.monotonic() - began < 5:
            line.sendall(b"X-A: b\r\n")
            time.sleep(0.05)

    assert KEPT_ALIVE < time.monotonic() - began < 3


def test_an_answer_that_is_still_to_come_is_waited_for_before_the_server_ends(door: Door) -> None:
    config = uvicorn.Config(usual, port=0, http=PatientProtocol, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    door.holds = True
    loop = server.servers[0].get_loop()
    port = server.servers[0].sockets[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(POST % (4, b"body"))
        wait_for(lambda: len(door.held) == 1)
        server.should_exit = True
        time.sleep(0.3)
        loop.call_soon_threadsafe(door.held[0], 503, [(b"content-length", b"4")], b"away")

        assert answer_of(line) == b"away"
        assert line.recv(1) == b""
    thread.join(10)
    assert not thread.is_alive()
