"""What must hold once all is calm again, whatever went wrong before: asked of the database and of the provider's log."""

import time
from collections import Counter
from typing import Any

import psycopg

from tests.walks.stack import Stack

IN_FLIGHT = 128 * 2  # calls of one number that two processes can have on the wire
SETTLES_WITHIN = 90.0  # a lease, a look for what is over, and the words that were parked

_STATES = """
select m.id::text, m.state, m.provider_id, m.sent_at is not null, m.delivered_at is not null, m.read_at is not null
from messages m join campaigns c on c.tenant_id = m.tenant_id and c.gate_id = m.gate_id
where c.id = %(campaign)s and m.counted
"""
_WAITING = """
select (select count(*) from due_sends) as due_sends, (select count(*) from webhook_due) as webhook_due,
       (select count(*) from parked_receipts) as parked_receipts, (select count(*) from outbox) as outbox,
       (select count(*) from reactions) as reactions,
       (select count(*) from messages where state in ('queued', 'dispatching')) as under_way,
       (select count(*) from webhook_journal where status <> 'taken') as odd_webhooks
"""
_TALLIES = """
select t.state, t.n from message_tallies t join campaigns c on c.tenant_id = t.tenant_id and c.gate_id = t.gate_id
where c.id = %(campaign)s and t.n <> 0
"""
_ACTIVITY = """
select a.measure, sum(a.n)::int from activity a join campaigns c
  on c.tenant_id = a.tenant_id and c.channel_id = a.channel_id
where c.id = %(campaign)s group by 1
"""
_RECIPIENTS = "select count(*) from campaign_recipients where campaign_id = %(campaign)s and excluded is null"


def broken_invariants(stack: Stack, campaign_id: str, number: str, *, unknown: int) -> list[str]:
    """The invariants that do not hold, each as a sentence; at most so many messages may be unknown."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        broken = _nothing_waits(connection)
        witness = stack.accepts(number)
        rows = connection.execute(_STATES, {"campaign": campaign_id}).fetchall()
        tallies = dict(connection.execute(_TALLIES, {"campaign": campaign_id}).fetchall())
        activity = dict(connection.execute(_ACTIVITY, {"campaign": campaign_id}).fetchall())
        recipient_row = connection.execute(_RECIPIENTS, {"campaign": campaign_id}).fetchone()
    keys = Counter(accept["opaque"] for accept in witness)
    states = {row[0]: row[1] for row in rows}
    twice = [key for key, n in keys.items() if n > 1]
    if twice:
        broken.append(f"I1: {len(twice)} messages were accepted twice, such as {twice[0]}")
    taken = {key for key, state in states.items() if state in ("accepted", "sent", "delivered", "read")}
    unsaid = sum(state == "unknown" for state in states.values())
    if taken != set(keys):
        broken.append(
            f"I2: {len(set(keys) - taken)} were accepted and we do not know it ({_few(states, set(keys) - taken)}), "
            f"{len(taken - set(keys))} we think accepted were not"
        )
    if recipient_row is None or len(states) != recipient_row[0]:
        broken.append(f"I4: {recipient_row} recipients, {len(states)} messages")
    broken += _words_are_applied(rows, witness)
    by_rows = dict(Counter(states.values()))
    if tallies != by_rows:
        broken.append(f"I6: the counters say {tallies}, the rows {by_rows}")
    measured = {
        "accepted": len(taken),
        "sent": sum(row[3] for row in rows),
        "delivered": sum(row[4] for row in rows),
        "read": sum(row[5] for row in rows),
    }
    counted = {measure: activity.get(measure, 0) for measure in measured}
    if counted != measured:
        broken.append(f"I6: the activity says {counted}, the rows {measured}")
    if unsaid > unknown:
        broken.append(f"I7: {unsaid} are unknown, and {unknown} may be")
    return broken


def _nothing_waits(connection: psycopg.Connection[Any]) -> list[str]:
    """I3, I4, I8: no work, no webhook and no fact is left."""
    until = time.monotonic() + SETTLES_WITHIN
    while True:
        cursor = connection.execute(_WAITING)
        row = cursor.fetchone()
        assert row is not None
        assert cursor.description is not None
        left = {column.name: n for column, n in zip(cursor.description, row, strict=True) if n}
        if not left or time.monotonic() > until:
            return [f"I3, I4, I8: still there: {left}"] if left else []
        time.sleep(0.5)


def _words_are_applied(rows: list[Any], witness: list[dict[str, Any]]) -> list[str]:
    """I5: every status that the provider got a 200 for stands in its row."""
    told = {row[0]: {"sent": row[3], "delivered": row[4], "read": row[5]} for row in rows}
    lost = Counter[str]()
    for accept in witness:
        for word in accept["acknowledged"]:
            if word in ("sent", "delivered", "read") and not told.get(accept["opaque"], {}).get(word, False):
                lost[word] += 1
    return [f"I5: statuses answered with 200 and not applied: {dict(lost)}"] if lost else []


def _few(states: dict[str, str], keys: set[str]) -> dict[str, int]:
    return dict(Counter(states.get(key, "no row") for key in keys))
