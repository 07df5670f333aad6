"""A channel as the dispatcher holds it: how to ask, how fast, and whether it rests.

Held in the process, so that a message costs no query for its channel, its template or its tokens.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import redis
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.core import ratelimit
from engine.core.db import run
from engine.core.errors import ProviderError, Throttled
from engine.core.http import HttpRequest
from engine.core.log import logger
from engine.core.ratelimit import LocalBucket
from engine.messaging.breaker import Breaker
from engine.messaging.channels.base import (
    Capabilities,
    ChannelAdapter,
    ChecksAccount,
    Credentials,
    OutboundMessage,
)
from engine.messaging.channels.registry import adapter_for, checker_for
from engine.messaging.connections import credentials_of
from engine.messaging.daily_limit import limit_of
from engine.messaging.ledger import Due, holders_of
from engine.messaging.models import Channel, ChannelKind, TemplateSnapshot
from engine.messaging.rendering import compile_template
from engine.messaging.stops import FAILING, note_well

LOOKED_AT_EVERY = 1.0  # seconds between two looks at whether a channel that sends was changed
NOTED_EVERY = 20.0  # seconds between two notes of when the channel last sent
ANSWERS_WITHIN = 10.0  # seconds in which a provider that was asked answers, or is taken to be still away
COUNTED_EVERY = 1.0  # seconds between two looks at who else sends, while Redis is away
TOKEN_SLICE = 0.2  # seconds between two leases of tokens at the channel's rate: a group is a commit
SILENT_AFTER = 1.0  # seconds that a call waits for its answer
# What is marked must be called within seconds. So no more is marked ahead than was called lately in as long as this.
AHEAD = 1.0
LEAST_AHEAD = 16
PACE_EVERY = 0.4  # seconds over which calls are counted

log = logger(__name__)

type Renderer = Callable[[Mapping[str, str]], Mapping[str, Any]]


@contextmanager
def _if_redis_is_there() -> Iterator[None]:
    """What all processes should know, told if Redis is there; without it each finds out by itself."""
    try:
        yield
    except redis.RedisError as error:
        log.debug("line.redis_away", error=type(error).__name__)


class Line:
    """One channel of one tenant, ready to send once it has been read; one object for as long as the process sends."""

    kind: ChannelKind
    adapter: ChannelAdapter
    checker: ChecksAccount
    portfolio: str
    limit: int | None  # people that its portfolio may begin to write to in a day
    _credentials: Credentials

    def __init__(self, channel_id: UUID) -> None:
        self.id = channel_id
        self._bucket = LocalBucket(0.0)
        self.breaker = Breaker()
        self.resting_until = 0.0
        self.spent_until = 0.0  # the account's limit of the day is reached: no bulk before
        # Under way, the oldest first: when each began, by its slot in the book.
        self._calls: dict[int, float] = {}
        self._begun = 0
        self._begun_since = 0.0
        self._pace = 0.0
        self._looked_at = self._noted_at = float("-inf")
        self._revision = 0  # none is
        self._tokens = 0
        self._ask_again_at = 0.0
        self._is_alone = False  # without Redis, as far as it knows
        self._counted_at = float("-inf")
        self._renderers: dict[str, Renderer] = {}
        self._written: set[str] = set()  # whom this process wrote to lately, and just before that
        self._written_before: set[str] = set()
        self._written_since = float("-inf")

    def read(self, session: Session) -> None:
        """Read the channel, and again once it was changed, also while it sends: another rate, another token.

        DecryptionFailed where its secrets can't be read.
        """
        now = time.monotonic()
        if now - self._looked_at < LOOKED_AT_EVERY:
            return
        [seen] = run(session, "select revision from channels where id = %(id)s", id=self.id)
        if seen.revision != self._revision:
            self._take_in(session, session.scalars(select(Channel).where(Channel.id == self.id)).one())
        self._looked_at = now

    def _take_in(self, session: Session, channel: Channel) -> None:
        self._credentials = credentials_of(session, channel)
        self.kind = ChannelKind(channel.kind)
        self.adapter, self.checker = adapter_for(self.kind), checker_for(self.kind)
        self.portfolio, self.limit = channel.limited_as, limit_of(channel.messaging_limit)
        if self._bucket.rate != channel.rate_per_second:
            self._bucket.rate = channel.rate_per_second
            self._tokens = min(self._tokens, 0)  # what was granted at another rate
        self._revision = channel.revision

    def begin(self, slot: int) -> None:
        """Count a call that begins."""
        self._calls[slot] = time.monotonic()
        self._begun += 1

    def end(self, slot: int) -> None:
        """That call has ended."""
        del self._calls[slot]

    @property
    def rate(self) -> float:
        """Messages per second, of all processes together."""
        return self._bucket.rate

    @property
    def under_way(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    def is_silent(self, now: float) -> bool:
        """True while a call waits for its answer for long."""
        return now - next(iter(self._calls.values()), now) > SILENT_AFTER

    def ahead(self, now: float) -> int:
        """How many may stand marked and not yet called: what this process gets through, however slow it is."""
        if now - self._begun_since >= PACE_EVERY:
            self._pace = self._begun / (now - self._begun_since)
            self._begun, self._begun_since = 0, now
        return max(int(self._pace * AHEAD), LEAST_AHEAD)

    @property
    def rests(self) -> bool:
        """True while nothing of this channel may be marked."""
        return self.breaker.stands_still or time.monotonic() < self.resting_until

    def slow_down(self, error: Throttled) -> None:
        """The provider's brake: nothing for as long as it says, or else half as fast, in every process."""
        self._tokens = min(self._tokens, 0)
        if error.retry_after is not None:
            self.rest(error.retry_after)
            return
        self._bucket.slow()
        with _if_redis_is_there():
            share = ratelimit.slow(self._key, rate=self.rate)
            log.info("line.slower", channel_id=str(self.id), share=share)

    def rest(self, seconds: float) -> None:
        """Send nothing for a while, in every process."""
        self._tokens = min(self._tokens, 0)
        self.resting_until = max(self.resting_until, time.monotonic() + seconds)
        with _if_redis_is_there():
            ratelimit.rest(self._key, seconds)

    def note(self, error: ProviderError | None) -> bool:
        """Count how a call ended (None: it was taken); True when the channel rests from now on because of it."""
        if error is None and self.breaker.goes_well():
            return False
        was_closed = self.breaker.is_closed
        if self.breaker.note(error):
            self._leave_alone()
            return True
        if not was_closed and self.breaker.is_closed:
            self._noted_at = float("-inf")  # so that it is said at once
        return False

    def question(self) -> HttpRequest:
        """What to ask a provider that has failed, to see whether it answers again: it sends nothing."""
        self.breaker.ask()
        return self.checker.ask_account(self._credentials)

    def answered(self, *, well: bool) -> None:
        """The question has an answer: either a few messages are tried, slowly at first, or the channel rests on."""
        self.breaker.answered(well=well)
        if self.breaker.stands_still:
            self._leave_alone()
            return
        slowly = ratelimit.least_share(self.rate)
        self._bucket.begin_with(slowly)
        with _if_redis_is_there():
            ratelimit.rest(self._key, 0.0, then=slowly)

    def _leave_alone(self) -> None:
        """Nothing of this channel in any process, until this one has asked the provider again."""
        self._tokens = min(self._tokens, 0)
        with _if_redis_is_there():
            ratelimit.rest(self._key, self.breaker.until - time.monotonic() + ANSWERS_WITHIN)

    def tokens(self, wanted: int, *, at_once: bool = False) -> int:
        """How many messages may leave now, at most `wanted`; they are given back by `unused`.

        What is wanted at once (a reply) borrows from the next second's tokens: those that come later wait for it.
        """
        now = time.monotonic()
        if wanted <= 0 or self.rests:
            return 0
        if self._tokens < wanted and now >= self._ask_again_at:
            self._lease(wanted - self._tokens, now)
        borrowed = max(int(self.rate), 1) if at_once else 0
        granted = self.breaker.allows(max(min(wanted, self._tokens + borrowed), 0))
        self._tokens -= granted
        return granted

    def unused(self, tokens: int) -> None:
        """Give back tokens that no message took."""
        self._tokens += tokens
        self.breaker.unused(tokens)

    @property
    def _key(self) -> str:
        return f"channel:{self.id}"

    def _lease(self, wanted: int, now: float) -> None:
        try:
            lease = ratelimit.lease(self._key, rate=self.rate, wanted=wanted)
            self._is_alone = False
        except redis.RedisError:
            if not self._is_alone:
                self._is_alone, self._counted_at = True, float("-inf")
                self._bucket.begin()
            lease = self._bucket.lease(wanted)
        self._tokens += lease.granted
        if lease.granted < wanted:
            self._ask_again_at = now + max(lease.wait, TOKEN_SLICE)

    def share(self, session: Session) -> None:
        """While Redis is away, part the rate among those who hold ranges of the channel, which the database knows."""
        now = time.monotonic()
        if self._is_alone and now - self._counted_at > COUNTED_EVERY:
            self._counted_at = now
            self._bucket.processes = max(holders_of(session, self.id), 1)

    def too_soon(self, rows: Sequence[Due]) -> dict[str, float]:
        """Messages whose person was written to a moment ago, with the seconds to wait: the provider's pair limit.

        Only who was written to a short while ago by this process is asked about in Redis, where all processes count: a
        campaign writes to each person once. While Redis is away nobody waits here; the provider refuses what comes too
        soon, and that goes later.
        """
        limits = self.adapter.capabilities
        if not limits.pair_interval or not rows:
            return {}
        again = self._written_again(rows, limits.pair_interval)
        if not again:
            return {}
        try:
            waits = ratelimit.pass_each(
                [f"pair:{self.id}:{row.address}" for row in again],
                interval=limits.pair_interval,
                burst=_burst(limits),
            )
        except redis.RedisError:
            return {}
        return {row.id: wait for row, wait in zip(again, waits, strict=True) if wait}

    def too_soon_after_all(self, address: str, seconds: float) -> None:
        """The provider would not take a message to this person yet: all that goes to them waits, not this one alone."""
        limits = self.adapter.capabilities
        if not limits.pair_interval:
            return
        with _if_redis_is_there():
            ratelimit.hold(
                f"pair:{self.id}:{address}", seconds, interval=limits.pair_interval, burst=_burst(limits)
            )

    def _written_again(self, rows: Sequence[Due], interval: float) -> list[Due]:
        """Those to a person whom this process wrote to within the interval; remembers whom it writes to now."""
        now = time.monotonic()
        if now - self._written_since > interval:
            self._written_before = self._written if now - self._written_since < 2 * interval else set()
            self._written, self._written_since = set(), now
        again = []
        for row in rows:
            if row.address in self._written or row.address in self._written_before:
                again.append(row)
            self._written.add(row.address)
        return again

    def note_sent(self, session: Session) -> None:
        """Write down now and then when the channel last sent something."""
        moment = time.monotonic()
        if moment - self._noted_at > NOTED_EVERY:
            self._noted_at = moment
            [channel] = run(
                session,
                "update channels set last_sent_at = now() where id = %(id)s returning status_code",
                id=self.id,
            )
            if channel.status_code == FAILING and self.breaker.is_closed:
                note_well(session, self.id)

    def learn(self, session: Session, snapshot_ids: set[str]) -> None:
        """Make ready the templates that these messages use."""
        unknown = snapshot_ids - self._renderers.keys()
        if unknown:
            for snapshot in session.scalars(select(TemplateSnapshot).where(TemplateSnapshot.id.in_(unknown))):
                self._renderers[str(snapshot.id)] = compile_template(snapshot)

    def ask(self, row: Due) -> HttpRequest:
        """The request for one message."""
        if row.snapshot_id is not None:
            content = self._renderers[row.snapshot_id](row.params or {})
        elif row.kind == "text":
            content = {"text": row.body or ""}
        else:
            content = row.payload or {}
        message = OutboundMessage(row.id, row.address, row.kind, content, row.quoted_provider_id)
        return self.adapter.ask(message, self._credentials)


def _burst(limits: Capabilities) -> int:
    """How many to one person may pass at once of those that are asked about: the first passed unasked."""
    return max(limits.pair_burst - 1, 1)
