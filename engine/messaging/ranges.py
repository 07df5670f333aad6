"""A leased range as a dispatcher holds it, and the messages of it that are marked."""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.orm import Session

from engine.core.db import Work
from engine.core.errors import Misconfigured
from engine.messaging import daily_limit, ledger
from engine.messaging.ledger import Due, Lease
from engine.messaging.lines import Line
from engine.messaging.models import Lane, MessageState
from engine.messaging.settlement import Verdict

# Seconds until an account whose limit is reached is looked at again: it may rise.
LEAST_WAIT, LONGEST_WAIT = 5.0, 300.0


@dataclass(slots=True)
class Range:
    """A leased range in this process: what waits, what is marked, how many calls are under way, what has ended."""

    lease: Lease
    work: Work
    line: Line
    waiting: deque[Due]
    marked: deque["Call"] = field(default_factory=deque)
    under_way: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    dropped: bool = False
    # All its turns were heard to commit and did all they asked for: nothing of it is left unseen.
    is_certain: bool = True
    wait: float = 0.0  # seconds until what is left of it is due again
    stop_for: Misconfigured | None = None
    marked_at: float = field(default_factory=time.monotonic)
    held_since: float = field(default_factory=time.monotonic)

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""
        return self.lease.tenant_id

    @property
    def is_bulk(self) -> bool:
        """True for what replies overtake."""
        return self.lease.lane > Lane.REPLY

    @property
    def is_spent(self) -> bool:
        """True when nothing of it is left in this process."""
        return (
            not self.under_way
            and not self.marked
            and not self.verdicts
            and self.stop_for is None
            and (self.dropped or not self.waiting)
        )

    def drop(self) -> None:
        """Mark no more of it; what is marked and was not called goes back to the queue."""
        self.dropped = True
        while self.marked:
            self.withdraw(self.marked.popleft())

    def withdraw(self, call: "Call") -> None:
        """Back to the queue: it was never called."""
        self.line.unused(1)
        self.verdicts.append(Verdict(call.due.id, call.attempt, MessageState.QUEUED, called=False))


# Not frozen: there is one for each message, and a frozen one takes several times as long to make.
@dataclass(slots=True)
class Call:
    """A message that is marked: it may be called until `until` on this process's clock; `slot` is in the wire book."""

    range: Range
    due: Due
    attempt: int
    until: float
    slot: int = -1


def slept_on(held: Range, now: float) -> bool:
    """True when a range has waited so long for tokens that its lease might end: another turn will take it again."""
    return now - held.marked_at > ledger.LEASE_SECONDS / 3


def by_company[Held: (Lease, Range)](those: Iterable[Held]) -> Iterable[list[Held]]:
    """Those of each company together: one transaction is enough for them."""
    found: dict[UUID, list[Held]] = {}
    for one in those:
        found.setdefault(one.tenant_id, []).append(one)
    return found.values()


def within_limit(session: Session, held: Range, rows: list[Due]) -> list[Due]:
    """Those of a range that their account may begin to write to today; the others wait for another lease of it."""
    line = held.line
    beginning = [due for due in rows if due.kind == "template"]
    if line.limit is None or not beginning:
        return rows
    refused, budget = daily_limit.take(
        session, line.portfolio, line.limit, [due.address for due in beginning]
    )
    if not refused:
        return rows
    wait = min(max(budget.wait, LEAST_WAIT), LONGEST_WAIT)
    line.spent_until = time.monotonic() + wait
    return put_off(held, rows, {due.id: wait for due in beginning if due.address in refused})


def put_off(held: Range, rows: list[Due], waits: Mapping[str, float]) -> list[Due]:
    """Leave some of the first that wait in a range to a later lease; answers with the others, which go on in front."""
    if not waits:
        return rows
    held.wait = max(held.wait, *waits.values())
    held.line.unused(len(waits))
    others = [due for due in rows if due.id not in waits]
    for _ in rows:
        held.waiting.popleft()
    held.waiting.extendleft(reversed(others))
    return others
