"""Valkey/Redis clients. Redis may be emptied or away at any moment: whoever calls says what happens then."""

from functools import cache

import redis

from engine.core.settings import settings


@cache
def client() -> "redis.Redis":
    """The process's client: short time-outs, because nothing here is worth waiting for."""
    return redis.Redis.from_url(
        settings().redis_url,
        socket_connect_timeout=1.0,
        socket_timeout=2.0,
        socket_keepalive=True,
        health_check_interval=15,
    )


def subscriber() -> "redis.Redis":
    """A client of its own for a pub/sub listener, which blocks."""
    return redis.Redis.from_url(settings().redis_url, socket_connect_timeout=1.0, socket_keepalive=True)
