"""Campaigns, their counts and their recipients, as the API tells them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.client.answers.channels import Preview
from engine.client.answers.page import Reason


@dataclass(frozen=True, slots=True)
class Counts:
    """Each recipient once, in its furthest state; `replied` stands beside them."""

    total: int = 0
    queued: int = 0
    dispatching: int = 0
    accepted: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    cancelled: int = 0
    replied: int = 0

    @property
    def to_send(self) -> int:
        """Everybody but those excluded beforehand."""
        return self.total - self.skipped

    @property
    def done(self) -> int:
        """Recipients nothing more leaves for."""
        return self.to_send - self.queued - self.dispatching

    @property
    def reached(self) -> dict[str, int]:
        """How many got at least as far: accepted, delivered, read, and who replied."""
        return {
            "accepted": self.accepted + self.sent + self.delivered + self.read,
            "delivered": self.delivered + self.read,
            "read": self.read,
            "replied": self.replied,
        }


@dataclass(frozen=True, slots=True)
class Campaign:
    """One blast: what it says, to whom, and how far it is."""

    id: str
    name: str
    status: str
    channel_id: str | None = None
    channel_name: str | None = None
    template_id: str | None = None
    template_name: str | None = None
    audience: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    paused_at: datetime | None = None
    completed_at: datetime | None = None
    created_at: datetime | None = None
    created_by: str | dict[str, Any] | None = None
    counts: Counts = field(default_factory=Counts)
    pause_reason: Reason | None = None
    version: int = 1
    rate_per_second: float = 0.0
    seconds_left: float | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """A reason, what can be done about it, and how many it touched."""

    n: int
    code: str = ""
    reason: str = ""
    text: str = ""
    action: str | None = None


@dataclass(frozen=True, slots=True)
class AudienceSample:
    """One person of an audience with the text they would get."""

    contact_id: str
    name: str = ""
    phone: str | None = None
    preview: str | Preview | None = None


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """How many people an account may begin to write to in a day, and how many of them are left."""

    limit: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class AudienceCount:
    """How many an audience matches, how many would be written to, and who not and why."""

    matched: int = 0
    will_send: int = 0
    excluded: tuple[ReasonCount, ...] = ()
    samples: tuple[AudienceSample, ...] = ()
    daily_limit: DailyLimit | None = None


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """What happened in one step of a campaign."""

    at: datetime
    accepted: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    replied: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """A campaign over time, in steps of `step_seconds`."""

    step_seconds: int = 60
    points: tuple[TimelinePoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person in a campaign and how far the message got."""

    state: str
    contact_id: str | None = None
    name: str = ""
    phone: str | None = None
    reason: Reason | None = None
    message_id: str | None = None
    accepted_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    failed_at: datetime | None = None
    replied_at: datetime | None = None
