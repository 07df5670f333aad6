"""Calls to the outside: one call through httpx, bulk through libcurl multi.

libcurl multi costs a small part of httpx's CPU per call when many are under way (httpx scans its whole pool for each),
so everything that goes out in number goes through `Wire`. What a call's failure means is said by how far it got: `Failure.never_left` is True only when
nothing of the request can have reached the server.

Trap: libcurl by itself sends a request again when a kept connection ends without a byte of answer, POST or not
(lib/transfer.c, Curl_retry_request). A provider that took the message and then dropped the line would get it twice.
So bodies are given by a read callback that cannot be rewound: libcurl then answers CURLE_SEND_FAIL_REWIND instead.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import pycurl

from engine.core.errors import TooLarge

CONNECT_SECONDS = 5.0
CALL_SECONDS = 10.0
MEBIBYTE = 1024 * 1024
NO_HEADERS: Mapping[str, str] = {}
DOWNLOAD_PIECE = 256 * 1024
LINGER = 0.003  # seconds in which more calls may end once one has: each look costs as much as there are calls under way
KEPT_SECONDS = 4  # shorter than any server's keep-alive (uvicorn and Node: 5 s): a line closed as we write is a message unknown

# libcurl errors after which no byte of the request can have been acted on (curl/curl.h).
NEVER_LEFT = frozenset(
    {
        pycurl.E_UNSUPPORTED_PROTOCOL,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_COULDNT_RESOLVE_PROXY,
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CACERT_BADFILE,
    }
)


# The same of httpx: nothing has left.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)
# What httpx raises of an address or a header that can't be written at all (UnicodeError is a ValueError).
UNWRITABLE = (httpx.InvalidURL, ValueError)


# Not frozen: one of each is made for each message, and a frozen one takes several times as long to make.
@dataclass(slots=True)
class HttpRequest:
    """One request to a provider, ready for either transport."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(slots=True)
class HttpResponse:
    """What came back: the status and the whole body; of the headers `Wire` keeps only a brake's `retry-after`."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer: `never_left` is True when the provider cannot have taken the request."""

    never_left: bool
    detail: str


@cache
def _client() -> httpx.Client:
    return httpx.Client(timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS), follow_redirects=False)


def forget_connections() -> None:
    """Drop the process's client without closing its sockets: for a child that was forked from it."""
    _client.cache_clear()


def call(request: HttpRequest, *, timeout: float = CALL_SECONDS) -> HttpResponse | Failure:
    """One call through httpx, for what goes out seldom (checks, templates, media)."""
    try:
        answer = _client().request(
            request.method, request.url, headers=dict(request.headers), content=request.body, timeout=timeout
        )
    except (httpx.HTTPError, *UNWRITABLE) as error:
        return _failure(error)
    return HttpResponse(answer.status_code, answer.content, dict(answer.headers))


def download(
    request: HttpRequest, take: Callable[[bytes], object], *, most: int, seconds: float
) -> HttpResponse | Failure:
    """One GET whose body goes to `take` piece by piece, at most `most` bytes within `seconds`; TooLarge beyond.

    The body of an answer other than 200 is not taken; its beginning comes back in the answer.
    """
    began = time.monotonic()
    size = 0
    try:
        with _client().stream(request.method, request.url, headers=dict(request.headers)) as answer:
            pieces = answer.iter_bytes(DOWNLOAD_PIECE)
            if answer.status_code != 200:
                return HttpResponse(answer.status_code, next(pieces, b""), dict(answer.headers))
            for piece in pieces:
                size += len(piece)
                if size > most:
                    raise TooLarge(values={"limit": f"{most // MEBIBYTE} MB"})
                if time.monotonic() - began > seconds:
                    return Failure(False, f"not done in {seconds:.0f} s")
                take(piece)
            return HttpResponse(200, b"", dict(answer.headers))
    except (httpx.HTTPError, *UNWRITABLE) as error:
        return _failure(error)


def _failure(error: Exception) -> Failure:
    """An exception as a failure; the words of those that quote what we were about to send (a token) are left out."""
    if isinstance(error, (httpx.LocalProtocolError, *UNWRITABLE)):
        return Failure(not isinstance(error, httpx.LocalProtocolError), type(error).__name__)
    return Failure(isinstance(error, NOT_SENT), f"{type(error).__name__}: {error}")


class _Seat:
    """One handle of libcurl with what it reads from and writes to; it keeps its options from call to call."""

    __slots__ = ("_body", "answer", "handle", "headers", "method", "token", "url")

    def __init__(self, call_ms: int) -> None:
        self.token: object = None
        self.url = ""
        self.headers: Mapping[str, str] | None = None
        self.method = "POST"
        self._body = b""
        self.answer: list[bytes] = []
        self.handle = handle = pycurl.Curl()
        handle.seat = self
        handle.setopt(pycurl.POST, 1)
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.TCP_NODELAY, 1)
        handle.setopt(pycurl.TIMEOUT_MS, call_ms)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_SECONDS * 1000))
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        handle.setopt(pycurl.MAXAGE_CONN, KEPT_SECONDS)
        handle.setopt(pycurl.READFUNCTION, self._read)
        handle.setopt(pycurl.WRITEFUNCTION, self.answer.append)

    def take(self, request: HttpRequest, token: object) -> None:
        """Make ready for one request."""
        if self.headers is not request.headers or self.url != request.url:
            self.handle.setopt(pycurl.URL, request.url)
            # "Expect:" switches off the 100-continue round trip that libcurl adds to larger bodies.
            lines = [f"{name}: {value}" for name, value in request.headers.items()]
            self.handle.setopt(pycurl.HTTPHEADER, [*lines, "Expect:"])
            self.url, self.headers = request.url, request.headers
        if self.method != request.method:
            self.handle.setopt(pycurl.POST if request.method == "POST" else pycurl.HTTPGET, 1)
            self.method = request.method
        self.token = token
        self.answer.clear()
        self._body = request.body
        if request.method == "POST":
            self.handle.setopt(pycurl.POSTFIELDSIZE, len(request.body))

    def _read(self, size: int) -> bytes:
        """What libcurl sends next of the body; it is given once."""
        body = self._body
        self._body = body[size:]
        return body if len(body) <= size else body[:size]


def _brake_of(handle: pycurl.Curl) -> Mapping[str, str]:
    """The one header of an answer that bulk looks at: for how many seconds the server wants to be left alone."""
    seconds = handle.getinfo(pycurl.RETRY_AFTER)
    return {"retry-after": str(seconds)} if seconds else NO_HEADERS


class Wire:
    """Many calls at once on one thread, over kept connections: begin some, then collect what has ended.

    `width` is the number of calls that may be under way. Handles keep their options between calls of the same URL and
    headers, which is most of what makes a call cheap.
    """

    def __init__(self, width: int, *, call_seconds: float = CALL_SECONDS) -> None:
        self.width = width
        self.under_way = 0
        self._call_ms = int(call_seconds * 1000)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, width)
        self._idle: list[_Seat] = []

    @property
    def room(self) -> int:
        """How many more calls may begin."""
        return self.width - self.under_way

    def begin(self, request: HttpRequest, token: object) -> None:
        """Start one POST, or a GET; `token` comes back with its outcome. Requests that share a `headers` object are cheapest."""
        seat = self._idle.pop() if self._idle else _Seat(self._call_ms)
        seat.take(request, token)
        self._multi.add_handle(seat.handle)
        self.under_way += 1

    def collect(self, wait: float) -> list[tuple[Any, HttpResponse | Failure]]:
        """Outcomes of calls that have ended, after waiting at most `wait` seconds for the first."""
        self._multi.perform()
        ended = list(self._ended())
        if not ended and self.under_way:
            self._multi.select(wait)
            time.sleep(LINGER)
            self._multi.perform()
            ended = list(self._ended())
        return ended

    def _ended(self) -> Iterator[tuple[Any, HttpResponse | Failure]]:
        while True:
            waiting, done, failed = self._multi.info_read()
            for handle in done:
                seat: _Seat = handle.seat
                status = handle.getinfo(pycurl.RESPONSE_CODE)
                headers = NO_HEADERS if status != 429 else _brake_of(handle)
                self._release(seat)
                yield seat.token, HttpResponse(status, b"".join(seat.answer), headers)
            for handle, number, message in failed:
                sent = handle.getinfo(pycurl.REQUEST_SIZE) > 0
                never_left = number in NEVER_LEFT or (number == pycurl.E_OPERATION_TIMEDOUT and not sent)
                self._release(handle.seat)
                yield handle.seat.token, Failure(never_left, f"{number}: {message}")
            if not waiting:
                return

    def _release(self, seat: _Seat) -> None:
        self._multi.remove_handle(seat.handle)
        self._idle.append(seat)
        self.under_way -= 1

    def close(self) -> None:
        """Close every connection."""
        for seat in self._idle:
            seat.handle.close()
        self._multi.close()
