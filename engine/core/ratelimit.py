"""GCRA rate limits as atomic Lua scripts: tokens of one key leased in batches, or one token of each of many keys.

All on the clock of Redis. A key holds the theoretical arrival time in microseconds. A lost key (FLUSHALL) means one burst, never a wrong send.
When Redis is away the caller falls back to `LocalBucket`, which is stricter, not absent.
"""

import time
from collections.abc import Sequence
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

# KEYS arrival times; ARGV: microseconds per token, burst in microseconds. Answers the wait of each in ms: 0, it passed.
EACH = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local step = tonumber(ARGV[1])
local burst = tonumber(ARGV[2])
local waits = {}
for i, key in ipairs(KEYS) do
  local arrival = tonumber(redis.call('GET', key) or now)
  if arrival < now then arrival = now end
  local after = arrival + step
  if after > now + burst then
    waits[i] = math.ceil((after - burst - now) / 1000)
  else
    waits[i] = 0
    redis.call('SET', key, string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1)
  end
end
return waits
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
def _script(text: str) -> Any:
    return client().register_script(text)


def forget_connections() -> None:
    """Forget the scripts of the process's client: for a child that was forked from it."""
    _script.cache_clear()


def lease(key: str, *, rate: float, wanted: int, burst: float | None = None) -> Lease:
    """Up to `wanted` tokens of `key` at `rate` per second; `burst` tokens may come at once (default half a second).

    Raises redis.RedisError when Redis is away.
    """
    step = 1_000_000 / rate
    burst_tokens = burst if burst is not None else max(rate / 2, 1.0)
    granted, wait_ms = _script(LEASE)(keys=[f"rate:{key}"], args=[step, burst_tokens * step, wanted])
    return Lease(int(granted), int(wait_ms) / 1000)


def pass_each(keys: Sequence[str], *, interval: float, burst: int) -> list[float]:
    """For each key, whether one may pass now: 0.0, or the seconds until it may; `burst` may pass at once.

    Raises redis.RedisError when Redis is away.
    """
    step = interval * 1_000_000
    waits = _script(EACH)(keys=[f"rate:{key}" for key in keys], args=[step, burst * step])
    return [int(wait) / 1000 for wait in waits]
