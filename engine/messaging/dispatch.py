"""Claim, mark, act, settle: the one place that sends.

A dispatcher leases ranges of due work, marks groups of what enters the wire next, calls with no transaction open, and
settles outcomes in batches. What it has begun stands in its wire book, so that a process that is killed leaves unknown
no more than the calls that were in flight. How and why: docs/architecture.md, docs/decisions.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice
from operator import attrgetter
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

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
from engine.core.http import CALL_SECONDS, Failure, HttpResponse
from engine.core.ids import TenantId
from engine.core.log import logger
from engine.core.system import system_session
from engine.core.wire import Wire
from engine.messaging import ledger
from engine.messaging.breaker import is_failure
from engine.messaging.consequences import consequence, count_sends
from engine.messaging.counters import Steps
from engine.messaging.ledger import Due, Lease
from engine.messaging.lines import Line
from engine.messaging.models import MessageState
from engine.messaging.ranges import Call, Range, by_company, put_off, slept_on, within_limit
from engine.messaging.recovery import answer_of
from engine.messaging.settlement import Verdict, settle
from engine.messaging.stops import note_failing, stop_channel, stop_gate
from engine.messaging.wirebook import WireBook

WIDTH = 256  # calls under way at once in this process; of one channel half of them: 1,000 a second at 120 ms
FOR_REPLIES = 16  # of which bulk never takes the last
GROUP = 1024  # messages of a channel that are marked and not yet called, at most: see Line.ahead
RANGES = 48  # ranges of bulk held at once: as many channels share this process
REPLIES_AT_ONCE = 32  # and so many ranges that do not wait for those
ROTATE_AFTER = 5.0  # seconds that a range is held while others wait for a place
CLAIM_EVERY = 0.1  # seconds in which a reply is found by a process that is at work
TURN_EVERY = 0.25  # seconds between two turns of a company's bulk: outcomes are written, groups are marked
SETTLE_AT = 1536  # outcomes that do not wait for the next turn: the wire book has room for some more
# From its mark a message may be called for so long. A process that stood still does not call: a pause may have come
# between, or its lease been taken over. It is a small part of the lease, so that no two processes call one message.
FROZEN_AFTER = 5.0
COLLECT = 0.02  # how long to wait for the first of the calls to end
IDLE = 0.005  # how long to wait for tokens when nothing is under way

log = logger(__name__)


class Flag(Protocol):
    """What tells a dispatcher to start nothing new."""

    def is_set(self) -> bool:
        """True once it should end."""


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
        self._failing: dict[UUID, tuple[Work, ProviderError]] = {}
        self._silent: set[UUID] = set()  # lines that are waited for once the time is over

    def run(self, seconds: float) -> int:
        """Send until nothing is due or the time is over, then let what is under way end; answers the calls made."""
        until = time.monotonic() + seconds
        before = self.calls
        self._silent = set()
        closing = False
        while True:
            closing = closing or self._stop.is_set() or self._is_over(until)
            try:
                self._ask_again()
                nothing_came = closing or self._claim() == 0
                self._turn(closing)
                self._act()
            except DatabaseAway:
                # Outcomes are kept and written when it is back; until then nothing new is marked.
                log.warning("dispatch.database_away", under_way=self._wire.under_way)
                time.sleep(0.3)
                nothing_came = False
            if not self._ranges and nothing_came and not self._wire.under_way:
                return self.calls - before
            self._collect()

    def _is_over(self, until: float) -> bool:
        """Whether to begin nothing new. Those that answer late begin nothing first, so that nobody else waits for them."""
        now = time.monotonic()
        if now < until:
            return False
        self._silent = {line.id for line in self._lines.values() if line.is_silent(now)}
        return not self._silent or now >= until + CALL_SECONDS

    def _ask_again(self) -> None:
        """Ask the providers that have failed, once their rest is over, with a question that sends nothing."""
        for line in self._lines.values():
            if line.breaker.wants_to_ask and self._wire.room:
                self._wire.begin(line.question(), line)

    def close(self) -> None:
        """Close the connections and the book."""
        self._wire.close()
        self._book.close()

    def abandon(self) -> None:
        """In a child that was forked from the process whose it is: its lines and its book are not the child's."""
        self._wire.abandon()
        self._book.abandon()

    def _claim(self) -> int | None:
        """Lease more ranges when it is time; answers how many came, None when nobody was asked."""
        now = time.monotonic()
        if self._ranges and now - self._claimed_at < CLAIM_EVERY:
            return None
        bulk = sum(held.is_bulk for held in self._ranges)
        replies = len(self._ranges) - bulk
        if replies >= REPLIES_AT_ONCE:
            return None
        self._claimed_at = now
        if bulk >= RANGES:
            self._rotate(now)
        waiting: Counter[UUID] = Counter()
        for held in self._ranges:
            if not held.dropped:
                waiting[held.line.id] += len(held.waiting)
        busy = {line for line, amount in waiting.items() if amount > GROUP}
        busy |= {line.id for line in self._lines.values() if line.spent_until > now}
        resting = {line.id for line in self._lines.values() if line.rests} | self._silent
        with system_session() as session:
            leases = ledger.claim(
                session,
                holder=self._book.name,
                wanted=max(RANGES - bulk, 0),
                replies=REPLIES_AT_ONCE - replies,
                busy=[*busy],
                resting=[*resting],
            )
        for some in by_company(leases):
            self._open(some)
        return None if bulk >= RANGES else len(leases)  # for bulk there was no place to ask for

    def _rotate(self, now: float) -> None:
        """Every place is taken: whoever has had its turn makes room, so that many slow channels keep no other out."""
        for held in self._ranges:
            if held.is_bulk and held.waiting and now - held.held_since > ROTATE_AFTER:
                held.drop()

    def _open(self, leases: Sequence[Lease]) -> None:
        """Read what is to be sent of some leases of one company."""
        work = Work(TenantId(leases[0].tenant_id), OF_BATCHES)
        opened: list[Range] = []
        unreadable: list[tuple[Lease, str]] = []
        with work.session() as session:
            for lease in leases:
                line = self._lines.setdefault(lease.channel_id, Line(lease.channel_id))
                try:
                    line.read(session)
                except DecryptionFailed as error:
                    unreadable.append((lease, str(error)))
                    continue
                rows = ledger.queued_of(session, lease)
                line.learn(session, {row.snapshot_id for row in rows if row.snapshot_id is not None})
                opened.append(Range(lease, work, line, deque(rows)))
        self._ranges.extend(opened)
        for lease, why in unreadable:
            # Its messages stay queued behind its closed gate; the other channels go on.
            stop_channel(work, lease.channel_id, Misconfigured("secret_unreadable", detail=why))
            with work.session() as session:
                ledger.let_go(session, lease)

    def _turn(self, closing: bool) -> None:
        """Settle what has ended and mark what may go next, one short transaction for each range that has either."""
        self._turns += 1
        now = time.monotonic()
        for held in self._ranges:
            if held.stop_for is not None:
                self._close_gate(held, held.stop_for)
                held.stop_for = None
        while self._failing:
            channel_id, (work, error) = next(iter(self._failing.items()))
            note_failing(work, channel_id, error)
            del self._failing[channel_id]
        crowded = sum([len(held.verdicts) for held in self._ranges]) >= SETTLE_AT
        # A turn is a commit: bulk waits for the next one of its company, which takes all that has come together.
        waits = not (closing or crowded or not self._wire.under_way)
        turns: dict[UUID, list[tuple[Range, int]]] = {}
        due = [
            held
            for held in self._ranges
            if not (waits and held.is_bulk and now < self._next_turn.get(held.lease.tenant_id, 0.0))
        ]
        for held in self._in_turn(due):
            if closing or held.line.id in self._silent or slept_on(held, now):
                held.drop()
            amount = 0 if held.dropped else self._share(held)
            # What is marked looks at its gate in each turn, so that a pause is soon a pause.
            if amount or held.verdicts or held.marked:
                turns.setdefault(held.lease.tenant_id, []).append((held, amount))
        for tenant_id, parts in turns.items():
            if any(held.is_bulk for held, _ in parts):  # replies never put it off
                self._next_turn[tenant_id] = now + TURN_EVERY
            self._advance(parts)
        for spent in by_company([held for held in self._ranges if held.is_spent]):
            self._let_go(spent)

    def _in_turn(self, ranges: list[Range]) -> list[Range]:
        """Replies first; among equals each turn begins with another."""
        start = self._turns % max(len(ranges), 1)
        return sorted([*ranges[start:], *ranges[:start]], key=lambda held: held.lease.lane)

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
        group = min(GROUP, 4 * self._wire.width, held.line.ahead(time.monotonic()))
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
                going = self._within_limits(session, going)
                steps = Steps()
                settle(session, ended, steps)
                for held, _ in parts:
                    held.line.share(session)
                    self._keep_up(session, held)
                    if any(verdict.state is MessageState.ACCEPTED for verdict in held.verdicts):
                        held.line.note_sent(session)
                asking = [held.lease for held, rows in going if rows or held.marked]
                kept = ledger.hold(session, asking) if asking else set()
                asked = [
                    (due.id, due.attempt, work_id)
                    for held, rows in going
                    if held.lease.id in kept
                    for work_id in [str(held.lease.id)]
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

    def _keep_up(self, session: Session, held: Range) -> None:
        try:
            held.line.read(session)
        except DecryptionFailed as error:
            held.stop_for = Misconfigured("secret_unreadable", detail=str(error))

    def _written(self, held: Range) -> None:
        """The outcomes of a range stand in the database: they need stand nowhere else."""
        count_sends(held.line.kind, held.verdicts)
        for slot in held.slots:
            self._book.forget(slot)
        held.verdicts.clear()
        held.slots.clear()

    def _in_time(self, held: Range, rows: list[Due]) -> list[Due]:
        """Those whose person may be written to now, at the front of what waits; the others are left to a later lease."""
        return put_off(held, rows, held.line.too_soon(rows))

    def _within_limits(
        self, session: Session, going: list[tuple[Range, list[Due]]]
    ) -> list[tuple[Range, list[Due]]]:
        """Those that their account may begin to write to today; the first thing that the transaction locks."""
        limited = [held.line for held, rows in going if rows and held.line.limit is not None]
        if not limited:
            return going
        by_account = sorted(going, key=lambda one: one[0].line.portfolio)
        return [(held, within_limit(session, held, rows)) for held, rows in by_account]

    def _act(self) -> None:
        """Call what is marked, as far as there is room: replies first.

        A channel may take as much of the wire as is left free, a company twice that. So one that hangs has half at
        most, many that hang leave a part to whoever comes next, and nothing is set aside for those with nothing to send.
        """
        companies = Counter({held.lease.tenant_id: 0 for held in self._ranges})
        for held in self._ranges:
            companies[held.lease.tenant_id] += held.under_way
        for held in self._in_turn([held for held in self._ranges if held.marked]):
            marked, is_bulk = held.marked, held.is_bulk
            line, company = held.line, companies[held.lease.tenant_id]
            spare = FOR_REPLIES if is_bulk and self._wire.width > FOR_REPLIES else 0
            before = held.under_way
            while marked and self._book.room and (free := self._wire.room) > spare:
                if is_bulk and (line.under_way >= free or company + held.under_way - before >= 2 * free):
                    break
                self._call(marked.popleft())
            companies[held.lease.tenant_id] += held.under_way - before

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
        held.line.begin(call.slot)
        self.calls += 1

    def _collect(self) -> None:
        if not self._wire.under_way:
            time.sleep(IDLE)
            return
        for token, outcome in self._wire.collect(COLLECT):
            if isinstance(token, Line):
                self._answered(token, outcome)
                continue
            call: Call = token
            held = call.range
            held.under_way -= 1
            held.line.end(call.slot)
            verdict = self._read(call, outcome)
            self._book.answer(call.slot, answer_of(verdict))
            held.verdicts.append(verdict)
            held.slots.append(call.slot)

    def _read(self, call: Call, outcome: HttpResponse | Failure) -> Verdict:
        line = call.range.line
        try:
            receipt = line.adapter.read(_answer(outcome))
        except ProviderError as error:
            if line.note(error):
                log.warning("line.rests", channel_id=str(line.id), code=error.code, detail=error.detail)
                self._failing[line.id] = (call.range.work, error)
                for held in self._ranges:
                    if held.line is line:
                        held.drop()
            return self._judge(call, error)
        line.note(None)
        return Verdict(call.due.id, call.attempt, MessageState.ACCEPTED, receipt.provider_id)

    def _answered(self, line: Line, outcome: HttpResponse | Failure) -> None:
        """A provider that had failed was asked, and this came back."""
        error: ProviderError | None = None
        try:
            line.checker.read_account(_answer(outcome))
        except ProviderError as problem:
            error = problem
        line.answered(well=not is_failure(error))
        log.info("line.asked", channel_id=str(line.id), answer=error.code if error else "well")

    def _judge(self, call: Call, error: ProviderError) -> Verdict:
        """What an error means for the message, and for its channel or campaign."""
        held = call.range
        state, retry_in = consequence(error, call.due.tries + 1, call.attempt)
        if isinstance(error, Throttled):
            self._slow_down(held, call.due, error, retry_in)
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

    def _slow_down(self, held: Range, due: Due, error: Throttled, wait: float) -> None:
        """What a provider's brake is about waits: one person, the rest of a template's campaign, or the channel."""
        if error.scope == "template":
            held.wait = max(held.wait, error.retry_after or 1.0)
            held.waiting.clear()
            held.drop()
        elif error.scope == "message":
            held.line.too_soon_after_all(due.address, wait)
        else:
            held.line.slow_down(error)

    def _close_gate(self, held: Range, error: Misconfigured) -> None:
        if error.scope == "template" and held.lease.gate_id is not None:
            stop_gate(held.work, held.lease.gate_id, error)
        else:
            stop_channel(held.work, held.lease.channel_id, error)

    def _let_go(self, spent: Sequence[Range]) -> None:
        """Hand back ranges of one company of which nothing is left in this process."""
        with spent[0].work.session() as session:
            for held in sorted(spent, key=attrgetter("lease.id.int")):
                if held.is_certain and not (held.dropped or held.waiting or held.wait):
                    ledger.finish(session, held.lease)
                else:
                    ledger.let_go(session, held.lease, wait=0.0 if held.waiting else held.wait)
        gone = {held.lease.id for held in spent}
        self._ranges = [held for held in self._ranges if held.lease.id not in gone]


def _answer(outcome: HttpResponse | Failure) -> HttpResponse:
    """What came back, or what it means that nothing did."""
    if isinstance(outcome, HttpResponse):
        return outcome
    if outcome.never_left:
        raise NotTaken(detail=outcome.detail)
    raise Ambiguous(detail=outcome.detail)
