"""What has served its time is cleared away, in small pieces: a long deletion would hold up those who still write."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from engine.core.clock import now
from engine.core.db import run
from engine.core.idempotency import KEPT_HOURS
from engine.core.ids import uuid7_floor
from engine.core.system import system_session

UNDERSTOOD_DAYS = 30  # webhooks that were understood, sign-ins that ended
BROKEN_DAYS = (
    90  # webhooks that were not, which somebody may mend and replay; and calls that did not end in acceptance
)
PULSE_DAYS = 180
PIECE = 5000
PIECES = 40  # of one kind in a turn: what is left waits for the next hour

_JOURNAL = """
delete from webhook_journal where id in (
  select j.id from webhook_journal j
  where j.id < %(understood_floor)s and (j.status = 'taken' or j.id < %(broken_floor)s)
    and not exists (select from webhook_due d where d.channel_id = j.channel_id and d.id = j.id)
  order by j.id limit %(piece)s)
returning 1
"""

# By company and id, which is the primary key and says when a row was made: no index on a time is needed.
_ATTEMPTS = """
delete from send_attempts a using (
  select s.tenant_id, s.id from companies c cross join lateral (
    select tenant_id, id from send_attempts where tenant_id = c.id and id < %(broken_floor)s order by id limit %(piece)s
  ) s limit %(piece)s) old
where a.tenant_id = old.tenant_id and a.id = old.id
returning 1
"""

_PULSES = """
delete from campaign_pulses p using (
  select s.tenant_id, s.campaign_id, s.at from campaigns c cross join lateral (
    select tenant_id, campaign_id, at from campaign_pulses
    where tenant_id = c.tenant_id and campaign_id = c.id and at < now() - make_interval(days => %(pulse)s)
    order by at limit %(piece)s
  ) s where c.id < %(pulse_floor)s limit %(piece)s) old
where p.tenant_id = old.tenant_id and p.campaign_id = old.campaign_id and p.at = old.at
returning 1
"""

# A gate is made together with what it belongs to, and one day later nobody is in the middle of that.
_GATES = """
delete from gates g where g.ctid in (
  select g.ctid from gates g
  where g.id < %(day_floor)s
    and not exists (select from campaigns c where c.tenant_id = g.tenant_id and c.gate_id = g.id)
    and not exists (select from channels c where c.tenant_id = g.tenant_id and c.gate_id = g.id)
    and not exists (select from message_tallies t where t.tenant_id = g.tenant_id and t.gate_id = g.id)
    and not exists (select from due_sends d where d.tenant_id = g.tenant_id and d.gate_id = g.id)
  limit %(piece)s)
returning 1
"""

_SIGN_INS = """
delete from sign_in_sessions where id in (
  select id from sign_in_sessions
  where coalesce(ended_at, expires_at) < now() - make_interval(days => %(understood)s) limit %(piece)s)
returning 1
"""

_KEYS = """
delete from idempotency_keys where id in (
  select id from idempotency_keys where created_at < now() - make_interval(hours => %(hours)s)
  order by created_at limit %(piece)s)
returning 1
"""

# A person counts for a day, in slots of ten minutes (daily_limit.py).
_REACHED = """
delete from reached_people where ctid in (
  select ctid from reached_people where at < now() - interval '25 hours' limit %(piece)s)
returning 1
"""
_REACH_SLOTS = """
delete from reach_slots where ctid in (
  select ctid from reach_slots where slot < now() - interval '25 hours' limit %(piece)s)
returning 1
"""

_SLOTS = "delete from periodic_slots where slot < now() - make_interval(days => %(understood)s)"

IN_PIECES = (_JOURNAL, _ATTEMPTS, _PULSES, _GATES, _SIGN_INS, _KEYS, _REACHED, _REACH_SLOTS)


def clear() -> bool:
    """Clear away what is old; never asks to be called again at once."""
    values = {
        "understood": UNDERSTOOD_DAYS,
        "understood_floor": _floor(UNDERSTOOD_DAYS),
        "broken_floor": _floor(BROKEN_DAYS),
        "pulse": PULSE_DAYS,
        "pulse_floor": _floor(PULSE_DAYS),
        "day_floor": _floor(1),
        "hours": KEPT_HOURS,
        "piece": PIECE,
    }
    for statement in IN_PIECES:
        _in_pieces(statement, values)
    with system_session() as session:
        run(session, _SLOTS, **values)
    return False


def _in_pieces(statement: str, values: Mapping[str, Any]) -> None:
    for _ in range(PIECES):
        with system_session() as session:
            if len(run(session, statement, **values)) < PIECE:
                return


def _floor(days: int) -> UUID:
    """The smallest id of so many days ago."""
    return uuid7_floor(int((now() - timedelta(days=days)).timestamp() * 1000))
