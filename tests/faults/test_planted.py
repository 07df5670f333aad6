"""Bugs that such engines have, planted one at a time: chaos must find each, or it proves nothing when it finds none."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from engine.core.settings import project_root
from tests.faults.chaos import Chaos
from tests.faults.deeds import DEEDS, Deed, freeze_in_the_middle
from tests.faults.planted.bugs import BUGS, CALLED_AT_ONCE
from tests.walks.stack import running_apart

PLANTED = project_root() / "tests" / "faults" / "planted"
PEOPLE = 800
KILLED = DEEDS["F1 senders killed"]
EVENTS_KILLED = DEEDS["F4 workers of events killed"]
IN_THE_MIDDLE = Deed(
    "F3 a sender frozen until another has taken over",
    lambda stack: freeze_in_the_middle(stack, CALLED_AT_ONCE),
    kills_senders=True,
)


# A status that comes soon says that a message was taken before anybody takes its call over.
LATE = {
    "late_share": 1.0,
    "late_after": [1000, 1100],
}  # at twenty times the speed: after the lease of whoever was killed

# A slow provider, and processes with little in hand that always have more marked than they call.
FROZEN = {"scenario": {"answer_after": [10, 14]}, "people": 500}
SMALL = "short_leases,small_ranges,narrow_wire,long_slices"
SEEDS = (7, 8, 9)  # what two processes do in the same second is found now and then, not each time


def run(
    bug: str,
    deeds: Sequence[Deed],
    *,
    people: int = PEOPLE,
    pauses: int = 0,
    scenario: Mapping[str, Any] | None = None,
    seed: int = SEEDS[0],
) -> list[str]:
    """What chaos says of a product with this bug; a campaign that can't be paused or never ends is said as well."""
    with running_apart(planted=bug) as stack:
        chaos = Chaos(stack, stack.company(), seed, people, deeds, pauses=pauses, scenario=scenario or {})
        try:
            return chaos.run()
        except AssertionError as error:
            return [*chaos.broken, str(error)]


def test_every_bug_can_be_planted() -> None:
    modules = {module for changes in BUGS.values() for module in changes}
    environment = os.environ | {"PYTHONPATH": str(PLANTED), "MASTERIA_PLANTED": ",".join(BUGS)}

    done = subprocess.run(
        (sys.executable, "-c", f"import {', '.join(sorted(modules))}"),
        env=environment, cwd=project_root(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("bug", "deeds", "more", "finding"),
    [
        ("mark_after_the_call,short_leases", [KILLED] * 3, {}, "accepted twice"),
        ("unknown_sent_again,short_leases", [KILLED] * 3, {"scenario": LATE}, "accepted twice"),
        (
            f"lease_without_the_fence,{SMALL}",
            [IN_THE_MIDDLE],
            FROZEN,
            "accepted twice",
        ),
        (
            f"settle_without_the_fence,{SMALL}",
            [IN_THE_MIDDLE] * 2,
            FROZEN,
            "accepted twice",
        ),
        ("pause_without_the_gate", [], {"pauses": 2}, "pause"),
        ("seen_before_written", [EVENTS_KILLED] * 4, {}, "I5"),
    ],
)
def test_a_planted_bug_is_found(bug: str, deeds: list[Deed], more: Mapping[str, Any], finding: str) -> None:
    found: list[list[str]] = []
    for seed in SEEDS:
        found.append(run(bug, deeds, seed=seed, **more))
        if any(finding in one for one in found[-1]):
            return
    pytest.fail(f"{bug} was not found: {found}")


@pytest.mark.long
@pytest.mark.timeout(420)
def test_the_same_faults_without_a_bug_break_nothing() -> None:
    deeds = [KILLED, IN_THE_MIDDLE, EVENTS_KILLED, IN_THE_MIDDLE]

    assert run(SMALL, deeds, pauses=1, **FROZEN) == []
