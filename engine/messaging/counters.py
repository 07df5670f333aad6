"""Counters that come from rows: every transition of messages changes them in its own transaction.

`message_tallies` hold how many counted messages of a gate stand in each state; `activity` what happened on a channel
per quarter of an hour. Both are written last in a transaction and in key order, so that writers queue and never
deadlock. tests/campaigns compares them with the rows after each verb.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Row, Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine.core.db import TENANT_DEFAULT, Base
from engine.core.events import Fact, emit
from engine.messaging.models import MessageState

type Tallies = Counter[tuple[UUID, str]]
type Happenings = Counter[tuple[datetime, UUID, str]]


class MessageTally(Base):
    """How many counted messages of a gate stand in each state; changed in the transaction of each transition."""

    __tablename__ = "message_tallies"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    gate_id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)


class Activity(Base):
    """What happened on a channel in a quarter of an hour (half-hour zones exist): accepted, sent, delivered, ...

    `n` falls when an earlier word moves a count to another quarter; `revision` only grows.
    """

    __tablename__ = "activity"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")


def bucket_of(instant: datetime) -> datetime:
    """The quarter of an hour that an instant falls in."""
    return instant.replace(minute=instant.minute - instant.minute % 15, second=0, microsecond=0)


_ADD_TALLIES = text(
    """insert into message_tallies (gate_id, state, n)
       select * from unnest(:gates, :states, :amounts) as new(gate_id, state, n) order by 1, 2
       on conflict (tenant_id, gate_id, state) do update set n = message_tallies.n + excluded.n"""
).bindparams(
    bindparam("gates", type_=ARRAY(Uuid)),
    bindparam("states", type_=ARRAY(Text)),
    bindparam("amounts", type_=ARRAY(BigInteger)),
)

_ADD_ACTIVITY = text(
    """insert into activity (bucket, channel_id, measure, n)
       select * from unnest(:buckets, :channels, :measures, :amounts) as new(bucket, channel_id, measure, n)
       order by 1, 2, 3
       on conflict (tenant_id, bucket, channel_id, measure) do update
       set n = activity.n + excluded.n, revision = activity.revision + 1
       returning bucket, channel_id, measure, n"""
).bindparams(
    bindparam("buckets", type_=ARRAY(TIMESTAMP(timezone=True))),
    bindparam("channels", type_=ARRAY(Uuid)),
    bindparam("measures", type_=ARRAY(Text)),
    bindparam("amounts", type_=ARRAY(BigInteger)),
)


def record(session: Session, tallies: Mapping[tuple[UUID, str], int], happenings: Happenings) -> None:
    """Add to both counters and tell the screens; call it once, as the last write of a transaction."""
    moves = sorted((gate, state, n) for (gate, state), n in tallies.items() if n)
    if moves:
        gates, states, amounts = zip(*moves, strict=True)
        session.execute(
            _ADD_TALLIES, {"gates": list(gates), "states": list(states), "amounts": list(amounts)}
        )
        emit(session, Fact("sends.moved", {"gates": sorted({str(gate) for gate in gates})}))
    events = sorted(
        (bucket, channel, measure, n) for (bucket, channel, measure), n in happenings.items() if n
    )
    if events:
        buckets, channels, measures, amounts = zip(*events, strict=True)
        rows = session.execute(
            _ADD_ACTIVITY,
            {
                "buckets": list(buckets),
                "channels": list(channels),
                "measures": list(measures),
                "amounts": list(amounts),
            },
        ).all()
        emit(
            session,
            Fact("activity.moved", {"cells": [[r[0].isoformat(), str(r[1]), r[2], r[3]] for r in rows]}),
        )


@dataclass(slots=True)
class Steps:
    """What one transaction moved: gathered from its statements, written once at its end."""

    tallies: Tallies = field(default_factory=Counter)
    happenings: Happenings = field(default_factory=Counter)
    shown: list[dict[str, Any]] = field(default_factory=list)

    def add(self, rows: Iterable[Row[Any]]) -> None:
        """Note rows of (id, channel_id, gate_id, counted, conversation_id, before, after, at) of outgoing messages."""
        for row in rows:
            if row.counted:
                moved(self.tallies, row.gate_id, row.before, row.after)
            if row.after in (MessageState.ACCEPTED, MessageState.FAILED):
                self.happenings[bucket_of(row.at), row.channel_id, row.after] += 1
            if row.conversation_id is not None:
                self.shown.append(
                    {
                        "id": str(row.id),
                        "conversation_id": str(row.conversation_id),
                        "direction": "out",
                        "state": row.after,
                        "at": row.at.isoformat(),
                    }
                )

    def write(self, session: Session) -> None:
        """Counters and facts; the last thing a transaction does."""
        if self.shown:
            emit(session, Fact("messages.changed", {"items": self.shown}))
        record(session, self.tallies, self.happenings)


def moved(tallies: Tallies, gate_id: UUID | None, before: str | None, after: str) -> None:
    """Note one counted message's step from one state to another (from None when it is new)."""
    if gate_id is None:
        return
    if before is not None:
        tallies[gate_id, before] -= 1
    tallies[gate_id, after] += 1
