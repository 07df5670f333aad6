"""A provider that is slow, silent, cut off, or says no for minutes: nobody is written to twice, no other channel waits."""

import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import httpx
import psycopg
import pytest

from engine.messaging.breaker import LONGEST_REST, ON_TRIAL, RECENT
from engine.messaging.lines import ANSWERS_WITHIN
from engine.messaging.stops import FAILING
from tests.faults.blasts import Blast, Sends, minutes, planned_blast
from tests.faults.invariants import IN_FLIGHT
from tests.walks.stack import Stack, eventually

RATE = 20  # messages a second
TROUBLED_RATE = 200  # of a number in trouble that would take all there is, if it could
ENOUGH = 60  # messages that have gone when the trouble begins
PROCESSES = 2
OPENS_WITHIN = 10.0  # seconds until a provider that fails is left alone
BRAKE = 5  # seconds that it tells to wait
TOGETHER = 1.5  # seconds in which what goes at once has gone
SHARE = 0.3  # of the calls in trouble: so few that the channel is not left alone
FAIR = 0.7  # of its rate, for a channel beside one in trouble
GOES_ON = 5.0  # seconds until the next send, after a provider that took nothing is back
SETTLES = 15.0  # an outcome that does not come, and its commit

# Statuses that come when each call has long ended, so that it shows what was not answered.
LATE = {"late_share": 1.0, "late_after": [25.0, 30.0]}

_MARKED = """
select extract(epoch from a.called_at)::float from send_attempts a
join messages m on m.tenant_id = a.tenant_id and m.id = a.message_id
where m.channel_id = %s and a.reason_code = 'throttled' order by 1
"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(minutes(2) + 900)]


def under_way(stack: Stack, api: httpx.Client, people: int, rate: int = RATE) -> Blast:
    """A campaign that has begun, at a provider that is well."""
    blast = planned_blast(stack, api, people, rate=rate)
    blast.behave()
    blast.start()
    eventually(lambda: blast.accepted() >= ENOUGH, why="the campaign does not run")
    return blast


def is_left_alone(blast: Blast) -> bool:
    """Whether the channel says that its provider fails."""
    reason = (blast.ask("GET", f"/v1/channels/{blast.channel_id}") or {}).get("status_reason")
    return reason is not None and reason["code"] == FAILING


def in_bursts(moments: Sequence[float]) -> list[list[float]]:
    """Moments, those together that are close together."""
    found: list[list[float]] = []
    for moment in moments:
        if found and moment - found[-1][-1] < TOGETHER:
            found[-1].append(moment)
        else:
            found.append([moment])
    return found


@pytest.mark.parametrize(
    ("trouble", "is_ambiguous"),
    [
        ({"answer_after": [5.0, 5.0]}, False),
        ({"accept_then_timeout": SHARE}, True),
        ({"accept_then_cut": SHARE}, True),
        ({"accept_then_reset": SHARE}, True),
    ],
    ids=["slow", "silent after it has taken", "cut in the middle of an answer", "reset"],
)
def test_a_channel_in_trouble_keeps_no_other_waiting(
    stack: Stack, api: httpx.Client, trouble: dict[str, Any], is_ambiguous: bool
) -> None:
    """F11: what was not answered is unknown until its status comes, and never sent again."""
    seconds = minutes(1)
    troubled = planned_blast(stack, api, int(TROUBLED_RATE * seconds), rate=TROUBLED_RATE)
    troubled.behave(**trouble, **LATE)
    neighbour = under_way(stack, api, int(RATE * (seconds + SETTLES)))

    troubled.start()
    eventually(lambda: troubled.accepted() > 0, why="the channel in trouble does not send")
    began = time.time()
    if is_ambiguous:
        eventually(lambda: troubled.counts()["unknown"], seconds=SETTLES, why="nothing was ever unknown")
    time.sleep(max(began + seconds - time.time(), 0.0))
    ended = time.time()
    counts = troubled.counts()
    troubled.behave()
    for blast in (neighbour, troubled):
        blast.wait_for_calm()
    pace = Sends.of(neighbour).pace(began, ended)

    print(f"\nF11: {trouble} for {ended - began:.0f} s: {in_words(counts)}; the other channel sent")
    print(f"    {pace / RATE:.2f} of its rate")
    assert troubled.broken() + neighbour.broken() == []
    assert is_ambiguous or not counts["unknown"]
    assert counts["failed"] == troubled.counts()["failed"] == 0
    assert pace >= RATE * FAIR


def in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {state}" for state, n in counts.items() if n)


def test_a_brake_is_obeyed_and_nobody_fails(stack: Stack, api: httpx.Client) -> None:
    """F12: while the provider answers 429 and says for how long, that long nothing is tried; then all goes out."""
    seconds = minutes(2)
    blast = under_way(stack, api, ENOUGH * 5)
    blast.behave(refusals={"130429": 1.0}, retry_after=BRAKE)
    braked = time.time()
    time.sleep(seconds)
    counts = blast.counts()
    blast.behave()
    freed = time.time()
    blast.wait_for_calm()

    sends = Sends.of(blast)
    with psycopg.connect(stack.database_url()) as connection:
        marked = [row[0] for row in connection.execute(_MARKED, [blast.channel_id]).fetchall()]
    bursts = in_bursts(marked)
    print(
        f"\nF12: a brake for {seconds:.0f} s: {len(marked)} calls in {len(bursts)} bursts; {in_words(counts)};"
    )
    print(f"    next send {sends.seconds_to_next(freed):.1f} s after its end")
    assert blast.broken() == []
    assert counts["failed"] == counts["unknown"] == 0
    assert sends.between(braked + TOGETHER, freed) == 0
    waits = [later[0] - earlier[0] for earlier, later in pairwise(bursts)]
    assert waits, "it was tried once only"
    assert min(waits) >= BRAKE - 0.5
    assert sends.seconds_to_next(freed) < BRAKE + 3


@pytest.mark.parametrize(
    ("fault", "takes"),
    [({"accept_then_error": 1.0, **LATE}, True), ({"down_share": 1.0}, False)],
    ids=["and takes the messages", "and takes none"],
)
def test_a_provider_that_only_fails_is_left_alone_and_tried_with_little(
    stack: Stack, api: httpx.Client, fault: dict[str, Any], takes: bool
) -> None:
    """F12: few are risked; those are unknown and never sent again, all others wait and go out when it is well."""
    seconds = minutes(2)
    blast = under_way(stack, api, ENOUGH * 10)
    blast.behave(**fault)
    fell = time.time()
    eventually(lambda: is_left_alone(blast), seconds=OPENS_WITHIN, why="it is not left alone")
    opened = time.time()
    risked = eventually(lambda: blast.counts()["unknown"], seconds=OPENS_WITHIN, why="nothing is unknown")
    time.sleep(seconds)
    counts = blast.counts()
    blast.behave()
    mended = time.time()
    blast.wait_for_calm()

    sends = Sends.of(blast)
    trials = in_bursts([moment for moment in sends.moments if opened + TOGETHER < moment < mended])
    left = blast.counts()["unknown"]
    print(
        f"\nF12: 5xx for {mended - fell:.0f} s: left alone after {opened - fell:.1f} s; {in_words(counts)};"
    )
    print(f"    then {len(trials)} trials of {[*map(len, trials)]}, next send", end=" ")
    print(f"{sends.seconds_to_next(mended):.1f} s after its end, {left} unknown for good")
    assert blast.broken(unknown=0 if takes else IN_FLIGHT) == []
    assert counts["failed"] == blast.counts()["failed"] == 0
    assert risked <= IN_FLIGHT
    if takes:
        assert trials, "it was not tried"
        beyond = sum(max(len(trial) - ON_TRIAL * PROCESSES, 0) for trial in trials)
        assert beyond <= RECENT, "more than the other process needs to find out by itself"
    else:
        assert left >= counts["unknown"] >= risked, "what nobody could say of was sent again"
    # Where even a question fails it is soon asked again; a trial costs messages, so that is left for longer.
    assert sends.seconds_to_next(mended) < (LONGEST_REST + ANSWERS_WITHIN if takes else GOES_ON)
