"""What follows when messages of a campaign move: freezing on, ending, pausing, crediting a reply, taking the pulse."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.campaigns.audience import freeze_page, keep_page
from engine.campaigns.events import state_changed
from engine.campaigns.models import Campaign, CampaignPulse, CampaignStatus
from engine.campaigns.queries import campaign_of_gate, counts_of, get_campaign, recipient_to_credit
from engine.campaigns.service import blast_of
from engine.core.clock import now
from engine.core.db import Work, run
from engine.core.events import Fact, emit
from engine.messaging.counters import Steps, bucket_of
from engine.messaging.settlement import cancel_queued

CREDIT_DAYS = 7
PULSE_SECONDS = 2


def freeze(work: Work, campaign_id: UUID) -> None:
    """Freeze the audience of a running campaign to its end, a page a transaction; cancelling stops it."""
    more = True
    while more:
        with work.session() as session:
            more = _freeze_on(session, campaign_id)


def _freeze_on(session: Session, campaign_id: UUID) -> bool:
    """One page more; True when there is another. The campaign's row is locked for the checkpoint alone.

    So a pause, a cancel or a look at the figures never waits for a page; the lock that two freezers would share is
    another one.
    """
    if not _freezes_alone(session, campaign_id):
        return False
    campaign = get_campaign(session, campaign_id)
    if campaign.status == CampaignStatus.CANCELLED:
        cancel_queued(session, campaign.gate_id)
        state_changed(session, campaign)
        return False
    if campaign.frozen_at is not None or campaign.snapshot_id is None:
        return False
    page = freeze_page(session, campaign, blast_of(session, campaign))
    session.refresh(campaign, with_for_update={"key_share": True})
    if campaign.status == CampaignStatus.CANCELLED:
        session.rollback()  # cancelled while this page was written: nobody of it is in the campaign
        return True
    keep_page(session, campaign, page)
    if page.is_last:
        campaign.frozen_at = now()
        emit(session, Fact("sends.moved", {"gates": [str(campaign.gate_id)]}))
    return not page.is_last


def _freezes_alone(session: Session, campaign_id: UUID) -> bool:
    """True when no other worker freezes this campaign now; so until this transaction ends."""
    rows = run(
        session,
        "select pg_try_advisory_xact_lock(hashtextextended(%(name)s, 0)) as alone",
        name=f"freeze:{campaign_id}",
    )
    return bool(rows[0].alone)


def follow_sends(session: Session, gates: Sequence[str]) -> None:
    """Show how campaigns stand, and end or pause those with nothing left or nothing under way."""
    for gate_id in sorted(gates):
        campaign = campaign_of_gate(session, UUID(gate_id), lock=True)
        if campaign is not None:
            _advance(session, campaign)


def _advance(session: Session, campaign: Campaign) -> None:
    counts = counts_of(session, campaign)
    moment = now()
    if campaign.status == CampaignStatus.PAUSING and not counts["dispatching"]:
        campaign.status, campaign.paused_at = CampaignStatus.PAUSED, moment
    nothing_left = not counts["queued"] and not counts["dispatching"]
    if campaign.status == CampaignStatus.RUNNING and campaign.frozen_at is not None and nothing_left:
        campaign.status, campaign.completed_at = CampaignStatus.COMPLETED, moment
    campaign.revision += 1
    _take_pulse(session, campaign, counts, moment)
    state_changed(session, campaign)


def _take_pulse(session: Session, campaign: Campaign, counts: Mapping[str, int], moment: datetime) -> None:
    at = moment - timedelta(seconds=moment.second % PULSE_SECONDS, microseconds=moment.microsecond)
    pulse = insert(CampaignPulse).values(campaign_id=campaign.id, at=at, counts=dict(counts))
    session.execute(
        pulse.on_conflict_do_update(
            index_elements=["tenant_id", "campaign_id", "at"], set_={"counts": pulse.excluded.counts}
        )
    )


def follow_closed_gate(session: Session, gate_id: str, code: str) -> None:
    """A campaign whose gate the dispatcher closed is pausing, with the reason."""
    campaign = campaign_of_gate(session, UUID(gate_id), lock=True)
    if campaign is not None and campaign.status == CampaignStatus.RUNNING:
        campaign.status, campaign.pause_reason = CampaignStatus.PAUSING, code
        _advance(session, campaign)


def credit_reply(session: Session, fact: Mapping[str, Any]) -> None:
    """Count a reply once for the campaign that it answers: the one it quotes, or the last that wrote within 7 days."""
    at = datetime.fromisoformat(fact["at"])
    quoted = fact.get("quoted_message_id")
    recipient = recipient_to_credit(
        session,
        UUID(fact["contact_id"]),
        quoted_message_id=UUID(quoted) if quoted else None,
        since=at - timedelta(days=CREDIT_DAYS),
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
        campaign.status, campaign.pause_reason = CampaignStatus.DRAFT, reason
        campaign.revision += 1
        state_changed(session, campaign)


_UNFINISHED = """
select distinct c.tenant_id, c.id from campaigns c
where (c.status in ('running', 'pausing', 'paused') and c.frozen_at is null and c.snapshot_id is not null)
   or (c.status = 'cancelled' and exists (
         select from message_tallies t where t.tenant_id = c.tenant_id and t.gate_id = c.gate_id
           and t.state = 'queued' and t.n > 0))
"""


def to_freeze(session: Session) -> list[tuple[UUID, UUID]]:
    """(tenant, campaign) of audiences that are not frozen to their end, or not cancelled to it. System session."""
    return [(row.tenant_id, row.id) for row in run(session, _UNFINISHED)]


def to_begin(session: Session) -> list[tuple[UUID, UUID]]:
    """(tenant, campaign) of scheduled campaigns whose time has come. System session."""
    rows = run(
        session, "select tenant_id, id from campaigns where status = 'scheduled' and scheduled_at <= now()"
    )
    return [(row.tenant_id, row.id) for row in rows]


def to_look_at(session: Session) -> list[tuple[UUID, UUID]]:
    """(tenant, gate) of campaigns that stand still in a state that should end by itself. System session."""
    rows = run(session, "select tenant_id, gate_id from campaigns where status in ('running', 'pausing')")
    return [(row.tenant_id, row.gate_id) for row in rows]
