"""A channel as the dispatcher holds it: how to ask, how fast, and whether it rests.

Held in the process for some seconds, so that a message costs no query for its channel, its template or its tokens.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import redis
from sqlalchemy import select
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from engine.core import ratelimit
from engine.core.http import HttpRequest
from engine.core.ratelimit import LocalBucket
from engine.messaging.channels.base import ChannelAdapter, Credentials, OutboundMessage
from engine.messaging.channels.registry import adapter_for
from engine.messaging.connections import credentials_of
from engine.messaging.models import Channel, ChannelKind, TemplateSnapshot
from engine.messaging.rendering import compile_template

KEPT_SECONDS = 15.0
TOKEN_SLICE = 0.05  # seconds of a channel's rate that are leased at once

type Renderer = Callable[[Mapping[str, str]], Mapping[str, Any]]


class Line:
    """One channel of one tenant, ready to send."""

    def __init__(self, channel: Channel, adapter: ChannelAdapter, credentials: Credentials) -> None:
        self.id = channel.id
        self.kind = channel.kind
        self.adapter = adapter
        self.rate = float(channel.rate_per_second)
        self.opened_at = time.monotonic()
        self.resting_until = 0.0
        self._credentials = credentials
        self._tokens = 0
        self._ask_again_at = 0.0
        self._bucket = LocalBucket(self.rate)
        self._renderers: dict[UUID, Renderer] = {}

    @property
    def is_stale(self) -> bool:
        """True when the channel should be read again: a new token, another rate."""
        return time.monotonic() - self.opened_at > KEPT_SECONDS

    def rest(self, seconds: float) -> None:
        """Send nothing for a while: the provider asked for it."""
        self.resting_until = max(self.resting_until, time.monotonic() + seconds)

    def tokens(self, wanted: int) -> int:
        """How many messages may leave now, at most `wanted`; they are given back by `unused`."""
        now = time.monotonic()
        if wanted <= 0 or now < self.resting_until:
            return 0
        if self._tokens < wanted and now >= self._ask_again_at:
            self._lease(max(wanted - self._tokens, int(self.rate * TOKEN_SLICE)), now)
        granted = min(wanted, self._tokens)
        self._tokens -= granted
        return granted

    def unused(self, tokens: int) -> None:
        """Give back tokens that no message took."""
        self._tokens += tokens

    def _lease(self, wanted: int, now: float) -> None:
        try:
            lease = ratelimit.lease(f"channel:{self.id}", rate=self.rate, wanted=wanted)
        except redis.RedisError:
            lease = self._bucket.lease(wanted)
        self._tokens += lease.granted
        if not lease.granted:
            self._ask_again_at = now + lease.wait

    def learn(self, session: Session, snapshot_ids: set[UUID]) -> None:
        """Make ready the templates that these messages use."""
        unknown = snapshot_ids - self._renderers.keys()
        if unknown:
            for snapshot in session.scalars(select(TemplateSnapshot).where(TemplateSnapshot.id.in_(unknown))):
                self._renderers[snapshot.id] = compile_template(snapshot)

    def ask(self, row: Row[Any]) -> HttpRequest:
        """The request for one row of `ledger.queued_of`."""
        if row.snapshot_id is not None:
            content = self._renderers[row.snapshot_id](row.params or {})
        elif row.kind == "text":
            content = {"text": row.body or ""}
        else:
            content = row.payload or {}
        message = OutboundMessage(row.id, row.address, row.kind, content, row.quoted_provider_id)
        return self.adapter.ask(message, self._credentials)


def open_line(session: Session, channel_id: UUID) -> Line:
    """A line for a channel of this tenant."""
    channel = session.scalars(select(Channel).where(Channel.id == channel_id)).one()
    return Line(channel, adapter_for(ChannelKind(channel.kind)), credentials_of(session, channel))
