"""Calls to the outside, one at a time, through httpx; what goes out in number goes through `engine.core.wire`.

What a call's failure means is said by how far it got: `Failure.never_left` is True only when nothing of the request can
have reached the server.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import httpx

from engine.core.errors import TooLarge

CONNECT_SECONDS = 5.0
CALL_SECONDS = 10.0
MEBIBYTE = 1024 * 1024
NO_HEADERS: Mapping[str, str] = {}
DOWNLOAD_PIECE = 256 * 1024

# What httpx raises when nothing has left.
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
