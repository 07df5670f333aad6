"""Idempotency keys: the same request sent twice has one effect and one answer (IETF draft idempotency-key-header-07).

The row is written in the transaction of the effect, so an effect without its stored answer cannot be. A second
request that comes while the first still runs waits on the row's unique key no longer than `WAIT_SECONDS` and is told
409; another body under the same key is told 422. Answers are kept for 72 hours.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Index, LargeBinary, UniqueConstraint, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine.core.db import Base, TenantTable, waiting_for_locks
from engine.core.errors import Conflict, Invalid
from engine.core.ids import uuid7

KEPT_HOURS = 72
MAX_KEY = 255
WAIT_SECONDS = 0.2


class IdempotencyKey(TenantTable, Base):
    """One keyed request and the answer it was given."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "route", "key", name="uq_idempotency_keys_request"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )

    user_id: Mapped[str]
    route: Mapped[str]
    key: Mapped[str]
    body_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int | None]
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer that was given the first time, byte for byte."""

    status: int
    answer: bytes


def begin(session: Session, *, user_id: str, route: str, key: str, body: bytes) -> Replay | None:
    """Claim a key for this transaction: None to go on, a Replay when it was answered before.

    Raises Conflict when the first request still runs, Invalid when the body differs or the key is too long.
    """
    if not 1 <= len(key) <= MAX_KEY:
        raise Invalid.field("Idempotency-Key", "bad_key", "Give an Idempotency-Key of 1 to 255 characters.")
    digest = hashlib.sha256(body).digest()
    claim = (
        insert(IdempotencyKey)
        .values(id=uuid7(), user_id=user_id, route=route, key=key, body_sha256=digest)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.id)
    )
    try:
        with waiting_for_locks(session, WAIT_SECONDS):
            claimed = session.scalar(claim)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        raise Conflict(
            "still_running",
            "The first request with this Idempotency-Key is still running. Ask again in a moment.",
        ) from error
    if claimed is not None:
        return None
    return _replay(session, user_id, route, key, digest)


def _replay(session: Session, user_id: str, route: str, key: str, digest: bytes) -> Replay:
    stored = session.scalars(
        select(IdempotencyKey).where(
            IdempotencyKey.user_id == user_id, IdempotencyKey.route == route, IdempotencyKey.key == key
        )
    ).one()
    if stored.body_sha256 != digest:
        raise Invalid(
            "key_reused", "This Idempotency-Key was used with another body. Use a new key for a new request."
        )
    if stored.status is None or stored.answer is None:
        raise Conflict("still_running", "The first request with this Idempotency-Key is still running.")
    return Replay(stored.status, stored.answer)


def complete(session: Session, *, user_id: str, route: str, key: str, status: int, answer: bytes) -> None:
    """Keep the answer of this transaction's request, to be given again."""
    stored = session.scalars(
        select(IdempotencyKey).where(
            IdempotencyKey.user_id == user_id, IdempotencyKey.route == route, IdempotencyKey.key == key
        )
    ).one()
    stored.status, stored.answer = status, answer
