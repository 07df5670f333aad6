"""Counters that come from rows: every transition of messages changes them in its own transaction.

`message_tallies` hold how many counted messages of a gate stand in each state; `activity` what happened on a channel
per quarter of an hour. Both are written last in a transaction and in key order, so that writers queue and never
deadlock. tests/campaigns compares them with the rows after each verb.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Row
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine.core.db import TENANT_DEFAULT, Base, array_of, run
from engine.core.events import TELL, Fact, ring_relay, told
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


# One statement for every writer, its rows in key order: all take the same rows in the same order.
_RECORD = f"""
{TELL.rstrip()}, tallied as (
  insert into message_tallies (gate_id, state, n)
  select * from unnest(%(gates)s::uuid[], %(states)s::text[], %(moves)s::bigint[]) as new(gate_id, state, n)
  on conflict (tenant_id, gate_id, state) do update set n = message_tallies.n + excluded.n
), happened as (
  insert into activity (bucket, channel_id, measure, n)
  select * from unnest(%(buckets)s::timestamptz[], %(channels)s::uuid[], %(measures)s::text[], %(amounts)s::bigint[])
    as new(bucket, channel_id, measure, n)
  on conflict (tenant_id, bucket, channel_id, measure) do update
  set n = activity.n + excluded.n, revision = activity.revision + 1
)
select
"""  # noqa: S608 - our own words


# What a statement moved, as `Steps.add` takes it, put together as far as nobody asks which messages they were.
# `moved` has the columns id, channel_id, gate_id, counted, conversation_id, before, after.
GROUPED = """
select channel_id, gate_id, counted, before, after, conversation_id,
       case when conversation_id is not null or after = 'skipped' then id end as id, count(*)::int as n, now() as at
from moved group by 1, 2, 3, 4, 5, 6, 7
"""


@dataclass(slots=True)
class Steps:
    """What one transaction moved: gathered from its statements, written once at its end."""

    tallies: Tallies = field(default_factory=Counter)
    happenings: Happenings = field(default_factory=Counter)
    shown: list[dict[str, Any]] = field(default_factory=list)

    def add(self, rows: Iterable[Row[Any]]) -> None:
        """Note rows of `GROUPED`: steps of outgoing messages."""
        for row in rows:
            if row.counted and row.gate_id is not None:
                self.tallies[row.gate_id, row.before] -= row.n
                self.tallies[row.gate_id, row.after] += row.n
            if row.after in (MessageState.ACCEPTED, MessageState.FAILED):
                self.happenings[bucket_of(row.at), row.channel_id, row.after] += row.n
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
        """Add to both counters and tell the screens; call it once, as the last write of a transaction."""
        moves = sorted((gate, state, n) for (gate, state), n in self.tallies.items() if n)
        events = sorted((*key, n) for key, n in self.happenings.items() if n)
        facts = []
        if self.shown:
            facts.append(Fact("messages.changed", {"items": self.shown}))
        if moves:
            facts.append(Fact("sends.moved", {"gates": sorted({str(gate) for gate, _, _ in moves})}))
        if events:
            cells = sorted({(bucket.isoformat(), str(channel)) for bucket, channel, _, _ in events})
            facts.append(Fact("activity.moved", {"cells": cells}))
        if not facts:
            return
        run(
            session,
            _RECORD,
            gates=array_of(gate for gate, _, _ in moves),
            states=array_of(state for _, state, _ in moves),
            moves=array_of(n for _, _, n in moves),
            buckets=array_of(f'"{bucket.isoformat()}"' for bucket, _, _, _ in events),
            channels=array_of(channel for _, channel, _, _ in events),
            measures=array_of(measure for _, _, measure, _ in events),
            amounts=array_of(n for _, _, _, n in events),
            **told(facts),
        )
        ring_relay(session)


def moved(tallies: Tallies, gate_id: UUID | None, before: str | None, after: str) -> None:
    """Note one counted message's step from one state to another (from None when it is new)."""
    if gate_id is None:
        return
    if before is not None:
        tallies[gate_id, before] -= 1
    tallies[gate_id, after] += 1
