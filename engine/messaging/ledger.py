"""The ledger of all that goes out: queue, claim, mark, finish or release. Each is one short statement or two.

Nothing here waits for a provider. `claim` looks across tenants and takes a system session; the rest runs in the
tenant's own. All times are the database's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import insert
from sqlalchemy.orm import Session

from engine.core.bells import ring
from engine.core.db import after_commit, array_of, run
from engine.core.ids import uuid7
from engine.messaging.counters import GROUPED, Steps
from engine.messaging.models import DueSend, Lane, Message, MessageState, Origin
from engine.messaging.policy import REFUSAL_SQL

LEASE_SECONDS = 30
RANGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Lease:
    """A range of messages that this process may mark, until the lease ends or is renewed by a mark."""

    tenant_id: UUID
    id: UUID
    channel_id: UUID
    gate_id: UUID | None
    channel_gate_id: UUID
    rate_per_second: int
    lane: int
    first_id: UUID
    last_id: UUID
    epoch: int


def enqueue(
    session: Session,
    *,
    channel_id: UUID,
    contact_id: UUID | None,
    address: str,
    kind: str,
    origin: Origin,
    origin_id: UUID | None = None,
    conversation_id: UUID | None = None,
    snapshot_id: UUID | None = None,
    params: Mapping[str, Any] | None = None,
    body: str | None = None,
    payload: Mapping[str, Any] | None = None,
    lane: Lane = Lane.REPLY,
    quoted_provider_id: str | None = None,
) -> Message:
    """Queue one message and ring the dispatcher; it is accepted once this transaction commits, and then never lost."""
    message = Message(
        id=uuid7(),
        direction="out",
        kind=kind,
        channel_id=channel_id,
        contact_id=contact_id,
        conversation_id=conversation_id,
        origin=origin,
        origin_id=origin_id,
        snapshot_id=snapshot_id,
        address=address,
        params=dict(params) if params is not None else None,
        body=body,
        payload=dict(payload) if payload is not None else None,
        quoted_provider_id=quoted_provider_id,
        state=MessageState.QUEUED,
    )
    session.add(message)
    session.flush()
    add_due(session, channel_id=channel_id, gate_id=None, lane=lane, spans=[(message.id, message.id, 1)])
    return message


def add_due(
    session: Session,
    *,
    channel_id: UUID,
    gate_id: UUID | None,
    lane: Lane,
    spans: Sequence[tuple[UUID, UUID, int]],
) -> None:
    """Make ranges of queued messages (first id, last id, amount) due now, and ring the dispatcher."""
    session.execute(
        insert(DueSend),
        [
            {
                "id": uuid7(),
                "channel_id": channel_id,
                "gate_id": gate_id,
                "lane": int(lane),
                "first_id": first,
                "last_id": last,
                "amount": amount,
            }
            for first, last, amount in spans
        ],
    )
    after_commit(session, lambda: ring("send"))


def queue_bulk(
    session: Session,
    *,
    channel_id: UUID,
    gate_id: UUID,
    spans: Sequence[tuple[UUID, UUID, int]],
    instead_of: MessageState | None = None,
) -> None:
    """Make new queued messages of a gate due, and count them; `instead_of` is the state of those that they replace."""
    if not spans:
        return
    add_due(session, channel_id=channel_id, gate_id=gate_id, lane=Lane.BULK, spans=spans)
    amount = sum(amount for _, _, amount in spans)
    steps = Steps()
    steps.tallies[gate_id, MessageState.QUEUED] += amount
    if instead_of is not None:
        steps.tallies[gate_id, instead_of] -= amount
    steps.write(session)


# Companies take turns, and within a company its channels: whoever holds the fewest ranges is next, replies before all.
# Who has work is found by leaping through the index from channel to channel, so that idle channels cost nothing; and
# only what is taken is locked.
_WAITING = """
    from due_sends d left join gates g on g.tenant_id = d.tenant_id and g.id = d.gate_id
    where d.tenant_id = c.tenant_id and d.channel_id = c.id and d.due_at <= now() and d.lease_until is null
      and (d.gate_id is null or g.is_open) and (d.lane = 0 or not c.id = any(%(busy)s))
    order by d.lane, d.due_at, d.id
"""
_CLAIM = f"""
with recursive working(tenant_id, channel_id) as (
  (select tenant_id, channel_id from due_sends order by 1, 2 limit 1)
  union all
  select d.tenant_id, d.channel_id from working w cross join lateral (
    select d.tenant_id, d.channel_id from due_sends d
    where (d.tenant_id, d.channel_id) > (w.tenant_id, w.channel_id) order by 1, 2 limit 1) d
), held as (
  select tenant_id, channel_id, count(*) as n from due_sends where holder is not null group by 1, 2
), ready as (
  select c.tenant_id, c.id, c.gate_id, c.rate_per_second, d.lane = 0 as is_reply, d.due_at, coalesce(h.n, 0) as held
  from working w
  join channels c on c.tenant_id = w.tenant_id and c.id = w.channel_id and c.deleted_at is null
  join gates cg on cg.tenant_id = c.tenant_id and cg.id = c.gate_id and cg.is_open
  left join held h on h.tenant_id = c.tenant_id and h.channel_id = c.id
  cross join lateral (select d.lane, d.due_at {_WAITING} limit 1) d
  where not c.id = any(%(resting)s)
), turns as (
  select r.*, row_number() over (partition by tenant_id, is_reply order by held, due_at)
              + coalesce((select sum(h.n) from held h where h.tenant_id = r.tenant_id), 0) as turn
  from ready r
), places as (
  select t.*, row_number() over (partition by is_reply order by turn, due_at) as place from turns t
), found as (
  select d.tenant_id, d.id, c.gate_id as channel_gate_id, c.rate_per_second
  from places c cross join lateral (select d.tenant_id, d.id {_WAITING} limit 1 for update of d skip locked) d
  where c.place <= case when c.is_reply then %(replies)s else %(wanted)s end
)
update due_sends d set epoch = d.epoch + 1, lease_until = now() + make_interval(secs => %(lease)s), holder = %(holder)s
from found where d.tenant_id = found.tenant_id and d.id = found.id
returning d.tenant_id, d.id, d.channel_id, d.gate_id, found.channel_gate_id, found.rate_per_second, d.lane,
          d.first_id, d.last_id, d.epoch
"""  # noqa: S608 - our own words


def claim(
    session: Session,
    *,
    holder: str,
    wanted: int,
    replies: int = 0,
    busy: Sequence[UUID] = (),
    resting: Sequence[UUID] = (),
) -> list[Lease]:
    """Ranges of due work leased to `holder`, one a channel: up to `wanted` of bulk and `replies` of what overtakes it.

    Takes a system session. Channels that are busy give replies only, those that rest give nothing.
    """
    rows = run(
        session,
        _CLAIM,
        holder=holder,
        wanted=wanted,
        replies=replies,
        busy=list(busy),
        resting=list(resting),
        lease=LEASE_SECONDS,
    )
    return [Lease(*list(row)) for row in sorted(rows, key=lambda row: row.lane)]


# One JSON text for the whole range: read in one go, it costs a third of what the driver spends on as many rows.
_READ = """
select coalesce(json_agg(json_build_array(
         id, kind, address, snapshot_id, params, body, payload, quoted_provider_id, attempt, tries) order by id), '[]')::text
from messages
where id between %(first)s and %(last)s and channel_id = %(channel)s and gate_id is not distinct from %(gate)s
  and state = 'queued' and direction = 'out'
"""


# A tuple, and its ids are text: there is one for each message, made of what was read, and ids are only written on.
class Due(NamedTuple):
    """A message that waits to be sent; `attempt` counts its marks, `tries` the calls that were surely not taken."""

    id: str
    kind: str
    address: str
    snapshot_id: str | None
    params: Mapping[str, Any] | None
    body: str | None
    payload: Mapping[str, Any] | None
    quoted_provider_id: str | None
    attempt: int
    tries: int


def queued_of(session: Session, lease: Lease) -> list[Due]:
    """The messages of a lease that still wait to be sent, oldest first."""
    [[found]] = run(
        session, _READ, first=lease.first_id, last=lease.last_id, channel=lease.channel_id, gate=lease.gate_id
    )
    return list(map(Due._make, orjson.loads(found)))


_LOCK_GATES = (
    "select pg_advisory_xact_lock_shared(hashtextextended(gate, 0)) from unnest(%(gates)s::text[]) gate"
)

_RENEW = """
update due_sends d set lease_until = now() + make_interval(secs => %(lease)s)
from unnest(%(works)s::uuid[], %(epochs)s::int[], %(channel_gates)s::uuid[], %(gates)s::uuid[])
     as held(id, epoch, channel_gate_id, gate_id)
where d.id = held.id and d.epoch = held.epoch and d.lease_until > now()
  and not exists (select from gates g where g.id in (held.channel_gate_id, held.gate_id) and not g.is_open)
returning d.id
"""

# All that policy asks is looked up once for each message. There is no join with what was asked for, on purpose: a plan
# that was made while a month's partition was empty would read all of it for each group. The scan is by the array of
# ids, which also locks the rows in their order; `width_bucket` tells which of the sorted ids a row's is.
_MARK = f"""
with moved as (
  update messages m set
    (state, reason_code, called_at) = (
      select case when r.refusal is null then 'dispatching' else 'skipped' end, r.refusal,
             case when r.refusal is null then now() end
      from (select) once
      left join template_snapshots s on s.id = m.snapshot_id
      left join contacts p on p.id = m.contact_id
      left join conversations v on v.id = m.conversation_id
      cross join lateral (select {REFUSAL_SQL.strip()} as refusal) r),
    reason = null, work_id = (%(works)s::uuid[])[width_bucket(m.id, %(ids)s::uuid[])], attempt = m.attempt + 1
  where m.id = any(%(ids)s::uuid[]) and m.id between %(first)s and %(last)s and m.state = 'queued'
    and m.attempt = (%(attempts)s::int[])[width_bucket(m.id, %(ids)s::uuid[])]
  returning m.id, m.channel_id, m.gate_id, m.counted, m.conversation_id, old.state as before, m.state as after
)
{GROUPED}
"""  # noqa: S608 - our own words

_MARKED = """
select id from messages
where id = any(%(ids)s::uuid[]) and id between %(first)s and %(last)s and state = 'dispatching'
  and work_id = (%(works)s::uuid[])[width_bucket(id, %(ids)s::uuid[])]
"""


def hold(session: Session, leases: Sequence[Lease]) -> set[UUID]:
    """Renew leases; answers the ids of those that go on: of the others the time is over or a gate has closed.

    A pause takes the gate's advisory lock exclusively; once it has committed, no lease can be held on.
    """
    gates = {str(lease.channel_gate_id) for lease in leases} | {
        str(lease.gate_id) for lease in leases if lease.gate_id is not None
    }
    run(session, _LOCK_GATES, gates=array_of(sorted(gates)))
    # A statement of its own: its snapshot is taken after the lock is held, so it sees a pause that came first.
    ordered = sorted(leases, key=attrgetter("id.int"))  # as PostgreSQL orders them
    rows = run(
        session,
        _RENEW,
        works=array_of(lease.id for lease in ordered),
        epochs=array_of(lease.epoch for lease in ordered),
        channel_gates=array_of(lease.channel_gate_id for lease in ordered),
        gates=array_of(lease.gate_id or "null" for lease in ordered),
        lease=LEASE_SECONDS,
    )
    return {row.id for row in rows}


def holders_of(session: Session, channel_id: UUID) -> int:
    """How many processes hold ranges of a channel now."""
    [row] = run(
        session,
        """select count(distinct holder) as n from due_sends
           where channel_id = %(channel)s and holder is not null and lease_until > now()""",
        channel=channel_id,
    )
    return int(row.n)


type Asked = tuple[str, int, str]


def mark(session: Session, asked: Sequence[Asked], steps: Steps) -> set[str]:
    """Say, before anything is called, that these are about to be: answers the ids of those that may go now.

    `asked` are queued messages with their attempts so far and the due work they belong to; each one's attempt is one
    more from here on. Their leases are held by this transaction (`hold`). What policy refuses is skipped here; what is
    no longer as it was asked for stays as it is.
    """
    ids, attempts, works = zip(*sorted(asked), strict=True)
    which = {"ids": array_of(ids), "works": array_of(works), "first": ids[0], "last": ids[-1]}
    rows = run(session, _MARK, attempts=array_of(attempts), **which)
    steps.add(rows)
    if sum(row.n for row in rows) < len(ids):
        return {str(row.id) for row in run(session, _MARKED, **which)}
    return set(ids) - {str(row.id) for row in rows if row.after == MessageState.SKIPPED}


# What is still queued is for whoever comes next. What stands as marked under this lease though its holder is through
# (a commit whose answer was lost) is for the recovery, which a lease that is over calls at once.
_LET_GO = """
with left_over as (
  select bool_or(m.state = 'queued') as queued, bool_or(m.state = 'dispatching' and m.work_id = d.id) as marked
  from due_sends d join messages m on m.tenant_id = d.tenant_id and m.id between d.first_id and d.last_id
    and m.gate_id is not distinct from d.gate_id and m.channel_id = d.channel_id
  where d.id = %(id)s and d.epoch = %(epoch)s and m.id between %(first)s and %(last)s
), gone as (
  delete from due_sends d using left_over l
  where d.id = %(id)s and d.epoch = %(epoch)s and not coalesce(l.queued, false) and not coalesce(l.marked, false)
)
update due_sends d set lease_until = case when l.marked then now() end, holder = case when l.marked then d.holder end,
  due_at = greatest(d.due_at, now() + make_interval(secs => %(wait)s))
from left_over l
where d.id = %(id)s and d.epoch = %(epoch)s and d.lease_until is not null and (l.queued or l.marked)
"""


def finish(session: Session, lease: Lease) -> None:
    """Delete a range all of whose messages have ended, as its holder knows for sure."""
    run(
        session,
        "delete from due_sends where id = %(id)s and epoch = %(epoch)s",
        id=lease.id,
        epoch=lease.epoch,
    )


def let_go(session: Session, lease: Lease, *, wait: float = 0.0) -> None:
    """Hand a range back: it goes when nothing of it is left, else it is due again, after `wait` seconds."""
    run(
        session,
        _LET_GO,
        id=lease.id,
        epoch=lease.epoch,
        first=lease.first_id,
        last=lease.last_id,
        wait=wait,
    )


def set_gate(session: Session, gate_id: UUID, *, is_open: bool, reason: str | None = None) -> None:
    """Open or close a gate; closing waits for marks that are being made, and after it none can commit."""
    run(session, "select pg_advisory_xact_lock(hashtextextended(%(gate)s, 0))", gate=str(gate_id))
    run(
        session,
        "update gates set is_open = %(open)s, reason = %(reason)s, generation = generation + 1 where id = %(gate)s",
        open=is_open,
        reason=reason,
        gate=gate_id,
    )
    if is_open:
        after_commit(session, lambda: ring("send"))


def is_due(session: Session) -> bool:
    """True when there is work that may be sent now; a cheap question on a system session."""
    return bool(
        run(
            session,
            """select 1 from due_sends d join channels c on c.tenant_id = d.tenant_id and c.id = d.channel_id
               join gates cg on cg.tenant_id = c.tenant_id and cg.id = c.gate_id and cg.is_open
               left join gates g on g.tenant_id = d.tenant_id and g.id = d.gate_id
               where d.due_at <= now() and d.lease_until is null and (d.gate_id is null or g.is_open)
                 and c.deleted_at is null
               limit 1""",
        )
    )
