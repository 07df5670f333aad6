"""What follows when messages of a campaign move: ending, pausing, crediting a reply, taking the pulse."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from engine.campaigns.events import look_again, state_changed, states_changed
from engine.campaigns.models import Campaign, CampaignStatus
from engine.campaigns.queries import (
    campaign_of_gate,
    campaigns_of_gates,
    get_campaign,
    recipient_quoted,
    recipient_to_credit,
)
from engine.campaigns.standing import counts_of_all, last_pulses, moves, standing_at, take_pulses
from engine.campaigns.states import move
from engine.core.bells import ring
from engine.core.clock import now
from engine.core.db import after_commit, array_of, run
from engine.messaging.counters import Steps, bucket_of
from engine.messaging.inbound import REMARKS
from engine.messaging.models import Gate

CREDIT_DAYS = 7
CLOCKS_APART = timedelta(seconds=5)  # the provider's clock tells whole seconds, and is not ours


def follow_sends(session: Session, gates: Sequence[str]) -> None:
    """Show how campaigns stand, and end or pause those with nothing left or nothing under way."""
    campaigns = campaigns_of_gates(session, [UUID(gate_id) for gate_id in gates])
    if not campaigns:
        return
    moment = now()
    counted = counts_of_all(session, campaigns)
    pulses = last_pulses(session, campaigns)
    changed, as_before = {}, []
    for campaign in campaigns:
        counts = counted[campaign.id]
        moved = _state_that_follows(session, campaign, counts, moment)
        # A campaign that stands still states nothing, once the screens have heard that its speed is nought.
        if moved or moves(pulses[campaign.id], counts, moment):
            if not moved:
                as_before.append(campaign)
            changed[campaign] = standing_at(campaign, counts, pulses[campaign.id], moment)
    _revise(session, as_before)
    take_pulses(session, {campaign.id: standing.counts for campaign, standing in changed.items()}, moment)
    states_changed(session, changed)


def _revise(session: Session, campaigns: Sequence[Campaign]) -> None:
    """Another revision for each, in one statement: some times a second, of all that send. They are locked."""
    if campaigns:
        ids = array_of(campaign.id for campaign in campaigns)
        run(session, "update campaigns set revision = revision + 1 where id = any(%(ids)s::uuid[])", ids=ids)
    for campaign in campaigns:
        set_committed_value(campaign, "revision", campaign.revision + 1)


def _state_that_follows(
    session: Session, campaign: Campaign, counts: Mapping[str, int], moment: datetime
) -> bool:
    """Pause, end, or go on cancelling, where the counts say so; True when the state is another."""
    before = campaign.status
    if campaign.status == CampaignStatus.PAUSING and not counts["dispatching"]:
        move(session, campaign, CampaignStatus.PAUSED)
        campaign.paused_at = moment
    nothing_left = not counts["queued"] and not counts["dispatching"] and not campaign.unfinished
    if campaign.status == CampaignStatus.RUNNING and campaign.frozen_at is not None and nothing_left:
        move(session, campaign, CampaignStatus.COMPLETED)
        campaign.completed_at = moment
    if campaign.status == CampaignStatus.CANCELLED and counts["queued"] and not campaign.unfinished:
        # A call that was under way was put off: it is cancelled like the others.
        campaign.unfinished = True
        after_commit(session, lambda: ring("freeze"))
    return campaign.status != before


def follow_closed_gate(session: Session, fact: Mapping[str, Any]) -> None:
    """A campaign whose gate the dispatcher closed is pausing, with the reason; unless a person opened it again since."""
    gate_id = UUID(fact["gate_id"])
    campaign = campaign_of_gate(session, gate_id, lock=True)
    if campaign is None or campaign.status != CampaignStatus.RUNNING:
        return
    gate = session.scalars(select(Gate).where(Gate.id == gate_id)).one()
    if gate.is_open or gate.generation != fact["generation"]:
        return
    move(session, campaign, CampaignStatus.PAUSING)
    campaign.pause_reason = fact["code"]
    state_changed(session, campaign)
    look_again(session, campaign)


def follow_merge(session: Session, fact: Mapping[str, Any]) -> None:
    """Two contacts are one person: who was in a campaign as the one is in it as the other, unless both were."""
    run(
        session,
        """update campaign_recipients r set contact_id = %(kept)s
           where r.contact_id = %(gone)s and not exists (
             select from campaign_recipients k where k.campaign_id = r.campaign_id and k.contact_id = %(kept)s)""",
        kept=UUID(fact["kept"]),
        gone=UUID(fact["gone"]),
    )


def forget_person(session: Session, fact: Mapping[str, Any]) -> None:
    """A person was deleted: campaigns count them still, and know their address no longer."""
    run(
        session,
        "update campaign_recipients set address = null where contact_id = %(contact)s and address is not null",
        contact=UUID(fact["id"]),
    )


def credit_reply(session: Session, fact: Mapping[str, Any]) -> None:
    """Count a reply once for the campaign that it answers: the one it quotes, or the last that wrote within 7 days."""
    if fact["kind"] in REMARKS:
        return
    at = datetime.fromisoformat(fact["at"])
    contact_id, quoted = UUID(fact["contact_id"]), fact.get("quoted_message_id")
    recipient = recipient_quoted(session, contact_id, UUID(quoted)) if quoted else None
    if recipient is None:
        recipient = recipient_to_credit(
            session, contact_id, since=at - timedelta(days=CREDIT_DAYS), until=at + CLOCKS_APART
        )
    if recipient is None or recipient.replied_at is not None:
        return
    recipient.replied_at = at
    campaign = get_campaign(session, recipient.campaign_id, lock=True)
    campaign.replied += 1
    campaign.revision += 1
    state_changed(session, campaign)
    steps = Steps()
    steps.happenings[bucket_of(at), campaign.channel_id, "replied"] += 1
    steps.write(session)


def back_to_draft(session: Session, campaign_id: UUID, reason: str) -> None:
    """A scheduled campaign that could not begin waits for a person, with the reason."""
    campaign = get_campaign(session, campaign_id, lock=True)
    if campaign.status == CampaignStatus.SCHEDULED:
        move(session, campaign, CampaignStatus.DRAFT)
        campaign.pause_reason = reason
        state_changed(session, campaign)


def to_begin(session: Session) -> list[tuple[UUID, UUID]]:
    """(tenant, campaign) of scheduled campaigns whose time has come. System session."""
    rows = run(
        session, "select tenant_id, id from campaigns where status = 'scheduled' and scheduled_at <= now()"
    )
    return [(row.tenant_id, row.id) for row in rows]


def to_look_at(session: Session) -> list[tuple[UUID, list[str]]]:
    """(tenant, gates) of campaigns in a state that should end by itself. System session."""
    rows = run(
        session,
        """select tenant_id, array_agg(gate_id::text) as gates from campaigns
           where status in ('running', 'pausing') group by 1""",
    )
    return [(row.tenant_id, row.gates) for row in rows]
