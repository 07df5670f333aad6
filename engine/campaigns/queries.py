"""Questions about campaigns: how they stand, who is in them, why something failed, how it went over time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Select, Uuid, any_, func, literal, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from engine.campaigns.models import Campaign, CampaignPulse, CampaignRecipient, CampaignStatus
from engine.campaigns.standing import STATES, Standing, standing_of, standings_of
from engine.contacts.models import Contact
from engine.core.errors import Invalid, NotFound
from engine.core.pages import Page, clamp, decode_id, page_of
from engine.messaging.daily_limit import budget_of, limit_of
from engine.messaging.models import Channel, ChannelStatus, Message, MessageState, Origin, Template


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
    """One person in a campaign, and how far their message has come, or had when it went with its month."""

    recipient: CampaignRecipient
    contact: Contact | None
    message: Message | None

    @property
    def state(self) -> str:
        """The furthest state, `skipped` for who was left out."""
        if self.message is not None:
            return self.message.state
        return self.recipient.ended_as or MessageState.SKIPPED


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
    query = (
        select(Campaign).where(Campaign.gate_id == any_(literal(gates, ARRAY(Uuid)))).order_by(Campaign.id)
    )
    return session.scalars(query.with_for_update(key_share=True)).all()


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
    return Page(
        [_entry(session, row[0], row[1], row[2], standings[row[0].id]) for row in page.items], page.next
    )


def entry_of(session: Session, campaign: Campaign) -> Entry:
    """One campaign as lists show it."""
    channel = session.scalars(select(Channel).where(Channel.id == campaign.channel_id)).one()
    template = session.scalars(select(Template.name).where(Template.id == campaign.template_id)).one()
    return _entry(session, campaign, channel, template, standing_of(session, campaign))


def _entry(
    session: Session, campaign: Campaign, channel: Channel, template_name: str, standing: Standing
) -> Entry:
    still = campaign.pause_reason
    if campaign.status == CampaignStatus.RUNNING:
        still = _why_nothing_leaves(session, campaign, channel, standing)
    return Entry(campaign, channel.name, template_name, standing, still)


def _why_nothing_leaves(
    session: Session, campaign: Campaign, channel: Channel, standing: Standing
) -> str | None:
    """The code of what holds back a campaign that runs, where something does."""
    if channel.status != ChannelStatus.CONNECTED:
        return channel.status_code or "connection_paused"
    if campaign.change_after is not None:
        return "changing"
    limit = limit_of(channel.messaging_limit)
    if limit is not None and standing.counts["queued"]:
        budget = budget_of(session, channel.limited_as, limit)
        if not budget.left:
            return "daily_limit"
    return channel.status_code


# Of a recipient's message, or of what is kept of it.
_STATE: Any = func.coalesce(Message.state, CampaignRecipient.ended_as)
_CODE: Any = func.coalesce(Message.reason_code, CampaignRecipient.ended_code)
_PROVIDER_CODE: Any = func.coalesce(
    Message.reason["provider_code"].astext, CampaignRecipient.ended_provider_code
)


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
        return or_(CampaignRecipient.excluded.is_not(None), state == _STATE)
    return state == _STATE


def failures_of(session: Session, campaign: Campaign) -> Sequence[Row[Any]]:
    """Failed and unknown messages by reason: rows of (state, reason_code, provider_code, n), most first."""
    return session.execute(
        select(
            _STATE.label("state"),
            _CODE.label("reason_code"),
            _PROVIDER_CODE.label("provider_code"),
            func.count().label("n"),
        )
        .select_from(CampaignRecipient)
        .outerjoin(Message, Message.id == CampaignRecipient.message_id)
        .where(
            CampaignRecipient.campaign_id == campaign.id,
            _STATE.in_((MessageState.FAILED, MessageState.UNKNOWN)),
        )
        .group_by(_STATE, _CODE, _PROVIDER_CODE)
        .order_by(func.count().desc())
    ).all()


def failed_and_gone(session: Session, campaign: Campaign) -> int:
    """Of how many whose message failed it is gone with its month."""
    return session.execute(
        select(func.count())
        .select_from(CampaignRecipient)
        .where(
            CampaignRecipient.campaign_id == campaign.id, CampaignRecipient.ended_as == MessageState.FAILED
        )
    ).scalar_one()


def exclusions_of(session: Session, campaign: Campaign) -> Mapping[str, int]:
    """Who was left out, by reason: at the freezing, and by the policy when their turn came."""
    later = session.execute(
        select(_CODE, func.count())
        .select_from(CampaignRecipient)
        .outerjoin(Message, Message.id == CampaignRecipient.message_id)
        .where(CampaignRecipient.campaign_id == campaign.id, _STATE == MessageState.SKIPPED)
        .group_by(_CODE)
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
