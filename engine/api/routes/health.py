"""Is it alive, is it ready, what does it count: for supervisors, balancers and Prometheus."""

import asyncio
from collections.abc import Callable
from functools import cache

import redis
from alembic.config import Config
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from engine.api.schemas.health import Health, Readiness
from engine.core.db import OF_REQUEST, app_engine, transaction_on
from engine.core.errors import DatabaseAway
from engine.core.redis import client
from engine.core.settings import project_root
from engine.messaging import depth

LOOK_SECONDS = 3.0

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def is_alive() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Readiness}})
async def is_ready(request: Request, response: Response) -> Readiness:
    """It can serve: the database is there and its schema is the one of this code. Redis is told, not needed."""
    looks: dict[str, asyncio.Task[str]] = request.app.state.looks
    schema, redis_state = await asyncio.gather(
        _look(looks, "schema", _schema_state, "away"), _look(looks, "redis", _redis_state, "away")
    )
    readiness = Readiness(
        status="ok" if schema == "current" else "unready",
        database="away" if schema == "away" else "ok",
        schema_state="unknown" if schema == "away" else schema,
        redis=redis_state,
    )
    response.status_code = 200 if readiness.status == "ok" else 503
    return readiness


@router.get("/metrics", response_class=Response, include_in_schema=False)
async def metrics(request: Request) -> Response:
    """What Prometheus reads; what is due is measured now, and absent while the database is away."""
    await _look(request.app.state.looks, "depth", _measure_depth, "away")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _look(
    looks: dict[str, asyncio.Task[str]], name: str, look: Callable[[], str], otherwise: str
) -> str:
    """What a look finds, or `otherwise` after three seconds. One that hangs is shared, so that probes fill no threads."""
    under_way = looks.get(name)
    if under_way is None or under_way.done():
        under_way = looks[name] = asyncio.create_task(asyncio.to_thread(look))
    done, _ = await asyncio.wait({under_way}, timeout=LOOK_SECONDS)
    return under_way.result() if done else otherwise


def _schema_state() -> str:
    try:
        with transaction_on(app_engine(), None, OF_REQUEST) as session:
            present = session.scalar(text("select version_num from alembic_version"))
    except DatabaseAway:
        return "away"
    return "current" if present == wanted_revision() else "outdated"


def _measure_depth() -> str:
    try:
        depth.show()
    except DatabaseAway:
        return "away"
    return "shown"


def _redis_state() -> str:
    try:
        client().ping()
    except redis.RedisError:
        return "away"
    return "ok"


@cache
def wanted_revision() -> str | None:
    """The newest revision of the schema that this code knows."""
    return ScriptDirectory.from_config(Config(str(project_root() / "alembic.ini"))).get_current_head()
