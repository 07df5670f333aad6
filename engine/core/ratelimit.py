"""GCRA rate limits as atomic Lua scripts: tokens of one key leased in batches, or one token of each of many keys.

All on the clock of Redis. A key holds the theoretical arrival time in microseconds. A lost key (FLUSHALL) means one burst, never a wrong send.
When Redis is away the caller falls back to `LocalBucket`: each process has a part of the rate.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from engine.core.redis import client

# After a provider's brake a rate is halved, once for all calls that were under way then, and comes back evenly.
RECOVERY_SECONDS = 30.0  # from nothing to the whole rate
LEAST_SHARE = 1 / 32
BETWEEN_CUTS = 1.0
UNKNOWN_PROCESSES = 2  # how many part a rate, as long as nobody has counted them

# KEYS: arrival time, pace; ARGV: microseconds per token, burst in microseconds, tokens wanted, microseconds in which a
# pace recovers from nothing to the whole rate. Answers {granted, wait_ms}.
LEASE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local step = tonumber(ARGV[1])
local burst = tonumber(ARGV[2])
local want = tonumber(ARGV[3])
local pace = redis.call('HMGET', KEYS[2], 'share', 'at', 'rest')
if pace[3] and tonumber(pace[3]) > now then return {0, math.ceil((pace[3] - now) / 1000)} end
if pace[1] then step = step / math.min(1, pace[1] + (now - pace[2]) / ARGV[4]) end
if burst < step then burst = step + 1 end
local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
if arrival < now then arrival = now end
local room = math.floor((now + burst - arrival) / step)
if room <= 0 then return {0, math.ceil((arrival - burst + step - now) / 1000)} end
if room > want then room = want end
local after = arrival + room * step
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now + burst) / 1000) + 1)
return {room, 0}
"""

# KEYS[1] pace; ARGV: the same microseconds, the least share, microseconds between two cuts. Answers the share, in 1/1000.
SLOW = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local pace = redis.call('HMGET', KEYS[1], 'share', 'at')
local share = 1
if pace[1] then
  share = math.min(1, pace[1] + (now - pace[2]) / ARGV[1])
  if now - pace[2] < tonumber(ARGV[3]) then return math.floor(share * 1000) end
end
share = math.max(share / 2, tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'share', tostring(share), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), math.ceil(ARGV[1] / 1000)))
return math.floor(share * 1000)
"""

# KEYS[1] pace; ARGV: microseconds to rest, the share of the rate to begin with afterwards (1: as before),
# the microseconds of a recovery.
REST = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local ends = string.format('%.0f', now + ARGV[1])
redis.call('HSET', KEYS[1], 'rest', ends)
if tonumber(ARGV[2]) < 1 then redis.call('HSET', KEYS[1], 'share', ARGV[2], 'at', ends) end
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), math.ceil((ARGV[1] + ARGV[3]) / 1000)))
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

# KEYS[1] arrival time; ARGV: microseconds until the next may pass, and what a burst adds to that.
HOLD = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now + ARGV[1] + ARGV[2])
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """How many tokens were granted, and when to ask again (seconds) when there were none."""

    granted: int
    wait: float


@dataclass(slots=True)
class LocalBucket:
    """A token bucket of this process alone, for when Redis is away: its part of the rate, by how many use it now."""

    rate: float
    processes: int = UNKNOWN_PROCESSES
    tokens: float = 0.0
    at: float = field(default_factory=time.monotonic)
    share: float = 1.0
    cut_at: float = float("-inf")

    def begin(self) -> None:
        """Redis has just gone: nothing is saved up from when it was there, and who else sends is not known yet."""
        self.tokens, self.at, self.processes = 0.0, time.monotonic(), UNKNOWN_PROCESSES

    def slow(self) -> None:
        """Halve the rate; it comes back by itself."""
        now = time.monotonic()
        if now - self.cut_at >= BETWEEN_CUTS:
            self.begin_with(max(self._share_at(now) / 2, least_share(self.rate)))

    def begin_with(self, share: float) -> None:
        """Go on with a share of the rate, which grows to the whole."""
        self.share, self.cut_at, self.tokens = share, time.monotonic(), 0.0

    def _share_at(self, now: float) -> float:
        return min(1.0, self.share + (now - self.cut_at) / RECOVERY_SECONDS)

    def lease(self, wanted: int) -> Lease:
        """Up to `wanted` tokens now."""
        now = time.monotonic()
        allowance = self.rate / self.processes * self._share_at(now)
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
    granted, wait_ms = _script(LEASE)(
        keys=[f"rate:{key}", f"pace:{key}"],
        args=[step, burst_tokens * step, wanted, RECOVERY_SECONDS * 1_000_000],
    )
    return Lease(int(granted), int(wait_ms) / 1000)


def slow(key: str, *, rate: float) -> float:
    """Halve the rate of `key` for everybody; answers the share of it that is left. It comes back by itself.

    Raises redis.RedisError when Redis is away.
    """
    share = _script(SLOW)(
        keys=[f"pace:{key}"],
        args=[RECOVERY_SECONDS * 1_000_000, least_share(rate), BETWEEN_CUTS * 1_000_000],
    )
    return int(share) / 1000


def rest(key: str, seconds: float, *, then: float = 1.0) -> None:
    """Grant nothing of `key` to anybody for so long, and afterwards begin with this share of its rate.

    Raises redis.RedisError when Redis is away.
    """
    _script(REST)(keys=[f"pace:{key}"], args=[seconds * 1_000_000, then, RECOVERY_SECONDS * 1_000_000])


def least_share(rate: float) -> float:
    """The smallest share of a rate that is still used: never less than one a second, unless that is the rate."""
    return min(1.0, max(LEAST_SHARE, 1 / rate))


def pass_each(keys: Sequence[str], *, interval: float, burst: int) -> list[float]:
    """For each key, whether one may pass now: 0.0, or the seconds until it may; `burst` may pass at once.

    Raises redis.RedisError when Redis is away.
    """
    step = interval * 1_000_000
    waits = _script(EACH)(keys=[f"rate:{key}" for key in keys], args=[step, burst * step])
    return [int(wait) / 1000 for wait in waits]


def hold(key: str, seconds: float, *, interval: float, burst: int) -> None:
    """Let nobody pass `key` for so long; interval and burst are those of `pass_each`.

    Raises redis.RedisError when Redis is away.
    """
    _script(HOLD)(keys=[f"rate:{key}"], args=[seconds * 1_000_000, (burst - 1) * interval * 1_000_000])
