"""HTTP as uvicorn speaks it, with an end to what never ends: heads that drip in, heads and trailers without end.

uvicorn waits for the head of a request for as long as the connection stands, and keeps all of it. A few hundred
connections that say a letter a minute would hold every file descriptor of the process. Named on uvicorn's command line
(`--http engine.api.wire:PatientProtocol`); what is slow about bodies is told by those who read them (`deadline`,
`intake`).
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 20.0  # from the connection, or from the end of an answer, beyond the time it is kept alive
HEAD_BYTES = 64 * 1024  # of a head, and of whatever else is neither a head that is complete nor a body

_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class PatientProtocol(HttpToolsProtocol):
    """One connection; closed when a request's head does not come in time, or does not come to an end."""

    _late: asyncio.TimerHandle | None = None
    _idle_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to wait for."""
        self._has_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What came, unless too much of it has come to nothing."""
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > HEAD_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """A request begins."""
        self._idle_bytes = 0
        self._has_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body; whoever reads it sees to its size and its pace."""
        self._idle_bytes = 0
        super().on_body(body)

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
