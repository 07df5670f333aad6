"""How calls end: settle an answer, cancel what still waits; counted once, here.

An answer is fenced by the attempt it belongs to. What nobody can say is `unknown`: shown, settled later by the
provider's echo of the send key, never sent again by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from engine.core.db import array_of, run
from engine.core.ids import uuid7
from engine.messaging import receipts
from engine.messaging.counters import GROUPED, Steps
from engine.messaging.ledger import Lease
from engine.messaging.models import MessageState

RANGES_AT_ONCE = 40  # of a gate that is cancelled, some 20,000 messages: the rest is the next turn of the job


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one mark ended: the state it leads to, and for a requeue when to try again (seconds from now).

    `called` is False where no call was made of it; `uses_a_try` where it counts against the message's tries.
    """

    message_id: UUID
    attempt: int
    state: MessageState
    provider_id: str | None = None
    reason_code: str | None = None
    reason: Mapping[str, Any] | None = None
    retry_in: float = 0.0
    called: bool = True
    uses_a_try: bool = False


# Fenced by `attempt`: an answer settles only the call it belongs to, however late it comes. What was taken is told in
# three plain columns and read back in groups: it is nearly all there is.
_ACCEPT = f"""
with moved as (
  update messages m set
    state = 'accepted', work_id = null, reason_code = null, reason = null, provider_id = said.provider_id,
    accepted_at = now()
  from unnest(%(ids)s::uuid[], %(attempts)s::int[], string_to_array(%(provider_ids)s, chr(10)))
       as said(id, attempt, provider_id)
  where m.id = said.id and m.id >= %(first)s and m.attempt = said.attempt
    and m.state in ('dispatching', 'unknown')
  returning m.id, m.channel_id, m.gate_id, m.counted, m.conversation_id, m.provider_id,
            old.state as before, m.state as after
), known as (
  insert into provider_messages (channel_id, provider_id, message_id)
  select channel_id, provider_id, id from moved order by 1, 2 on conflict do nothing
)
{GROUPED}
"""  # noqa: S608 - our own words

_SETTLE = """
update messages m set
  state = o.state, work_id = null, reason_code = o.reason_code, reason = o.reason,
  failed_at = case when o.state = 'failed' then now() else m.failed_at end, tries = m.tries + o.used
from jsonb_to_recordset(%(outcomes)s::jsonb)
     as o(id uuid, attempt int, state text, reason_code text, reason jsonb, used int)
where m.id = o.id and m.id between %(first)s and %(last)s and m.attempt = o.attempt
  and m.state in ('dispatching', 'unknown')
returning m.id, m.channel_id, m.gate_id, m.counted, m.conversation_id, old.state as before, m.state as after,
          1 as n, now() as at
"""

# Rows are locked in the order of their ids, as receipts lock them: whoever comes second waits, and nobody deadlocks.
_LOCK = """
select from messages where id = any(%(ids)s) and id between %(first)s and %(last)s order by id for no key update
"""

_ATTEMPTS = """
insert into send_attempts (id, message_id, attempt, called_at, verdict, reason_code, reason)
select uuidv7(), o.id, o.attempt, m.called_at, o.state, o.reason_code, o.reason
from jsonb_to_recordset(%(outcomes)s::jsonb) as o(id uuid, attempt int, state text, reason_code text, reason jsonb)
join messages m on m.id = o.id and m.id between %(first)s and %(last)s
"""


type Ended = tuple[Lease, Verdict]


def settle(session: Session, ended: Sequence[Ended], steps: Steps) -> None:
    """Write down how calls ended; what was refused for now is queued again at its time."""
    ordered = sorted(ended, key=_message_id)
    taken = [one for one in ordered if one[1].state is MessageState.ACCEPTED]
    others = [one for one in ordered if one[1].state is not MessageState.ACCEPTED]
    if taken and others:
        # Two statements follow, each in its own order: so the order of all is settled first.
        ids = [verdict.message_id for _, verdict in ordered]
        run(session, _LOCK, ids=ids, first=ids[0], last=ids[-1])
    if taken:
        _accept(session, taken, steps)
    if others:
        _settle_others(session, others, steps)


def _message_id(ended: Ended) -> int:
    return ended[1].message_id.int  # as PostgreSQL orders them


def _accept(session: Session, taken: Sequence[Ended], steps: Steps) -> None:
    rows = run(
        session,
        _ACCEPT,
        ids=array_of(verdict.message_id for _, verdict in taken),
        attempts=array_of(verdict.attempt for _, verdict in taken),
        provider_ids="\n".join(verdict.provider_id or "" for _, verdict in taken),
        first=taken[0][1].message_id,
        last=taken[-1][1].message_id,
    )
    steps.add(rows)
    # The provider's words that were quicker than our own record of the send, and did not name our key.
    known = [(lease.channel_id, verdict.provider_id or "") for lease, verdict in taken]
    for channel_id, waited in sorted(receipts.claim_parked(session, known).items()):
        receipts.apply_receipts(session, channel_id, waited, steps)


def _settle_others(session: Session, ended: Sequence[Ended], steps: Steps) -> None:
    verdicts = [verdict for _, verdict in ended]
    span = {"first": verdicts[0].message_id, "last": verdicts[-1].message_id}
    rows = run(session, _SETTLE, outcomes=_wire_of(verdicts), **span)
    steps.add(rows)
    settled = {row.id for row in rows}
    ours = [one for one in ended if one[1].message_id in settled]
    by_lease: dict[Lease, list[Verdict]] = {}
    for lease, verdict in ours:
        by_lease.setdefault(lease, []).append(verdict)
    for lease, some in by_lease.items():
        _queue_again(session, lease, some)
    called = [verdict for _, verdict in ours if verdict.called]
    if called:
        run(session, _ATTEMPTS, outcomes=_wire_of(called), **span)


def _queue_again(session: Session, lease: Lease, verdicts: Sequence[Verdict]) -> None:
    """Due work for what goes back to the queue, one row per moment (a range may hold others: a mark looks at states)."""
    by_moment: dict[int, list[UUID]] = {}
    for verdict in verdicts:
        if verdict.state is MessageState.QUEUED:
            by_moment.setdefault(round(verdict.retry_in * 4), []).append(verdict.message_id)
    for quarters, ids in by_moment.items():
        run(
            session,
            """insert into due_sends (id, channel_id, gate_id, lane, due_at, first_id, last_id, amount)
               values (%(id)s, %(channel)s, %(gate)s, %(lane)s, now() + make_interval(secs => %(wait)s),
                       %(first)s, %(last)s, %(amount)s)""",
            id=uuid7(),
            channel=lease.channel_id,
            gate=lease.gate_id,
            lane=lease.lane,
            wait=quarters / 4,
            first=min(ids),
            last=max(ids),
            amount=len(ids),
        )


def _wire_of(verdicts: Sequence[Verdict]) -> str:
    """Verdicts as one JSON text."""
    return orjson.dumps(
        [
            {
                "id": verdict.message_id,
                "attempt": verdict.attempt,
                "state": verdict.state,
                "reason_code": verdict.reason_code,
                "reason": verdict.reason,
                "used": int(verdict.uses_a_try),
            }
            for verdict in verdicts
        ]
    ).decode()


_RANGES_OF_GATE = """
select id, first_id, last_id from due_sends where gate_id = %(gate)s order by id limit %(most)s
"""

_CANCEL = """
with gone as (
  update messages m set state = 'cancelled'
  where m.gate_id = %(gate)s and m.id between %(first)s and %(last)s and m.state = 'queued' returning m.counted)
select count(*) as n, count(*) filter (where counted) as counted from gone
"""


def cancel_queued(session: Session, gate_id: UUID, *, most: int = RANGES_AT_ONCE) -> int:
    """Cancel what a closed gate still holds back, so many ranges of it at most; answers how many messages.

    Under a lease the mark finds nothing queued; the range goes with its holder. Nothing of it stands in a thread yet.
    """
    cancelled, counted = 0, 0
    for due in run(session, _RANGES_OF_GATE, gate=gate_id, most=most):
        found = run(session, _CANCEL, gate=gate_id, first=due.first_id, last=due.last_id)[0]
        cancelled, counted = cancelled + found.n, counted + found.counted
        run(session, "delete from due_sends where id = %(id)s and lease_until is null", id=due.id)
    steps = Steps()
    steps.tallies[gate_id, MessageState.QUEUED] -= counted
    steps.tallies[gate_id, MessageState.CANCELLED] += counted
    steps.write(session)
    return cancelled
