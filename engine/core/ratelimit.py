"""GCRA rate limit as one atomic Lua script: tokens are leased in batches, on the clock of Redis.

One key holds the theoretical arrival time in microseconds. A lost key (FLUSHALL) means one burst, never a wrong send.
When Redis is away the caller falls back to `LocalBucket`, which is stricter, not absent.
"""

import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from engine.core.redis import client

# KEYS[1] arrival time; ARGV: microseconds per token, burst in microseconds, tokens wanted. Answers {granted, wait_ms}.
LEASE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local step = tonumber(ARGV[1])
local burst = tonumber(ARGV[2])
local want = tonumber(ARGV[3])
local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
if arrival < now then arrival = now end
local room = math.floor((now + burst - arrival) / step)
if room <= 0 then return {0, math.ceil((arrival - burst + step - now) / 1000)} end
if room > want then room = want end
local after = arrival + room * step
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now + burst) / 1000) + 1)
return {room, 0}
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """How many tokens were granted, and when to ask again (seconds) when there were none."""

    granted: int
    wait: float


@dataclass(slots=True)
class LocalBucket:
    """A token bucket of this process alone, for when Redis is away: half the rate, so that two processes keep it."""

    rate: float
    tokens: float = 0.0
    at: float = field(default_factory=time.monotonic)

    def lease(self, wanted: int) -> Lease:
        """Up to `wanted` tokens now."""
        now = time.monotonic()
        allowance = self.rate / 2
        self.tokens = min(self.tokens + (now - self.at) * allowance, max(allowance, 1.0))
        self.at = now
        granted = min(wanted, int(self.tokens))
        self.tokens -= granted
        return Lease(granted, 0.0 if granted else 1.0 / allowance)


@cache
def _script() -> Any:
    return client().register_script(LEASE)


def forget_connections() -> None:
    """Forget the script of the process's client: for a child that was forked from it."""
    _script.cache_clear()


def lease(key: str, *, rate: float, wanted: int, burst: float | None = None) -> Lease:
    """Up to `wanted` tokens of `key` at `rate` per second; `burst` tokens may come at once (default half a second).

    Raises redis.RedisError when Redis is away.
    """
    step = 1_000_000 / rate
    burst_tokens = burst if burst is not None else max(rate / 2, 1.0)
    granted, wait_ms = _script()(keys=[f"rate:{key}"], args=[step, burst_tokens * step, wanted])
    return Lease(int(granted), int(wait_ms) / 1000)
