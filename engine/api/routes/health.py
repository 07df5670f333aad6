"""Is it alive, is it ready, what does it count: for supervisors, balancers and Prometheus."""

from functools import cache

import redis
from alembic.config import Config
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from engine.api.schemas.health import Health, Readiness
from engine.core.db import OF_REQUEST, app_engine, transaction_on
from engine.core.errors import DatabaseAway
from engine.core.redis import client
from engine.core.settings import project_root

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def is_alive() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Readiness}})
def is_ready(response: Response) -> Readiness:
    """It can serve: the database is there and its schema is the one of this code. Redis is told, not needed."""
    readiness = _readiness()
    response.status_code = 200 if readiness.status == "ok" else 503
    return readiness


@router.get("/metrics", response_class=Response, include_in_schema=False)
def metrics() -> Response:
    """What Prometheus reads."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _readiness() -> Readiness:
    try:
        with transaction_on(app_engine(), None, OF_REQUEST) as session:
            present = session.scalar(text("select version_num from alembic_version"))
    except DatabaseAway:
        return Readiness(status="unready", database="away", schema_state="unknown", redis=_redis_state())
    current = present == wanted_revision()
    return Readiness(
        status="ok" if current else "unready",
        database="ok",
        schema_state="current" if current else "outdated",
        redis=_redis_state(),
    )


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
