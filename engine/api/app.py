"""The API's application: `app` is what uvicorn serves.

Webhooks (`/hooks/…`) go straight to the intake, which must stay quick and needs nothing of the frame; all else goes to
FastAPI. A new domain adds its router to `ROUTERS`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from engine.api.deadline import Deadline
from engine.api.deps import PLACES
from engine.api.errors import answer_errors
from engine.api.intake import PREFIX as HOOKS
from engine.api.intake import Intake
from engine.api.middleware import PlainBodies, Telemetry
from engine.api.openapi import describe
from engine.api.routes import (
    accounts,
    analytics,
    campaigns,
    channels,
    contacts,
    conversations,
    health,
    templates,
)
from engine.core.db import app_engine
from engine.core.log import configure_logging
from engine.core.system import system_engine

MEBIBYTE = 1024 * 1024
JSON_LIMIT = 1 * MEBIBYTE  # a route that takes files names its own `max_body_size`

ROUTERS: tuple[APIRouter, ...] = (
    accounts.open_router,
    accounts.secret_router,
    accounts.router,
    contacts.router,
    channels.router,
    templates.router,
    campaigns.router,
    conversations.router,
    analytics.router,
    health.router,
)

type Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def operation_id(route: APIRoute) -> str:
    """The name of an operation in the OpenAPI: that of its function."""
    return route.name


class Hooks(Protocol):
    """The webhooks' door: an ASGI application that is started and stopped with ours."""

    async def start(self) -> None:
        """Begin to take webhooks."""

    async def stop(self) -> None:
        """Make durable what was taken, then end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""


def build_api(routers: Sequence[APIRouter], lifespan: Lifespan | None = None) -> FastAPI:
    """The API without the webhooks' door."""
    api = FastAPI(
        title="Master IA",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=JSON_LIMIT,
        generate_unique_id_function=operation_id,
        lifespan=lifespan,
    )
    api.state.places = asyncio.Semaphore(PLACES)
    api.state.looks = {}
    for router in routers:
        api.include_router(router)
    answer_errors(api, routers)
    describe(api)
    return api


class Front:
    """Parts webhooks from the rest, and has both live as long as the application serves."""

    def __init__(self, hooks: Hooks, routers: Sequence[APIRouter] = ROUTERS) -> None:
        self.hooks = hooks
        self.api = build_api(routers, self.lifespan)
        self.framed = Telemetry(Deadline(PlainBodies(self.api)))

    @asynccontextmanager
    async def lifespan(self, _api: FastAPI) -> AsyncIterator[None]:
        """What stands while the application serves."""
        configure_logging("api")
        await self.hooks.start()
        try:
            yield
        finally:
            await self.hooks.stop()
            for engine in (app_engine, system_engine):
                if engine.cache_info().currsize:
                    engine().dispose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(HOOKS):
            await self.hooks(scope, receive, send)
        else:
            await self.framed(scope, receive, send)


app = Front(Intake())
