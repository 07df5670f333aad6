"""Contacts: files on their way in, in turns, so that a large one keeps no other waiting; the erasure ledger kept."""

import time

from sqlalchemy.orm import Session

from engine.contacts import erasures
from engine.contacts.imports.claims import DueImport, due_imports
from engine.contacts.imports.run import run_import
from engine.core.db import Work
from engine.core.ids import TenantId
from engine.core.settings import settings
from engine.core.system import system_session
from engine.scheduler.job import Job, each
from engine.scheduler.queues import EVENTS
from engine.scheduler.queues import JOBS as SLOW
from engine.scheduler.shutdown import stopping

TURN_SECONDS = 15.0
LONGEST_TURN_SECONDS = 60.0  # then what else waits in this queue has its turn, other imports or not


class Turn:
    """How long an import may go on: for its turn, and beyond it while no other import waits.

    Each turn reads the file again up to its checkpoint, so a turn is not ended for nothing.
    """

    def __init__(self) -> None:
        self._began = self._asked_at = time.monotonic()

    def is_over(self) -> bool:
        """True when the import is to be given back."""
        now = time.monotonic()
        if stopping.is_set() or now - self._began >= LONGEST_TURN_SECONDS:
            return True
        if now - self._asked_at < TURN_SECONDS:
            return False
        self._asked_at = now - TURN_SECONDS + 1.0  # from here on once a second
        with system_session() as session:
            return _is_due(session)


def _import() -> bool:
    with system_session() as session:
        due = due_imports(session)
    each("import", due, _take_turn)
    return bool(due)


def _take_turn(waiting: DueImport) -> bool:
    if stopping.is_set():
        return False
    return run_import(Work(TenantId(waiting.tenant_id)), waiting.import_id, is_stopping=Turn().is_over)


def _is_due(session: Session) -> bool:
    return bool(due_imports(session, limit=1))


def _keep_erasures() -> bool:
    with system_session() as session:
        return erasures.keep_due(session, settings().ledger_dir)


JOBS = (
    Job("import", SLOW, _is_due, _import),
    # Not behind an import: what the ledger does not hold yet, a restore would forget.
    Job("erasures", EVENTS, erasures.lines_wait, _keep_erasures),
)
