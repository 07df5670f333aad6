"""What is done for every request, whatever its route: a name, a measure, safe headers, one line for what went wrong."""

import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.errors import PROBLEM_TYPE, plain_error, problem
from engine.api.keyed import HEADER, watch_body
from engine.core.i18n import choose_locale
from engine.core.log import logger, request_context
from engine.core.metrics import REQUESTS

log = logger(__name__)

SAFE_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-site",
    "Cache-Control": "no-store",
}


class Telemetry:
    """Names each request, measures it, adds the safe headers, and logs what nobody foresaw, once."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with request_context(Headers(scope=scope).get("x-request-id")) as request_id:
            await self._answer(scope, receive, send, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        status = 0
        started = time.perf_counter()

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
            await send(message)

        try:
            await self.app(scope, receive, send_named)
        except Exception:  # the answer has left already: here the error is told, once
            log.exception("request_failed", method=scope["method"], route=route_of(scope))
            if status == 0:
                raise
        finally:
            seconds = time.perf_counter() - started
            REQUESTS.labels(scope["method"], route_of(scope), str(status)).observe(seconds)


def route_of(scope: Scope) -> str:
    """The route's pattern, not its path: few values, and no ids."""
    return getattr(scope.get("route"), "path", "unmatched")


class PlainBodies:
    """Refuses compressed bodies (a small one may unfold to gigabytes) and digests those of keyed requests.

    It also puts into our form what the framework's own limit says of a body that is announced as too large.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        locale = choose_locale(headers.get("accept-language"))
        if headers.get("content-encoding", "identity").lower() != "identity":
            await problem(plain_error(415), locale)(scope, receive, send)
            return
        if scope["method"] == "POST" and HEADER in headers:
            receive = watch_body(scope, receive, headers.get("content-type", ""))
        await self.app(scope, receive, _with_our_413(scope, receive, send, locale))


def _with_our_413(scope: Scope, receive: Receive, send: Send, locale: str) -> Send:
    replaced = False

    async def sending(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start" and message["status"] == 413:
            replaced = not Headers(raw=message["headers"]).get("content-type", "").startswith(PROBLEM_TYPE)
            if replaced:
                await problem(plain_error(413), locale)(scope, receive, send)
        if not replaced:
            await send(message)

    return sending
