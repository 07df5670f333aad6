"""Making connections without waiting for any: name, address, proxy, TLS, one step at a time as the poller tells.

Names are looked up on threads, as the system can only do it by waiting. A server's addresses are tried one after the
other; the one that worked last is tried first.
"""

import errno
import select
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from engine.core.http import CONNECT_SECONDS
from engine.core.routes import Place

READ, WRITE = select.POLLIN, select.POLLOUT  # the same bits as epoll's
ADDRESS_SECONDS = 1.0  # how long one address is given while there are others
NAMES_KEPT = 30.0  # seconds
UNKNOWN_KEPT = 1.0  # seconds: one answer for all who wait for a name that nobody has
LOOKUPS = 4  # names that are looked up at once
MOST_HEAD = 16 * 1024  # bytes of a proxy's answer

type Address = tuple[socket.AddressFamily, Any]
type Known = tuple[float, list[Address] | str]  # until when; of a name that was not found, why


class Watch(Protocol):
    """What sockets are watched with."""

    def register(self, descriptor: int, what: int) -> object:
        """Watch a socket."""

    def modify(self, descriptor: int, what: int) -> object:
        """Watch it for something else."""

    def unregister(self, descriptor: int) -> object:
        """Watch it no more."""


class Socket:
    """A connected socket that never waits, with TLS or without.

    `send(data)` takes some bytes and says how many, `recv(most)` gives what has come and nothing once the other side has
    closed. BlockingIOError when neither can be now, any other OSError when the line is broken.
    """

    __slots__ = ("_sock", "fileno", "is_tls", "recv", "send")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.is_tls = isinstance(sock, ssl.SSLSocket)
        # The socket's own, without a step between: they are called for each message.
        self.fileno: Callable[[], int] = sock.fileno
        self.send: Callable[[bytes | memoryview], int] = self._send_tls if self.is_tls else sock.send
        self.recv: Callable[[int], bytes] = self._recv_tls if self.is_tls else sock.recv

    def _send_tls(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError) as error:
            raise BlockingIOError from error

    def _recv_tls(self, most: int) -> bytes:
        data = b""
        try:
            data = self._sock.recv(most)
            # What TLS has read already the poller does not see.
            while data and (more := self._sock.pending()):  # type: ignore[attr-defined]
                data += self._sock.recv(more)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            if not data:
                raise BlockingIOError from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return data
        return data

    def is_quiet(self) -> bool:
        """True while the other side has neither closed nor said anything that nobody asked for."""
        try:
            # Below TLS: what waits there may be a session's ticket, which says nothing; an end is an end.
            return socket.socket.recv(self._sock, 1, socket.MSG_PEEK) != b"" and self.is_tls
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Close it."""
        self._sock.close()
        del self.send, self.recv  # with TLS they are its own: it would hold itself


class Step(Enum):
    """What a dial waits for."""

    NAME = auto()
    ADDRESS = auto()
    PROXY = auto()
    TLS = auto()


@dataclass(slots=True, eq=False)
class _Dial:
    place: Place
    who: Any
    until: float
    addresses: list[Address] = field(default_factory=list)
    address: Address | None = None
    address_until: float = 0.0
    step: Step = Step.NAME
    sock: socket.socket = field(init=False)  # while it is watched
    is_watched: bool = False
    shake_hands: Callable[[], None] = field(init=False)
    heard: bytes = b""
    trouble: str = "no address was found"


class Dialer:
    """Connections that are being made."""

    def __init__(self, watch: Watch, tls: Callable[[], ssl.SSLContext]) -> None:
        self._watch = watch
        self._tls = tls
        self._dials: dict[object, _Dial] = {}
        self._by_fd: dict[int, _Dial] = {}
        self._done: list[tuple[Any, Socket | str]] = []
        self._threads: ThreadPoolExecutor | None = None
        self._lookups: dict[tuple[str, int], Future[Known]] = {}
        self._names: dict[tuple[str, int], Known] = {}
        self._worked: dict[Place, Address] = {}

    def dial(self, place: Place, who: object) -> None:
        """Begin to connect to a place for `who`."""
        dial = self._dials[who] = _Dial(place, who, time.monotonic() + CONNECT_SECONDS)
        self._look_up(dial)

    def give_up(self, who: object) -> None:
        """Connect no more for `who`."""
        dial = self._dials.pop(who, None)
        if dial is not None:
            self._drop(dial)

    def abandon(self) -> None:
        """In a child that was forked from the process whose it is: let go of its sockets, which stay as they are."""
        for dial in self._by_fd.values():
            dial.sock.close()

    def close(self) -> None:
        """Give up all."""
        for who in list(self._dials):
            self.give_up(who)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def dialed(self) -> list[tuple[Any, Socket | str]]:
        """For whom a connection is made, and for whom it can't be, with why not."""
        if self._dials:
            now = time.monotonic()
            for dial in list(self._dials.values()):
                if dial.step is Step.NAME:
                    self._look_up(dial)
                if dial.who not in self._dials:
                    continue
                if now > dial.until:
                    waited = "the name was not found" if dial.step is Step.NAME else "no connection"
                    self._end(dial, f"timed out: {waited} in {CONNECT_SECONDS:.0f} s")
                elif dial.step is Step.ADDRESS and now > dial.address_until:
                    dial.trouble = "timed out"
                    self._next_address(dial)
        done, self._done = self._done, []
        return done

    def heard(self, descriptor: int) -> None:
        """Go on with the connection that this socket is of."""
        dial = self._by_fd.get(descriptor)
        if dial is None:
            return
        try:
            if dial.step is Step.ADDRESS:
                self._connected(dial)
            elif dial.step is Step.PROXY:
                self._tunnel(dial)
            else:
                self._shake_hands(dial)
        except (OSError, ValueError) as error:  # ValueError: a name that TLS has no way to ask for
            self._end(dial, _words(error))

    def _look_up(self, dial: _Dial) -> None:
        where = dial.place.proxy or (dial.place.host, dial.place.port)
        kept = self._names.get(where)
        if kept is not None and kept[0] > time.monotonic():
            self._found(dial, kept[1])
            return
        lookup = self._lookups.get(where)
        if lookup is not None and lookup.done() and lookup.result()[0] < time.monotonic():
            lookup = None  # it came when nobody waited any more
        if lookup is None:
            try:
                found = _addresses(*where, flags=socket.AI_NUMERICHOST)
            except (OSError, UnicodeError):  # a name, not a number; one that can't be looked up says so there
                self._threads = self._threads or ThreadPoolExecutor(LOOKUPS, thread_name_prefix="name")
                lookup = self._lookups[where] = self._threads.submit(_ask_for, *where)
            else:
                self._found(dial, found)
                return
        if not lookup.done():
            return
        del self._lookups[where]
        self._names[where] = known = lookup.result()
        self._found(dial, known[1])

    def _found(self, dial: _Dial, outcome: list[Address] | str) -> None:
        if isinstance(outcome, str):
            self._end(dial, outcome)
            return
        worked = self._worked.get(dial.place)
        dial.addresses = sorted(outcome, key=lambda one: one != worked)
        self._next_address(dial)

    def _next_address(self, dial: _Dial) -> None:
        self._drop(dial)
        while dial.addresses:
            dial.address = dial.addresses.pop(0)
            family, where = dial.address
            dial.address_until = time.monotonic() + ADDRESS_SECONDS if dial.addresses else dial.until
            try:
                sock = _connecting(family, where)
            except OSError as error:  # no such family here, nobody there, or too many files are open
                dial.trouble = _words(error)
                continue
            dial.sock, dial.is_watched, dial.step = sock, True, Step.ADDRESS
            self._by_fd[sock.fileno()] = dial
            self._watch.register(sock.fileno(), WRITE)
            return
        self._end(dial, dial.trouble)

    def _connected(self, dial: _Dial) -> None:
        number = dial.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            dial.trouble = _words(OSError(number, errno.errorcode.get(number, "")))
            self._next_address(dial)
            return
        place = dial.place
        if dial.address is not None:
            self._worked[place] = dial.address
        if place.proxy is not None and place.is_tls:
            host = f"[{place.host}]" if ":" in place.host else place.host
            where = f"{host}:{place.port}".encode()
            lines = [b"CONNECT %b HTTP/1.1" % where, b"Host: %b" % where]
            if place.proxy_authorization:
                lines.append(b"Proxy-Authorization: %b" % place.proxy_authorization)
            dial.sock.send(b"\r\n".join([*lines, b"", b""]))  # some hundred bytes: a new socket takes them
            dial.step = Step.PROXY
            self._watch.modify(dial.sock.fileno(), READ)
        else:
            self._secure(dial)

    def _tunnel(self, dial: _Dial) -> None:
        # Byte by byte at its end would be exact; a server's first word comes only after ours, so nothing follows.
        try:
            said = dial.sock.recv(MOST_HEAD)
        except BlockingIOError:
            return
        dial.heard += said
        if b"\r\n\r\n" in dial.heard:
            first = dial.heard.split(b"\r\n", 1)[0]
            _, _, status = first.partition(b" ")
            if status.startswith(b"2"):
                self._secure(dial)
            else:
                self._end(dial, f"the proxy answers {first[:100].decode('latin-1')}")
        elif not said or len(dial.heard) > MOST_HEAD:
            self._end(dial, "the proxy closed the connection")

    def _secure(self, dial: _Dial) -> None:
        if not dial.place.is_tls:
            self._end(dial, Socket(dial.sock))
            return
        # Its descriptor stays the same, and so does what the poller watches.
        secured = self._tls().wrap_socket(
            dial.sock, server_hostname=dial.place.host, do_handshake_on_connect=False
        )
        dial.sock, dial.shake_hands = secured, secured.do_handshake
        dial.step = Step.TLS
        self._shake_hands(dial)

    def _shake_hands(self, dial: _Dial) -> None:
        try:
            dial.shake_hands()
        except ssl.SSLWantReadError:
            self._watch.modify(dial.sock.fileno(), READ)
        except ssl.SSLWantWriteError:
            self._watch.modify(dial.sock.fileno(), WRITE)
        else:
            self._end(dial, Socket(dial.sock))

    def _end(self, dial: _Dial, outcome: Socket | str) -> None:
        self._dials.pop(dial.who, None)
        if isinstance(outcome, Socket):
            del self._by_fd[outcome.fileno()]
            self._watch.modify(outcome.fileno(), READ)
            dial.is_watched = False
        self._drop(dial)
        self._done.append((dial.who, outcome))

    def _drop(self, dial: _Dial) -> None:
        if dial.is_watched:
            dial.is_watched = False
            descriptor = dial.sock.fileno()
            del self._by_fd[descriptor]
            self._watch.unregister(descriptor)
            dial.sock.close()


def _addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, where) for family, _, _, _, where in found]


def _ask_for(host: str, port: int) -> Known:
    """The addresses of a name, or why there are none, and until when that holds."""
    try:
        found = _addresses(host, port)
    except (OSError, ValueError) as error:
        return time.monotonic() + UNKNOWN_KEPT, _words(error)
    return time.monotonic() + NAMES_KEPT, found


def _connecting(family: socket.AddressFamily, where: Any) -> socket.socket:
    """A socket that has begun to connect; OSError when it can't."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = sock.connect_ex(where)
    except OSError:
        sock.close()
        raise
    if number in (0, errno.EINPROGRESS):
        return sock
    sock.close()
    raise OSError(number, errno.errorcode.get(number, ""))


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
