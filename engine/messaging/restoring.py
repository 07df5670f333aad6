"""After a restore: what was due when the backup was made may have been sent since, and nobody here can say.

A database that was set back to an earlier time knows nothing of the calls after it. All that it holds as queued or
under way becomes `unknown`, and its due work goes: it is never sent by itself again. The provider's statuses that still
come name our key and settle it (`receipts.py`). Leases go with the due work, so no wire book is believed any more: what
a book does not hold was perhaps called, answered and settled in the database that is lost.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from engine.core.db import Work, run
from engine.messaging.counters import GROUPED, Steps
from engine.messaging.models import MessageState

RESTORED = "restored"  # the reason of such a message (engine/messaging/failures.py)
RANGES_AT_ONCE = 20  # some 10,000 messages in one transaction

_RANGES = """
select id, channel_id, gate_id, first_id, last_id, gate_id = any(%(spared)s) as is_spared
from due_sends where id > %(after)s order by id limit %(limit)s for update
"""

# A mark comes before a call: what is queued gets the attempt that it may have had, so that a status settles it.
_DOUBT = f"""
with moved as (
  update messages m set state = 'unknown', reason_code = '{RESTORED}', reason = null, work_id = null,
    attempt = m.attempt + case m.state when 'queued' then 1 else 0 end
  where m.id between %(first)s and %(last)s and m.channel_id = %(channel)s and m.gate_id is not distinct from %(gate)s
    and m.direction = 'out' and (m.state = 'dispatching' or m.state = 'queued' and not %(is_spared)s)
  returning m.id, m.channel_id, m.gate_id, m.counted, m.conversation_id, old.state as before, m.state as after
)
{GROUPED}
"""  # noqa: S608 - our own words

_CLEAR = "delete from due_sends where id = any(%(ids)s)"
_FREE = "update due_sends set lease_until = null, holder = null, epoch = epoch + 1 where id = any(%(ids)s)"


def doubt(work: Work, *, spared: Collection[UUID] = ()) -> int:
    """Make all that is due of a company unknown; answers how many messages. Nothing of it is sent by itself again.

    What is queued behind the `spared` gates stays queued: they had closed for good, so it was never sent.
    """
    doubted, after = 0, UUID(int=0)
    while True:
        with work.session() as session:
            rows = run(session, _RANGES, after=after, limit=RANGES_AT_ONCE, spared=list(spared))
            doubted += _doubt_ranges(session, rows)
        if len(rows) < RANGES_AT_ONCE:
            return doubted
        after = rows[-1].id


def _doubt_ranges(session: Session, ranges: Collection[Row[Any]]) -> int:
    steps, doubted = Steps(), 0
    for due in ranges:
        rows = run(
            session,
            _DOUBT,
            first=due.first_id,
            last=due.last_id,
            channel=due.channel_id,
            gate=due.gate_id,
            is_spared=bool(due.is_spared),
        )
        steps.add(rows)
        doubted += sum(row.n for row in rows)
    run(session, _CLEAR, ids=[due.id for due in ranges if not due.is_spared])
    run(session, _FREE, ids=[due.id for due in ranges if due.is_spared])
    steps.write(session)
    return doubted


def count_doubted(
    session: Session, gate_id: UUID, amount: int, *, instead_of: MessageState | None = None
) -> None:
    """Count new messages of a gate that are unknown from the start; `instead_of` is the state of those they replace."""
    if not amount:
        return
    steps = Steps()
    steps.tallies[gate_id, MessageState.UNKNOWN] += amount
    if instead_of is not None:
        steps.tallies[gate_id, instead_of] -= amount
    steps.write(session)
