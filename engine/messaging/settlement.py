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

from engine.core.db import run
from engine.core.ids import uuid7
from engine.messaging import receipts
from engine.messaging.counters import Steps
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


# Fenced by `attempt`: an answer settles only the call it belongs to, however late it comes.
_SETTLE = """
update messages m set
  state = o.state, work_id = null, reason_code = o.reason_code, reason = o.reason,
  provider_id = coalesce(o.provider_id, m.provider_id),
  accepted_at = case when o.state = 'accepted' then now() else m.accepted_at end,
  failed_at = case when o.state = 'failed' then now() else m.failed_at end, tries = m.tries + o.used
from jsonb_to_recordset(%(outcomes)s::jsonb)
     as o(id uuid, attempt int, state text, provider_id text, reason_code text, reason jsonb, used int)
where m.id = o.id and m.id between %(first)s and %(last)s and m.attempt = o.attempt
  and m.state in ('dispatching', 'unknown')
returning m.id, m.channel_id, m.gate_id, m.counted, m.conversation_id, m.called_at, m.attempt,
          old.state as before, m.state as after, now() as at
"""

_KNOW = """
insert into provider_messages (channel_id, provider_id, message_id)
select %(channel)s, o.provider_id, o.id
from jsonb_to_recordset(%(outcomes)s::jsonb) as o(id uuid, provider_id text) order by 1, 2
on conflict do nothing
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


def settle(session: Session, lease: Lease, verdicts: Sequence[Verdict], steps: Steps) -> None:
    """Write down how calls ended; what was refused for now is queued again at its time."""
    if not verdicts:
        return
    ids = sorted(verdict.message_id for verdict in verdicts)
    span = {"first": ids[0], "last": ids[-1]}
    run(session, _LOCK, ids=ids, **span)
    rows = run(session, _SETTLE, outcomes=_wire_of(verdicts), **span)
    settled = {row.id for row in rows}
    ours = [verdict for verdict in verdicts if verdict.message_id in settled]
    accepted = [verdict for verdict in ours if verdict.provider_id is not None]
    if accepted:
        run(session, _KNOW, channel=lease.channel_id, outcomes=_wire_of(accepted))
    _queue_again(session, lease, ours)
    _keep_attempts(session, ours, span)
    steps.add(rows)
    _hear_what_waited(session, lease.channel_id, accepted, steps)


def _hear_what_waited(session: Session, channel_id: UUID, accepted: Sequence[Verdict], steps: Steps) -> None:
    """Apply the provider's words that were quicker than our own record of the send and did not name our key."""
    provider_ids = [verdict.provider_id for verdict in accepted if verdict.provider_id is not None]
    waited = receipts.claim_parked(session, channel_id, provider_ids) if provider_ids else []
    if waited:
        receipts.apply_receipts(session, channel_id, waited, steps)


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


def _keep_attempts(session: Session, verdicts: Sequence[Verdict], span: Mapping[str, UUID]) -> None:
    kept = [verdict for verdict in verdicts if verdict.called and verdict.state is not MessageState.ACCEPTED]
    if kept:
        run(session, _ATTEMPTS, outcomes=_wire_of(kept), **span)


def _wire_of(verdicts: Sequence[Verdict]) -> str:
    """Verdicts as one JSON text: a fifth of what the driver spends on as many arrays."""
    return orjson.dumps(
        [
            {
                "id": verdict.message_id,
                "attempt": verdict.attempt,
                "state": verdict.state,
                "provider_id": verdict.provider_id,
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
