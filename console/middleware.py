"""What every answer of the console passes: security headers, the Origin check, caching, compression.

Plain ASGI: Panel's routes and ours go through the same gates.
"""

import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

type Scope = MutableMapping[str, Any]
type Event = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Event]]
type Send = Callable[[Event], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]
type Headers = list[tuple[bytes, bytes]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
YEAR = 365 * 24 * 3600
# The frames load modules from blobs and evaluate; nothing comes from or goes to another origin.
PANEL_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
PLAIN_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
COMMON_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
COMPRESSIBLE = (
    b"text/",
    b"application/javascript",
    b"application/json",
    b"application/manifest",
    b"image/svg",
)
KEPT_BYTES = 64 * 1024 * 1024


def header(scope: Scope, name: bytes) -> str:
    """One header of a request, or an empty string."""
    return next((value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name), "")


class SecurityHeaders:
    """Adds the headers every answer carries, and refuses writes that another site started."""

    def __init__(self, app: App, *, home: str, own_url: str, is_secure: Callable[[str], bool]) -> None:
        self._app = app
        self._home = home
        self._own_url = own_url
        self._is_secure = is_secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] not in SAFE_METHODS and not is_same_origin(scope, self._own_url):
            await _answer(send, 403, b"This request came from another site.")
            return
        policy = PANEL_POLICY if scope["path"].startswith(self._home) else PLAIN_POLICY
        extra = [*COMMON_HEADERS, (b"content-security-policy", policy.encode())]
        if self._is_secure(scope.get("scheme", "http")):
            extra.append((b"strict-transport-security", f"max-age={YEAR}".encode()))

        async def send_with_headers(event: Event) -> None:
            if event["type"] == "http.response.start":
                held = {key.lower() for key, _ in event.get("headers", ())}
                event["headers"] = [*event.get("headers", ()), *(one for one in extra if one[0] not in held)]
            await send(event)

        await self._app(scope, receive, send_with_headers)


class AnswerFor:
    """Answers in words where an error of one kind would else end a request bare, Panel's requests among them."""

    def __init__(
        self, app: App, *, error: type[Exception], answer: Callable[[Scope, Exception], App]
    ) -> None:
        self._app = app
        self._error = error
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; a socket that was not let in yet is refused."""
        begun = False

        async def send_on(event: Event) -> None:
            nonlocal begun
            begun = True
            await send(event)

        try:
            await self._app(scope, receive, send_on)
        except self._error as error:
            if begun or scope["type"] not in {"http", "websocket"}:
                raise
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1013})
            else:
                await self._answer(scope, error)(scope, receive, send)


def is_same_origin(scope: Scope, own_url: str = "") -> bool:
    """Whether the page that started this request is ours (Origin, else what the browser says of the site)."""
    origin = header(scope, b"origin")
    if not origin:
        return header(scope, b"sec-fetch-site") == "same-origin"
    own = {f"{scope.get('scheme', 'http')}://{header(scope, b'host')}"}
    if own_url:
        parts = urlsplit(own_url)
        own.add(f"{parts.scheme}://{parts.netloc}")
    return origin in own


class StaticFilesCache:
    """Caching headers for static files, and their compressed form, made once and kept in memory."""

    def __init__(self, app: App, *, prefixes: tuple[str, ...]) -> None:
        self._app = app
        self._prefixes = prefixes
        self._kept: OrderedDict[str, tuple[Headers, bytes]] = OrderedDict()
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers from memory where it can."""
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or not scope["path"].startswith(self._prefixes)
        ):
            await self._app(scope, receive, send)
            return
        zipped = "gzip" in header(scope, b"accept-encoding")
        key = f"{scope['path']}?{scope.get('query_string', b'').decode('latin-1')}"
        kept = self._kept.get(key) if zipped else None
        if kept is None:
            status, headers, body = await _gathered(self._app, scope, receive)
            headers = [one for one in headers if one[0].lower() != b"cache-control"]
            headers.append((b"cache-control", _cache_control(scope, status)))
            kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
            if status != 200 or not zipped or not kind.startswith(COMPRESSIBLE) or len(body) < 1024:
                await _whole(send, status, headers, body)
                return
            kept = self._keep(key, headers, gzip.compress(body, 6, mtime=0))
        await _whole(send, 200, *kept)

    def _keep(self, key: str, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        unsized = [one for one in headers if one[0].lower() not in {b"content-length", b"vary"}]
        kept = (
            [*unsized, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"),
             (b"content-length", str(len(body)).encode())],
            body,
        )  # fmt: skip
        self._kept[key] = kept
        self._size += len(body)
        while self._size > KEPT_BYTES and len(self._kept) > 1:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._size -= len(oldest)
        return kept


def _cache_control(scope: Scope, status: int) -> bytes:
    """For ever where the address names the content (a hash in the query or the file's name), else an hour."""
    if status != 200:
        return b"no-store"
    path = scope["path"]
    named = (
        b"v=" in scope.get("query_string", b"") or path.startswith("/components/") or path.endswith(".woff2")
    )
    return f"public, max-age={YEAR}, immutable".encode() if named else b"public, max-age=3600"


async def _gathered(app: App, scope: Scope, receive: Receive) -> tuple[int, Headers, bytes]:
    status, headers, body = 500, [], bytearray()

    async def take(event: Event) -> None:
        nonlocal status, headers
        if event["type"] == "http.response.start":
            status, headers = event["status"], [(bytes(k), bytes(v)) for k, v in event.get("headers", ())]
        elif event["type"] == "http.response.body":
            body.extend(event.get("body", b""))

    # Conditional and partial answers have no body to keep.
    plain = [
        one for one in scope["headers"] if one[0] not in {b"range", b"if-none-match", b"if-modified-since"}
    ]
    await app({**scope, "headers": plain}, receive, take)
    return status, headers, bytes(body)


async def _whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def _answer(send: Send, status: int, text: bytes) -> None:
    await _whole(send, status, [(b"content-type", b"text/plain; charset=utf-8"), *COMMON_HEADERS], text)
