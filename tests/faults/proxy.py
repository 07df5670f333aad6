"""A TCP proxy that misbehaves: put between the product and a server of it, it is a bad network on one machine.

What it does is changed while connections are open, and holds for those as for later ones:

    pass_on()            what comes in goes out
    delay(seconds)       each piece is held for so long, in each direction
    throttle(rate)       at most so many bytes a second, of each connection and direction
    hang()               connections are taken, nothing is read, nothing is said: half-open
    refuse()             new connections are reset at once; so are those that were open
    cut_after(amount)    a connection is reset once the server has said so many bytes on it

A connection that hung stays so for good, as when a firewall on the way has forgotten it; those made afterwards serve.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import urlsplit

PIECE = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no time: closing says RST, not FIN


@dataclass(frozen=True, slots=True)
class Weather:
    """What is done to the bytes that come by."""

    seconds: float = 0.0  # that each piece is held
    rate: float = 0.0  # bytes a second; 0, as they come
    hangs: bool = False
    refuses: bool = False
    cut_after: int | None = None  # bytes of an answer


@dataclass(eq=False)
class Line:
    """One connection: the two ends, and what the server has said on it."""

    near: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    said: int = 0
    hung: bool = False
    freed: asyncio.Event = field(default_factory=asyncio.Event)  # of its hanging: only by the end

    def end(self, *, reset: bool) -> None:
        """Close both ends; `reset` as when the machine behind has gone."""
        for _, writer in filter(None, (self.near, self.far)):
            if reset:
                with suppress(OSError):  # that end has gone already
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            else:
                writer.close()
        self.freed.set()


class Proxy:
    """A loopback port before a server at `host:port`; its deeds may be called from any thread."""

    def __init__(self, host: str, port: int) -> None:
        self._behind = (host, port)
        self._weather = Weather()
        self._lines: set[Line] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0
        self.taken = 0  # connections, ever

    @classmethod
    def before(cls, url: str) -> Self:
        """For the server that an address names; ask `address_of` for the address to give to the product."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        return cls(parts.hostname, parts.port)

    def address_of(self, url: str) -> str:
        """The same address, by way of this proxy."""
        host = f"{self._behind[0]}:{self._behind[1]}"
        assert host in url, "this proxy stands before another server"
        return url.replace(host, f"127.0.0.1:{self.port}")

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._take, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._lines)

    def pass_on(self) -> None:
        """Be a good network again."""
        self._change(Weather())

    def delay(self, seconds: float) -> None:
        """Hold each piece for so long."""
        self._change(replace(self._weather, seconds=seconds))

    def throttle(self, rate: float) -> None:
        """Let so many bytes a second by."""
        self._change(replace(self._weather, rate=rate))

    def hang(self) -> None:
        """Take connections, read nothing, say nothing."""
        self._change(replace(self._weather, hangs=True, refuses=False))

    def refuse(self) -> None:
        """Reset what is open and what comes."""
        self._change(replace(self._weather, refuses=True))

    def reset(self) -> None:
        """Reset what is open; what comes is taken."""
        self._do(self._reset())

    def cut_after(self, amount: int) -> None:
        """Reset each connection in the middle of an answer, so many bytes from now or from its beginning."""
        self._change(replace(self._weather, cut_after=amount))

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Half-open for the length of a block."""
        self.hang()
        try:
            yield
        finally:
            self.pass_on()

    def _do[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _change(self, weather: Weather) -> None:
        self._do(self._turn(weather))

    async def _turn(self, weather: Weather) -> None:
        self._weather = weather
        for line in self._lines:
            line.said = 0
            line.hung = line.hung or weather.hangs
        if weather.refuses:
            await self._reset()

    async def _reset(self) -> None:
        for line in list(self._lines):
            line.end(reset=True)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._reset()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        line = Line((reader, writer), hung=self._weather.hangs)
        if self._weather.refuses:
            line.end(reset=True)
            return
        self._lines.add(line)
        try:
            if line.hung:
                writer.transport.pause_reading()
                await line.freed.wait()
                return
            line.far = await asyncio.open_connection(*self._behind)
            await asyncio.gather(
                self._carry(line, reader, line.far[1], is_answer=False),
                self._carry(line, line.far[0], writer, is_answer=True),
            )
            line.end(reset=False)
        except OSError:  # either end has gone: the other shall hear of it
            line.end(reset=True)
        finally:
            self._lines.discard(line)

    async def _carry(
        self, line: Line, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        """One direction, until its end has been said."""
        while piece := await source.read(PIECE):
            weather = self._weather
            if line.hung:
                await line.freed.wait()
                return
            if weather.seconds or weather.rate:
                await asyncio.sleep(weather.seconds + (len(piece) / weather.rate if weather.rate else 0.0))
            limit = self._weather.cut_after
            if is_answer and limit is not None and line.said + len(piece) > limit:
                sink.write(piece[: max(limit - line.said, 0)])
                await sink.drain()
                raise ConnectionResetError
            if is_answer:
                line.said += len(piece)
            sink.write(piece)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
