"""Statuses: the provider's word on what we sent, in any order and any number of copies, forward only.

Each kind of word has its own timestamp, set to the earliest that was ever said; the state is a pure function of them:
read > delivered > failed > sent > accepted. So every order of the same words ends in the same row, and only what
changed a row is counted. A word on a message that we called and did not hear back of proves that it was taken.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from engine.contacts.consent import BY_REFUSAL, hear
from engine.contacts.models import ConsentState, Contact
from engine.core.db import array_of, joined_by_hash, quoted_array_of, run
from engine.core.events import Fact, emit
from engine.core.log import logger
from engine.messaging.channels.base import Pricing, StatusReceipt
from engine.messaging.counters import Steps, bucket_of, moved
from engine.messaging.models import MessageState

KEPT_DAYS = 30  # how long a word on a message that we do not know is tried again
FIRST_GAP, LONGEST_GAP = 1, 6 * 3600  # seconds between tries, doubling
OPTED_OUT = "opted_out"  # the provider's word that a person stopped marketing (engine/messaging/failures.py)

_ORDER = attrgetter("int")  # as PostgreSQL orders them, and without a call in Python for each comparison

log = logger(__name__)


@dataclass(slots=True)
class Word:
    """All that the provider has said of one message, copies and order gone: the earliest of each kind."""

    provider_id: str
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    failed_at: datetime | None = None
    reason_code: str = ""
    reason: Mapping[str, Any] | None = None
    stops: str | None = None
    pricing: Pricing | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch of receipts did: messages that changed, and receipts of messages that we do not know (yet)."""

    changed: int
    parked: int


def state_of(word: Word) -> MessageState:
    """Where a message stands that was taken and of which this has been said."""
    if word.read_at is not None:
        return MessageState.READ
    if word.delivered_at is not None:
        return MessageState.DELIVERED
    if word.failed_at is not None:
        return MessageState.FAILED
    return MessageState.SENT if word.sent_at is not None else MessageState.ACCEPTED


def merge(receipts: Iterable[StatusReceipt]) -> Word:
    """One word from several on the same message; the order they come in makes no difference."""
    sent = delivered = read = failed = None
    reason_code, reason, stops, provider_id = "", None, None, ""
    pricing, priced = None, None
    for receipt in receipts:
        at, status = receipt.occurred_at, receipt.status
        provider_id = min(provider_id, receipt.provider_id) if provider_id else receipt.provider_id
        if receipt.pricing is not None and (priced is None or (at, status) < priced):
            pricing, priced = receipt.pricing, (at, status)
        if status == "sent":
            sent = at if sent is None or at < sent else sent
        elif status == "delivered":
            delivered = at if delivered is None or at < delivered else delivered
        elif status == "read":
            # Who read it has it: some phones report no delivery.
            read = at if read is None or at < read else read
            delivered = at if delivered is None or at < delivered else delivered
        elif status == "failed":
            code = receipt.error_code or "refused"
            if failed is None or (at, code) < (failed, reason_code):
                failed, reason_code, reason, stops = at, code, receipt.error, receipt.stops
    return Word(provider_id, sent, delivered, read, failed, reason_code, reason, stops, pricing)


def apply_receipts(
    session: Session, channel_id: UUID, receipts: Sequence[StatusReceipt], steps: Steps | None = None
) -> Applied:
    """Write down what the provider said of messages of a channel; what is of no message of ours yet is parked.

    Counters and facts go into `steps` where they are given (the caller writes them), else they are written here, last.
    """
    words, strangers = _match(session, channel_id, receipts)
    own = steps if steps is not None else Steps()
    changed = _write(session, channel_id, words, own)
    _park(session, channel_id, strangers)
    if steps is None:
        own.write(session)
    return Applied(changed, len(strangers))


_OURS = """
select id from messages
where id = any(%(ids)s::uuid[]) and id between %(first)s and %(last)s and channel_id = %(channel)s
  and direction = 'out'
"""

_KNOWN = """
select provider_id, message_id from provider_messages
where channel_id = %(channel)s and provider_id = any(%(provider_ids)s)
"""


def _match(
    session: Session, channel_id: UUID, receipts: Sequence[StatusReceipt]
) -> tuple[dict[UUID, Word], list[StatusReceipt]]:
    """Words by message of this channel; and receipts that fit no message."""
    by_message: dict[UUID, list[StatusReceipt]] = {}
    unnamed = []
    for receipt in receipts:
        if receipt.send_key is None:
            unnamed.append(receipt)
        else:
            by_message.setdefault(receipt.send_key, []).append(receipt)
    strangers = _add_by_provider_id(session, channel_id, unnamed, by_message)
    found = _ours(session, channel_id, by_message.keys())
    lost = [receipt for key in by_message.keys() - found for receipt in by_message.pop(key)]
    # A send key that is nobody's: another system's callback data that looks like ours.
    adopted: dict[UUID, list[StatusReceipt]] = {}
    strangers += _add_by_provider_id(session, channel_id, lost, adopted)
    found = _ours(session, channel_id, adopted.keys())
    for key, more in adopted.items():
        if key in found:
            by_message.setdefault(key, []).extend(more)
        else:
            strangers += more
    return {key: merge(said) for key, said in by_message.items()}, strangers


def _ours(session: Session, channel_id: UUID, ids: Iterable[UUID]) -> set[UUID]:
    """Those of the ids that are messages which went out on this channel."""
    ordered = sorted(ids, key=_ORDER)
    if not ordered:
        return set()
    rows = run(session, _OURS, ids=array_of(ordered), first=ordered[0], last=ordered[-1], channel=channel_id)
    return {row.id for row in rows}


def _add_by_provider_id(
    session: Session,
    channel_id: UUID,
    receipts: Sequence[StatusReceipt],
    by_message: dict[UUID, list[StatusReceipt]],
) -> list[StatusReceipt]:
    """Add receipts to the messages that their provider ids belong to; answers those that belong to none."""
    if not receipts:
        return []
    wanted = sorted({receipt.provider_id for receipt in receipts})
    rows = run(session, _KNOWN, channel=channel_id, provider_ids=wanted)
    known = {row.provider_id: row.message_id for row in rows}
    strangers = []
    for receipt in receipts:
        message_id = known.get(receipt.provider_id)
        if message_id is None:
            strangers.append(receipt)
        else:
            by_message.setdefault(message_id, []).append(receipt)
    return strangers


# Rows are looked up one by one in the order of what is said, which is that of their ids: so all writers lock them in one
# order. `m.id >= first` names the months that need not be looked into; a last one would have the planner read the span
# between, which is days of a company's messages.
# `attempt > 0`: only what was called can be known to the provider. State and reason repeat `state_of` in SQL; a test
# compares the two. What is set is always computed from both sides, so a copy changes nothing and matches no row.
_WRITE = """
update messages m set
  provider_id = coalesce(m.provider_id, said.provider_id),
  work_id = null,
  accepted_at = coalesce(m.accepted_at, m.called_at,
    least(said.sent_at, said.delivered_at, said.read_at, said.failed_at)),
  sent_at = least(m.sent_at, said.sent_at),
  delivered_at = least(m.delivered_at, said.delivered_at),
  read_at = least(m.read_at, said.read_at),
  failed_at = least(m.failed_at, said.failed_at),
  state = case
    when m.read_at is not null or said.read_at is not null then 'read'
    when m.delivered_at is not null or said.delivered_at is not null then 'delivered'
    when m.failed_at is not null or said.failed_at is not null then 'failed'
    when m.sent_at is not null or said.sent_at is not null then 'sent'
    else 'accepted' end,
  reason_code = case
    when m.delivered_at is not null or said.delivered_at is not null then null
    when said.failed_at is not null and (
      m.failed_at is null or (said.failed_at, said.reason_code) < (m.failed_at, m.reason_code)) then said.reason_code
    when m.failed_at is not null then m.reason_code end,
  reason = case
    when m.delivered_at is not null or said.delivered_at is not null then null
    when said.failed_at is not null and (
      m.failed_at is null or (said.failed_at, said.reason_code) < (m.failed_at, m.reason_code)) then said.reason
    when m.failed_at is not null then m.reason end,
  price_category = coalesce(m.price_category, said.price_category),
  price_type = coalesce(m.price_type, said.price_type),
  billable = coalesce(m.billable, said.billable)
from unnest(
  %(ids)s::uuid[], %(provider_ids)s::text[], %(sent)s::timestamptz[], %(delivered)s::timestamptz[],
  %(read)s::timestamptz[], %(failed)s::timestamptz[], %(codes)s::text[], %(reasons)s::jsonb[], %(categories)s::text[],
  %(types)s::text[], %(billable)s::boolean[]) as said(
  id, provider_id, sent_at, delivered_at, read_at, failed_at, reason_code, reason, price_category, price_type, billable)
where m.id = said.id and m.id = any(%(ids)s::uuid[]) and m.id between %(first)s and %(last)s
  and (m.attempt > 0 or m.accepted_at is not null) and (m.accepted_at is null
    or said.sent_at < coalesce(m.sent_at, 'infinity') or said.delivered_at < coalesce(m.delivered_at, 'infinity')
    or said.read_at < coalesce(m.read_at, 'infinity') or said.failed_at < coalesce(m.failed_at, 'infinity')
    or (said.failed_at = m.failed_at and said.reason_code < m.reason_code))
returning m.id, m.gate_id, m.counted, m.conversation_id, m.contact_id, m.reason_code,
  old.provider_id as known_as, m.provider_id, old.state as before, m.state as after,
  old.accepted_at as was_accepted_at, m.accepted_at, old.sent_at as was_sent_at, m.sent_at,
  old.delivered_at as was_delivered_at, m.delivered_at, old.read_at as was_read_at, m.read_at,
  old.failed_at as was_failed_at, m.failed_at
"""


def _write(session: Session, channel_id: UUID, words: Mapping[UUID, Word], steps: Steps) -> int:
    if not words:
        return 0
    ids = sorted(words, key=_ORDER)
    columns = _columns([words[key] for key in ids])
    with joined_by_hash(session):
        rows = run(session, _WRITE, first=ids[0], last=ids[-1], ids=array_of(ids), **columns)
    _remember(session, channel_id, rows)
    for row in rows:
        _count(row, channel_id, steps)
    refused = [row for row in rows if row.after == MessageState.FAILED and row.before != row.after]
    _withdraw(session, [row for row in refused if row.reason_code == OPTED_OUT])
    _tell_stops(session, channel_id, [(row, words[row.id]) for row in refused if words[row.id].stops])
    return len(rows)


def _columns(words: Sequence[Word]) -> Mapping[str, str]:
    """What is said, column by column: PostgreSQL reads arrays at half of what it takes to read JSON."""
    prices = [word.pricing or Pricing() for word in words]
    return {
        "provider_ids": quoted_array_of([word.provider_id for word in words]),
        "sent": _moments([word.sent_at for word in words]),
        "delivered": _moments([word.delivered_at for word in words]),
        "read": _moments([word.read_at for word in words]),
        "failed": _moments([word.failed_at for word in words]),
        "codes": quoted_array_of([word.reason_code if word.failed_at else None for word in words]),
        "reasons": quoted_array_of(
            [None if word.reason is None else orjson.dumps(word.reason).decode() for word in words]
        ),
        "categories": quoted_array_of([price.category for price in prices]),
        "types": quoted_array_of([price.type for price in prices]),
        "billable": quoted_array_of(
            [None if price.billable is None else str(price.billable) for price in prices]
        ),
    }


def _moments(moments: Sequence[datetime | None]) -> str:
    return quoted_array_of([None if moment is None else moment.isoformat() for moment in moments])


_REMEMBER = """
insert into provider_messages (channel_id, provider_id, message_id)
select %(channel)s, said.provider_id, said.id
from unnest(%(provider_ids)s::text[], %(ids)s::uuid[]) as said(provider_id, id) order by 1, 2
on conflict do nothing
"""


def _remember(session: Session, channel_id: UUID, rows: Sequence[Row[Any]]) -> None:
    """Keep the provider's ids of messages whose own answer was lost."""
    learnt = [row for row in rows if row.known_as is None]
    if learnt:
        run(
            session,
            _REMEMBER,
            channel=channel_id,
            provider_ids=[row.provider_id for row in learnt],
            ids=[row.id for row in learnt],
        )


def _count(row: Row[Any], channel_id: UUID, steps: Steps) -> None:
    """Note what one message's change means for the counters and the screens.

    A measure counts each message once, in the quarter of an hour of its timestamp; when an earlier word comes in, the
    count moves with it. `failed` counts those that stand as failed now.
    """
    if row.before != row.after and row.counted:
        moved(steps.tallies, row.gate_id, row.before, row.after)
    was_failed_at = row.was_failed_at if row.before == MessageState.FAILED else None
    failed_at = row.failed_at if row.after == MessageState.FAILED else None
    for measure, was, at in (
        ("accepted", row.was_accepted_at, row.accepted_at),
        ("sent", row.was_sent_at, row.sent_at),
        ("delivered", row.was_delivered_at, row.delivered_at),
        ("read", row.was_read_at, row.read_at),
        ("failed", was_failed_at, failed_at),
    ):
        if was != at:
            if at is not None:
                steps.happenings[bucket_of(at), channel_id, measure] += 1
            if was is not None:
                steps.happenings[bucket_of(was), channel_id, measure] -= 1
    if row.conversation_id is not None and row.before != row.after:
        latest = max(
            at for at in (row.accepted_at, row.sent_at, row.delivered_at, row.read_at, row.failed_at) if at
        )
        steps.shown.append(
            {
                "id": str(row.id),
                "conversation_id": str(row.conversation_id),
                "direction": "out",
                "state": row.after,
                "at": latest.isoformat(),
            }
        )


def _withdraw(session: Session, rows: Iterable[Row[Any]]) -> None:
    """The provider says that these people stopped marketing: so do we, before the next campaign asks."""
    refused: dict[UUID, datetime] = {}
    for row in rows:
        if row.contact_id is not None:
            refused[row.contact_id] = max(row.failed_at, refused.get(row.contact_id, row.failed_at))
    if not refused:
        return
    known = session.scalars(select(Contact.id).where(Contact.id.in_(refused)).order_by(Contact.id)).all()
    for contact_id in known:
        hear(
            session,
            contact_id,
            state=ConsentState.WITHDRAWN,
            source=BY_REFUSAL,
            said_at=refused[contact_id],
        )


def _tell_stops(session: Session, channel_id: UUID, refused: Iterable[tuple[Row[Any], Word]]) -> None:
    """State that sending on is of no use, once for each channel and gate; who closes them takes the gate's lock first.

    A template that was refused in a message of no gate (a reply, a test) concerns that message alone.
    """
    newest: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row, word in refused:
        gate_id = str(row.gate_id) if word.stops == "template" and row.gate_id is not None else None
        if word.stops == "template" and gate_id is None:
            continue
        detail = (word.reason or {}).get("detail") or ""
        fact = {"channel_id": str(channel_id), "gate_id": gate_id, "code": word.reason_code, "detail": detail}
        fact["at"] = row.failed_at.isoformat()
        known = newest.get((word.reason_code, gate_id))
        if known is None or known["at"] < fact["at"]:
            newest[word.reason_code, gate_id] = fact
    for fact in newest.values():
        emit(session, Fact("send.stopped", fact))


_PARK = """
insert into parked_receipts (id, channel_id, provider_id, send_key, receipt, due_at)
select said.id, %(channel)s, said.provider_id, said.send_key, said.receipt, now() + make_interval(secs => %(gap)s)
from unnest(%(ids)s::uuid[], %(provider_ids)s::text[], %(send_keys)s::uuid[], %(receipts)s::jsonb[])
  as said(id, provider_id, send_key, receipt)
order by said.id
on conflict do nothing
"""


def _park(session: Session, channel_id: UUID, receipts: Iterable[StatusReceipt]) -> None:
    """Keep receipts of messages that we do not know yet, each once however often it comes."""
    parked = {_id_of(channel_id, receipt): receipt for receipt in receipts}
    if parked:
        run(
            session,
            _PARK,
            channel=channel_id,
            gap=FIRST_GAP,
            ids=list(parked),
            provider_ids=[receipt.provider_id for receipt in parked.values()],
            send_keys=[receipt.send_key for receipt in parked.values()],
            receipts=[_to_json(receipt) for receipt in parked.values()],
        )


# SKIP LOCKED: a retry that holds a receipt may be waiting for the provider id that the settling transaction knows.
_CLAIM = """
delete from parked_receipts p using (
  select r.tenant_id, r.id
  from unnest(%(channels)s::uuid[], string_to_array(%(provider_ids)s, chr(10))) as known(channel_id, provider_id)
  join parked_receipts r on r.channel_id = known.channel_id and r.provider_id = known.provider_id
  for update of r skip locked) waiting
where p.tenant_id = waiting.tenant_id and p.id = waiting.id
returning p.channel_id, p.receipt
"""


def any_parked(session: Session) -> bool:
    """Whether any receipt of this tenant waits for its message."""
    return bool(run(session, "select 1 from parked_receipts limit 1"))


def claim_parked(session: Session, known: Sequence[tuple[UUID, str]]) -> Mapping[UUID, list[StatusReceipt]]:
    """Take the receipts that wait for these (channel, provider id), by channel; whoever settles them applies them.

    What `retry_parked` has in its hands at that moment stays with it.
    """
    rows = run(
        session,
        _CLAIM,
        channels=array_of(channel_id for channel_id, _ in known),
        provider_ids="\n".join(provider_id for _, provider_id in known),
    )
    waited: dict[UUID, list[StatusReceipt]] = {}
    for row in rows:
        waited.setdefault(row.channel_id, []).append(_from_json(row.receipt))
    return waited


_DUE = """
select id, channel_id, receipt from parked_receipts where due_at <= now()
order by due_at, id limit %(limit)s for update skip locked
"""

_WAIT = """
update parked_receipts set tries = tries + 1,
  due_at = now() + make_interval(secs => least(%(first)s * 2.0 ^ least(tries + 1, 30), %(longest)s))
where id = any(%(ids)s)
"""


def retry_parked(session: Session, *, limit: int = 500) -> int:
    """Try again what is due of this tenant, with growing gaps; answers how many were looked at."""
    rows = run(session, _DUE, limit=limit)
    by_channel: dict[UUID, dict[UUID, StatusReceipt]] = {}
    for row in rows:
        by_channel.setdefault(row.channel_id, {})[row.id] = _from_json(row.receipt)
    steps = Steps()
    for channel_id, parked in sorted(by_channel.items()):
        words, strangers = _match(session, channel_id, list(parked.values()))
        _write(session, channel_id, words, steps)
        waiting = {_id_of(channel_id, receipt) for receipt in strangers}
        run(session, "delete from parked_receipts where id = any(%(ids)s)", ids=list(parked.keys() - waiting))
        run(session, _WAIT, ids=list(waiting), first=FIRST_GAP, longest=LONGEST_GAP)
    _give_up(session)
    steps.write(session)
    return len(rows)


def _give_up(session: Session) -> None:
    """Let go of words that nobody could place for a month, and say so."""
    gone = run(
        session,
        """delete from parked_receipts where created_at < now() - make_interval(days => %(days)s)
           returning channel_id""",
        days=KEPT_DAYS,
    )
    if gone:
        channels = sorted({str(row.channel_id) for row in gone})
        log.warning("receipts.never_placed", receipts=len(gone), days=KEPT_DAYS, channels=channels)


def _id_of(channel_id: UUID, receipt: StatusReceipt) -> UUID:
    """The same id for each copy of a receipt."""
    at = receipt.occurred_at.astimezone(UTC).isoformat()
    parts = (channel_id, receipt.provider_id, receipt.send_key, receipt.status, at, receipt.error_code)
    return UUID(bytes=hashlib.sha256(repr([str(part) for part in parts]).encode()).digest()[:16])


def _to_json(receipt: StatusReceipt) -> str:
    return orjson.dumps(replace(receipt, recipient=None)).decode()


def _from_json(kept: Mapping[str, Any]) -> StatusReceipt:
    return StatusReceipt(
        account=kept["account"],
        provider_id=kept["provider_id"],
        status=kept["status"],
        occurred_at=datetime.fromisoformat(kept["occurred_at"]),
        send_key=UUID(kept["send_key"]) if kept["send_key"] else None,
        error_code=kept["error_code"],
        error=kept["error"],
        stops=kept.get("stops"),
        pricing=Pricing(**kept["pricing"]) if kept.get("pricing") else None,
    )
