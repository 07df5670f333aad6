"""How much work is due over all companies: what a deployment is scaled by, and what tells that it falls behind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from engine.core.db import OF_REQUEST, run
from engine.core.metrics import DEPTH
from engine.core.system import system_session
from engine.messaging.models import Lane

MINUTE = 60  # seconds of a channel's rate that count as what more workers could send

# A range counts whole until the last of it is settled, so each range in hand makes its channel look deeper.
# What stands behind a closed gate (paused, channel off) is not due: more workers would send none of it.
_SENDS = """
with lines as (
  select d.lane, d.channel_id, sum(d.amount) as messages, min(d.due_at) as since, min(c.rate_per_second) as rate
  from due_sends d
  join channels c on c.tenant_id = d.tenant_id and c.id = d.channel_id and c.deleted_at is null
  join gates cg on cg.tenant_id = c.tenant_id and cg.id = c.gate_id and cg.is_open
  left join gates g on g.tenant_id = d.tenant_id and g.id = d.gate_id
  where d.due_at <= now() and (g.is_open or d.gate_id is null)
  group by d.tenant_id, d.channel_id, d.lane
)
select lane, sum(messages)::bigint as messages, sum(least(messages, rate * %(minute)s))::bigint as sendable,
       extract(epoch from now() - min(since))::float8 as oldest
from lines group by lane
"""

_HOOKS = """
select count(*) as waiting, coalesce(extract(epoch from now() - min(due_at)), 0)::float8 as oldest
from webhook_due where due_at <= now()
"""


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """What is due in a lane: messages, those of them that the channels' rates let go within a minute, seconds of wait."""

    messages: int = 0
    sendable: int = 0
    oldest: float = 0.0


@dataclass(frozen=True, slots=True)
class Depth:
    """What is due: messages by lane, webhooks to be understood and how long the oldest waits (s), parked receipts."""

    lanes: Mapping[Lane, LaneDepth]
    webhooks: int
    webhooks_oldest: float
    parked: int


def measure() -> Depth:
    """The depth now; raises DatabaseAway."""
    with system_session(OF_REQUEST) as session:
        lanes = {
            Lane(row.lane): LaneDepth(row.messages, row.sendable, row.oldest)
            for row in run(session, _SENDS, minute=MINUTE)
        }
        [hooks] = run(session, _HOOKS)
        [parked] = run(session, "select count(*) as n from parked_receipts")
    every = {lane: lanes.get(lane, LaneDepth()) for lane in Lane}
    return Depth(every, hooks.waiting, hooks.oldest, parked.n)


def show() -> None:
    """Measure and hand it to Prometheus; what cannot be measured is absent, not old. Raises DatabaseAway."""
    DEPTH.show(())
    DEPTH.show(tuple(families(measure())))


def families(found: Depth) -> Iterator[Metric]:
    """A depth as Prometheus reads it."""
    due = GaugeMetricFamily("masteria_due_messages", "Messages that are due and may go.", labels=["lane"])
    sendable = GaugeMetricFamily(
        "masteria_sendable_messages",
        "Those of the due messages that their channels' rates let go within a minute.",
        labels=["lane"],
    )
    oldest = GaugeMetricFamily(
        "masteria_due_oldest_seconds", "How long the oldest due work has been due.", labels=["lane"]
    )
    for lane, depth in found.lanes.items():
        name = [lane.name.lower()]
        due.add_metric(name, depth.messages)
        sendable.add_metric(name, depth.sendable)
        oldest.add_metric(name, depth.oldest)
    yield from (due, sendable, oldest)
    yield GaugeMetricFamily("masteria_webhooks_waiting", "Webhooks to be understood.", found.webhooks)
    yield GaugeMetricFamily(
        "masteria_webhooks_oldest_seconds", "How long the oldest webhook waits.", found.webhooks_oldest
    )
    yield GaugeMetricFamily(
        "masteria_parked_receipts", "Receipts of messages that are not known (yet).", found.parked
    )
