"""What one console process is made of, put together once and handed to routes and tabs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from console.auth import SignIn, SignIns, TabCredentials
from console.live import Live, LiveFigures
from console.settings import ConsoleSettings
from engine.client import Api, Wire

DAY_SECONDS = 24 * 3600
# A tab asks a handful of things at a time; a process serves some two hundred.
CONNECTIONS = httpx.Limits(max_connections=100, max_keepalive_connections=40)


@dataclass(frozen=True, slots=True)
class Console:
    """The parts of one console process."""

    settings: ConsoleSettings
    redis: Redis
    http: httpx.AsyncClient
    sign_ins: SignIns
    live: Live
    registry: CollectorRegistry

    def api_for(self, sign_in: SignIn, locale: str) -> Api:
        """The API in the name of one sign-in, answering in one language."""
        return Api(Wire(self.http, TabCredentials(self.sign_ins, sign_in), language=locale))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens to facts while the block runs, and lets go of every connection after it."""
        try:
            async with self.live.listening():
                yield
        finally:
            await self.http.aclose()
            await self.redis.aclose()

    async def is_ready(self) -> dict[str, bool]:
        """Whether what the console leans on answers."""
        api, redis = await asyncio.gather(self._answers_api(), self._answers_redis())
        return {"api": api, "redis": redis, "live": self.live.is_listening}

    async def _answers_api(self) -> bool:
        try:
            return (await self.http.get("/healthz", timeout=2.0)).is_success
        except httpx.HTTPError:
            return False

    async def _answers_redis(self) -> bool:
        try:
            return bool(await asyncio.wait_for(self.redis.ping(), timeout=2.0))
        except (OSError, TimeoutError, RedisError):
            return False


def make_console(settings: ConsoleSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> Console:
    """The parts for these settings; `transport` replaces the network to the API in tests."""
    redis = Redis.from_url(settings.redis_url, socket_connect_timeout=3.0, socket_timeout=20.0)
    http = httpx.AsyncClient(base_url=settings.api_url, limits=CONNECTIONS, transport=transport)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return Console(
        settings=settings,
        redis=redis,
        http=http,
        sign_ins=SignIns(
            redis,
            http,
            key=settings.key_for("sign-ins"),
            lifetime_seconds=settings.console_session_days * DAY_SECONDS,
        ),
        live=Live(redis, LiveFigures(registry)),
        registry=registry,
    )
