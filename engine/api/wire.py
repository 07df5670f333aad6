"""HTTP as uvicorn speaks it, with an end to what never ends, and a short way for what comes whole.

uvicorn waits for the head of a request for as long as the connection stands, and keeps all of it. A few hundred
connections that say a letter a minute would hold every file descriptor of the process. Named on uvicorn's command line
(`--http engine.api.wire:PatientProtocol`); what is slow about bodies is told by those who read them (`deadline`,
`intake`).

A webhook is a small POST that arrives in a piece or two and is answered with nothing. A task, a scope and four messages of
ASGI for it cost as much as all the rest, so those are offered to whoever takes them whole (`PatientProtocol.quick`);
what is not taken goes the usual way, as if it had never been offered.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from engine.core.log import logger

HEAD_SECONDS = 20.0  # from the connection, or from the end of an answer, beyond the time it is kept alive
HEAD_BYTES = 64 * 1024  # of a head, and of whatever else is neither a head that is complete nor a body
# A body that does not follow its head at once, or is larger, is read by those who see to its pace and its size.
BODY_SOON = 0.05
SMALL_BODY = 64 * 1024

_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

log = logger(__name__)

type Headers = Sequence[tuple[bytes, bytes]]
type Answer = Callable[[int, Headers, bytes], None]


class Quick(Protocol):
    """Takes requests that came whole, and answers each in its own time."""

    prefix: bytes

    def take(self, target: bytes, headers: Headers, body: bytes, answer: Answer) -> bool:
        """Take a POST: `answer` is called once, later. False when it is to go the usual way."""


class PatientProtocol(HttpToolsProtocol):
    """One connection; closed when a request's head does not come in time, or does not come to an end."""

    quick: ClassVar[Quick | None] = None

    _late: asyncio.TimerHandle | None = None
    _idle_bytes = 0
    _whole: list[bytes] | None = None  # the body so far of a request that may be taken whole
    _body_late: asyncio.TimerHandle | None = None
    _taken = False  # one was, and is not answered yet
    _last = False  # the connection ends with that answer
    _rest: asyncio.TimerHandle | None = None
    _rested_at = 0.0  # since then it waits for the next request; 0 when uvicorn's own timers see to it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to wait for."""
        self._has_head()
        for timer in (self._rest, self._body_late):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What came, unless too much of it has come to nothing."""
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._whole is not None and not self.transport.is_closing():
            if sum(map(len, self._whole)) > SMALL_BODY:
                self._go_the_usual_way()
            elif self._body_late is None:
                self._body_late = self.loop.call_later(BODY_SOON, self._go_the_usual_way)
        if self._idle_bytes > HEAD_BYTES and not self.transport.is_closing():
            if not self._taken and (self.cycle is None or self.cycle.response_complete):
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """A request begins."""
        self._idle_bytes = 0
        self._has_head()
        if self._taken:
            # It was sent before the one ahead of it was answered. HTTP lets a server end the line instead.
            self._last = True
        elif self._may_be_taken():
            self._whole = []
        else:
            self._rested_at = 0.0
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body; whoever reads it sees to its size and its pace."""
        self._idle_bytes = 0
        if self._whole is not None:
            self._whole.append(body)
        elif not self._last:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come to its end."""
        if self._last:
            return
        if self._whole is None:
            super().on_message_complete()
            return
        if self._body_late is not None:
            self._body_late.cancel()
            self._body_late = None
        body = b"".join(self._whole)
        self._taken = True  # first: the answer may come at once
        if self._is_taken(body):
            self._whole = None
            return
        self._taken = False
        self._go_the_usual_way()
        super().on_message_complete()

    def _is_taken(self, body: bytes) -> bool:
        try:
            return self.quick is not None and self.quick.take(self.url, self.headers, body, self._answer)
        except Exception:
            # The parser would call it a bad request. The usual way says what it is: a fault of ours.
            log.exception("quick.failed")
            return False

    def _may_be_taken(self) -> bool:
        quick = self.quick
        return (
            quick is not None
            and self.url.startswith(quick.prefix)
            and self.parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and self.limit_concurrency is None
            and not self.expect_100_continue
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
        )

    def _go_the_usual_way(self) -> None:
        """As if nobody had thought of taking it whole."""
        if self._body_late is not None:
            self._body_late.cancel()
            self._body_late = None
        pieces, self._whole, self._rested_at = self._whole or [], None, 0.0
        super().on_headers_complete()
        for piece in pieces:
            super().on_body(piece)

    def _answer(self, status: int, headers: Headers, body: bytes) -> None:
        """The answer to what was taken whole."""
        self._taken = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        lines = [STATUS_LINE[status]]
        for name, value in [*self.server_state.default_headers, *headers]:
            lines += [name, b": ", value, b"\r\n"]
        if self._last:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"".join([*lines, b"\r\n", body]))
        if self._last:
            self.transport.close()
            return
        # One timer for many requests: it looks when it rings, instead of being set anew for each.
        self._rested_at = self.loop.time()
        if self._rest is None:
            self._rest = self.loop.call_later(self.timeout_keep_alive, self._look_at_rest)

    def _look_at_rest(self) -> None:
        self._rest = None
        if not self._rested_at or self._taken:
            return
        patience = self.timeout_keep_alive + (HEAD_SECONDS if self._idle_bytes else 0.0)
        left = self._rested_at + patience - self.loop.time()
        if left > 0:
            self._rest = self.loop.call_later(left, self._look_at_rest)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """The server ends: what was taken is answered first."""
        if self._taken:
            self._last = True
        else:
            super().shutdown()

    def on_response_complete(self) -> None:
        """Wait for the next head; what is left of a body that nobody read must come to its end meanwhile."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._await_head()

    def _await_head(self) -> None:
        self._has_head()
        self._late = self.loop.call_later(HEAD_SECONDS + self.timeout_keep_alive, self.transport.close)

    def _has_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
