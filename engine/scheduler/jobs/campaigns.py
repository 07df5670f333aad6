"""Campaigns: audiences frozen to their end, scheduled ones begun, those that stand still looked at."""

from sqlalchemy.orm import Session

from engine.campaigns import progress
from engine.campaigns.service import begin_if_due
from engine.core.db import Work, tenant_session
from engine.core.errors import MasterIAError
from engine.core.ids import TenantId
from engine.core.log import logger
from engine.core.system import system_session
from engine.scheduler.job import Job
from engine.scheduler.queues import EVENTS
from engine.scheduler.queues import JOBS as SLOW

log = logger(__name__)


def _freeze() -> bool:
    with system_session() as session:
        due = progress.to_freeze(session)
    for tenant_id, campaign_id in due:
        progress.freeze(Work(TenantId(tenant_id)), campaign_id)
    return False


def _begin() -> bool:
    with system_session() as session:
        due = progress.to_begin(session)
    for tenant_id, campaign_id in due:
        try:
            with tenant_session(tenant_id) as session:
                begin_if_due(session, campaign_id)
        except MasterIAError as error:
            # It can't begin as it is (the template was withdrawn, say): a person has to look at it.
            log.warning("campaign.not_begun", campaign_id=str(campaign_id), code=error.code)
            with tenant_session(tenant_id) as session:
                progress.back_to_draft(session, campaign_id, error.code)
    return False


def _look() -> bool:
    with system_session() as session:
        due = progress.to_look_at(session)
    for tenant_id, gate_id in due:
        with tenant_session(tenant_id) as session:
            progress.follow_sends(session, [str(gate_id)])
    return False


def _freeze_due(session: Session) -> bool:
    return bool(progress.to_freeze(session))


def _begin_due(session: Session) -> bool:
    return bool(progress.to_begin(session))


def _look_due(session: Session) -> bool:
    return bool(progress.to_look_at(session))


JOBS = (
    Job("freeze", SLOW, _freeze_due, _freeze, seconds_at_most=600),
    Job("begin", EVENTS, _begin_due, _begin),
    Job("look", EVENTS, _look_due, _look, look_every=2.0),
)
