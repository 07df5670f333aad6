"""Bells: a hint that work is due. A bell may ring late, twice or never; the sweeper finds the work without it."""

import redis

from engine.core.metrics import BELLS_UNHEARD
from engine.core.redis import client

CHANNEL = "bells"


def ring(name: str) -> None:
    """Tell the workers that there is work of this name; when Redis is away they find it by themselves in a second."""
    try:
        client().publish(CHANNEL, name)
    except redis.RedisError:
        BELLS_UNHEARD.labels(bell=name).inc()
