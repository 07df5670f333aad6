"""The API's application: `app` is what uvicorn serves.

Webhooks (`/hooks/…`) go straight to the intake, which must stay quick and needs nothing of the frame; all else goes to
FastAPI. A new domain adds its router to `ROUTERS`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.api.deps import PLACES
from engine.api.errors import answer_errors
from engine.api.middleware import PlainBodies, Telemetry
from engine.api.openapi import describe
from engine.api.routes import accounts, health
from engine.core.db import app_engine
from engine.core.log import configure_logging
from engine.core.system import system_engine

MEBIBYTE = 1024 * 1024
JSON_LIMIT = 1 * MEBIBYTE  # a route that takes files names its own `max_body_size`
HOOKS = "/hooks/"

ROUTERS: tuple[APIRouter, ...] = (
    accounts.open_router,
    accounts.secret_router,
    accounts.router,
    health.router,
)


def operation_id(route: APIRoute) -> str:
    """The name of an operation in the OpenAPI: that of its function."""
    return route.name


@asynccontextmanager
async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
    """What stands while the application serves."""
    configure_logging("api")
    yield
    for engine in (app_engine, system_engine):
        if engine.cache_info().currsize:
            engine().dispose()


def build_api() -> FastAPI:
    """The API without the webhooks' door."""
    api = FastAPI(
        title="Master IA",
        version="1",
        docs_url=None,
        redoc_url=None,
        max_body_size=JSON_LIMIT,
        generate_unique_id_function=operation_id,
        lifespan=lifespan,
    )
    api.state.places = asyncio.Semaphore(PLACES)
    for router in ROUTERS:
        api.include_router(router)
    answer_errors(api)
    describe(api)
    return api


class Front:
    """Parts webhooks from the rest; the lifespan is FastAPI's."""

    def __init__(self, api: FastAPI, hooks: ASGIApp | None = None) -> None:
        self.api = api
        self.framed = Telemetry(PlainBodies(api))
        self.hooks = hooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.hooks is not None and scope["path"].startswith(HOOKS):
            await self.hooks(scope, receive, send)
        else:
            await self.framed(scope, receive, send)


app = Front(build_api())
