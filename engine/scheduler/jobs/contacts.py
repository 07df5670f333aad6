"""Contacts: files on their way in."""

from sqlalchemy.orm import Session

from engine.contacts.imports.claims import due_imports
from engine.contacts.imports.run import run_import
from engine.core.db import Work
from engine.core.ids import TenantId
from engine.core.system import system_session
from engine.scheduler.job import Job
from engine.scheduler.queues import JOBS as SLOW
from engine.scheduler.shutdown import stopping


def _import() -> bool:
    with system_session() as session:
        due = due_imports(session)
    for waiting in due:
        run_import(Work(TenantId(waiting.tenant_id)), waiting.import_id, is_stopping=stopping.is_set)
    return bool(due)


def _is_due(session: Session) -> bool:
    return bool(due_imports(session))


JOBS = (Job("import", SLOW, _is_due, _import, seconds_at_most=3600),)
