"""Questions about campaigns: how they stand, who is in them, why something failed, how it went over time."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from engine.campaigns.models import Campaign, CampaignPulse, CampaignRecipient, CampaignStatus, pulse_time
from engine.contacts.models import Contact
from engine.core.clock import now
from engine.core.db import run
from engine.core.errors import Invalid, NotFound
from engine.core.pages import Page, clamp, decode_id, page_of
from engine.messaging.counters import MessageTally
from engine.messaging.models import Channel, ChannelStatus, Message, MessageState, Origin, Template

STATES = (
    MessageState.QUEUED,
    MessageState.DISPATCHING,
    MessageState.ACCEPTED,
    MessageState.SENT,
    MessageState.DELIVERED,
    MessageState.READ,
    MessageState.FAILED,
    MessageState.UNKNOWN,
    MessageState.SKIPPED,
    MessageState.CANCELLED,
)
SPEED_OVER = timedelta(seconds=10)
SPEED_SPANS = timedelta(
    seconds=4
)  # over less, the first burst or the wait before it would be all there is to see
UNSENT = (MessageState.QUEUED, MessageState.DISPATCHING)
NEVER_SENT = (*UNSENT, MessageState.SKIPPED, MessageState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a campaign stands: each recipient once, in its furthest state; `replied` beside them."""

    counts: Mapping[str, int]
    rate_per_second: float
    seconds_left: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A campaign with its channel's and template's names and its standing, as lists show it."""

    campaign: Campaign
    channel_name: str
    template_name: str
    standing: Standing
    stands_still: str | None  # the code of why nothing of it leaves: its own reason, or its connection's


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person in a campaign, and how far their message has come."""

    recipient: CampaignRecipient
    contact: Contact | None
    message: Message | None

    @property
    def state(self) -> str:
        """The furthest state, `skipped` for who was left out."""
        return self.message.state if self.message is not None else MessageState.SKIPPED


def get_campaign(session: Session, campaign_id: UUID, *, lock: bool = False) -> Campaign:
    """The campaign, locked for a change when asked; NotFound."""
    query = select(Campaign).where(Campaign.id == campaign_id)
    campaign = session.scalars(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if campaign is None:
        raise NotFound("campaign_not_found", "We could not find this campaign. It may have been deleted.")
    return campaign


def campaign_of_gate(session: Session, gate_id: UUID, *, lock: bool = False) -> Campaign | None:
    """The campaign that owns a gate, or None."""
    query = select(Campaign).where(Campaign.gate_id == gate_id)
    return session.scalars(query.with_for_update(key_share=True) if lock else query).one_or_none()


def campaigns_of_gates(session: Session, gates: Sequence[UUID]) -> Sequence[Campaign]:
    """The campaigns that own these gates, locked for a change in the order of their ids."""
    query = select(Campaign).where(Campaign.gate_id.in_(gates)).order_by(Campaign.id)
    return session.scalars(query.with_for_update(key_share=True)).all()


def counts_of(session: Session, campaign: Campaign) -> dict[str, int]:
    """Each recipient once, in its furthest state; exclusions are `skipped` and inside `total`; `replied` beside."""
    return counts_of_all(session, [campaign])[campaign.id]


def counts_of_all(session: Session, campaigns: Sequence[Campaign]) -> dict[UUID, dict[str, int]]:
    """The counts of some campaigns, by id, in one statement: what moves meanwhile is in all of them or in none."""
    query = (
        select(
            Campaign.id,
            Campaign.recipients,
            Campaign.excluded,
            Campaign.replied,
            MessageTally.state,
            MessageTally.n,
        )
        .outerjoin(
            MessageTally,
            and_(MessageTally.tenant_id == Campaign.tenant_id, MessageTally.gate_id == Campaign.gate_id),
        )
        .where(Campaign.id.in_([campaign.id for campaign in campaigns]))
    )
    found: dict[UUID, dict[str, int]] = {}
    for row in session.execute(query):
        counts = found.get(row.id)
        if counts is None:
            states = dict.fromkeys((state.value for state in STATES), 0)
            counts = found[row.id] = {"total": row.recipients, **states, "replied": row.replied}
            counts[MessageState.SKIPPED] += sum(row.excluded.values())
        if row.state is not None:
            counts[row.state] += row.n
    return found


def standing_of(session: Session, campaign: Campaign) -> Standing:
    """Counts, the speed over the last ten seconds of running, and the seconds that are left at this speed."""
    return standings_of(session, [campaign])[campaign.id]


def standings_of(session: Session, campaigns: Sequence[Campaign]) -> Mapping[UUID, Standing]:
    """How some campaigns stand, by id; asked of the database at once."""
    moment = now()
    counted = counts_of_all(session, campaigns)
    running = [campaign.id for campaign in campaigns if campaign.status == CampaignStatus.RUNNING]
    pulses = _pulses_since(session, running, moment - SPEED_OVER)
    standings = {}
    for campaign in campaigns:
        counts = counted[campaign.id]
        since = pulse_time(campaign.running_since or moment)
        rate = _speed(counts, [pulse for pulse in pulses[campaign.id] if pulse.at >= since], moment)
        left = counts["queued"] + counts["dispatching"]
        seconds = round(left / rate) if rate > 0 and left and campaign.frozen_at else None
        standings[campaign.id] = Standing(counts, rate, seconds)
    return standings


def _pulses_since(
    session: Session, campaigns: Sequence[UUID], since: datetime
) -> Mapping[UUID, Sequence[CampaignPulse]]:
    """The pulses of each campaign since then, oldest first."""
    found: dict[UUID, list[CampaignPulse]] = defaultdict(list)
    if campaigns:
        pulses = (
            select(CampaignPulse)
            .where(CampaignPulse.campaign_id.in_(campaigns), CampaignPulse.at >= since)
            .order_by(CampaignPulse.campaign_id, CampaignPulse.at)
        )
        for pulse in session.scalars(pulses):
            found[pulse.campaign_id].append(pulse)
    return found


_LAST_PULSES = """
select p.campaign_id, p.at, p.counts
from unnest(%(campaigns)s::uuid[]) as asked(id)
cross join lateral (
  select campaign_id, at, counts from campaign_pulses where campaign_id = asked.id order by at desc limit %(most)s) p
order by p.campaign_id, p.at desc
"""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a campaign stood at a moment."""

    at: datetime
    counts: Mapping[str, int]


def last_pulses(session: Session, campaigns: Sequence[Campaign], most: int) -> Mapping[UUID, Sequence[Pulse]]:
    """The last pulses of each campaign, newest first, so many of each."""
    found: dict[UUID, list[Pulse]] = {campaign.id: [] for campaign in campaigns}
    rows = run(session, _LAST_PULSES, campaigns=list(found), most=most)
    for row in rows:
        found[row.campaign_id].append(Pulse(row.at, row.counts))
    return found


def _speed(counts: Mapping[str, int], pulses: Sequence[CampaignPulse], moment: datetime) -> float:
    """Messages per second that left the queue, as far as these pulses reach back.

    Zero until they span some seconds: what comes of less changes wildly from one look to the next.
    """
    left = [_left_the_queue(pulse.counts) for pulse in pulses]
    # While nothing left, it had not begun.
    began = next((at for at in range(len(left) - 1) if left[at] != left[at + 1]), None)
    if began is None or moment - pulses[began].at < SPEED_SPANS:
        return 0.0
    seconds = (moment - pulses[began].at).total_seconds()
    return round(max(_left_the_queue(counts) - left[began], 0) / seconds, 1)


def _left_the_queue(counts: Mapping[str, int]) -> int:
    return counts["total"] - sum(counts[state] for state in NEVER_SENT)


def list_campaigns(
    session: Session,
    *,
    status: str | None = None,
    search: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Page[Entry]:
    """Campaigns, newest first."""
    size = clamp(limit)
    query = (
        select(Campaign, Channel, Template.name)
        .join(Channel, Channel.id == Campaign.channel_id)
        .join(Template, Template.id == Campaign.template_id)
        .order_by(Campaign.id.desc())
        .limit(size + 1)
    )
    if status:
        query = query.where(Campaign.status == status)
    if search:
        query = query.where(Campaign.name.icontains(search, autoescape=True))
    last_id = decode_id(after)
    if last_id is not None:
        query = query.where(Campaign.id < last_id)
    rows = session.execute(query).all()
    page = page_of(rows, size, key=lambda row: (row[0].id,))
    standings = standings_of(session, [row[0] for row in page.items])
    return Page([_entry(row[0], row[1], row[2], standings[row[0].id]) for row in page.items], page.next)


def entry_of(session: Session, campaign: Campaign) -> Entry:
    """One campaign as lists show it."""
    channel = session.scalars(select(Channel).where(Channel.id == campaign.channel_id)).one()
    template = session.scalars(select(Template.name).where(Template.id == campaign.template_id)).one()
    return _entry(campaign, channel, template, standing_of(session, campaign))


def _entry(campaign: Campaign, channel: Channel, template_name: str, standing: Standing) -> Entry:
    still = campaign.pause_reason
    if campaign.status == CampaignStatus.RUNNING and channel.status != ChannelStatus.CONNECTED:
        still = channel.status_code or "connection_paused"
    return Entry(campaign, channel.name, template_name, standing, still)


def _recipients(campaign: Campaign) -> Select[CampaignRecipient, Contact, Message]:
    return (
        select(CampaignRecipient, Contact, Message)
        .outerjoin(Contact, Contact.id == CampaignRecipient.contact_id)
        .outerjoin(Message, Message.id == CampaignRecipient.message_id)
        .where(CampaignRecipient.campaign_id == campaign.id)
        .order_by(CampaignRecipient.id)
    )


def list_recipients(
    session: Session,
    campaign: Campaign,
    *,
    state: str | None = None,
    search: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Page[Recipient]:
    """The people of a campaign in the order they were frozen, by state or by a piece of name or number."""
    size = clamp(limit)
    query = _recipients(campaign).limit(size + 1)
    if state is not None:
        query = query.where(_in_state(state))
    if search:
        query = query.where(
            or_(
                Contact.name.icontains(search, autoescape=True),
                CampaignRecipient.address.contains(search, autoescape=True),
            )
        )
    last_id = decode_id(after)
    if last_id is not None:
        query = query.where(CampaignRecipient.id > last_id)
    rows = session.execute(query).all()
    people = [Recipient(row[0], row[1], row[2]) for row in rows]
    return page_of(people, size, key=lambda person: (person.recipient.id,))


def check_state(state: str | None) -> None:
    """Invalid for a state that recipients can't be in; `replied` is one to ask for."""
    if state not in {None, "replied", *(member.value for member in STATES)}:
        raise Invalid.field("state", "unknown_state", "There is no state %(state)s.", state=state)


def _in_state(state: str) -> Any:
    check_state(state)
    if state == "replied":
        return CampaignRecipient.replied_at.is_not(None)
    if state == MessageState.SKIPPED:
        return or_(CampaignRecipient.excluded.is_not(None), Message.state == state)
    return Message.state == state


def failures_of(session: Session, campaign: Campaign) -> Sequence[Row[Any]]:
    """Failed and unknown messages by reason: rows of (state, reason_code, provider_code, n), most first."""
    return session.execute(
        select(
            Message.state,
            Message.reason_code,
            Message.reason["provider_code"].astext.label("provider_code"),
            func.count().label("n"),
        )
        .select_from(CampaignRecipient)
        .join(Message, Message.id == CampaignRecipient.message_id)
        .where(
            CampaignRecipient.campaign_id == campaign.id,
            Message.state.in_((MessageState.FAILED, MessageState.UNKNOWN)),
        )
        .group_by(Message.state, Message.reason_code, "provider_code")
        .order_by(func.count().desc())
    ).all()


def exclusions_of(session: Session, campaign: Campaign) -> Mapping[str, int]:
    """Who was left out, by reason: at the freezing, and by the policy when their turn came."""
    later = session.execute(
        select(Message.reason_code, func.count())
        .select_from(CampaignRecipient)
        .join(Message, Message.id == CampaignRecipient.message_id)
        .where(CampaignRecipient.campaign_id == campaign.id, Message.state == MessageState.SKIPPED)
        .group_by(Message.reason_code)
    )
    return Counter(campaign.excluded) + Counter({code: n for code, n in later if code})


def pulses_of(session: Session, campaign: Campaign) -> Sequence[CampaignPulse]:
    """The campaign's timeline, at most the newest 720 pulses, oldest first."""
    newest = session.scalars(
        select(CampaignPulse)
        .where(CampaignPulse.campaign_id == campaign.id)
        .order_by(CampaignPulse.at.desc())
        .limit(720)
    ).all()
    return newest[::-1]


def recipient_quoted(session: Session, contact_id: UUID, message_id: UUID) -> CampaignRecipient | None:
    """The recipient row, locked, whose message a reply quotes, be it one that a retry replaced; or None."""
    return session.scalars(
        select(CampaignRecipient)
        .join(Message, Message.origin_id == CampaignRecipient.campaign_id)
        .where(
            CampaignRecipient.contact_id == contact_id,
            Message.id == message_id,
            Message.origin == Origin.CAMPAIGN,
        )
        .with_for_update(of=CampaignRecipient)
    ).one_or_none()


def recipient_to_credit(
    session: Session, contact_id: UUID, *, since: datetime, until: datetime
) -> CampaignRecipient | None:
    """The recipient row, locked, of the last campaign whose message was called and taken in that time; or None."""
    return session.scalars(
        select(CampaignRecipient)
        .join(Message, Message.id == CampaignRecipient.message_id)
        .where(
            CampaignRecipient.contact_id == contact_id,
            Message.called_at.between(since, until),
            Message.accepted_at.is_not(None),
            Message.state != MessageState.FAILED,
        )
        .order_by(Message.called_at.desc())
        .limit(1)
        .with_for_update(of=CampaignRecipient)
    ).one_or_none()
