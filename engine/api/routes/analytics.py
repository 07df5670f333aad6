"""Analytics: what the overview shows."""

from engine.analytics.overview import Period, overview
from engine.api.deps import Caller, Transaction, domain_router
from engine.api.schemas.analytics import OverviewAnswer
from engine.core.clock import now

router = domain_router("analytics")


@router.get("/v1/analytics/overview")
def get_overview(session: Transaction, caller: Caller, period: Period = Period.WEEK) -> OverviewAnswer:
    """Key figures of a period against the one before, their course, the funnel, and the busy hours."""
    return OverviewAnswer.of(overview(session, period, moment=now(), time_zone=caller.time_zone))
