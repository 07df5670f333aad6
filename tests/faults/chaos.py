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

from engine.messaging.models import MessageState
from tests.faults.deeds import DEEDS, Deed
from tests.faults.invariants import broken_invariants
from tests.walks.stack import Stack, approved_template, eventually, import_people, sandbox_channel

RATE = 100  # messages per second of the number: the campaign lasts as long as the faults
STARTS_AFTER = 0.05  # of the campaign has left when the first fault comes
CALM_SECONDS = 240.0
FINAL = ("completed", "cancelled")


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
    campaign_id: str = ""
    number: str = ""
    _began: float = field(default_factory=time.monotonic)

    def run(self) -> list[str]:
        """Everything, to the end; answers the invariants that do not hold, each as a sentence."""
        chance = random.Random(self.seed)
        self.prepare()
        steps: list[Deed | None] = [*self.deeds, *[None] * self.pauses]
        chance.shuffle(steps)
        for number, deed in enumerate(steps):
            goal = self.people * (STARTS_AFTER + 0.8 * number / len(steps))
            eventually(lambda goal=goal: self.left() >= goal, seconds=120, why=self.said("it stands still"))
            if deed is None:
                self.pause_and_resume()
            else:
                self.note(deed.name)
                deed.do(self.stack)
        self.note("calm")
        self.wait_for_calm()
        kills = sum(deed.kills_senders for deed in self.deeds)
        self.broken += broken_invariants(self.stack, self.campaign_id, self.number, kills=kills)
        self.broken += self.wrongly_listed()
        return self.broken

    def prepare(self) -> None:
        """A number, people and a campaign under way at a provider that fails now and then."""
        channel = sandbox_channel(self.stack, self.api, rate=RATE)
        self.number = channel["phone_number_id"]
        template = approved_template(self.stack, self.api, channel["id"])
        audience = import_people(self.api, self.people)
        scenario = {"name": "faulty", "seed": self.seed, "speed": 20, **self.scenario}
        self.stack.simulator("POST", "/_admin/scenario", scenario)
        body = {
            "name": f"Chaos {self.seed}",
            "channel_id": channel["id"],
            "template_id": template,
            "audience": {"import_id": audience},
            "variables": {"body.1": "contact.name"},
        }
        self.campaign_id = self.api.post("/v1/campaigns", json=body).json()["id"]
        started = self.api.post(f"/v1/campaigns/{self.campaign_id}/start")
        assert started.status_code == 200, started.text

    def ask(self, method: str, path: str) -> dict[str, Any] | None:
        """The API's answer; None while it or its database is away."""
        try:
            answer = self.api.request(method, path)
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def left(self) -> int:
        """How many messages have left the queue; -1 while nobody answers."""
        seen = self.ask("GET", f"/v1/campaigns/{self.campaign_id}")
        return -1 if seen is None else int(seen["counts"]["total"] - seen["counts"]["queued"])

    def pause_and_resume(self) -> None:
        """After `paused` is seen no call may begin (F16)."""
        path = f"/v1/campaigns/{self.campaign_id}"
        asked = eventually(
            lambda: self.ask("POST", f"{path}/pause") or self.has_ended(), why=self.said("it can't be paused")
        )
        if asked is True:
            self.note("F16 left out: the campaign had ended")
            return
        self.note("F16 paused")
        eventually(
            lambda: (self.ask("GET", path) or {}).get("status") == "paused", why=self.said("it never paused")
        )
        before = self.accepted()
        time.sleep(1.0)
        if (after := self.accepted()) != before:
            self.broken.append(f"F16: {after - before} messages were sent after `paused` was answered")
        eventually(lambda: self.ask("POST", f"{path}/resume"), why=self.said("it can't be resumed"))

    def accepted(self) -> int:
        """What the provider has taken of this number."""
        summary = self.stack.simulator("GET", f"/_admin/accepts/summary?phone_number_id={self.number}")
        return int(summary["accepted"])

    def wait_for_calm(self) -> None:
        """Until the campaign has ended, the provider has said all it had to say, and nothing waits any more."""
        eventually(self.has_ended, seconds=CALM_SECONDS, why=self.said("it never ended"))
        eventually(
            lambda: self.stack.simulator("GET", "/_admin/state")["idle"],
            seconds=CALM_SECONDS,
            why=self.said("the provider still has something to say"),
        )

    def wrongly_listed(self) -> list[str]:
        """What a person reads of the campaign: everybody once, and as many in each state as the counters say (I4, I6)."""
        path = f"/v1/campaigns/{self.campaign_id}"
        found: Counter[str] = Counter()
        people: set[str] = set()
        after: str | None = None
        while True:
            page = self.api.get(
                f"{path}/recipients", params={"limit": 200} | ({"after": after} if after else {})
            ).json()
            found.update(person["state"] for person in page["items"])
            people.update(person["message_id"] for person in page["items"])
            after = page["next"]
            if after is None:
                break
        counts = self.api.get(path).json()["counts"]
        counted = {state: n for state, n in counts.items() if state in MessageState and n}
        if len(people) == sum(found.values()) == counts["total"] and counted == found:
            return []
        return [f"I4, I6: the list shows {len(people)} people, {dict(found)}, and the counters {counts}"]

    def has_ended(self) -> bool:
        """True once nothing more of the campaign will be sent."""
        return (self.ask("GET", f"/v1/campaigns/{self.campaign_id}") or {}).get("status") in FINAL

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
