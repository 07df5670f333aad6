"""The console's process: our own routes, and Panel's application under `/console`. Run: uvicorn console.main:app."""

import contextlib
import logging
import warnings
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import panel as pn
from bokeh.util.warnings import BokehUserWarning
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from panel.io.fastapi import add_applications
from panel.io.handlers import FunctionHandler
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from console.app import modify_document
from console.gate import HOME, THEME_COOKIE, ConsoleApplication, Gate
from console.i18n import N_
from console.middleware import AnswerFor, Scope, SecurityHeaders, StaticFilesCache
from console.rendering import STATIC_DIR, STATIC_PATH
from console.routes import files, probes, sign_in
from console.routes.parts import AWAY, AWAY_TEXT, message_page, words_for
from console.settings import ConsoleSettings, console_settings
from console.wiring import Console, make_console

log = logging.getLogger("console.main")

# A dropped connection finds its session again for this long; each held session costs about a megabyte.
HELD_SESSION_MS = 120_000
PAGE_TOKEN_SECONDS = 3600
STATIC_PREFIXES = (f"{STATIC_PATH}/", "/static/", "/components/")

pn.extension()
pn.config.reconnect = True
# Told on every reconnect and view added; harmless.
warnings.filterwarnings("ignore", message="reference already known", category=BokehUserWarning)


def make_app(settings: ConsoleSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """The console for these settings; `transport` replaces the network to the API in tests."""
    console = make_console(settings, transport=transport)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with console.running():
            yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.console = console
    for module in (probes, sign_in, files):
        app.include_router(module.router)
    app.mount(STATIC_PATH, StaticFiles(directory=STATIC_DIR))
    app.add_exception_handler(HTTPException, _plain_page)
    _add_panel(app, console)
    app.add_middleware(AnswerFor, error=RedisError, answer=_redis_away)
    app.add_middleware(StaticFilesCache, prefixes=STATIC_PREFIXES)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(SecurityHeaders, home=HOME, own_url=settings.console_url, is_secure=settings.is_secure)
    return app


def _add_panel(app: FastAPI, console: Console) -> None:
    applications: Any = {
        path: ConsoleApplication(FunctionHandler(partial(modify_document, console)))  # type: ignore[no-untyped-call]
        for path in (HOME, f"{HOME}/{{path:path}}")
    }
    add_applications(
        applications,
        app=app,
        location=False,
        auth_policy=Gate(console.sign_ins, console.settings.is_secure),
        secret_key=console.settings.key_for("page-tokens"),
        sign_sessions=True,
        # Without these lists every cookie and header of the request would be copied into the page.
        include_cookies=[THEME_COOKIE, "lang"],
        include_headers=["user-agent", "accept-language"],
        session_token_expiration=PAGE_TOKEN_SECONDS,
        unused_session_lifetime_milliseconds=HELD_SESSION_MS,
        index_enabled=False,
        extra_websocket_origins=_origins(console.settings),
    )


def _origins(settings: ConsoleSettings) -> list[str]:
    return [settings.console_host] if settings.console_host else []


async def _plain_page(request: Request, error: Exception) -> Response:
    """A page for what is not there or not allowed, in the reader's language."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    heading = {404: N_("This page does not exist")}.get(status, N_("This did not work"))
    text = N_("The address may be mistyped, or the page has moved.")
    return message_page(request, words_for(request), status=status, heading=heading, text=text)


def _redis_away(scope: Scope, error: Exception) -> Response:
    """A page for the time in which nobody can tell who is signed in."""
    request = Request(scope)
    log.warning("sign-ins cannot be read: %s", error)
    words = words_for(request)
    if request.headers.get("accept", "").startswith("application/json"):  # an upload, which shows the detail
        return JSONResponse({"status": 503, "code": "unreachable", "detail": words(AWAY)}, 503)
    return message_page(request, words, status=503, heading=AWAY, text=AWAY_TEXT)


def _make() -> FastAPI:
    settings = console_settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # One line a request would only repeat what the API writes down itself.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return make_app(settings)


def __getattr__(name: str) -> FastAPI:
    """Makes `app` when it is asked for, so that importing this module needs no settings."""
    if name == "app":
        globals()["app"] = made = _make()
        return made
    raise AttributeError(name)
