"""The accept log, as tests and people read it: what was truly accepted, and what was reported of it."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from engine.simulator.phones import STATUS_WORDS, Event

COLUMNS = (
    "seq, at, number_id, wamid, recipient, by_user_id, opaque, kind, template, pricing, body_hash, body, outcome,"
    " failure, planned, acked, dropped"
)
DUPLICATES_SHOWN = 100
WORDS = STATUS_WORDS | {Event.REPLY: "reply"}

_PAGE = f"""
select {COLUMNS} from accepts
where seq > :after and (:number_id = '' or number_id = :number_id) and (:opaque = '' or opaque = :opaque)
order by seq limit :limit
"""  # noqa: S608 - the columns are the constant above
_COUNTS = """
select count(*), count(distinct opaque), count(opaque) - count(distinct opaque), count(distinct recipient),
    coalesce(sum(planned <> acked | dropped), 0)
from accepts where :number_id = '' or number_id = :number_id
"""
_DUPLICATES = """
select opaque, count(*) from accepts
where opaque is not null and (:number_id = '' or number_id = :number_id)
group by opaque having count(*) > 1 order by 2 desc, 1 limit :limit
"""
_OUTCOMES = """
select outcome, count(*) from accepts where :number_id = '' or number_id = :number_id group by outcome
"""
_REPORTED = """
select coalesce(sum(planned & :bit > 0), 0), coalesce(sum(acked & :bit > 0), 0) from accepts
where :number_id = '' or number_id = :number_id
"""


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def read_accepts(path: Path, *, number_id: str, opaque: str, after: int, limit: int) -> dict[str, Any]:
    """A page of accepted messages, oldest first; `next` is the `after` of the following page, or None."""
    values = {"number_id": number_id, "opaque": opaque, "after": after, "limit": limit + 1}
    connection = _open(path)
    try:
        rows = [_describe(row) for row in connection.execute(_PAGE, values)]
    finally:
        connection.close()
    return {"items": rows[:limit], "next": rows[limit - 1]["seq"] if len(rows) > limit else None}


def _describe(row: tuple[Any, ...]) -> dict[str, Any]:
    record = dict(zip((name.strip() for name in COLUMNS.split(",")), row, strict=True))
    planned, acked, dropped = record.pop("planned"), record.pop("acked"), record.pop("dropped")
    body = record.pop("body")
    return record | {
        "phone_number_id": record.pop("number_id"),
        "by_user_id": bool(record["by_user_id"]),
        "body": orjson.loads(body) if body else None,
        "planned": words_of(planned),
        "acknowledged": words_of(acked),
        "dropped": words_of(dropped),
    }


def words_of(mask: int) -> list[str]:
    """The events of a mask, in their natural order."""
    return [word for event, word in WORDS.items() if mask & event]


def summarise(path: Path, number_id: str, tallies: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The log in figures. `tallies`: updates as they were posted, copies included, by kind."""
    values = {"number_id": number_id}
    connection = _open(path)
    try:
        accepted, keys, duplicates, recipients, under_way = connection.execute(_COUNTS, values).fetchone()
        messages = {}
        for event, word in WORDS.items():
            planned, acked = connection.execute(_REPORTED, values | {"bit": int(event)}).fetchone()
            messages[word] = {"planned": planned, "acknowledged": acked}
        return {
            "accepted": accepted,
            "distinct_opaque": keys,
            "duplicates": duplicates,
            "duplicated_opaque": dict(connection.execute(_DUPLICATES, values | {"limit": DUPLICATES_SHOWN})),
            "recipients": recipients,
            "outcomes": dict(connection.execute(_OUTCOMES, values)),
            "under_way": under_way,
            "messages": messages,
            "updates": tallies,
        }
    finally:
        connection.close()
