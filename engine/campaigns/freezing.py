"""What a campaign has to write in pages: its audience, its failed again, its queue anew after a change or cancelled.

`unfinished` marks the campaigns with pages left. A page is one transaction that takes the campaign's row for its
checkpoint alone, so that a pause, a cancel or a look at the figures never waits for a page.
"""

from uuid import UUID

from sqlalchemy.orm import Session

from engine.campaigns.audience import freeze_page, keep_page
from engine.campaigns.changing import keep_rewritten, may_rewrite, rewrite_page
from engine.campaigns.events import look_again, state_changed
from engine.campaigns.models import Campaign, CampaignStatus
from engine.campaigns.queries import get_campaign
from engine.campaigns.retrying import keep_retried, retry_page
from engine.campaigns.service import blast_of
from engine.campaigns.standing import counts_of
from engine.campaigns.states import UNDER_WAY, move
from engine.core.clock import now
from engine.core.db import Work, run
from engine.messaging import ledger
from engine.messaging.settlement import cancel_queued


def freeze(work: Work, campaign_id: UUID, *, pages: int | None = None) -> bool:
    """Write a campaign's pages, to the end or so many of them; True when more are left. Cancelling stops it."""
    written = 0
    while pages is None or written < pages:
        with work.session() as session:
            if not _write_on(session, campaign_id):
                return False
        written += 1
    return True


def _write_on(session: Session, campaign_id: UUID) -> bool:
    """One page more; True when there is another."""
    if not _writes_alone(session, campaign_id):
        return False
    campaign = get_campaign(session, campaign_id)
    if not campaign.unfinished:
        return False
    if campaign.status == CampaignStatus.CANCELLED:
        _cancel_on(session, campaign)
        return False
    if campaign.retry_after is not None and campaign.frozen_at is not None:
        return _retry_on(session, campaign)
    if campaign.change_after is not None:
        return _change_on(session, campaign)
    return _freeze_on(session, campaign)


def _writes_alone(session: Session, campaign_id: UUID) -> bool:
    """True when no other worker writes pages of this campaign now; so until this transaction ends."""
    rows = run(
        session,
        "select pg_try_advisory_xact_lock(hashtextextended(%(name)s, 0)) as alone",
        name=f"freeze:{campaign_id}",
    )
    return bool(rows[0].alone)


def _freeze_on(session: Session, campaign: Campaign) -> bool:
    page = freeze_page(session, campaign, blast_of(session, campaign))
    if _has_changed(session, campaign):
        return True
    keep_page(session, campaign, page)
    if page.is_last:
        campaign.frozen_at = now()
        campaign.unfinished = campaign.retry_after is not None
        look_again(session, campaign)
    return campaign.unfinished


def _change_on(session: Session, campaign: Campaign) -> bool:
    if not may_rewrite(session, campaign):
        return False  # its gate is closed, so that is soon; whoever looks for pages to write comes again
    page = rewrite_page(session, campaign)
    if _has_changed(session, campaign):
        return True
    keep_rewritten(session, campaign, page)
    if page.is_last:
        campaign.unfinished = campaign.frozen_at is None
    return campaign.unfinished


def _retry_on(session: Session, campaign: Campaign) -> bool:
    page = retry_page(session, campaign)
    if _has_changed(session, campaign):
        return True
    keep_retried(session, campaign, page)
    if page.is_last:
        campaign.unfinished = campaign.change_after is not None
        look_again(session, campaign)
    return campaign.unfinished


def _has_changed(session: Session, campaign: Campaign) -> bool:
    """Lock the campaign for the checkpoint; of a page that was written while it was cancelled or changed nothing stays."""
    version = campaign.version
    session.refresh(campaign, with_for_update={"key_share": True})
    if campaign.status == CampaignStatus.CANCELLED or campaign.version != version:
        session.rollback()
        return True
    return False


def _cancel_on(session: Session, campaign: Campaign) -> None:
    """Cancel what is queued; what a call under way puts back into the queue later is found by `follow_sends`."""
    cancel_queued(session, campaign.gate_id)
    session.refresh(campaign, with_for_update={"key_share": True})
    campaign.unfinished = counts_of(session, campaign)["queued"] > 0
    campaign.revision += 1
    state_changed(session, campaign)


def doubt_the_rest(work: Work, campaign_id: UUID) -> int:
    """Write the pages that a campaign has left as unknown, to the end; answers how many messages.

    After a restore: a database that is lost may have written and sent them, and nobody can say.
    """
    doubted = 0
    while True:
        with work.session() as session:
            campaign = get_campaign(session, campaign_id, lock=True)
            if not campaign.unfinished or campaign.status == CampaignStatus.CANCELLED:
                return doubted
            doubted += _doubt_page(session, campaign)
            state_changed(session, campaign)


def _doubt_page(session: Session, campaign: Campaign) -> int:
    """One page, of the audience or else of a retry. What a change was to write anew is queued no longer."""
    campaign.revision += 1
    campaign.change_after = None
    if campaign.frozen_at is None:
        page = freeze_page(session, campaign, blast_of(session, campaign), doubted=True)
        keep_page(session, campaign, page, doubted=True)
        if page.is_last:
            campaign.frozen_at = now()
            campaign.unfinished = campaign.retry_after is not None
        return sum(amount for _, _, amount in page.spans)
    if campaign.retry_after is None:
        campaign.unfinished = False
        return 0
    again = retry_page(session, campaign, doubted=True)
    keep_retried(session, campaign, again, doubted=True)
    campaign.unfinished = not again.is_last
    return sum(amount for _, _, amount in again.spans)


def halt(session: Session, campaign_id: UUID, reason: str) -> None:
    """A campaign whose pages can't be written pauses, with the reason, until a person has looked and resumes it."""
    campaign = get_campaign(session, campaign_id, lock=True)
    if campaign.status not in UNDER_WAY:
        return
    ledger.set_gate(session, campaign.gate_id, is_open=False, reason=reason)
    campaign.pause_reason = reason
    if campaign.status == CampaignStatus.RUNNING:
        move(session, campaign, CampaignStatus.PAUSING)
    state_changed(session, campaign)
    look_again(session, campaign)


def to_freeze(session: Session) -> list[tuple[UUID, UUID]]:
    """(tenant, campaign) with pages to write; not those that stand still for a reason. System session."""
    rows = run(
        session,
        "select tenant_id, id from campaigns where unfinished and (status = 'cancelled' or pause_reason is null)",
    )
    return [(row.tenant_id, row.id) for row in rows]
