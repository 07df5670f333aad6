"""Claim, mark, act, settle: the one place that sends.

A dispatcher leases ranges of due work, marks in small groups only what enters the wire now, calls with no transaction
open, and settles outcomes in batches. Marked and not yet settled never exceed the width of the wire, so that a
process that is killed leaves at most that many messages of unknown outcome. How and why: docs/architecture.md.
"""

import os
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.engine import Row

from engine.core.db import Work
from engine.core.errors import (
    Ambiguous,
    DatabaseAway,
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
from engine.messaging.ledger import Lease
from engine.messaging.lines import Line, open_line
from engine.messaging.models import MessageState
from engine.messaging.settlement import Verdict, settle
from engine.messaging.stops import stop_channel, stop_gate

WIDTH = 128  # calls under way at once, and so the most that a killed process can leave unknown
RANGES = 12  # ranges held at once: as many channels share this process
CLAIM_EVERY = 0.05
SETTLE_AFTER = 0.04
FROZEN_AFTER = (
    5.0  # a process that stood still between mark and call does not call: a pause may have come between
)
COLLECT = 0.02  # how long to wait for the first of the calls to end
IDLE = 0.005  # how long to wait for tokens when nothing is under way
MAX_ATTEMPTS = 8
LONGEST_WAIT = 1800.0

log = logger(__name__)


class Flag(Protocol):
    """What tells a dispatcher to start nothing new."""

    def is_set(self) -> bool:
        """True once it should end."""


@dataclass(slots=True)
class Range:
    """A leased range in this process: what waits, how many calls are under way, what has ended and is not settled."""

    lease: Lease
    work: Work
    line: Line
    waiting: deque[Row[Any]]
    under_way: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    dropped: bool = False
    stop_for: Misconfigured | None = None
    settled_at: float = field(default_factory=time.monotonic)
    marked_at: float = field(default_factory=time.monotonic)

    @property
    def is_spent(self) -> bool:
        """True when nothing of it is left in this process."""
        return (
            not self.under_way
            and not self.verdicts
            and self.stop_for is None
            and (self.dropped or not self.waiting)
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One call under way."""

    range: Range
    message_id: UUID
    attempt: int


class Dispatcher:
    """Sends what is due, for as long as it is told, on one thread."""

    def __init__(self, *, width: int = WIDTH, stop: Flag | None = None) -> None:
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self.calls = 0
        self._wire = Wire(width)
        self._stop: Flag = stop or threading.Event()
        self._ranges: list[Range] = []
        self._lines: dict[UUID, Line] = {}
        self._claimed_at = 0.0
        self._turns = 0

    def run(self, seconds: float) -> int:
        """Send until nothing is due or the time is over, then let what is under way end; answers the calls made."""
        until = time.monotonic() + seconds
        before = self.calls
        while True:
            closing = self._stop.is_set() or time.monotonic() >= until
            try:
                nothing_came = closing or self._claim() == 0
                self._turn(closing)
            except DatabaseAway:
                # Outcomes are kept and written when it is back; until then nothing new is marked.
                log.warning("dispatch.database_away", under_way=self._wire.under_way)
                time.sleep(0.3)
                nothing_came = False
            if not self._ranges and nothing_came:
                return self.calls - before
            self._collect()

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

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
        busy = {line for line, amount in waiting.items() if amount > self._wire.width}
        resting = {line.id for line in self._lines.values() if line.resting_until > now}
        with system_session() as session:
            leases = ledger.claim(
                session, holder=self.holder, wanted=RANGES - len(self._ranges), resting=[*(busy | resting)]
            )
        for lease in leases:
            self._open(lease)
        return len(leases)

    def _open(self, lease: Lease) -> None:
        work = Work(TenantId(lease.tenant_id))
        with work.session() as session:
            line = self._lines.get(lease.channel_id)
            if line is None or line.is_stale:
                fresh = open_line(session, lease.channel_id)
                fresh.resting_until = line.resting_until if line else 0.0
                line = self._lines[lease.channel_id] = fresh
            rows = ledger.queued_of(session, lease)
            line.learn(session, {row.snapshot_id for row in rows if row.snapshot_id is not None})
        self._ranges.append(Range(lease, work, line, deque(rows)))

    def _turn(self, closing: bool) -> None:
        """Settle what has ended and mark what may go, one short transaction for each range that has either."""
        self._turns += 1
        now = time.monotonic()
        for held in self._ranges:
            if held.stop_for is not None:
                self._close_gate(held, held.stop_for)
                held.stop_for = None
        order = sorted(self._ranges, key=lambda held: held.lease.lane)
        start = self._turns % max(len(order), 1)
        for held in [*order[start:], *order[:start]] if start and not _urgent(order) else order:
            amount = 0 if closing or held.dropped else self._share(held, now)
            overdue = held.verdicts and now - held.settled_at > SETTLE_AFTER
            if amount or overdue or (held.verdicts and not held.under_way):
                self._advance(held, amount)
            if closing or _slept_on(held, now):
                held.dropped = True
        for held in [held for held in self._ranges if held.is_spent]:
            self._let_go(held)

    def _share(self, held: Range, now: float) -> int:
        """How many messages of this range may be marked now: its share of the wire, within its channel's rate."""
        unsettled = sum(len(other.verdicts) for other in self._ranges)
        room = self._wire.room - unsettled
        if not held.waiting or room <= 0:
            return 0
        rivals = [other for other in self._ranges if other.waiting and not other.dropped]
        first = min(
            (other for other in rivals if other.line.id == held.line.id), key=lambda other: other.lease.lane
        )
        if first is not held:
            return 0  # a channel marks from one range at a time: larger groups, fewer commits
        share = max(min(room, self._wire.width // len({other.line.id for other in rivals})), 1)
        small = room < self._wire.width // 2 and held.lease.lane > 0
        if small and len(held.waiting) > room and now - held.marked_at < SETTLE_AFTER:
            return 0  # a mark is a commit: wait until a fair group can share it
        return held.line.tokens(min(share, len(held.waiting)))

    def _advance(self, held: Range, amount: int) -> None:
        rows = list(islice(held.waiting, amount))
        verdicts, held.verdicts = held.verdicts, []
        began = time.monotonic()
        try:
            with held.work.session() as session:
                steps = Steps()
                settle(session, held.lease, verdicts, steps)
                marked = ledger.mark(session, held.lease, [row.id for row in rows], steps) if rows else {}
                steps.write(session)
        except DatabaseAway:
            held.verdicts = verdicts + held.verdicts
            held.line.unused(amount)
            raise
        _count_sends(held.line.kind, verdicts)
        held.settled_at = time.monotonic()
        if marked is None:
            held.dropped = True
            held.line.unused(amount)
            return
        if rows:
            held.marked_at = held.settled_at
            for _ in rows:
                held.waiting.popleft()
            held.line.unused(len(rows) - len(marked))
            self._act(held, [row for row in rows if row.id in marked], marked, began)

    def _act(self, held: Range, rows: Sequence[Row[Any]], marked: dict[UUID, int], began: float) -> None:
        for row in rows:
            attempt = marked[row.id]
            if time.monotonic() - began > FROZEN_AFTER:
                held.verdicts.append(Verdict(row.id, attempt, MessageState.QUEUED, reason_code="not_taken"))
                continue
            try:
                request = held.line.ask(row)
            except ProviderError as error:
                held.verdicts.append(self._judge(held, row.id, attempt, error))
                continue
            self._wire.begin(request, Call(held, row.id, attempt))
            held.under_way += 1
            self.calls += 1

    def _collect(self) -> None:
        if not self._wire.under_way:
            time.sleep(IDLE)
            return
        for token, outcome in self._wire.collect(COLLECT):
            call: Call = token
            call.range.under_way -= 1
            call.range.verdicts.append(self._read(call, outcome))

    def _read(self, call: Call, outcome: HttpResponse | Failure) -> Verdict:
        if isinstance(outcome, Failure):
            error: ProviderError = (
                NotTaken(detail=outcome.detail) if outcome.never_left else Ambiguous(detail=outcome.detail)
            )
            return self._judge(call.range, call.message_id, call.attempt, error)
        try:
            receipt = call.range.line.adapter.read(outcome)
        except ProviderError as error:
            return self._judge(call.range, call.message_id, call.attempt, error)
        return Verdict(call.message_id, call.attempt, MessageState.ACCEPTED, provider_id=receipt.provider_id)

    def _judge(self, held: Range, message_id: UUID, attempt: int, error: ProviderError) -> Verdict:
        """What an error means for the message, and for its channel or campaign."""
        state, retry_in = _consequence(error, attempt)
        if isinstance(error, Throttled) and error.scope != "message":
            held.line.rest(error.retry_after or 1.0)
        if isinstance(error, Misconfigured):
            if error.scope == "template" and held.lease.gate_id is None:
                state = MessageState.FAILED
            elif not held.dropped:
                held.dropped, held.stop_for = True, error
        reason = {"provider_code": error.provider_code, "detail": error.detail[:500]}
        return Verdict(message_id, attempt, state, reason_code=error.code, reason=reason, retry_in=retry_in)

    def _close_gate(self, held: Range, error: Misconfigured) -> None:
        if error.scope == "template" and held.lease.gate_id is not None:
            stop_gate(held.work, held.lease.gate_id, error)
        else:
            stop_channel(held.work, held.lease.channel_id, error)

    def _let_go(self, held: Range) -> None:
        with held.work.session() as session:
            if held.waiting:
                ledger.release(session, held.lease)
            else:
                ledger.finish(session, held.lease)
        self._ranges.remove(held)


def _consequence(error: ProviderError, attempt: int) -> tuple[MessageState, float]:
    """The state that an error leads to, and the seconds until the next try."""
    if isinstance(error, Ambiguous):
        return MessageState.UNKNOWN, 0.0
    if isinstance(error, Refused):
        return MessageState.FAILED, 0.0
    if isinstance(error, Misconfigured):
        return MessageState.QUEUED, 0.0
    if isinstance(error, Throttled):
        # The provider's brake is no failure of the message, so it does not use its tries up.
        wait = error.retry_after or (min(4.0**attempt, LONGEST_WAIT) if error.scope == "message" else 1.0)
        return MessageState.QUEUED, wait
    if isinstance(error, NotTaken) and attempt < MAX_ATTEMPTS:
        return MessageState.QUEUED, error.retry_after or min(4.0 ** (attempt - 1), LONGEST_WAIT)
    return MessageState.FAILED, 0.0


def _urgent(ranges: Sequence[Range]) -> bool:
    return any(held.lease.lane == 0 and held.waiting for held in ranges)


def _slept_on(held: Range, now: float) -> bool:
    """True when a range has waited so long for tokens that its lease might end: another turn will take it again."""
    return now - held.marked_at > ledger.LEASE_SECONDS / 3


def _count_sends(kind: str, verdicts: Sequence[Verdict]) -> None:
    """Count outcomes in the metrics, a batch at a time."""
    for state, n in Counter(verdict.state for verdict in verdicts).items():
        SENDS.labels(channel_kind=kind, verdict=state).inc(n)
