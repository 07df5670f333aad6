"""The chaos runner: a campaign at a faulty provider, faults drawn from a seed, then calm, then the invariants.

The provider's accept log is the only witness of what was sent. The same seed draws the same faults in the same order.
"""

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.blasts import Blast, planned_blast
from tests.faults.deeds import DEEDS, Deed
from tests.faults.invariants import IN_FLIGHT
from tests.walks.stack import Stack, eventually

RATE = 100  # messages per second of the number: the campaign lasts as long as the faults
STARTS_AFTER = 0.05  # of the campaign has left when the first fault comes


@dataclass(slots=True)
class Chaos:
    """One run of one seed on a running product."""

    stack: Stack
    api: httpx.Client
    seed: int
    people: int
    deeds: Sequence[Deed]
    pauses: int = 2
    scenario: Mapping[str, Any] = field(default_factory=dict)  # changes to `faulty`
    log: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    blast: Blast = field(init=False)
    _began: float = field(default_factory=time.monotonic)

    def run(self) -> list[str]:
        """Everything, to the end; answers the invariants that do not hold, each as a sentence."""
        chance = random.Random(self.seed)
        self.prepare()
        steps: list[Deed | None] = [*self.deeds, *[None] * self.pauses]
        chance.shuffle(steps)
        for number, deed in enumerate(steps):
            goal = self.people * (STARTS_AFTER + 0.8 * number / len(steps))
            eventually(
                lambda goal=goal: self.blast.left() >= goal, seconds=120, why=self.said("it stands still")
            )
            if deed is None:
                self.pause_and_resume()
            else:
                self.note(deed.name)
                deed.do(self.stack)
        self.note("calm")
        self.blast.wait_for_calm(why=self.said(""))
        kills = sum(deed.kills_senders for deed in self.deeds)
        self.broken += self.blast.broken(unknown=kills * IN_FLIGHT)
        return self.broken

    def prepare(self) -> None:
        """A number, people and a campaign under way at a provider that fails now and then."""
        self.blast = planned_blast(self.stack, self.api, self.people, rate=RATE)
        self.blast.behave("faulty", seed=self.seed, speed=20, **self.scenario)
        self.blast.start()

    def pause_and_resume(self) -> None:
        """After `paused` is seen no call may begin (F16)."""
        ask, path = self.blast.ask, self.blast.path
        asked = eventually(
            lambda: ask("POST", f"{path}/pause") or self.blast.has_ended(),
            why=self.said("it can't be paused"),
        )
        if asked is True:
            self.note("F16 left out: the campaign had ended")
            return
        self.note("F16 paused")
        eventually(
            lambda: (ask("GET", path) or {}).get("status") == "paused", why=self.said("it never paused")
        )
        before = self.blast.accepted()
        time.sleep(1.0)
        if (after := self.blast.accepted()) != before:
            self.broken.append(f"F16: {after - before} messages were sent after `paused` was answered")
        eventually(lambda: ask("POST", f"{path}/resume"), why=self.said("it can't be resumed"))

    def note(self, what: str) -> None:
        """One line of the log."""
        self.log.append(f"{time.monotonic() - self._began:6.1f} s {what}")

    def said(self, what: str) -> str:
        """A failure's message: with it the run can be repeated."""
        return f"seed {self.seed}: {what}\n" + "\n".join(self.log)


def drawn(seed: int, amount: int, *, long: bool = False) -> list[Deed]:
    """So many faults, each kind as seldom as can be; those that take half a minute only in the long class."""
    chance = random.Random(f"deeds {seed}")
    kinds = [deed for deed in DEEDS.values() if long or not deed.is_long]
    chosen: list[Deed] = []
    while len(chosen) < amount:
        chance.shuffle(kinds)
        chosen += kinds
    return chosen[:amount]


def tally(deeds: Sequence[Deed]) -> Counter[str]:
    """How often each kind was drawn."""
    return Counter(deed.name for deed in deeds)
