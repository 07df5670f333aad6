"""After a restore: every campaign waits for a person, and what it may have sent since the backup is unknown.

A database that was set back to an earlier time has forgotten the sends after it, so going on would send twice. What was
queued is doubted (`messaging/restoring.py`). An audience that was still being written down may have been written to the
end since, and sent: the rest of it is written down as unknown, unless the operator knows better. So is the rest of a
retry. Who is unknown stands in the campaign's recipients, and settles by WhatsApp's word alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.campaigns import freezing
from engine.campaigns.events import state_changed
from engine.campaigns.models import Campaign, CampaignStatus
from engine.campaigns.progress import follow_sends
from engine.campaigns.states import UNDER_WAY, move
from engine.core.db import Work, run
from engine.messaging import ledger
from engine.messaging.models import DueSend
from engine.messaging.restoring import RESTORED, doubt

RESTORED_START = "restored_start"  # it was scheduled, and may have begun since
RESTORED_REST = "restored_rest"  # who was not chosen by then is written to when a person resumes it


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Of one company: campaigns that now wait for a person, scheduled ones that are drafts, messages that are unknown.

    `rest` of the messages were written down only now, because they may have been before.
    """

    campaigns: int
    drafts: int
    messages: int
    rest: int


def hold_back(work: Work, *, rest_was_not_sent: bool = False) -> HeldBack:
    """Pause a company's campaigns and doubt what they may have sent; a second time finds nothing to do.

    With `rest_was_not_sent` an audience that is not complete stays so, and goes on when a person resumes the campaign.
    """
    with work.session() as session:
        campaigns = _close(session, rest_was_not_sent=rest_was_not_sent)
        drafts = _back_to_draft(session)
        cancelled = _gates_being_cancelled(session)
        gates = _gates_under_way(session)
    messages = doubt(work, spared=cancelled)
    rest = 0
    if not rest_was_not_sent:
        rest = sum(freezing.doubt_the_rest(work, campaign_id) for campaign_id in _unfinished(work))
    with work.session() as session:
        follow_sends(session, [str(gate_id) for gate_id in (*gates, *cancelled)])
    return HeldBack(campaigns, drafts, messages + rest, rest)


def _close(session: Session, *, rest_was_not_sent: bool) -> int:
    """Close the gates of campaigns under way; answers how many did not stand still for this reason before."""
    closed = 0
    for campaign in _locked(session, UNDER_WAY):
        reason = RESTORED_REST if campaign.unfinished and rest_was_not_sent else RESTORED
        if campaign.status == CampaignStatus.PAUSED and campaign.pause_reason == reason:
            continue
        ledger.set_gate(session, campaign.gate_id, is_open=False, reason=reason)
        campaign.pause_reason = reason
        if campaign.status == CampaignStatus.RUNNING:
            move(session, campaign, CampaignStatus.PAUSING)
        else:
            campaign.revision += 1
        state_changed(session, campaign)
        closed += 1
    return closed


def _back_to_draft(session: Session) -> int:
    """A scheduled campaign may have begun since, or have been moved or cancelled: it begins by a person only."""
    drafts = _locked(session, (CampaignStatus.SCHEDULED,))
    for campaign in drafts:
        campaign.pause_reason = RESTORED_START
        move(session, campaign, CampaignStatus.DRAFT)
        state_changed(session, campaign)
    return len(drafts)


def _locked(session: Session, states: Iterable[CampaignStatus]) -> list[Campaign]:
    return list(
        session.scalars(
            select(Campaign).where(Campaign.status.in_(states)).order_by(Campaign.id).with_for_update()
        )
    )


def _gates_under_way(session: Session) -> list[UUID]:
    return list(session.scalars(select(Campaign.gate_id).where(Campaign.status.in_(UNDER_WAY))))


def _gates_being_cancelled(session: Session) -> list[UUID]:
    """Their queue is cancelled by the workers, as it would have been: it was never sent."""
    has_work = select(DueSend.id).where(DueSend.gate_id == Campaign.gate_id).exists()
    return list(
        session.scalars(select(Campaign.gate_id).where(Campaign.status == CampaignStatus.CANCELLED, has_work))
    )


def _unfinished(work: Work) -> list[UUID]:
    with work.session() as session:
        return list(
            session.scalars(
                select(Campaign.id)
                .where(Campaign.unfinished, Campaign.status.in_(UNDER_WAY))
                .order_by(Campaign.id)
            )
        )


def tenants_with_work(session: Session) -> list[UUID]:
    """Companies with a campaign that has not ended, or with work that is due. System session."""
    rows = run(
        session,
        """select tenant_id from campaigns where status not in ('draft', 'completed', 'cancelled')
           union select tenant_id from due_sends order by 1""",
    )
    return [row.tenant_id for row in rows]
