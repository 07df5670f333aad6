"""The facts that accounts state."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from engine.core.bells import ring
from engine.core.db import after_commit
from engine.core.events import Fact, OutboxEntry
from engine.core.ids import uuid7

SESSION_REVOKED = "session.revoked"


def session_revoked(session_id: UUID) -> Fact:
    """A sign-in has ended: screens that live by it close."""
    return Fact(SESSION_REVOKED, {"session_id": str(session_id)})


def state_revoked(session: Session, ended: Iterable[tuple[UUID, UUID]]) -> None:
    """State for each (tenant, sign-in) that it has ended; for a session across companies, where `emit` has no tenant."""
    for tenant_id, session_id in ended:
        fact = session_revoked(session_id)
        session.add(OutboxEntry(tenant_id=tenant_id, id=uuid7(), kind=fact.kind, payload=dict(fact.data)))
    after_commit(session, lambda: ring("relay"))
