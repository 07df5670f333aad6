"""Contacts: files on their way in, in turns, so that a large one keeps no other waiting."""

import time

from sqlalchemy.orm import Session

from engine.contacts.imports.claims import due_imports
from engine.contacts.imports.run import run_import
from engine.core.db import Work
from engine.core.ids import TenantId
from engine.core.system import system_session
from engine.scheduler.job import Job
from engine.scheduler.queues import JOBS as SLOW
from engine.scheduler.shutdown import stopping

TURN_SECONDS = 15.0
LONGEST_TURN_SECONDS = 300.0  # then what else waits in this queue has its turn, other imports or not


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
    for waiting in due:
        if stopping.is_set():
            break
        run_import(Work(TenantId(waiting.tenant_id)), waiting.import_id, is_stopping=Turn().is_over)
    return bool(due)


def _is_due(session: Session) -> bool:
    return bool(due_imports(session, limit=1))


# Less than the broker's visibility timeout, after which another worker would hear the same bell.
JOBS = (Job("import", SLOW, _is_due, _import, seconds_at_most=300),)
