"""A webhook is journalled first, then understood: claimed, parsed, applied to its tenant, and only then marked.

A crash anywhere between leaves the entry pending under a lease that ends; it is understood again, and what was applied
already changes nothing, because each effect recognises its copy. One worker at a time works on a channel, in the order
of arrival. A broken item is tried again with growing gaps and then stands as failed; its neighbours go on.
"""

import itertools
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.core.db import run, tenant_session
from engine.core.errors import DatabaseAway
from engine.core.log import logger
from engine.core.system import system_session
from engine.messaging.channel_health import apply_account_notice
from engine.messaging.channels.base import (
    AccountNotice,
    ConsentNotice,
    IdentityNotice,
    InboundEvent,
    InboundMessage,
    SetAside,
    StatusReceipt,
    TemplateNotice,
    Unreadable,
    WebhookRequest,
)
from engine.messaging.channels.registry import adapter_for
from engine.messaging.counters import Steps
from engine.messaging.inbound import apply_consent_notice, apply_identity_notice, receive
from engine.messaging.models import Channel, ChannelKind, ChannelRoute
from engine.messaging.receipts import apply_receipts
from engine.messaging.templates import apply_notice

LEASE_SECONDS = 40
ENTRIES = 1000  # webhooks that are understood together
BYTES = 16 * 1024 * 1024
EVENTS_TOGETHER = 50  # messages and notices in one transaction: a person's row is not held for long
RECEIPTS_TOGETHER = 5000
TRIES = 12
GAPS = (1, 5, 30, 120, 600, 3600, 6 * 3600)  # seconds between tries of an entry with a broken item
SLICE_SECONDS = 15.0
ENGINE = Path(__file__).resolve().parents[1]

log = logger(__name__)


@dataclass(slots=True)
class Entry:
    """One webhook being understood, and what is to be said of it."""

    id: UUID
    body: bytes
    tries: int
    received_at: datetime
    broken: str | None = None
    odd: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The next webhooks of one channel; `home` is None when nobody has this channel any more."""

    entries: Sequence[Entry]
    home: ChannelRoute | None
    routes: Sequence[ChannelRoute]


@dataclass(frozen=True, slots=True)
class Piece:
    """One event, whose entry and which channel it belongs to."""

    entry: Entry
    channel_id: UUID
    event: InboundEvent


@dataclass(slots=True)
class Pieces:
    """What a claim holds: words on our messages, and all else in the order it came."""

    receipts: dict[UUID, list[Piece]] = field(default_factory=dict)
    events: list[Piece] = field(default_factory=list)


def is_due(session: Session) -> bool:
    """Whether a webhook waits to be understood and nobody works on its channel; takes a system session."""
    return bool(run(session, _WAITING + " limit 1"))


def understand_due(*, seconds: float = SLICE_SECONDS) -> bool:
    """Understand what waits, for so long at most; True when there is more."""
    until = time.monotonic() + seconds
    while understand_next():
        if time.monotonic() >= until:
            return True
    return False


def understand_next() -> int:
    """Understand the next webhooks of one channel; answers how many, 0 when nothing is due."""
    with system_session() as session:
        claim = _claim(session)
    if claim is None:
        return 0
    fit = [entry for entry in claim.entries if entry.tries <= TRIES]
    pieces = Pieces()
    if claim.home is None:
        for entry in fit:
            entry.odd = "no such channel"
    else:
        pieces = _pieces(claim, fit)
        _apply_events(claim.home.tenant_id, pieces.events)
        for channel_id, receipts in sorted(pieces.receipts.items()):
            for some in batched(receipts, RECEIPTS_TOGETHER):
                _apply_receipts(claim.home.tenant_id, channel_id, some)
    with system_session() as session:
        if claim.home is not None:
            _touch(session, claim.home, pieces)
        _mark(session, claim.entries)
    return len(claim.entries)


# Steps from channel to channel by the index; a channel on which somebody works is left to them.
_WAITING = """
with recursive waiting as (
  (select channel_id from webhook_journal where status = 'pending' order by channel_id limit 1)
  union all
  select (select j.channel_id from webhook_journal j where j.status = 'pending' and j.channel_id > w.channel_id
          order by j.channel_id limit 1)
  from waiting w where w.channel_id is not null
)
select w.channel_id from waiting w
cross join lateral (
  select j.due_at from webhook_journal j
  where j.status = 'pending' and j.channel_id = w.channel_id order by j.due_at, j.id limit 1
) oldest
where oldest.due_at <= now() and not exists (
  select from webhook_journal l
  where l.status = 'pending' and l.lease_until is not null and l.channel_id = w.channel_id and l.lease_until >= now())
order by oldest.due_at
"""

_TAKE = """
with found as (
  select id, due_at, octet_length(body) as size from webhook_journal
  where status = 'pending' and channel_id = %(channel)s and due_at <= now()
    and (lease_until is null or lease_until < now())
    and not exists (select from webhook_journal l where l.status = 'pending' and l.lease_until is not null
                    and l.channel_id = %(channel)s and l.lease_until >= now())
  order by due_at, id limit %(entries)s for update skip locked
), summed as (
  select id, sum(size) over (order by due_at, id) - size as before from found
)
update webhook_journal j set lease_until = now() + make_interval(secs => %(lease)s), tries = tries + 1
from summed where j.id = summed.id and summed.before < %(bytes)s
returning j.id, j.body, j.tries, j.received_at
"""

# The neighbours of the channel that a webhook came to: WhatsApp knows one address for all numbers of an account. Skips
# a channel that somebody is changing.
_TOUCH = """
with seen as (select * from unnest(%(ids)s::uuid[], %(times)s::timestamptz[]) as s(id, at)),
free as (
  select c.id, seen.at from channels c join seen using (id) where c.tenant_id = %(tenant)s
  for no key update of c skip locked
)
update channels c set last_webhook_at = greatest(c.last_webhook_at, free.at)
from free where c.tenant_id = %(tenant)s and c.id = free.id
"""


def _claim(session: Session) -> Claim | None:
    for channel in run(session, _WAITING):
        # Its own statement: the next one's snapshot is taken under the lock, and sees another worker's leases.
        lock = run(
            session,
            "select pg_try_advisory_xact_lock(hashtextextended('intake:' || %(channel)s, 0)) as taken",
            channel=str(channel.channel_id),
        )
        if not lock[0].taken:
            continue
        rows = run(
            session, _TAKE, channel=channel.channel_id, entries=ENTRIES, bytes=BYTES, lease=LEASE_SECONDS
        )
        if rows:
            entries = [
                Entry(row.id, bytes(row.body), row.tries, row.received_at)
                for row in sorted(rows, key=lambda r: r.id)
            ]
            home = session.get(ChannelRoute, channel.channel_id)
            return Claim(entries, home, _neighbours(session, home))
    return None


def _neighbours(session: Session, home: ChannelRoute | None) -> Sequence[ChannelRoute]:
    """The channels that a webhook to this one may speak of: the tenant's own of the same kind and environment."""
    if home is None:
        return []
    query = select(ChannelRoute).where(
        ChannelRoute.tenant_id == home.tenant_id,
        ChannelRoute.kind == home.kind,
        ChannelRoute.environment == home.environment,
    )
    return session.scalars(query.order_by(ChannelRoute.channel_id)).all()


def _pieces(claim: Claim, entries: Iterable[Entry]) -> Pieces:
    """Every event of some webhooks, at its channel; what belongs to nobody here makes its entry odd."""
    pieces = Pieces()
    for entry in entries:
        for event in _parse(claim, entry):
            if isinstance(event, Unreadable):
                entry.odd = f"unreadable: {event.detail}"[:200]
                continue
            if isinstance(event, SetAside):
                continue
            places = _places(claim, event)
            if not places:
                entry.odd = entry.odd or "of an unknown account"
            for channel_id in places:
                piece = Piece(entry, channel_id, event)
                if isinstance(event, StatusReceipt):
                    pieces.receipts.setdefault(channel_id, []).append(piece)
                else:
                    pieces.events.append(piece)
    return pieces


def _parse(claim: Claim, entry: Entry) -> Sequence[InboundEvent]:
    if claim.home is None:
        return []
    adapter = adapter_for(ChannelKind(claim.home.kind))
    try:
        return adapter.parse(WebhookRequest("POST", {}, {}, entry.body))
    except Exception as error:  # noqa: BLE001 - a fault in one body must not stop those behind it
        entry.broken = _describe(error)
        return []


def _places(claim: Claim, event: InboundEvent) -> list[UUID]:
    """The channels that an event is of: by the number it names, else by the account it stands in."""
    home = claim.home
    if home is None or isinstance(event, Unreadable | SetAside):
        return []
    if event.account is not None:
        if event.account == home.account:
            return [home.channel_id]
        return [route.channel_id for route in claim.routes if route.account == event.account][:1]
    portfolio = event.portfolio if isinstance(event, AccountNotice | TemplateNotice) else home.portfolio
    same = [route.channel_id for route in claim.routes if route.portfolio == portfolio]
    # A template is the account's: one look is enough. A notice concerns each number.
    return same if isinstance(event, AccountNotice) else same[:1]


def _apply_events(tenant_id: UUID, pieces: Sequence[Piece]) -> None:
    for some in batched(pieces, EVENTS_TOGETHER):
        with tenant_session(tenant_id) as session:
            channels: dict[UUID, Channel | None] = {}
            total = Steps()
            for piece in some:
                if piece.channel_id not in channels:
                    channels[piece.channel_id] = _channel(session, piece.channel_id)
                channel = channels[piece.channel_id]
                if channel is None:
                    piece.entry.odd = "no such channel"
                else:
                    _apply_one(session, channel, piece, total)
            total.write(session)


def _channel(session: Session, channel_id: UUID) -> Channel | None:
    query = select(Channel).where(Channel.id == channel_id, Channel.deleted_at.is_(None))
    return session.scalars(query).one_or_none()


def _apply_one(session: Session, channel: Channel, piece: Piece, total: Steps) -> None:
    """One event in a savepoint: it happens whole, or is written down as broken."""
    steps = Steps()
    try:
        with session.begin_nested():
            _effect(session, channel, piece.event, steps)
    except Exception as error:  # noqa: BLE001 - one broken item must not stop its neighbours
        _must_be_its_own_fault(error)
        _note_broken(piece, error)
        return
    total.tallies.update(steps.tallies)
    total.happenings.update(steps.happenings)
    total.shown.extend(steps.shown)


def _effect(session: Session, channel: Channel, event: InboundEvent, steps: Steps) -> None:
    match event:
        case InboundMessage():
            receive(session, channel, event, steps)
        case ConsentNotice():
            apply_consent_notice(session, channel, event)
        case IdentityNotice():
            apply_identity_notice(session, channel, event)
        case TemplateNotice():
            apply_notice(session, event)
        case AccountNotice():
            apply_account_notice(session, channel.id, event)


def _apply_receipts(tenant_id: UUID, channel_id: UUID, pieces: Sequence[Piece]) -> None:
    """All in one transaction; where that fails, in two halves, so that a broken one ends up alone."""
    receipts = [piece.event for piece in pieces if isinstance(piece.event, StatusReceipt)]
    try:
        with tenant_session(tenant_id) as session:
            apply_receipts(session, channel_id, receipts)
    except Exception as error:  # noqa: BLE001 - one broken item must not stop its neighbours
        _must_be_its_own_fault(error)
        if len(pieces) == 1:
            _note_broken(pieces[0], error)
            return
        middle = len(pieces) // 2
        _apply_receipts(tenant_id, channel_id, pieces[:middle])
        _apply_receipts(tenant_id, channel_id, pieces[middle:])


def _must_be_its_own_fault(error: Exception) -> None:
    """Raise again what is nobody's fault: the database is away, so nothing was understood and the lease will end."""
    if isinstance(error, DatabaseAway) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        raise error


def _note_broken(piece: Piece, error: Exception) -> None:
    """Keep what went wrong with an item. No traceback: a database's errors quote what people wrote."""
    piece.entry.broken = _describe(error)
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((one for one in reversed(frames) if Path(one.filename).is_relative_to(ENGINE)), frames[-1])
    log.error(
        "webhook.item_broken",
        entry_id=str(piece.entry.id),
        event_kind=type(piece.event).__name__,
        error=piece.entry.broken,
        place=f"{Path(frame.filename).name}:{frame.lineno}",
    )


def _describe(error: Exception) -> str:
    """A fault without the words of the people it is about."""
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None)
    return type(error).__name__ + (f" {sqlstate}" if sqlstate else "")


_MARK = """
update webhook_journal j set
  status = said.status, error = said.error, lease_until = null,
  due_at = case when said.status = 'pending' then now() + make_interval(secs => said.gap) else j.due_at end,
  applied_at = case when said.status = 'pending' then null else now() end
from unnest(%(ids)s::uuid[], %(statuses)s::text[], %(errors)s::text[], %(gaps)s::int[])
  as said(id, status, error, gap)
where j.id = said.id and j.status = 'pending'
"""


def _touch(session: Session, home: ChannelRoute, pieces: Pieces) -> None:
    """Note on the channels that webhooks spoke of, but did not come to, that they were spoken of."""
    times: dict[UUID, datetime] = {}
    for piece in itertools.chain(pieces.events, *pieces.receipts.values()):
        if piece.channel_id != home.channel_id:
            times[piece.channel_id] = max(
                piece.entry.received_at, times.get(piece.channel_id, piece.entry.received_at)
            )
    if times:
        run(session, _TOUCH, tenant=home.tenant_id, ids=list(times), times=list(times.values()))


def _mark(session: Session, entries: Sequence[Entry]) -> None:
    run(
        session,
        _MARK,
        ids=[entry.id for entry in entries],
        statuses=[_status(entry) for entry in entries],
        errors=[entry.broken or entry.odd or _exhausted(entry) for entry in entries],
        gaps=[GAPS[min(entry.tries, len(GAPS)) - 1] for entry in entries],
    )


def _status(entry: Entry) -> str:
    if _exhausted(entry) or (entry.broken and entry.tries >= TRIES):
        return "failed"
    if entry.broken:
        return "pending"
    return "quarantined" if entry.odd else "applied"


def _exhausted(entry: Entry) -> str | None:
    """Said of an entry with which a worker died again and again."""
    return "never understood to its end" if entry.tries > TRIES else None


def replay(status: str) -> int:
    """Understand again all entries that stand as `failed` or `quarantined`, after what was wrong has been mended."""
    with system_session() as session:
        rows = run(
            session,
            """update webhook_journal set status = 'pending', tries = 0, due_at = now(), lease_until = null
               where status = %(status)s and status in ('failed', 'quarantined') returning id""",
            status=status,
        )
    return len(rows)
