"""The facts that campaigns state."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from engine.campaigns.models import Campaign
from engine.campaigns.queries import Standing, standings_of
from engine.core.events import Fact, emit


def state_changed(session: Session, campaign: Campaign) -> None:
    """`campaign.changed`: how the campaign stands now, in absolute values; the newest revision wins."""
    states_changed(session, [campaign])


def states_changed(session: Session, campaigns: Sequence[Campaign]) -> None:
    """The same of some campaigns, asked of the database at once."""
    if not campaigns:
        return
    session.flush()
    standings = standings_of(session, campaigns)
    emit(
        session,
        *(Fact("campaign.changed", wire_of(campaign, standings[campaign.id])) for campaign in campaigns),
    )


def wire_of(campaign: Campaign, standing: Standing) -> dict[str, object]:
    """The wire form of a campaign's standing."""
    return {
        "id": str(campaign.id),
        "revision": campaign.revision,
        "name": campaign.name,
        "status": campaign.status,
        "counts": standing.counts,
        "rate_per_second": standing.rate_per_second,
        "seconds_left": standing.seconds_left,
        "started_at": campaign.started_at.isoformat() if campaign.started_at else None,
        "completed_at": campaign.completed_at.isoformat() if campaign.completed_at else None,
    }


def look_again(session: Session, campaign: Campaign) -> None:
    """Have the campaign's end looked at even when no message moves any more."""
    emit(session, Fact("sends.moved", {"gates": [str(campaign.gate_id)]}))
