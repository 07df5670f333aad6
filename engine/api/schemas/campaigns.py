"""Bodies and answers of campaigns."""

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from engine.campaigns.audience import EXCLUSION_TEXTS, GROUP_TEXTS, Waterfall
from engine.campaigns.models import CampaignPulse, Exclusion
from engine.campaigns.queries import Entry, Recipient
from engine.core.i18n import N_, say
from engine.core.pages import Page
from engine.messaging.daily_limit import Budget
from engine.messaging.failures import EXPLANATIONS
from engine.messaging.policy import REFUSAL_TEXTS, Refusal

EXAMPLE: dict[str, Any] = {
    "name": "Black Friday",
    "channel_id": "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90",
    "template_id": "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d91",
    "audience": {"tags": ["clientes"]},
    "variables": {"body.1": "contact.first_name", "body.2": {"text": "20%"}},
}
WHEN = "When to begin. Without an offset it is meant in the company's time zone."
UNEXPLAINED = N_("The provider refused it, with its code %(code)s.")


class CampaignBody(BaseModel):
    """A campaign as a draft."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": EXAMPLE})

    name: str = Field(min_length=1, max_length=200)
    channel_id: UUID
    template_id: UUID
    audience: dict[str, Any] = Field(
        description='`{"all": true}`, `{"tags": ["any", "of"]}` or `{"import_id": "…"}`.'
    )
    variables: dict[str, Any] = Field(
        default_factory=dict,
        description="For each gap of the template (`body.1`, `header.1`, `header.media`, `button.0.1`) where its value "
        'comes from: `"contact.name"`, `"contact.first_name"`, `"contact.phone"`, `"field.city"` or `{"text": "…"}`.',
    )
    scheduled_at: datetime | None = Field(default=None, description=WHEN)

    def plan(self, time_zone: str) -> dict[str, Any]:
        """The fields as they are meant in a time zone."""
        return self.model_dump() | {"scheduled_at": meant_in(time_zone, self.scheduled_at)}


class CampaignChanges(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Black Friday, day two"}}
    )

    name: str | None = Field(default=None, min_length=1, max_length=200)
    channel_id: UUID | None = None
    template_id: UUID | None = None
    audience: dict[str, Any] | None = None
    variables: dict[str, Any] | None = None
    scheduled_at: datetime | None = Field(default=None, description=WHEN)

    def given(self, time_zone: str) -> dict[str, Any]:
        """The fields that were sent, as they are meant in a time zone; only `scheduled_at` may be emptied."""
        sent = self.model_dump(exclude_unset=True)
        if "scheduled_at" in sent:
            sent["scheduled_at"] = meant_in(time_zone, self.scheduled_at)
        return {name: value for name, value in sent.items() if value is not None or name == "scheduled_at"}


def meant_in(time_zone: str, moment: datetime | None) -> datetime | None:
    """A moment; one without an offset is a clock's reading in this time zone."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=ZoneInfo(time_zone))


class AudienceBody(BaseModel):
    """An audience to look at before there is a campaign."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                name: EXAMPLE[name] for name in ("channel_id", "template_id", "audience", "variables")
            }
        },
    )

    channel_id: UUID
    template_id: UUID
    audience: dict[str, Any]
    variables: dict[str, Any] = Field(default_factory=dict)


class TestSendBody(BaseModel):
    """Where to send the campaign's message once, to see it on a phone of one's own."""

    __test__ = False
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"to": "+5511987654321"}})

    to: str = Field(min_length=3, max_length=40)


class CampaignAnswer(BaseModel):
    """A campaign and how it stands."""

    id: UUID
    name: str
    channel_id: UUID
    channel_name: str
    template_id: UUID
    template_name: str
    audience: dict[str, Any]
    variables: dict[str, Any]
    status: str
    pause_reason: dict[str, str] | None
    scheduled_at: datetime | None
    started_at: datetime | None
    paused_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    created_by: UUID | None
    counts: dict[str, int]
    rate_per_second: float
    seconds_left: int | None
    version: int = Field(
        description="How many versions of template and variables it has had since its start."
    )
    revision: int

    @classmethod
    def of(cls, entry: Entry, locale: str) -> "CampaignAnswer":
        """The answer for one campaign, its reason in the reader's language."""
        campaign, standing = entry.campaign, entry.standing
        return cls(
            id=campaign.id,
            name=campaign.name,
            channel_id=campaign.channel_id,
            channel_name=entry.channel_name,
            template_id=campaign.template_id,
            template_name=entry.template_name,
            audience=campaign.audience,
            variables=campaign.variables,
            status=campaign.status,
            pause_reason=pause_of(entry.stands_still, locale),
            scheduled_at=campaign.scheduled_at,
            started_at=campaign.started_at,
            paused_at=campaign.paused_at,
            completed_at=campaign.completed_at,
            created_at=campaign.created_at,
            created_by=campaign.created_by,
            counts=dict(standing.counts),
            rate_per_second=standing.rate_per_second,
            seconds_left=standing.seconds_left,
            version=campaign.version,
            revision=campaign.revision,
        )


class CampaignPage(BaseModel):
    """A page of campaigns, newest first."""

    items: list[CampaignAnswer]
    next: str | None


class ReasonCount(BaseModel):
    """How often a reason stands in the way."""

    reason: str
    text: str
    n: int


class FailureCount(BaseModel):
    """How often a failure happened, what it means and what to do."""

    code: str
    text: str
    action: str
    n: int


class SampleAnswer(BaseModel):
    """One person who will get it, and the message as they will read it."""

    contact_id: UUID
    name: str
    phone: str
    preview: str


class DailyLimit(BaseModel):
    """How many people WhatsApp lets an account begin to write to in 24 hours, and how many of them are left now."""

    limit: int
    left: int


class AudienceAnswer(BaseModel):
    """Who matches, who will get it, who will not and why."""

    matched: int
    will_send: int
    excluded: list[ReasonCount]
    samples: list[SampleAnswer]
    daily_limit: DailyLimit | None = Field(
        description="What goes beyond it waits, and goes out as room comes back. Null is no limit."
    )

    @classmethod
    def of(
        cls, waterfall: Waterfall, previews: list[str], budget: Budget | None, locale: str
    ) -> "AudienceAnswer":
        """The answer for a waterfall; `previews` go with its samples."""
        return cls(
            matched=waterfall.matched,
            will_send=waterfall.will_send,
            excluded=exclusion_counts({str(code): n for code, n in waterfall.excluded.items()}, locale),
            samples=[
                SampleAnswer(
                    contact_id=sample.contact_id, name=sample.name, phone=sample.address, preview=preview
                )
                for sample, preview in zip(waterfall.samples, previews, strict=True)
            ],
            daily_limit=DailyLimit(limit=budget.limit, left=budget.left) if budget else None,
        )


class RecipientAnswer(BaseModel):
    """One person in a campaign."""

    contact_id: UUID | None
    name: str
    phone: str | None
    state: str
    reason: dict[str, str] | None
    message_id: UUID | None
    accepted_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    failed_at: datetime | None
    replied_at: datetime | None

    @classmethod
    def of(cls, person: Recipient, locale: str) -> "RecipientAnswer":
        """The answer for one recipient, with why there is no message or why it failed."""
        message, contact = person.message, person.contact
        return cls(
            contact_id=person.recipient.contact_id,
            name=contact.name if contact else "",
            phone=person.recipient.address or (contact.phone if contact else None),
            state=person.state,
            reason=why(person, locale),
            message_id=message.id if message else None,
            accepted_at=message.accepted_at if message else None,
            sent_at=message.sent_at if message else None,
            delivered_at=message.delivered_at if message else None,
            read_at=message.read_at if message else None,
            failed_at=message.failed_at if message else None,
            replied_at=person.recipient.replied_at,
        )


class RecipientPage(BaseModel):
    """A page of recipients, in the order in which they were frozen."""

    items: list[RecipientAnswer]
    next: str | None


class FailureList(BaseModel):
    """Failures by reason, most first."""

    items: list[FailureCount]


class ReasonList(BaseModel):
    """Reasons, most first."""

    items: list[ReasonCount]


class Point(BaseModel):
    """How many had come how far at a moment."""

    at: datetime
    accepted: int
    delivered: int
    read: int
    failed: int
    replied: int

    @classmethod
    def of(cls, pulse: CampaignPulse) -> "Point":
        """Cumulative counts from the states at a pulse: who has read was delivered before."""
        counts = pulse.counts
        read = counts["read"]
        delivered = read + counts["delivered"]
        accepted = delivered + counts["sent"] + counts["accepted"]
        return cls(
            at=pulse.at,
            accepted=accepted,
            delivered=delivered,
            read=read,
            failed=counts["failed"],
            replied=counts["replied"],
        )


class TimelineAnswer(BaseModel):
    """A campaign's course; the newest points, at most every two seconds while it moved."""

    step_seconds: int
    points: list[Point]


class TestSendAnswer(BaseModel):
    """The message that was queued."""

    __test__ = False

    message_id: UUID


def reason_of(code: str | None, detail: dict[str, Any] | None, locale: str) -> dict[str, str] | None:
    """`{code, text}` for a stored reason, in the reader's language; None when there is none."""
    if code is None:
        return None
    return {"code": code, "text": explain(code, (detail or {}).get("provider_code"), locale)[0]}


def explain(code: str, provider_code: str | None, locale: str) -> tuple[str, str]:
    """What a stored code means, and what to do about it."""
    if code in {member.value for member in Refusal}:
        return say(REFUSAL_TEXTS[Refusal(code)], locale), ""
    if code in {member.value for member in Exclusion}:
        return say(EXCLUSION_TEXTS[Exclusion(code)], locale), ""
    if code in EXPLANATIONS:
        return say(EXPLANATIONS[code].text, locale), say(EXPLANATIONS[code].action, locale)
    return say(UNEXPLAINED, locale, {"code": provider_code or code}), ""


def explain_group(code: str, provider_code: str | None, locale: str) -> tuple[str, str]:
    """The same of several people at once: it stands beside how many they are."""
    text, action = explain(code, provider_code, locale)
    return (say(GROUP_TEXTS[code], locale) if code in GROUP_TEXTS else text), action


PAUSES = {
    "daily_limit": N_(
        "WhatsApp's limit of people a day is reached for this number's account. It goes on by itself as room comes back."
    ),
    "changing": N_("The new version is being written for those who still wait. It goes on by itself."),
    "missed_start": N_("Its time passed while the system was off, so it waits for you to start it."),
    "not_frozen": N_(
        "Its audience could not be gathered: a fault of ours, which is in the logs. Resume it to try again."
    ),
    "restored": N_(
        "The database was restored from a backup. Who may have got the message meanwhile is shown as not confirmed, "
        "and is not written to again. Look at them, then resume."
    ),
    "restored_rest": N_(
        "The database was restored from a backup while recipients were still being chosen. Resuming chooses the others "
        "and writes to them, so resume only if nobody else can have got the message meanwhile."
    ),
    "restored_start": N_(
        "The database was restored from a backup, and this campaign may have begun meanwhile. Make sure that it did "
        "not, then start it."
    ),
    "template_gone": N_("The template of this campaign was deleted. Choose another one."),
    "channel_stands_still": N_("Its connection could not send when its time came. Mend that, then start it."),
    "template_not_approved": N_("WhatsApp does not approve its template, or no longer. Choose another."),
    "connection_paused": N_("Its connection is paused. Switch it on under Connections, and it goes on."),
    "unknown_channel": N_("Its connection was deleted. Choose another."),
    "unknown_tag": N_("Nobody has a tag of its audience any more. Choose another audience."),
    "unknown_import": N_("The import of its audience is gone. Choose another audience."),
}
STUCK = N_("It can't go on as it is (%(code)s). Open it, and correct what is marked.")


def pause_of(code: str | None, locale: str) -> dict[str, str] | None:
    """`{code, text}` for why a campaign stands still, in the reader's language; None when there is no reason."""
    if code is None or (code in EXPLANATIONS and code not in PAUSES):
        return reason_of(code, None, locale)
    return {"code": code, "text": say(PAUSES.get(code, STUCK), locale, {"code": code})}


def why(person: Recipient, locale: str) -> dict[str, str] | None:
    """Why a recipient has no message, or why it did not arrive."""
    if person.recipient.excluded is not None:
        reason = reason_of(person.recipient.excluded, None, locale)
        if reason is not None and person.recipient.excluded_detail:
            reason["text"] = f"{reason['text']} ({person.recipient.excluded_detail})"
        return reason
    if person.message is None:
        kept = person.recipient
        return reason_of(kept.ended_code, {"provider_code": kept.ended_provider_code}, locale)
    return reason_of(person.message.reason_code, person.message.reason, locale)


def exclusion_counts(excluded: dict[str, int], locale: str) -> list[ReasonCount]:
    """Reasons with their texts, most first."""
    return [
        ReasonCount(reason=code, text=explain_group(code, None, locale)[0], n=n)
        for code, n in sorted(excluded.items(), key=lambda item: -item[1])
    ]


def campaign_page(page: Page[Entry], locale: str) -> CampaignPage:
    """The answer for a page of campaigns."""
    return CampaignPage(items=[CampaignAnswer.of(entry, locale) for entry in page.items], next=page.next)
