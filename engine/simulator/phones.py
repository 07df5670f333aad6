"""How phones behave: for each accepted message, what will happen to it and when.

The plan follows from the scenario and the message alone. So it is not stored: after a restart it is drawn again,
and what was not yet reported goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from hashlib import blake2b
from typing import Any

from engine.simulator.chance import Die, between, throw
from engine.simulator.scenarios import Scenario


class Event(IntFlag):
    """What a message may live through; as bits, so that progress is one number."""

    SENT = 1
    DELIVERED = 2
    READ = 4
    PLAYED = 8
    FAILED = 16
    REPLY = 32


STATUS_WORDS = {
    Event.SENT: "sent",
    Event.DELIVERED: "delivered",
    Event.READ: "read",
    Event.PLAYED: "played",
    Event.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted message. `recipient`: WhatsApp id, or user id when `by_user_id`. `pricing`: category:type."""

    sequence: int
    at: float
    number_id: str
    wamid: str
    recipient: str
    by_user_id: bool
    opaque: str | None
    kind: str
    template: str | None
    pricing: str
    body_hash: str
    body: Mapping[str, Any] | None
    scenario: Scenario
    failure: int | None

    @property
    def key(self) -> str:
        """What makes this message's chance its own, and the same in every run."""
        return self.opaque or f"{self.recipient}:{self.body_hash}"


@dataclass(frozen=True, slots=True)
class Step:
    """One event: when it truly happens, and when its webhook is due."""

    event: Event
    at: float
    due: float


def plan(sent: Sent) -> list[Step]:
    """All that will happen to a message, in the order in which its webhooks are due."""
    scenario = sent.scenario
    if not scenario.webhooks:
        return []
    figures = throw(scenario.seed, f"plan:{sent.key}")
    moments = _moments(sent, figures)
    dues = [at for _, at in moments]
    if figures[Die.SHUFFLED] < scenario.shuffled and len(dues) > 1:
        turn = 1 + int(figures[Die.ORDER] * (len(dues) - 1))
        dues = dues[turn:] + dues[:turn]
    late = figures[Die.LATE] < scenario.late_share
    delay = (
        between(scenario.late_after, figures[Die.LATE] / scenario.late_share) / scenario.speed
        if late
        else 0.0
    )
    steps = [Step(event, at, due + delay) for (event, at), due in zip(moments, dues, strict=True)]
    if scenario.duplicated:
        again = throw(scenario.seed, f"copies:{sent.key}")
        copies = [
            Step(step.event, step.at, step.due + again[8 + index] / scenario.speed)
            for index, step in enumerate(steps)
            if again[index] < scenario.duplicated
        ]
        steps += copies
    return sorted(steps, key=lambda step: step.due)


def _moments(sent: Sent, figures: tuple[float, ...]) -> list[tuple[Event, float]]:
    """The true course of events."""
    scenario = sent.scenario
    sent_at = sent.at + between(scenario.sent_after, figures[Die.SENT_AFTER]) / scenario.speed
    arrived = sent_at + between(scenario.delivered_after, figures[Die.DELIVERED_AFTER]) / scenario.speed
    if sent.failure is not None:
        return [(Event.FAILED, arrived)]
    moments = [(Event.SENT, sent_at)]
    if sent.kind == "reaction" or figures[Die.ARRIVES] >= scenario.delivered_share:
        return moments
    reads = figures[Die.READS] < scenario.read_share
    # The same figure, stretched: whether a reader's delivery goes unreported.
    skipped = reads and figures[Die.READS] < scenario.read_share * scenario.skipped_delivered
    if not skipped:
        moments.append((Event.DELIVERED, arrived))
    if not reads:
        return moments
    # Most people read soon, a few much later: the square leans to the near end.
    read_at = arrived + between(scenario.read_after, figures[Die.READ_AFTER] ** 2) / scenario.speed
    moments.append((Event.READ, read_at))
    if sent.kind == "audio":
        moments.append((Event.PLAYED, read_at + between((2.0, 20.0), figures[Die.ORDER]) / scenario.speed))
    # Only readers answer, so their share is measured against all who were written to.
    if figures[Die.REPLIES] * scenario.read_share < scenario.reply_share:
        wait = between(scenario.reply_after, figures[Die.REPLY_AFTER]) / scenario.speed
        moments.append((Event.REPLY, read_at + wait))
    return moments


def mask_of(steps: list[Step]) -> int:
    """The events of a plan as one number."""
    mask = 0
    for step in steps:
        mask |= int(step.event)
    return mask


def reply_mark(sent: Sent) -> str:
    """Twenty hex digits for the id of the reply to a message: the same each time it is asked for."""
    return blake2b(sent.wamid.encode(), digest_size=10).hexdigest()
