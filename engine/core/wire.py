"""Many HTTP calls at once on one thread, over kept connections: what everything that goes out in number goes through.

HTTP/1.1 on sockets of our own: the system's poller, the standard library's TLS, llhttp's parser. A call through libcurl
cost nearly twice the processor time (docs/decisions/0020), and did not say where a call was when it failed. Here a
connection knows: `Failure.never_left` is False from the moment the kernel has taken a byte of the request, and a request
is written once, to one connection, never again.
"""

import contextlib
import select
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any

import httptools
import httpx

from engine.core.dialing import Dialer, Socket
from engine.core.http import CALL_SECONDS, NO_HEADERS, Failure, HttpRequest, HttpResponse
from engine.core.routes import Place, Routes, UnwritableError, retry_after

LINGER = 0.005  # seconds in which more calls may end once one has: each look at all there is costs the caller something
KEPT_SECONDS = 4  # shorter than any server's keep-alive (uvicorn and Node: 5 s): a line closed as we write is a message unknown
# A connection that has rested so long is looked at before it is written to: its end may not have been noticed yet.
LOOKED_AT_AFTER = 0.1
READ_BYTES = 64 * 1024
MOST_ANSWER = 1024 * 1024  # bytes of an answer, head and body: a provider's has some hundred

READ, WRITE = select.POLLIN, select.POLLOUT  # the same bits as epoll's


class Poller:
    """The system's list of sockets to watch: epoll where there is one, poll elsewhere."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poller: Any = self._epoll or select.poll()
        self.register = self._poller.register
        self.modify = self._poller.modify
        self.unregister = self._poller.unregister

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Which sockets can be read or written, after at most so many seconds."""
        found: list[tuple[int, int]] = self._poller.poll(seconds if self._epoll else seconds * 1000)
        return found

    def close(self) -> None:
        """Forget all."""
        if self._epoll is not None:
            self._epoll.close()


class _Connection:
    """One connection with the call that it carries, if any; the parser tells it what an answer says."""

    __slots__ = (
        "_kept_alive", "_parser", "_parts", "_said", "_size", "deadline", "done", "is_blocked", "is_open", "out", "place",
        "rested_at", "sent", "sock", "token",
    )  # fmt: skip

    def __init__(self, place: Place) -> None:
        self.place = place
        self.is_open = False
        self.sock: Socket  # once it is open
        self.token: object = None
        self.deadline = 0.0
        self.rested_at = 0.0
        self.out: bytes | memoryview = b""
        self.is_blocked = False  # it waits until it can be written to
        self.sent = False  # the kernel has taken a byte of the request
        self.done = False
        self._said: list[bytes] = []  # all that came of an answer, for whoever asks for a header
        self._parts: list[bytes] = []
        self._size = 0
        self._kept_alive = False
        self._parser = httptools.HttpResponseParser(self)

    def take(self, token: object, out: bytes, deadline: float) -> None:
        """Make ready for one call."""
        self.token, self.out, self.deadline = token, out, deadline
        self.sent = self.done = False
        self._size = 0
        self._said.clear()
        self._parts.clear()

    def feed(self, data: bytes) -> None:
        """Read on; httptools.HttpParserError when it is no HTTP, or more than an answer may be."""
        self._size += len(data)
        if self._size > MOST_ANSWER:
            raise httptools.HttpParserError("the answer is too large")
        self._said.append(data)
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """httptools: an answer begins; one that nobody asked for must not be taken for that to the next call."""
        if self.done:
            self._kept_alive = False
            raise ValueError("two answers to one request")

    def on_body(self, body: bytes) -> None:
        """httptools: a piece of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """httptools: an answer has ended; those that only announce another (1xx) are passed over."""
        if self._parser.get_status_code() >= 200:
            self.done = True
            self._kept_alive = self._parser.should_keep_alive()  # it knows only here

    def forget(self) -> None:
        """It is over. The parser and it hold each other, and it holds a call: they would stay until somebody looks."""
        del self._parser
        self.token = None

    @property
    def stays(self) -> bool:
        """Whether both sides keep the connection after this answer: it came to an end, and so did the request."""
        return self.done and self._kept_alive and not self.is_blocked

    @property
    def lasts_to_the_end(self) -> bool:
        """True for an answer whose body ends with the connection, as its head says by saying nothing."""
        return bool(self._parts) and not self._headers().keys() & {"content-length", "transfer-encoding"}

    def _headers(self) -> Mapping[str, str]:
        """The headers of the answer that came, by their names in small letters.

        Hardly anybody asks, so they are read a second time then, rather than kept for each answer.
        """
        reader = _Headers()
        with contextlib.suppress(httptools.HttpParserError):
            httptools.HttpResponseParser(reader).feed_data(b"".join(self._said))
        return reader.found

    def answer(self) -> HttpResponse:
        """What came back; of the headers a brake's `retry-after` alone."""
        status = self._parser.get_status_code()
        headers = NO_HEADERS
        if status == 429 and (seconds := retry_after(self._headers().get("retry-after", ""))):
            headers = {"retry-after": str(seconds)}
        return HttpResponse(status, b"".join(self._parts), headers)


class _Headers:
    """What httptools tells of headers; those of an answer that only announces another give way to its."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def on_message_begin(self) -> None:
        """httptools: an answer begins."""
        self.found.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: a header."""
        self.found[name.decode("latin-1").lower()] = value.decode("latin-1")


@cache
def _tls() -> ssl.SSLContext:
    """Trust as httpx trusts, so that all that goes out does."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Wire:
    """Many calls at once on one thread, over kept connections: begin some, then collect what has ended.

    `width` is the number of calls that may be under way. Requests that share their URL and their `headers` object are
    cheapest.
    """

    def __init__(
        self, width: int, *, call_seconds: float = CALL_SECONDS, tls: Callable[[], ssl.SSLContext] = _tls
    ) -> None:
        self.width = width
        self.under_way = 0
        self._call_seconds = call_seconds
        self._poller = Poller()
        self._dialer = Dialer(self._poller, tls)
        self._routes = Routes()
        self._busy: dict[_Connection, None] = {}  # those that carry a call, the oldest call first
        self._by_fd: dict[int, _Connection] = {}  # those that are connected
        self._resting: dict[Place, deque[_Connection]] = {}
        self._amount = 0  # connections, those that rest included
        self._ended: list[tuple[Any, HttpResponse | Failure]] = []

    @property
    def room(self) -> int:
        """How many more calls may begin."""
        return self.width - self.under_way

    def begin(self, request: HttpRequest, token: object) -> None:
        """Start one POST, or a GET; `token` comes back with its outcome."""
        self.under_way += 1
        try:
            route = self._routes.of(request)
        except UnwritableError as error:
            self._ended.append((token, Failure(True, str(error))))
            return
        now = time.monotonic()
        connection = self._rested(route.place, now) or self._new(route.place)
        connection.take(token, route.words(request), now + self._call_seconds)
        self._busy[connection] = None
        if connection.is_open:
            self._write(connection)
        else:
            self._dialer.dial(route.place, connection)

    def _rested(self, place: Place, now: float) -> _Connection | None:
        """A connection that is kept to a place, if one is still good."""
        kept = self._resting.get(place)
        while kept:
            connection = kept.pop()
            rested = now - connection.rested_at
            if rested < LOOKED_AT_AFTER or (rested < KEPT_SECONDS and connection.sock.is_quiet()):
                return connection
            self._close(connection)
        return None

    def _new(self, place: Place) -> _Connection:
        if self._amount >= self.width:
            # As many as there may be: one rests, as there was room for a call. It makes room.
            longest = min((kept[0] for kept in self._resting.values() if kept), key=attrgetter("rested_at"))
            self._end_rest(longest)
        self._amount += 1
        return _Connection(place)

    def collect(self, wait: float) -> list[tuple[Any, HttpResponse | Failure]]:
        """Outcomes of calls that have ended, after waiting at most `wait` seconds for the first."""
        self._look(wait if self._busy and not self._ended else 0.0)
        for connection, outcome in self._dialer.dialed():
            self._dialed(connection, outcome)
        now = time.monotonic()
        while self._busy and (oldest := next(iter(self._busy))).deadline < now:
            self._fail(oldest, not oldest.sent, f"timed out: no answer in {self._call_seconds:.0f} s")
        ended, self._ended = self._ended, []
        self.under_way -= len(ended)
        return ended

    def _look(self, wait: float) -> None:
        """Read and write what can be; once something comes, what comes within moments of it as well."""
        found = self._poller.wait(wait)
        if found and len(found) < len(self._busy):
            time.sleep(LINGER)
            found = self._poller.wait(0.0)
        now = time.monotonic()
        for descriptor, what in found:
            connection = self._by_fd.get(descriptor)
            if connection is None:
                self._dialer.heard(descriptor)
                continue
            if what != WRITE:
                self._read(connection, now)
            if connection.is_blocked and what & WRITE:
                self._write(connection)

    def _dialed(self, connection: _Connection, outcome: Socket | str) -> None:
        if isinstance(outcome, str):
            self._fail(connection, True, outcome)
            return
        connection.sock, connection.is_open = outcome, True
        self._by_fd[outcome.fileno()] = connection
        self._write(connection)

    def _write(self, connection: _Connection) -> None:
        sock, out = connection.sock, connection.out
        try:
            # TLS may have written a part of a record when it fails; without it the kernel takes what it says it took.
            connection.sent = connection.sent or sock.is_tls
            taken = sock.send(out)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            self._fail(connection, not connection.sent, f"{type(error).__name__}: {error}")
            return
        connection.sent = connection.sent or taken > 0
        if taken < len(out):
            connection.out = memoryview(out)[taken:]
            if not connection.is_blocked:
                connection.is_blocked = True
                self._poller.modify(sock.fileno(), READ | WRITE)
        elif connection.is_blocked:
            connection.is_blocked = False
            self._poller.modify(sock.fileno(), READ)

    def _read(self, connection: _Connection, now: float) -> None:
        is_busy = connection in self._busy
        trouble: Exception | None = None
        data = b""
        try:
            data = connection.sock.recv(READ_BYTES)
            if data and is_busy:
                connection.feed(data)
        except BlockingIOError:
            return  # a part of a record, or nothing yet
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            trouble = error
        if not is_busy:
            self._end_rest(connection)  # it was closed, or says what nobody asked for
        elif connection.done:
            self._answered(connection, now)
        elif trouble is not None:
            self._fail(connection, not connection.sent, f"{type(trouble).__name__}: {trouble}")
        elif not data and connection.lasts_to_the_end:
            self._answered(connection, now)
        elif not data:
            self._fail(connection, not connection.sent, "the connection was closed without an answer")

    def _answered(self, connection: _Connection, now: float) -> None:
        self._ended.append((connection.token, connection.answer()))
        del self._busy[connection]
        if not connection.stays:
            self._close(connection)
            return
        connection.token = None
        connection.rested_at = now
        kept = self._resting.get(connection.place)
        if kept is None:
            kept = self._resting[connection.place] = deque()
        kept.append(connection)

    def _fail(self, connection: _Connection, never_left: bool, why: str) -> None:
        self._ended.append((connection.token, Failure(never_left, why)))
        del self._busy[connection]
        self._close(connection)

    def _end_rest(self, connection: _Connection) -> None:
        self._resting[connection.place].remove(connection)
        self._close(connection)

    def _close(self, connection: _Connection) -> None:
        self._amount -= 1
        connection.forget()
        if not connection.is_open:
            self._dialer.give_up(connection)
            return
        descriptor = connection.sock.fileno()
        del self._by_fd[descriptor]
        self._poller.unregister(descriptor)
        connection.sock.close()

    def abandon(self) -> None:
        """In a child that was forked from the process whose it is: let go of its sockets, which stay as they are.

        Nothing is unwatched, as the list of what is watched is the parent's too.
        """
        for connection in self._by_fd.values():
            connection.sock.close()
        self._dialer.abandon()
        self._poller.close()

    def close(self) -> None:
        """Close every connection."""
        for connection in [*self._busy, *(one for kept in self._resting.values() for one in kept)]:
            self._close(connection)
        self._dialer.close()
        self._poller.close()
