"""Claim, mark, act, settle: the one place that sends.

A dispatcher leases ranges of due work, marks groups of what enters the wire next, calls with no transaction open, and
settles outcomes in batches. What it has begun stands in its wire book, so that a process that is killed leaves unknown
no more than the calls that were in flight. How and why: docs/architecture.md, docs/decisions.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol
from uuid import UUID

from engine.core.db import OF_BATCHES, Work
from engine.core.errors import (
    Ambiguous,
    DatabaseAway,
    DecryptionFailed,
    Misconfigured,
    NotTaken,
    ProviderError,
    Refused,
    Throttled,
)
from engine.core.http import Failure, HttpResponse, Wire
from engine.core.ids import TenantId
from engine.core.log import logger
from engine.core.metrics import SENDS
from engine.core.system import system_session
from engine.messaging import ledger
from engine.messaging.counters import Steps
from engine.messaging.ledger import Due, Lease
from engine.messaging.lines import Line
from engine.messaging.models import Lane, MessageState
from engine.messaging.recovery import answer_of
from engine.messaging.settlement import Verdict, settle
from engine.messaging.stops import stop_channel, stop_gate
from engine.messaging.wirebook import WireBook

WIDTH = 256  # calls under way at once in this process
LINE_WIDTH = 128  # of which one channel has at most so many: 1,000 a second at 120 ms
FOR_REPLIES = 16  # of which bulk never takes the last
GROUP = 512  # messages of a channel that are marked and not yet called
RANGES = 12  # ranges held at once: as many channels share this process
CLAIM_EVERY = 0.05
TURN_EVERY = 0.2  # seconds between two turns of a company's bulk: outcomes are written, groups are marked
SETTLE_AT = 384  # outcomes that do not wait for the next turn: the wire book has room for some more
# From its mark a message may be called for so long. A process that stood still does not call: a pause may have come
# between, or its lease been taken over. It is a small part of the lease, so that no two processes call one message.
FROZEN_AFTER = 5.0
COLLECT = 0.02  # how long to wait for the first of the calls to end
IDLE = 0.005  # how long to wait for tokens when nothing is under way
MAX_TRIES = 8
LONGEST_WAIT = 1800.0

log = logger(__name__)


class Flag(Protocol):
    """What tells a dispatcher to start nothing new."""

    def is_set(self) -> bool:
        """True once it should end."""


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


class Dispatcher:
    """Sends what is due, for as long as it is told, on one thread."""

    def __init__(self, *, width: int = WIDTH, stop: Flag | None = None) -> None:
        self.calls = 0
        self._wire = Wire(width)
        self._book = WireBook()
        self._stop: Flag = stop or threading.Event()
        self._ranges: list[Range] = []
        self._lines: dict[UUID, Line] = {}
        self._claimed_at = 0.0
        self._turns = 0
        self._next_turn: dict[UUID, float] = {}

    def run(self, seconds: float) -> int:
        """Send until nothing is due or the time is over, then let what is under way end; answers the calls made."""
        until = time.monotonic() + seconds
        before = self.calls
        while True:
            closing = self._stop.is_set() or time.monotonic() >= until
            try:
                nothing_came = closing or self._claim() == 0
                self._turn(closing)
                self._act()
            except DatabaseAway:
                # Outcomes are kept and written when it is back; until then nothing new is marked.
                log.warning("dispatch.database_away", under_way=self._wire.under_way)
                time.sleep(0.3)
                nothing_came = False
            if not self._ranges and nothing_came:
                return self.calls - before
            self._collect()

    def close(self) -> None:
        """Close the connections and the book."""
        self._wire.close()
        self._book.close()

    def _claim(self) -> int | None:
        """Lease more ranges when it is time; answers how many came, None when nobody was asked."""
        now = time.monotonic()
        waiting: Counter[UUID] = Counter()
        for held in self._ranges:
            if not held.dropped:
                waiting[held.line.id] += len(held.waiting)
        often = CLAIM_EVERY if self._ranges else 0.0
        if now - self._claimed_at < often or len(self._ranges) >= RANGES:
            return None
        self._claimed_at = now
        busy = {line for line, amount in waiting.items() if amount > GROUP}
        resting = {line.id for line in self._lines.values() if line.resting_until > now}
        with system_session() as session:
            leases = ledger.claim(
                session,
                holder=self._book.name,
                wanted=RANGES - len(self._ranges),
                busy=[*busy],
                resting=[*resting],
            )
        for lease in leases:
            self._open(lease)
        return len(leases)

    def _open(self, lease: Lease) -> None:
        work = Work(TenantId(lease.tenant_id), OF_BATCHES)
        try:
            with work.session() as session:
                line = self._lines.setdefault(lease.channel_id, Line(lease.channel_id))
                line.read(session)
                rows = ledger.queued_of(session, lease)
                line.learn(session, {row.snapshot_id for row in rows if row.snapshot_id is not None})
        except DecryptionFailed as error:
            # Its messages stay queued behind its closed gate; the other channels go on.
            stop_channel(work, lease.channel_id, Misconfigured("secret_unreadable", detail=str(error)))
            with work.session() as session:
                ledger.let_go(session, lease)
            return
        self._ranges.append(Range(lease, work, line, deque(rows)))

    def _turn(self, closing: bool) -> None:
        """Settle what has ended and mark what may go next, one short transaction for each range that has either."""
        self._turns += 1
        now = time.monotonic()
        for held in self._ranges:
            if held.stop_for is not None:
                self._close_gate(held, held.stop_for)
                held.stop_for = None
        rests = not self._wire.under_way
        crowded = sum(len(held.verdicts) for held in self._ranges) >= SETTLE_AT
        turns: dict[UUID, list[tuple[Range, int]]] = {}
        for held in self._in_turn():
            if closing or _slept_on(held, now):
                held.drop()
            # A turn is a commit: bulk waits for the next one of its company, which takes all that has come together.
            if (
                held.is_bulk
                and not (closing or rests or crowded)
                and now < self._next_turn.get(held.lease.tenant_id, 0.0)
            ):
                continue
            amount = 0 if held.dropped else self._share(held)
            # What is marked looks at its gate in each turn, so that a pause is soon a pause.
            if amount or held.verdicts or held.marked:
                turns.setdefault(held.lease.tenant_id, []).append((held, amount))
        for tenant_id, parts in turns.items():
            self._next_turn[tenant_id] = now + TURN_EVERY
            self._advance(parts)
        for held in [held for held in self._ranges if held.is_spent]:
            self._let_go(held)

    def _in_turn(self) -> list[Range]:
        """Replies first; among equals each turn begins with another."""
        start = self._turns % max(len(self._ranges), 1)
        return sorted([*self._ranges[start:], *self._ranges[:start]], key=lambda held: held.lease.lane)

    def _share(self, held: Range) -> int:
        """How many messages of this range are to be marked now, within its channel's rate."""
        if not held.waiting:
            return 0
        siblings = [
            other
            for other in self._ranges
            if other.line.id == held.line.id and other.lease.lane <= held.lease.lane
        ]
        # A channel marks from one range at a time: larger groups, fewer commits.
        if next(other for other in siblings if other.waiting and not other.dropped) is not held:
            return 0
        group = min(GROUP, 4 * self._wire.width)
        room = group - sum(len(other.marked) for other in siblings)
        wanted = min(room, len(held.waiting), self._book.room)
        return held.line.tokens(wanted, at_once=not held.is_bulk)

    def _advance(self, parts: Sequence[tuple[Range, int]]) -> None:
        """Settle what has ended and mark what may go next, of some ranges of one company in one transaction."""
        going = [(held, self._in_time(held, list(islice(held.waiting, amount)))) for held, amount in parts]
        ended = [(held.lease, verdict) for held, _ in parts for verdict in held.verdicts]
        began = time.monotonic()
        try:
            with parts[0][0].work.session() as session:
                steps = Steps()
                settle(session, ended, steps)
                for held, _ in parts:
                    if any(verdict.state is MessageState.ACCEPTED for verdict in held.verdicts):
                        held.line.note_sent(session)
                asking = [held.lease for held, rows in going if rows or held.marked]
                kept = ledger.hold(session, asking) if asking else set()
                asked = [
                    (due.id, due.attempt, held.lease.id)
                    for held, rows in going
                    if held.lease.id in kept
                    for due in rows
                ]
                marked = ledger.mark(session, asked, steps) if asked else set()
                steps.write(session)
        except BaseException:
            # Verdicts are kept until they are written; a mark whose commit got through is found by `let_go`.
            for held, rows in going:
                held.line.unused(len(rows))
                held.is_certain = False
            raise
        for held, rows in going:
            self._written(held)
            calls = [
                Call(held, due, due.attempt + 1, began + FROZEN_AFTER) for due in rows if due.id in marked
            ]
            if len(calls) < len(rows):
                held.is_certain = False  # skipped, or no longer as it was read: `let_go` looks
                held.line.unused(len(rows) - len(calls))
            if (rows or held.marked) and held.lease.id not in kept:
                held.drop()
            elif rows:
                held.marked_at = began
                held.marked.extend(calls)
                for _ in rows:
                    held.waiting.popleft()

    def _written(self, held: Range) -> None:
        """The outcomes of a range stand in the database: they need stand nowhere else."""
        _count_sends(held.line.kind, held.verdicts)
        for slot in held.slots:
            self._book.forget(slot)
        held.verdicts.clear()
        held.slots.clear()

    def _in_time(self, held: Range, rows: list[Due]) -> list[Due]:
        """Those whose person may be written to now, at the front of what waits; the others are left to a later lease."""
        too_soon = held.line.too_soon(rows)
        if not too_soon:
            return rows
        held.wait = max(held.wait, *too_soon.values())
        held.line.unused(len(too_soon))
        in_time = [due for due in rows if due.id not in too_soon]
        for _ in rows:
            held.waiting.popleft()
        held.waiting.extendleft(reversed(in_time))
        return in_time

    def _act(self) -> None:
        """Call what is marked, as far as there is room: replies first, each channel within its part of the wire."""
        lines = {held.line.id for held in self._ranges if held.marked or held.under_way}
        part = min(LINE_WIDTH, max(self._wire.width // max(len(lines), 1), 1))
        for held in self._in_turn():
            spare = FOR_REPLIES if held.is_bulk and self._wire.width > FOR_REPLIES else 0
            while held.marked and self._book.room and self._wire.room > spare and held.line.under_way < part:
                self._call(held.marked.popleft())

    def _call(self, call: Call) -> None:
        held = call.range
        try:
            request = held.line.ask(call.due)
        except ProviderError as error:
            held.verdicts.append(self._judge(call, error))
            return
        except Exception as error:
            # One message that we fail to write must not keep its neighbours, nor itself stay marked for ever.
            log.exception("dispatch.not_written", message_id=call.due.id)
            held.verdicts.append(self._judge(call, Refused("not_written", detail=type(error).__name__)))
            return
        # First the book, then the clock: a process that is frozen here finds its time over when it goes on.
        call.slot = self._book.begin(call.due.id, call.attempt)
        if time.monotonic() > call.until:
            self._book.forget(call.slot)
            held.withdraw(call)
            return
        self._wire.begin(request, call)
        held.under_way += 1
        held.line.under_way += 1
        self.calls += 1

    def _collect(self) -> None:
        if not self._wire.under_way:
            time.sleep(IDLE)
            return
        for token, outcome in self._wire.collect(COLLECT):
            call: Call = token
            held = call.range
            held.under_way -= 1
            held.line.under_way -= 1
            verdict = self._read(call, outcome)
            self._book.answer(call.slot, answer_of(verdict))
            held.verdicts.append(verdict)
            held.slots.append(call.slot)

    def _read(self, call: Call, outcome: HttpResponse | Failure) -> Verdict:
        if isinstance(outcome, Failure):
            error: ProviderError = (
                NotTaken(detail=outcome.detail) if outcome.never_left else Ambiguous(detail=outcome.detail)
            )
            return self._judge(call, error)
        try:
            receipt = call.range.line.adapter.read(outcome)
        except ProviderError as error:
            return self._judge(call, error)
        return Verdict(call.due.id, call.attempt, MessageState.ACCEPTED, receipt.provider_id)

    def _judge(self, call: Call, error: ProviderError) -> Verdict:
        """What an error means for the message, and for its channel or campaign."""
        held = call.range
        state, retry_in = _consequence(error, call.due.tries + 1, call.attempt)
        if isinstance(error, Throttled):
            self._slow_down(held, error)
        if isinstance(error, Misconfigured):
            if error.scope == "template" and held.lease.gate_id is None:
                state = MessageState.FAILED
            elif not held.dropped:
                held.stop_for = error
                held.drop()
        reason = {"provider_code": error.provider_code, "detail": error.detail[:500]}
        return Verdict(
            call.due.id,
            call.attempt,
            state,
            reason_code=error.code,
            reason=reason,
            retry_in=retry_in,
            uses_a_try=isinstance(error, NotTaken) and not isinstance(error, Throttled),
        )

    def _slow_down(self, held: Range, error: Throttled) -> None:
        """What a provider's brake is about waits: one message, the rest of a template's campaign, or the channel."""
        if error.scope == "template":
            held.wait = max(held.wait, error.retry_after or 1.0)
            held.waiting.clear()
            held.drop()
        elif error.scope != "message":
            held.line.rest(error.retry_after or 1.0)

    def _close_gate(self, held: Range, error: Misconfigured) -> None:
        if error.scope == "template" and held.lease.gate_id is not None:
            stop_gate(held.work, held.lease.gate_id, error)
        else:
            stop_channel(held.work, held.lease.channel_id, error)

    def _let_go(self, held: Range) -> None:
        is_done = held.is_certain and not (held.dropped or held.waiting or held.wait)
        with held.work.session() as session:
            if is_done:
                ledger.finish(session, held.lease)
            else:
                ledger.let_go(session, held.lease, wait=0.0 if held.waiting else held.wait)
        self._ranges.remove(held)


def _consequence(error: ProviderError, tries: int, attempt: int) -> tuple[MessageState, float]:
    """The state that an error leads to, and the seconds until the next try; this try and this mark are counted."""
    if isinstance(error, Ambiguous):
        return MessageState.UNKNOWN, 0.0
    if isinstance(error, Refused):
        return MessageState.FAILED, 0.0
    if isinstance(error, Misconfigured):
        return MessageState.QUEUED, 0.0
    if isinstance(error, Throttled):
        # The provider's brake is no failure of the message, so it does not use its tries up.
        wait = error.retry_after or (4.0 ** min(attempt, 5) if error.scope == "message" else 1.0)
        return MessageState.QUEUED, wait
    if isinstance(error, NotTaken) and tries < MAX_TRIES:
        return MessageState.QUEUED, error.retry_after or min(4.0 ** (tries - 1), LONGEST_WAIT)
    return MessageState.FAILED, 0.0


def _slept_on(held: Range, now: float) -> bool:
    """True when a range has waited so long for tokens that its lease might end: another turn will take it again."""
    return now - held.marked_at > ledger.LEASE_SECONDS / 3


def _count_sends(kind: str, verdicts: Sequence[Verdict]) -> None:
    """Count outcomes in the metrics, a batch at a time."""
    for state, n in Counter(verdict.state for verdict in verdicts).items():
        SENDS.labels(channel_kind=kind, verdict=state).inc(n)
