"""How a campaign changes its state: one function, which consults the table of what may follow what."""

from sqlalchemy.orm import Session

from engine.campaigns.models import TRANSITIONS, Campaign, CampaignStatus
from engine.core.clock import now
from engine.core.errors import Invalid, WrongState
from engine.messaging.gates import hold, let_go

ENDED = (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED)
UNDER_WAY = (CampaignStatus.RUNNING, CampaignStatus.PAUSING, CampaignStatus.PAUSED)


def move(session: Session, campaign: Campaign, status: CampaignStatus) -> None:
    """Change the state, or WrongState; the campaign is locked by the caller, who also states the fact.

    From its start to its end a campaign holds its channel and its template, which can't be deleted meanwhile; Invalid when
    the channel is gone.
    """
    present = CampaignStatus(campaign.status)
    if status not in TRANSITIONS[present]:
        raise WrongState(present, [one for one in CampaignStatus if status in TRANSITIONS[one]])
    if (
        status is CampaignStatus.RUNNING
        and present not in UNDER_WAY
        and not hold(
            session, campaign.gate_id, channel_id=campaign.channel_id, template_id=campaign.template_id
        )
    ):
        raise unknown_channel()
    if status in ENDED:
        let_go(session, campaign.gate_id)
    if status is CampaignStatus.RUNNING:
        campaign.running_since = now()
    campaign.status = status
    campaign.revision += 1


def unknown_channel() -> Invalid:
    """What to say when a campaign's connection is not there, or no longer."""
    return Invalid.field("channel_id", "unknown_channel", "We could not find this connection. Choose one.")
