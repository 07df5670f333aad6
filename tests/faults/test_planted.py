"""Bugs that such engines have, planted one at a time: chaos must find each, or it proves nothing when it finds none."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.faults.chaos import Chaos
from tests.faults.deeds import DEEDS, Deed, freeze_one
from tests.walks.stack import running_apart

PEOPLE = 800
KILLED = DEEDS["F1 senders killed"]
EVENTS_KILLED = DEEDS["F4 workers of events killed"]
PAST_A_SHORT_LEASE = Deed(
    "F3 a sender frozen past a short lease", lambda stack: freeze_one(stack, 14.0), kills_senders=True
)


# A status that comes soon says that a message was taken before anybody takes its call over.
LATE = {
    "late_share": 1.0,
    "late_after": [1000, 1100],
}  # at twenty times the speed: after the lease of whoever was killed

# So slow that more is marked than can be called, and stays so in a process that stands still.
SLOW = {"answer_after": [60, 80]}

FROZEN = {"scenario": SLOW, "people": 1_500}


def run(
    bug: str,
    deeds: Sequence[Deed],
    *,
    people: int = PEOPLE,
    pauses: int = 0,
    scenario: Mapping[str, Any] | None = None,
) -> list[str]:
    """What chaos says of a product with this bug; a campaign that can't be paused or never ends is said as well."""
    with running_apart(planted=bug) as stack:
        chaos = Chaos(stack, stack.company(), 7, people, deeds, pauses=pauses, scenario=scenario or {})
        try:
            return chaos.run()
        except AssertionError as error:
            return [*chaos.broken, str(error)]


@pytest.mark.long
@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    ("bug", "deeds", "more", "finding"),
    [
        ("mark_after_the_call,short_leases", [KILLED] * 3, {}, "accepted twice"),
        ("unknown_sent_again,short_leases", [KILLED] * 3, {"scenario": LATE}, "accepted twice"),
        (
            "lease_without_the_fence,short_leases",
            [PAST_A_SHORT_LEASE] * 2,
            FROZEN,
            "accepted twice",
        ),
        (
            "settle_without_the_fence,short_leases",
            [PAST_A_SHORT_LEASE] * 2,
            FROZEN,
            "accepted twice",
        ),
        ("pause_without_the_gate", [], {"pauses": 2}, "pause"),
        ("seen_before_written", [EVENTS_KILLED] * 4, {}, "I5"),
    ],
)
def test_a_planted_bug_is_found(bug: str, deeds: list[Deed], more: Mapping[str, Any], finding: str) -> None:
    broken = run(bug, deeds, **more)

    assert any(finding in one for one in broken), f"{bug} was not found: {broken}"


@pytest.mark.long
@pytest.mark.timeout(420)
def test_the_same_faults_without_a_bug_break_nothing() -> None:
    assert run("short_leases", [KILLED, PAST_A_SHORT_LEASE, EVENTS_KILLED], pauses=1) == []
