"""The bugs: for each a module of the engine and what is done to it. They are the mistakes that such engines make."""

import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

CALLED_AT_ONCE = 8  # of one channel, by a process with a narrow wire

type Change = Callable[[ModuleType], None]


def _without(module: ModuleType, name: str, words: str, instead: str = "") -> None:
    """Take words out of a statement; they must be there, or the bug would be none."""
    statement = getattr(module, name)
    if words not in statement:
        raise RuntimeError(f"{module.__name__}.{name} holds no {words!r}: the bug can't be planted")
    setattr(module, name, statement.replace(words, instead))


def _call_before_the_mark(dispatch: ModuleType) -> None:
    """What is about to be called is written down only with how it ended."""
    asked_for: dict[str, Any] = {}
    ledger, settle = dispatch.ledger, dispatch.settle
    mark = ledger.mark

    def remember(session: Any, asked: Any, steps: Any) -> set[str]:
        asked_for.update({one[0]: one for one in asked})
        return {one for one, _, _ in asked}

    def mark_and_settle(session: Any, ended: Any, steps: Any) -> None:
        late = [asked_for.pop(v.message_id) for _, v in ended if v.message_id in asked_for]
        if late:
            mark(session, late, steps)
        settle(session, ended, steps)

    ledger.mark, dispatch.settle = remember, mark_and_settle


def _settle_whatever(settlement: ModuleType) -> None:
    """An answer settles the message, whichever call it belongs to."""
    attempt = "and m.attempt = (%(attempts)s::int[])[width_bucket(m.id, %(ids)s::uuid[])]"
    _without(settlement, "_ACCEPT", attempt)
    _without(settlement, "_ACCEPT_AGAIN", attempt)
    _without(settlement, "_SETTLE", "and m.attempt = (%(outcomes)s::jsonb -> m.id::text ->> 'attempt')::int")


def _send_unknown_again(recovery: ModuleType) -> None:
    """What may have gone out goes out again."""
    _without(recovery, "_HAND_BACK", "then 'unknown' else", "then 'queued' else")


def _pause_without_the_gate(ledger: ModuleType) -> None:
    """A lease is renewed whether or not its gate has closed meanwhile."""
    gates = "and not exists (select from gates g where g.id in (held.channel_gate_id, held.gate_id) and not g.is_open)"
    _without(ledger, "_RENEW", gates)


def _seen_before_written(intake: ModuleType) -> None:
    """A webhook counts as understood as soon as somebody has begun with it."""
    claim = intake._claim

    def claim_and_forget(session: Any) -> Any:
        found = claim(session)
        if found is not None:
            intake._mark(session, found)
        return found

    understand = intake._pieces

    def take_its_time(*arguments: Any) -> Any:
        time.sleep(0.1)
        return understand(*arguments)

    intake._pieces = take_its_time

    intake._claim = claim_and_forget


def _short_leases(module: ModuleType) -> None:
    """No bug: a lease ends soon, so that a run in which one ends is short."""
    module.LEASE_SECONDS = 6


def _small_ranges(ledger: ModuleType) -> None:
    """No bug: work is handed out in small pieces, so that what one process leaves is soon in another's hands."""
    ledger.RANGE_SIZE = 50


def _narrow_wire(dispatch: ModuleType) -> None:
    """No bug: a process calls few at once, so that it always has more marked than it calls."""
    dispatch.Dispatcher.__init__.__kwdefaults__["width"] = 2 * CALLED_AT_ONCE


def _long_slices(jobs: ModuleType) -> None:
    """No bug: a process that stood still goes on in its slice, instead of handing back what it holds at its end."""
    jobs.SLICE_SECONDS = 60.0


def _call_however_late(dispatch: ModuleType) -> None:
    """A process that stood still calls what it had marked before."""
    dispatch.FROZEN_AFTER = 600.0
    dispatch.slept_on = lambda held, now: False


def _renew_whoever_has_it(ledger: ModuleType) -> None:
    """A lease is renewed without a look at whether it is still one's own."""
    _without(ledger, "_RENEW", "and d.epoch = held.epoch and d.lease_until > now()")


BUGS: Mapping[str, Mapping[str, Change]] = {
    "mark_after_the_call": {"engine.messaging.dispatch": _call_before_the_mark},
    "settle_without_the_fence": {"engine.messaging.settlement": _settle_whatever},
    "unknown_sent_again": {"engine.messaging.recovery": _send_unknown_again},
    "pause_without_the_gate": {"engine.messaging.ledger": _pause_without_the_gate},
    "seen_before_written": {"engine.messaging.intake": _seen_before_written},
    "lease_without_the_fence": {
        "engine.messaging.dispatch": _call_however_late,
        "engine.messaging.ledger": _renew_whoever_has_it,
    },
    "small_ranges": {"engine.messaging.ledger": _small_ranges},
    "narrow_wire": {"engine.messaging.dispatch": _narrow_wire},
    "long_slices": {"engine.scheduler.jobs.messaging": _long_slices},
    "short_leases": {"engine.messaging.ledger": _short_leases},
}
