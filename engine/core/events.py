"""Facts: what a floor tells those above, recorded in the outbox in the transaction that made it true.

The relay (engine/scheduler/relay.py) publishes facts to screens and queues the reactions. Facts for screens carry
absolute values and a revision, so that the newest wins and order does not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine.core.bells import ring
from engine.core.db import Base, TenantTable, after_commit, array_of, run
from engine.core.ids import uuid7


class OutboxEntry(TenantTable, Base):
    """One fact, until the relay has passed it on; then the row goes (its reactions stand in `reactions`)."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_id", "id"),)

    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PendingReaction(TenantTable, Base):
    """One reaction to one fact that still has to happen; done in one transaction with its effect, then deleted."""

    __tablename__ = "reactions"
    __table_args__ = (Index("ix_reactions_due_at", "due_at"),)

    reaction: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_error: Mapped[str | None]


@dataclass(frozen=True, slots=True)
class Fact:
    """What became true: a kind (`campaign.changed`), and JSON-able data."""

    kind: str
    data: Mapping[str, Any]


def emit(session: Session, *facts: Fact) -> None:
    """Record facts; they are passed on if, and only if, this transaction commits."""
    session.flush()
    run(session, _EMIT, **told(facts))
    ring_relay(session)


# The outbox's part of a statement that does more: `with ..., told as (insert ...)`. `told` gives its values.
TELL = """
with told as (
  insert into outbox (id, kind, payload)
  select * from unnest(%(fact_ids)s::uuid[], %(fact_kinds)s::text[], %(fact_payloads)s::jsonb[]))
"""


_EMIT = TELL + "select"


def told(facts: Sequence[Fact]) -> Mapping[str, object]:
    """The values of `TELL`."""
    return {
        "fact_ids": array_of(uuid7() for _ in facts),
        "fact_kinds": array_of(fact.kind for fact in facts),
        "fact_payloads": [orjson.dumps(fact.data).decode() for fact in facts],
    }


def ring_relay(session: Session) -> None:
    """Have the facts of this transaction passed on once it has committed."""
    if not session.info.get("outbox_rung"):
        session.info["outbox_rung"] = True
        after_commit(session, lambda: ring("relay"))
