"""A campaign under way at the simulator, and what the API and the provider's own log say of it.

How long a fault lasts is said in minutes: those of the long class. `FAULTS_SHARE=0.05` makes them shorter, so that a
test is tried in half a minute.
"""

import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from engine.messaging.models import MessageState
from tests.faults.invariants import broken_invariants
from tests.walks.stack import Stack, approved_template, eventually, import_people, sandbox_channel

CALM_SECONDS = 240.0
FINAL = ("completed", "cancelled")
LEAST_SECONDS = 20.0  # longer than time-outs and patience of the product: shorter, a fault would not show
SHARE = float(os.environ.get("FAULTS_SHARE", "1"))


def minutes(amount: float) -> float:
    """So many minutes of a fault, in seconds."""
    return max(amount * 60 * SHARE, LEAST_SECONDS)


@dataclass(frozen=True, slots=True)
class Blast:
    """A campaign with a number of its own; `number` is its id at the provider."""

    stack: Stack
    api: httpx.Client
    channel_id: str
    number: str
    campaign_id: str

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/v1/campaigns/{self.campaign_id}"

    def ask(self, method: str, path: str) -> dict[str, Any] | None:
        """The API's answer; None while it or its database is away."""
        try:
            answer = self.api.request(method, path)
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def counts(self) -> Mapping[str, int]:
        """How many messages are in each state; nothing while nobody answers."""
        seen = self.ask("GET", self.path)
        return seen["counts"] if seen else {}

    def left(self) -> int:
        """How many messages have left the queue; -1 while nobody answers."""
        counts = self.counts()
        return counts["total"] - counts["queued"] if counts else -1

    def accepted(self) -> int:
        """What the provider has taken of this number."""
        summary = self.stack.simulator("GET", f"/_admin/accepts/summary?phone_number_id={self.number}")
        return int(summary["accepted"])

    def behave(self, name: str = "quick", **changes: Any) -> None:
        """From now on the provider does this to what this number sends, and to nobody else's."""
        body = {"name": name, "phone_number_id": self.number, **changes}
        self.stack.simulator("POST", "/_admin/scenario", body)

    def start(self) -> None:
        """Begin to send."""
        started = self.api.post(f"{self.path}/start")
        assert started.status_code == 200, started.text

    def set_rate(self, rate: int) -> None:
        """Let the number send so many a second; workers see it within a quarter of a minute."""
        answer = self.api.patch(f"/v1/channels/{self.channel_id}", json={"rate_per_second": rate})
        assert answer.status_code == 200, answer.text

    def has_ended(self) -> bool:
        """True once nothing more of the campaign will be sent."""
        return (self.ask("GET", self.path) or {}).get("status") in FINAL

    def wait_for_calm(self, *, why: str = "") -> None:
        """Until the campaign has ended, the provider has said all it had to say, and nothing waits any more."""
        eventually(self.has_ended, seconds=CALM_SECONDS, why=f"it never ended {why}")
        eventually(
            lambda: self.stack.simulator("GET", "/_admin/state")["idle"],
            seconds=CALM_SECONDS,
            why=f"the provider still has something to say {why}",
        )

    def broken(self, *, unknown: int = 0) -> list[str]:
        """The invariants that do not hold once all is calm, each as a sentence; so many may be unknown."""
        found = broken_invariants(self.stack, self.campaign_id, self.number, unknown=unknown)
        return found + self._wrongly_listed()

    def _wrongly_listed(self) -> list[str]:
        """What a person reads of the campaign: everybody once, and as many in each state as the counters say (I4, I6)."""
        listed = list(every(self.api, f"{self.path}/recipients"))
        found = Counter(person["state"] for person in listed)
        people = {person["message_id"] for person in listed}
        counts = self.counts()
        counted = {state: n for state, n in counts.items() if state in MessageState and n}
        if len(people) == sum(found.values()) == counts["total"] and counted == found:
            return []
        return [f"I4, I6: the list shows {len(people)} people, {dict(found)}, and the counters {counts}"]


@dataclass(frozen=True, slots=True)
class Sends:
    """When the provider took each message of a number, by its own log: seconds since 1970, in order."""

    moments: tuple[float, ...]

    @classmethod
    def of(cls, blast: Blast) -> "Sends":
        """Those of a campaign so far."""
        return cls(tuple(sorted(accept["at"] / 1000 for accept in blast.stack.accepts(blast.number))))

    def between(self, begin: float, end: float) -> int:
        """How many there were in a span."""
        return bisect_right(self.moments, end) - bisect_left(self.moments, begin)

    def pace(self, begin: float, end: float) -> float:
        """Messages a second in a span."""
        return self.between(begin, end) / (end - begin)

    def seconds_to_next(self, moment: float) -> float:
        """How long after a moment the next one came."""
        place = bisect_left(self.moments, moment)
        assert place < len(self.moments), "nothing was sent afterwards"
        return self.moments[place] - moment


def planned_blast(stack: Stack, api: httpx.Client, people: int, *, rate: int) -> Blast:
    """A number that sends so many a second, with a campaign to so many people that has not begun."""
    channel = sandbox_channel(stack, api, rate=rate)
    body = {
        "name": "Chaos",
        "channel_id": channel["id"],
        "template_id": approved_template(stack, api, channel["id"]),
        "audience": {"import_id": import_people(api, people)},
        "variables": {"body.1": "contact.name"},
    }
    made = api.post("/v1/campaigns", json=body)
    assert made.status_code == 201, made.text
    return Blast(stack, api, channel["id"], channel["phone_number_id"], made.json()["id"])


def every(api: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """Each item of a list of the API, page by page."""
    after: str | None = None
    while True:
        page = api.get(path, params={"limit": 200} | ({"after": after} if after else {})).json()
        yield from page["items"]
        after = page["next"]
        if after is None:
            return
