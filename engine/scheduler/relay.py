"""The relay: takes facts out of the outbox, shows them to screens, and writes down the reactions they call for.

Rows are claimed by SKIP LOCKED and never by "id greater than the last": ids surface out of order. Showing is a hint
(screens fetch again after a reconnect); the reactions are rows, written in the transaction that deletes the facts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import redis
from sqlalchemy.orm import Session

from engine.core.db import array_of, run
from engine.core.ids import uuid7
from engine.core.metrics import BELLS_UNHEARD
from engine.core.redis import client
from engine.core.system import system_session
from engine.scheduler.reactions import REACTIONS

BATCH = 500

SHOWN = frozenset(
    {
        "activity.changed",
        "campaign.changed",
        "campaign.deleted",
        "channel.changed",
        "contact.changed",
        "contacts.changed",
        "conversation.changed",
        "import.changed",
        "messages.changed",
        "session.revoked",
        "template.changed",
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact as it lay in the outbox."""

    tenant_id: UUID
    id: UUID
    kind: str
    payload: Mapping[str, Any]


def relay_due() -> bool:
    """Pass on one batch of facts; True when there may be more."""
    with system_session() as session:
        rows = run(
            session,
            """delete from outbox o using (
                 select tenant_id, id from outbox order by id limit %(batch)s for update skip locked) due
               where o.tenant_id = due.tenant_id and o.id = due.id
               returning o.tenant_id, o.id, o.kind, o.payload""",
            batch=BATCH,
        )
        entries = sorted((Entry(*list(row)) for row in rows), key=lambda entry: entry.id)
        merged = list(_merged(session, entries))
        _write_reactions(session, merged)
        _show(merged)
    return len(rows) == BATCH


def _merged(session: Session, entries: Sequence[Entry]) -> Iterable[Entry]:
    """Facts of a batch, with those put together of which only the sum or the newest counts."""
    gates: dict[UUID, set[str]] = {}
    cells: dict[UUID, set[tuple[str, str]]] = {}
    newest: dict[tuple[UUID, str, str], Entry] = {}
    for entry in entries:
        if entry.kind == "sends.moved":
            gates.setdefault(entry.tenant_id, set()).update(entry.payload["gates"])
        elif entry.kind == "activity.moved":
            cells.setdefault(entry.tenant_id, set()).update(
                (cell[0], cell[1]) for cell in entry.payload["cells"]
            )
        elif "revision" in entry.payload and "id" in entry.payload:
            known = newest.get((entry.tenant_id, entry.kind, entry.payload["id"]))
            if known is None or known.payload["revision"] <= entry.payload["revision"]:
                newest[entry.tenant_id, entry.kind, entry.payload["id"]] = entry
        else:
            yield entry
    yield from newest.values()
    for tenant_id, ids in gates.items():
        yield Entry(tenant_id, uuid7(), "sends.moved", {"gates": sorted(ids)})
    for tenant_id, keys in cells.items():
        yield Entry(tenant_id, uuid7(), "activity.changed", {"buckets": _buckets(session, tenant_id, keys)})


def _buckets(session: Session, tenant_id: UUID, keys: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """Whole quarter-hours as they are now. Each measure's revision grows with each change, and so does their sum."""
    rows = run(
        session,
        """select a.bucket, a.channel_id, jsonb_object_agg(a.measure, a.n) as measures, sum(a.revision) as revision
           from activity a join unnest(%(buckets)s::timestamptz[], %(channels)s::uuid[]) as k(bucket, channel_id)
             on a.bucket = k.bucket and a.channel_id = k.channel_id
           where a.tenant_id = %(tenant)s group by 1, 2""",
        buckets=array_of(f'"{bucket}"' for bucket, _ in keys),
        channels=array_of(channel for _, channel in keys),
        tenant=tenant_id,
    )
    return [
        {
            "at": row.bucket.isoformat(),
            "channel_id": str(row.channel_id),
            **row.measures,
            "revision": int(row.revision),
        }
        for row in rows
    ]


def _write_reactions(session: Session, entries: Sequence[Entry]) -> None:
    rows = [(entry, reaction) for entry in entries for reaction in REACTIONS.get(entry.kind, ())]
    if rows:
        run(
            session,
            """insert into reactions (tenant_id, id, reaction, kind, payload)
               select * from unnest(%(tenants)s::uuid[], %(ids)s::uuid[], %(names)s::text[], %(kinds)s::text[],
                                    %(payloads)s::jsonb[])""",
            tenants=array_of(entry.tenant_id for entry, _ in rows),
            ids=array_of(uuid7() for _ in rows),
            names=array_of(name for _, name in rows),
            kinds=array_of(entry.kind for entry, _ in rows),
            payloads=[orjson.dumps(entry.payload).decode() for entry, _ in rows],
        )


def _show(entries: Sequence[Entry]) -> None:
    shown = [entry for entry in entries if entry.kind in SHOWN]
    if not shown:
        return
    at = datetime.now(UTC).isoformat()
    try:
        pipeline = client().pipeline(transaction=False)
        for entry in shown:
            wire = {"kind": entry.kind, "id": str(entry.id), "at": at, "data": entry.payload}
            pipeline.publish(f"tenant:{entry.tenant_id}", orjson.dumps(wire))
        pipeline.execute()
    except redis.RedisError:
        # Screens notice that Redis is away by themselves, and fetch again when it is back.
        BELLS_UNHEARD.labels(bell="show").inc(len(shown))


def facts_wait(session: Session) -> bool:
    """True when there is a fact to pass on."""
    return bool(run(session, "select 1 from outbox limit 1"))
