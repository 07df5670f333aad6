"""Where a request goes and how it is written: its address taken apart once, its head put together once."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from engine.core.http import HttpRequest

KEPT_ROUTES = 4096  # a number of a company is one; beyond this all are put together anew
PORTS = {"http": 80, "https": 443}


class UnwritableError(Exception):
    """A request that can't be written at all; its words never repeat what was to be sent."""


# Compared by identity: there is one object for each place, and it is looked up for each message.
@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A server, and the proxy that leads there, with the proxy's password where it has one."""

    is_tls: bool
    host: str
    port: int
    proxy: tuple[str, int] | None
    proxy_authorization: bytes


# Not frozen: it is read for each message.
@dataclass(slots=True, eq=False)
class Route:
    """One address with its headers: the place, and the words of a request but for the length of its body."""

    place: Place
    headers: Mapping[str, str]
    method: str
    head: bytes

    def words(self, request: HttpRequest) -> bytes:
        """A request as it goes over the line."""
        body = request.body
        if request.method == "GET":
            return self.head + b"\r\n"
        return b"%bContent-Length: %d\r\n\r\n%b" % (self.head, len(body), body)


class Routes:
    """The routes that were taken lately, by address."""

    def __init__(self) -> None:
        self._known: dict[str, Route] = {}
        self._places: dict[tuple[str, str, int], Place] = {}

    def of(self, request: HttpRequest) -> Route:
        """The route of a request; UnwritableError for an address or a header that HTTP has no way to write."""
        known = self._known.get(request.url)
        if known is not None and known.headers is request.headers and known.method == request.method:
            return known
        if len(self._known) >= KEPT_ROUTES:
            self._known.clear()
        route = self._known[request.url] = self._put_together(request)
        return route

    def _put_together(self, request: HttpRequest) -> Route:
        try:
            parts = urlsplit(request.url)
            host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        except (ValueError, KeyError) as error:
            raise UnwritableError("InvalidURL") from error
        if not host or not _is_plain(request.url) or " " in request.url:
            raise UnwritableError("InvalidURL")
        place = self._place(parts.scheme, host, port)
        target = parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        extra: list[tuple[str, str]] = []
        if place.proxy is not None and not place.is_tls:
            target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
            if place.proxy_authorization:
                extra = [("Proxy-Authorization", place.proxy_authorization.decode())]
        lines = [f"{request.method} {target} HTTP/1.1", f"Host: {_host_header(parts)}", "Accept: */*"]
        for name, value in [*request.headers.items(), *extra]:
            if not _is_plain(name) or not _is_plain(value):
                raise UnwritableError("LocalProtocolError")
            lines.append(f"{name}: {value}")
        return Route(
            place, request.headers, request.method, "".join(f"{line}\r\n" for line in lines).encode()
        )

    def _place(self, scheme: str, host: str, port: int) -> Place:
        key = scheme, host, port
        if key not in self._places:
            proxy, authorization = _proxy_to(scheme, host)
            self._places[key] = Place(scheme == "https", host, port, proxy, authorization)
        return self._places[key]


def _is_plain(text: str) -> bool:
    """Printable ASCII alone: no end of a line, nothing that would have to be encoded."""
    return text.isascii() and text.isprintable()


def _host_header(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    return host.removesuffix(f":{PORTS[parts.scheme]}")


def _proxy_to(scheme: str, host: str) -> tuple[tuple[str, int] | None, bytes]:
    """The proxy that the environment names for a host, as httpx reads it; UnwritableError for one of another kind."""
    found = getproxies()
    address = found.get(scheme) or found.get("all")
    if not address or proxy_bypass(host):
        return None, b""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.scheme != "http" or not parts.hostname:
        raise UnwritableError("the proxy that the environment names is not an http:// one")
    authorization = b""
    if parts.username is not None:
        words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(words.encode())
    return (parts.hostname, parts.port or 80), authorization


def retry_after(said: str) -> int:
    """For how many seconds a server wants to be left alone, by its header: seconds or a moment (0: neither)."""
    said = said.strip()
    if said.isascii() and said.isdigit():
        return int(said[:9])
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(round((moment - datetime.now(UTC)).total_seconds()), 0)
