"""Taking over from a process that is gone: what it had answers for is settled, what it never called is queued again.

Its wire book says which calls it had begun. Those without an answer are `unknown`, and they alone; where nobody can
read the book (another machine's, another boot's), all that was marked is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from engine.core.bells import ring
from engine.core.db import after_commit, run
from engine.messaging import wirebook
from engine.messaging.counters import GROUPED, Steps
from engine.messaging.ledger import Lease, let_go
from engine.messaging.models import MessageState
from engine.messaging.settlement import Verdict, settle
from engine.messaging.wirebook import Begun

FOR_ITS_OWN = timedelta(
    minutes=1
)  # how much longer a range waits for a worker that can read its holder's book

# A lease is for those who may be alive somewhere. Of who died on this machine nothing more comes: no need to wait.
_GONE = "(d.lease_until < now() or d.lease_until is not null and d.holder = any(%(died)s))"

_EXPIRED = f"""
select tenant_id, id from due_sends d where {_GONE} order by tenant_id, id limit 200 for update skip locked
"""  # noqa: S608 - our own words

_LEFT = "select 1 from due_sends where lease_until is not null and holder = any(%(books)s) limit 1"

_TAKE = f"""
select d.tenant_id, d.id, d.channel_id, d.gate_id, c.gate_id as channel_gate_id, c.rate_per_second, d.lane,
       d.first_id, d.last_id, d.epoch, d.holder, d.lease_until < now() - %(patience)s as waited_long
from due_sends d join channels c on c.id = d.channel_id
where d.id = any(%(works)s) and {_GONE}
order by d.id for update of d skip locked
"""  # noqa: S608 - our own words

_MARKED = """
select id::text from messages
where id between %(first)s and %(last)s and work_id = %(work)s and state = 'dispatching'
order by id for no key update
"""

_HAND_BACK = f"""
with moved as (
  update messages m set work_id = null,
    state = case when %(all)s or m.id = any(%(begun)s::uuid[]) then 'unknown' else 'queued' end,
    reason_code = case when %(all)s or m.id = any(%(begun)s::uuid[]) then 'ambiguous' end, reason = null
  where m.id between %(first)s and %(last)s and m.work_id = %(work)s and m.state = 'dispatching'
  returning m.id, m.channel_id, m.gate_id, m.counted, m.conversation_id, old.state as before, m.state as after
)
{GROUPED}
"""  # noqa: S608 - our own words

# The epoch goes up: should the holder only have been frozen, it can neither finish nor release what is no longer its.
_FREE = "update due_sends set epoch = epoch + 1 where id = %(id)s"


def expired(session: Session) -> Mapping[UUID, list[UUID]]:
    """Due work whose holder is gone, by tenant; takes a system session."""
    found: dict[UUID, list[UUID]] = {}
    for row in run(session, _EXPIRED, died=wirebook.died_here()):
        found.setdefault(row.tenant_id, []).append(row.id)
    return found


def is_left_here(session: Session) -> bool:
    """Whether somebody died on this machine, where alone their book can be read; takes a system session."""
    books = wirebook.died_here()
    return bool(books) and bool(run(session, _LEFT, books=books))


def recover(session: Session, works: Sequence[UUID]) -> int:
    """Take ranges over from holders that are gone; answers how many messages became unknown. They are never resent."""
    books: dict[str, list[Begun] | None] = {}
    steps, unknown = Steps(), 0
    for row in run(session, _TAKE, works=list(works), patience=FOR_ITS_OWN, died=wirebook.died_here()):
        if row.holder not in books:
            books[row.holder] = wirebook.read_book(row.holder or "")
        if books[row.holder] is not None or row.waited_long:
            unknown += _take_over(session, row, books[row.holder], steps)
    steps.write(session)
    after_commit(session, lambda: ring("send"))
    return unknown


def _take_over(session: Session, row: Row[Any], begun: Sequence[Begun] | None, steps: Steps) -> int:
    """One range of a holder that is gone; answers how many of its messages became unknown."""
    lease = Lease(*list(row)[:10])
    marked = {
        message.id
        for message in run(session, _MARKED, first=lease.first_id, last=lease.last_id, work=lease.id)
    }
    # A process sends for many companies and campaigns, whose ids lie between each other.
    own = [call for call in begun or () if call.message_id in marked]
    settle(session, [(lease, _verdict_of(call, call.answer)) for call in own if call.answer], steps)
    rows = run(
        session,
        _HAND_BACK,
        all=begun is None,
        begun=[call.message_id for call in own],
        first=lease.first_id,
        last=lease.last_id,
        work=lease.id,
    )
    steps.add(rows)
    run(session, _FREE, id=lease.id)
    let_go(session, replace(lease, epoch=lease.epoch + 1))
    return sum(row.n for row in rows if row.after == MessageState.UNKNOWN)


def answer_of(verdict: Verdict) -> dict[str, Any]:
    """A verdict as the wire book keeps it; of what was taken there is nothing more to say."""
    if verdict.state is MessageState.ACCEPTED:
        return {"state": verdict.state, "provider_id": verdict.provider_id}
    return {
        "state": verdict.state,
        "provider_id": verdict.provider_id,
        "reason_code": verdict.reason_code,
        "retry_in": verdict.retry_in,
        "uses_a_try": verdict.uses_a_try,
    }


def _verdict_of(call: Begun, answer: Mapping[str, Any]) -> Verdict:
    return Verdict(
        call.message_id,
        call.attempt,
        MessageState(answer["state"]),
        provider_id=answer["provider_id"],
        reason_code=answer.get("reason_code"),
        retry_in=answer.get("retry_in", 0.0),
        uses_a_try=answer.get("uses_a_try", False),
    )


def clear_books(session: Session) -> None:
    """Delete the books of processes that are gone and hold nothing any more; takes a system session."""
    orphans = wirebook.books_of_the_dead()
    if orphans:
        rows = run(
            session, "select distinct holder from due_sends where holder = any(%(names)s)", names=orphans
        )
        for name in set(orphans) - {row.holder for row in rows}:
            wirebook.burn(name)
