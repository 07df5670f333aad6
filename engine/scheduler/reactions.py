"""What follows when something became true: the whole wiring, on one page.

A reaction runs in one transaction with the deletion of its row in `reactions`, so its effect happens exactly once.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from engine.campaigns import progress
from engine.core.db import run, tenant_session
from engine.core.log import logger
from engine.core.system import system_session
from engine.messaging import stops
from engine.messaging.forgetting import forget_person

type Reaction = Callable[[Session, Mapping[str, Any]], None]

BATCH = 200
LONGEST_WAIT = 3600

log = logger(__name__)

REACTIONS: Mapping[str, Mapping[str, Reaction]] = {
    "sends.moved": {
        "campaigns.follow_sends": lambda session, fact: progress.follow_sends(session, fact["gates"]),
    },
    "gate.closed": {
        "campaigns.follow_closed_gate": progress.follow_closed_gate,
    },
    "contact.deleted": {
        "messaging.forget_person": forget_person,
        "campaigns.forget_person": progress.forget_person,
    },
    "contacts.merged": {
        "campaigns.follow_merge": progress.follow_merge,
    },
    "send.stopped": {
        "stops.follow_status": stops.follow_status,
    },
    "message.received": {
        "campaigns.credit_reply": progress.credit_reply,
    },
}


def react_due() -> bool:
    """Run the reactions that are due; True when there may be more."""
    with system_session() as session:
        due = run(
            session,
            "select tenant_id, id from reactions where due_at <= now() order by due_at, id limit %(batch)s",
            batch=BATCH,
        )
    for row in due:
        _react(row.tenant_id, row.id)
    return len(due) == BATCH


def _react(tenant_id: UUID, row_id: UUID) -> None:
    name = ""
    try:
        with tenant_session(tenant_id) as session:
            rows = run(
                session,
                """delete from reactions where id = (
                     select id from reactions where id = %(id)s and due_at <= now() for update skip locked)
                   returning reaction, kind, payload""",
                id=row_id,
            )
            if not rows:
                return
            name = rows[0].reaction
            REACTIONS[rows[0].kind][name](session, rows[0].payload)
    except Exception as error:
        log.exception("reaction.failed", reaction=name, error=type(error).__name__)
        _try_later(tenant_id, row_id, error)


def _try_later(tenant_id: UUID, row_id: UUID, error: Exception) -> None:
    """Keep the reaction with its error, to be tried again with growing gaps until it has run."""
    with tenant_session(tenant_id) as session:
        run(
            session,
            """update reactions set attempts = attempts + 1, last_error = %(error)s,
                 due_at = now() + make_interval(secs => least(%(longest)s, power(2, least(attempts, 12))))
               where id = %(id)s""",
            id=row_id,
            error=f"{type(error).__name__}: {error}"[:500],
            longest=LONGEST_WAIT,
        )


def reactions_wait(session: Session) -> bool:
    """True when a reaction is due."""
    return bool(run(session, "select 1 from reactions where due_at <= now() limit 1"))
