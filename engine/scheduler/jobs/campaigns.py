"""Campaigns: their pages written, scheduled ones begun, those that stand still looked at."""

from uuid import UUID

from sqlalchemy.orm import Session

from engine.campaigns import freezing, progress
from engine.campaigns.service import begin_if_due
from engine.core.db import Work, tenant_session
from engine.core.errors import DatabaseAway, MasterIAError
from engine.core.ids import TenantId
from engine.core.log import logger
from engine.core.system import system_session
from engine.scheduler.job import Job, each
from engine.scheduler.queues import AUDIENCES, EVENTS

PAGES_IN_TURN = 4  # of one campaign, before the others get theirs
NOT_FROZEN = "not_frozen"

log = logger(__name__)

type Found = tuple[UUID, UUID]


def _freeze() -> bool:
    with system_session() as session:
        due = freezing.to_freeze(session)
    return each("freeze", due, _freeze_on)


def _freeze_on(found: Found) -> bool:
    """Some pages of one campaign; one that can't be written pauses it, so that it does not run for ever."""
    tenant_id, campaign_id = found
    work = Work(TenantId(tenant_id))
    try:
        return freezing.freeze(work, campaign_id, pages=PAGES_IN_TURN)
    except DatabaseAway:
        raise
    except Exception as error:
        log.exception("campaign.not_frozen", campaign_id=str(campaign_id), error=type(error).__name__)
        with work.session() as session:
            freezing.halt(session, campaign_id, _reason(error))
        return False


def _begin() -> bool:
    with system_session() as session:
        due = progress.to_begin(session)
    return each("begin", due, _begin_one)


def _begin_one(found: Found) -> None:
    tenant_id, campaign_id = found
    try:
        with tenant_session(tenant_id) as session:
            begin_if_due(session, campaign_id)
    except MasterIAError as error:
        if error.retryable:
            raise  # the database was away for a moment: nothing is wrong with the campaign
        # It can't begin as it is (the template was withdrawn, say): a person has to look at it.
        log.warning("campaign.not_begun", campaign_id=str(campaign_id), code=error.code)
        with tenant_session(tenant_id) as session:
            progress.back_to_draft(session, campaign_id, _reason(error))


def _reason(error: Exception) -> str:
    """The code to keep for people: of the field that does not fit, where one is named."""
    if not isinstance(error, MasterIAError):
        return NOT_FROZEN
    return error.fields[0].code if error.fields else error.code


def _look() -> bool:
    with system_session() as session:
        due = progress.to_look_at(session)
    return each("look", due, _look_at)


def _look_at(found: tuple[UUID, list[str]]) -> None:
    tenant_id, gates = found
    with tenant_session(tenant_id) as session:
        progress.follow_sends(session, gates)


def _freeze_due(session: Session) -> bool:
    return bool(freezing.to_freeze(session))


def _begin_due(session: Session) -> bool:
    return bool(progress.to_begin(session))


def _look_due(session: Session) -> bool:
    return bool(progress.to_look_at(session))


JOBS = (
    Job("freeze", AUDIENCES, _freeze_due, _freeze, seconds_at_most=20),
    Job("begin", AUDIENCES, _begin_due, _begin),
    Job("look", EVENTS, _look_due, _look, look_every=2.0),
)
