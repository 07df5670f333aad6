"""How calls end: settle an answer, cancel what still waits; counted once, here.

An answer is fenced by the attempt it belongs to. What nobody can say is `unknown`: shown, settled later by the
provider's echo of the send key, never sent again by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from engine.core.db import apart, array_of, json_of, run
from engine.core.ids import uuid7
from engine.messaging import receipts
from engine.messaging.counters import GROUPED, Steps
from engine.messaging.ledger import Lease
from engine.messaging.models import MessageState

RANGES_AT_ONCE = 20  # of a gate that is cancelled, some 20,000 messages: the rest is the next turn of the job


# Not frozen, and its ids are text: there is one for each message.
@dataclass(slots=True)
class Verdict:
    """How one mark ended: the state it leads to, and for a requeue when to try again (seconds from now).

    `called` is False where no call was made of it; `uses_a_try` where it counts against the message's tries.
    """

    message_id: str
    attempt: int
    state: MessageState
    provider_id: str | None = None
    reason_code: str | None = None
    reason: Mapping[str, Any] | None = None
    retry_in: float = 0.0
    called: bool = True
    uses_a_try: bool = False


# Fenced by `attempt`: an answer settles only the call it belongs to, however late it comes. What was taken is told in
# few words and read back in groups: it is nearly all there is. No join with what is told: see the mark.
_ACCEPT = f"""
with moved as (
  update messages m set
    state = 'accepted', work_id = null, reason_code = null, reason = null, accepted_at = now(),
    provider_id = %(provider_ids)s::jsonb ->> width_bucket(m.id, %(ids)s::uuid[]) - 1
  where m.id = any(%(ids)s::uuid[]) and m.id between %(first)s and %(last)s and m.state in ('dispatching', 'unknown')
    and m.attempt = (%(attempts)s::int[])[width_bucket(m.id, %(ids)s::uuid[])]
  returning m.id, m.channel_id, m.gate_id, m.counted, m.conversation_id, m.provider_id,
            old.state as before, m.state as after
), known as (
  insert into provider_messages (channel_id, provider_id, message_id)
  select channel_id, provider_id, id from moved order by 1, 2
)
{GROUPED}
"""  # noqa: S608 - our own words
# A provider that gives an id for the second time is rare, and to look for it costs a third of the whole.
_ACCEPT_AGAIN = _ACCEPT.replace("order by 1, 2\n", "order by 1, 2 on conflict do nothing\n")

_SETTLE = """
update messages m set
  (state, reason_code, reason, failed_at, tries) = (
    select o ->> 'state', o ->> 'reason_code', nullif(o -> 'reason', 'null'),
           case when o ->> 'state' = 'failed' then now() else m.failed_at end, m.tries + (o ->> 'used')::int
    from (select %(outcomes)s::jsonb -> m.id::text as o) told),
  work_id = null
where m.id = any(%(ids)s::uuid[]) and m.id between %(first)s and %(last)s and m.state in ('dispatching', 'unknown')
  and m.attempt = (%(outcomes)s::jsonb -> m.id::text ->> 'attempt')::int
returning m.id, m.channel_id, m.gate_id, m.counted, m.conversation_id, old.state as before, m.state as after,
          1 as n, now() as at
"""

# Rows are locked in the order of their ids, as receipts lock them: whoever comes second waits, and nobody deadlocks.
_LOCK = """
select from messages where id = any(%(ids)s::uuid[]) and id between %(first)s and %(last)s
order by id for no key update
"""

_ATTEMPTS = """
insert into send_attempts (id, message_id, attempt, called_at, verdict, reason_code, reason)
select uuidv7(), m.id, m.attempt, m.called_at, o ->> 'state', o ->> 'reason_code', nullif(o -> 'reason', 'null')
from messages m cross join lateral (select %(outcomes)s::jsonb -> m.id::text as o) told
where m.id = any(%(ids)s::uuid[]) and m.id between %(first)s and %(last)s
"""


type Ended = tuple[Lease, Verdict]


def settle(session: Session, ended: Sequence[Ended], steps: Steps) -> None:
    """Write down how calls ended; what was refused for now is queued again at its time."""
    ordered = sorted(ended, key=_message_id)
    taken = [one for one in ordered if one[1].state is MessageState.ACCEPTED]
    others = [one for one in ordered if one[1].state is not MessageState.ACCEPTED]
    if taken and others:
        # Two statements follow, each in its own order: so the order of all is settled first.
        run(session, _LOCK, **_which(ordered))
    if taken:
        _accept(session, taken, steps)
    if others:
        _settle_others(session, others, steps)


def _message_id(ended: Ended) -> str:
    return ended[1].message_id


def _accept(session: Session, taken: Sequence[Ended], steps: Steps) -> None:
    values = _which(taken) | {
        "attempts": array_of(verdict.attempt for _, verdict in taken),
        "provider_ids": json_of([verdict.provider_id for _, verdict in taken]),
    }
    try:
        with apart(session):
            rows = run(session, _ACCEPT, **values)
    except IntegrityError:
        rows = run(session, _ACCEPT_AGAIN, **values)
    steps.add(rows)
    # The provider's words that were quicker than our own record of the send, and did not name our key.
    if not receipts.any_parked(session):
        return
    known = [(lease.channel_id, verdict.provider_id or "") for lease, verdict in taken]
    for channel_id, waited in sorted(receipts.claim_parked(session, known).items()):
        receipts.apply_receipts(session, channel_id, waited, steps)


def _settle_others(session: Session, ended: Sequence[Ended], steps: Steps) -> None:
    outcomes = json_of({verdict.message_id: _outcome(verdict) for _, verdict in ended})
    rows = run(session, _SETTLE, outcomes=outcomes, **_which(ended))
    steps.add(rows)
    settled = {str(row.id) for row in rows}
    ours = [one for one in ended if one[1].message_id in settled]
    by_lease: dict[Lease, list[Verdict]] = {}
    for lease, verdict in ours:
        by_lease.setdefault(lease, []).append(verdict)
    for lease, some in by_lease.items():
        _queue_again(session, lease, some)
    called = [one for one in ours if one[1].called]
    if called:
        run(session, _ATTEMPTS, outcomes=outcomes, **_which(called))


def _queue_again(session: Session, lease: Lease, verdicts: Sequence[Verdict]) -> None:
    """Due work for what goes back to the queue, one row per moment (a range may hold others: a mark looks at states)."""
    by_moment: dict[int, list[str]] = {}
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


def _which(ended: Sequence[Ended]) -> dict[str, str]:
    """The messages of a statement; `ended` is in the order of their ids."""
    ids = [verdict.message_id for _, verdict in ended]
    return {"ids": array_of(ids), "first": ids[0], "last": ids[-1]}


def _outcome(verdict: Verdict) -> dict[str, Any]:
    return {
        "attempt": verdict.attempt,
        "state": verdict.state,
        "reason_code": verdict.reason_code,
        "reason": verdict.reason,
        "used": int(verdict.uses_a_try),
    }


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
