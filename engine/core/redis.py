"""Valkey/Redis clients. Redis may be emptied or away at any moment: whoever calls says what happens then."""

import time
from functools import cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from engine.core.settings import settings

REST_SECONDS = 5.0


class Impatient(redis.Redis):
    """A client that waits in vain once, and then says for some seconds at once that Redis is away.

    A Redis that hangs takes a time-out for each question, and a sign-in asks eight.
    """

    _silent_until = 0.0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command; ConnectionError at once while Redis is known to hang."""
        if time.monotonic() < self._silent_until:
            raise redis.ConnectionError("Redis did not answer a moment ago")
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except redis.TimeoutError:
            self._silent_until = time.monotonic() + REST_SECONDS
            raise


@cache
def client() -> "redis.Redis":
    """The process's client: short time-outs, because nothing here is worth waiting for."""
    return Impatient.from_url(
        settings().redis_url,
        # Again once when a kept connection turns out to be closed; never after waiting in vain.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        socket_connect_timeout=1.0,
        socket_timeout=2.0,
        socket_keepalive=True,
        health_check_interval=15,
    )


def subscriber() -> "redis.Redis":
    """A client of its own for a pub/sub listener, which blocks."""
    return redis.Redis.from_url(
        settings().redis_url, socket_connect_timeout=1.0, socket_timeout=2.0, socket_keepalive=True
    )
