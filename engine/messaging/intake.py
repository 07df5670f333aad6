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
from operator import itemgetter
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.core.db import OF_BATCHES, array_of, run, run_binary, tenant_session
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
AGAIN_SECONDS = 0.3
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

    channel_id: UUID
    lease_until: datetime
    entries: Sequence[Entry]
    home: ChannelRoute | None
    routes: Sequence[ChannelRoute]


@dataclass(slots=True)
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
    with system_session(OF_BATCHES) as session:
        claim = _claim(session)
    if claim is None:
        return 0
    try:
        _understand(claim)
    except DatabaseAway:
        _give_back(claim)
        raise
    return len(claim.entries)


def _understand(claim: Claim) -> None:
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
    with system_session(OF_BATCHES) as session:
        if claim.home is not None:
            _touch(session, claim.home, pieces)
        _mark(session, claim)


def _give_back(claim: Claim) -> None:
    """As soon as the database is back, let others have the channel: else it stands still to the end of its lease."""
    until = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < until:
        try:
            with system_session(OF_BATCHES) as session:
                run(session, _GIVE_BACK, channel=claim.channel_id, until=claim.lease_until)
        except DatabaseAway:
            time.sleep(AGAIN_SECONDS)
        else:
            return


# Steps from channel to channel by the key; a channel on which somebody works is left to them.
_WAITING = """
with recursive waiting as (
  (select channel_id from webhook_due order by channel_id limit 1)
  union all
  select (select d.channel_id from webhook_due d where d.channel_id > w.channel_id order by d.channel_id limit 1)
  from waiting w where w.channel_id is not null
)
select w.channel_id from waiting w
cross join lateral (
  select d.due_at from webhook_due d where d.channel_id = w.channel_id and d.due_at <= now() order by d.id limit 1
) oldest
where not exists (select from webhook_leases l where l.channel_id = w.channel_id and l.lease_until >= now())
order by oldest.due_at
"""

_LEASE = """
insert into webhook_leases (channel_id, lease_until) values (%(channel)s, now() + make_interval(secs => %(lease)s))
on conflict (channel_id) do update set lease_until = excluded.lease_until, strikes = webhook_leases.strikes + 1
where webhook_leases.lease_until < now()
returning strikes, lease_until
"""

# Fenced by its end: who stood still until another had taken the channel over does not give that one's lease back.
_GIVE_BACK = """
update webhook_leases set lease_until = '-infinity', strikes = 0
where channel_id = %(channel)s and lease_until = %(until)s
"""

# In the order of arrival, as far as they are due.
_TAKE = """
select id, body, tries, received_at from (
  select j.id, j.body, d.tries, j.received_at, sum(octet_length(j.body)) over (order by d.id) - octet_length(j.body)
    as before
  from (select id, tries from webhook_due where channel_id = %(channel)s and due_at <= now()
        order by id limit %(entries)s) d
  join webhook_journal j on j.id = d.id) summed
where before < %(bytes)s
"""

_STRIKE = "update webhook_due set tries = tries + 1 where channel_id = %(channel)s and id = any(%(ids)s)"

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
        channel_id = channel.channel_id
        leases = run(session, _LEASE, channel=channel_id, lease=LEASE_SECONDS)
        if not leases:
            continue
        rows = run_binary(session, _TAKE, channel=channel_id, entries=ENTRIES, bytes=BYTES)
        until = leases[0].lease_until
        if not rows:
            run(session, _GIVE_BACK, channel=channel_id, until=until)
            continue
        struck = leases[0].strikes > 1
        if struck:
            # Whoever had it died over it, so each of these may be what killed them.
            run(session, _STRIKE, channel=channel_id, ids=[row[0] for row in rows])
        entries = [
            Entry(hook_id, body, tries + struck, received_at)
            for hook_id, body, tries, received_at in sorted(rows, key=itemgetter(0))
        ]
        home = session.get(ChannelRoute, channel_id)
        return Claim(channel_id, until, entries, home, _neighbours(session, home))
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
        with tenant_session(tenant_id, OF_BATCHES) as session:
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


_DONE = "delete from webhook_due where channel_id = %(channel)s and id = any(%(ids)s::uuid[])"

_WAIT = """
update webhook_due d set tries = said.tries, due_at = now() + make_interval(secs => said.gap)
from unnest(%(ids)s::uuid[], %(tries)s::int[], %(gaps)s::int[]) as said(id, tries, gap)
where d.channel_id = %(channel)s and d.id = said.id
"""

_SAY = """
update webhook_journal j set status = said.status, error = said.error
from unnest(%(ids)s::uuid[], %(statuses)s::text[], %(errors)s::text[]) as said(id, status, error) where j.id = said.id
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


def _mark(session: Session, claim: Claim) -> None:
    """What was understood waits no longer, what is broken waits for its next try, what is odd is said; the channel is free."""
    waits = [entry for entry in claim.entries if entry.broken and entry.tries + 1 < TRIES]
    waiting = {entry.id for entry in waits}
    done = [entry.id for entry in claim.entries if entry.id not in waiting]
    if done:
        run(session, _DONE, channel=claim.channel_id, ids=array_of(done))
    if waits:
        run(
            session,
            _WAIT,
            channel=claim.channel_id,
            ids=[entry.id for entry in waits],
            tries=[entry.tries + 1 for entry in waits],
            gaps=[GAPS[min(entry.tries, len(GAPS) - 1)] for entry in waits],
        )
    said = [(entry.id, *saying) for entry in claim.entries if (saying := _saying(entry, entry.id in waiting))]
    if said:
        ids, statuses, errors = zip(*said, strict=True)
        run(session, _SAY, ids=list(ids), statuses=list(statuses), errors=list(errors))
    run(session, _GIVE_BACK, channel=claim.channel_id, until=claim.lease_until)


def _saying(entry: Entry, waits: bool) -> tuple[str, str] | None:
    """The status and the words of an entry of which there is something to say."""
    if entry.tries > TRIES:
        return "failed", "never understood to its end"
    if entry.broken:
        return "taken" if waits else "failed", entry.broken
    return ("quarantined", entry.odd) if entry.odd else None


def replay(status: str) -> int:
    """Understand again all entries that stand as `failed` or `quarantined`, after what was wrong has been mended."""
    with system_session() as session:
        rows = run(
            session,
            """with again as (
                 update webhook_journal set status = 'taken', error = null
                 where status = %(status)s and status in ('failed', 'quarantined') returning channel_id, id)
               insert into webhook_due (channel_id, id) select channel_id, id from again
               on conflict do nothing returning id""",
            status=status,
        )
    return len(rows)
