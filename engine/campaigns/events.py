"""The facts that campaigns state."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from engine.campaigns.models import Campaign
from engine.campaigns.standing import Standing, standing_of
from engine.core.events import Fact, emit


def state_changed(session: Session, campaign: Campaign) -> None:
    """`campaign.changed`: how the campaign stands now, in absolute values; the newest revision wins."""
    session.flush()
    states_changed(session, {campaign: standing_of(session, campaign)})


def states_changed(session: Session, standings: Mapping[Campaign, Standing]) -> None:
    """The same of some campaigns whose standing is known."""
    if standings:
        emit(session, *(Fact("campaign.changed", wire_of(*one)) for one in standings.items()))


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
