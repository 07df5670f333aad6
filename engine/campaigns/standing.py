"""How campaigns stand: their counts, their speed, and the pulses that this is worked out from.

Asked several times a second while messages move, of all campaigns of a company at once: so in few statements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from engine.campaigns.models import PULSE_SECONDS, Campaign, CampaignStatus, pulse_time
from engine.core.clock import now
from engine.core.db import array_of, json_of, run
from engine.messaging.models import MessageState

STATES = (
    MessageState.QUEUED,
    MessageState.DISPATCHING,
    MessageState.ACCEPTED,
    MessageState.SENT,
    MessageState.DELIVERED,
    MessageState.READ,
    MessageState.FAILED,
    MessageState.UNKNOWN,
    MessageState.SKIPPED,
    MessageState.CANCELLED,
)
SPEED_OVER = timedelta(seconds=10)
# Over less, the first burst or the wait before it would be all there is to see.
SPEED_SPANS = timedelta(seconds=4)
# By then a speed that fell to nought was stated.
SETTLES_AFTER = SPEED_OVER + timedelta(seconds=2 * PULSE_SECONDS)
PULSES_LOOKED_AT = 8  # as many as there are in that time
UNSENT = (MessageState.QUEUED, MessageState.DISPATCHING)
NEVER_SENT = (*UNSENT, MessageState.SKIPPED, MessageState.CANCELLED)


type Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a campaign stood at a moment."""

    at: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class Standing:
    """How a campaign stands: each recipient once, in its furthest state; `replied` beside them."""

    counts: Counts
    rate_per_second: float
    seconds_left: int | None


_COUNTS = """
select c.id, c.recipients, c.excluded, c.replied,
       coalesce((select jsonb_object_agg(t.state, t.n) from message_tallies t where t.gate_id = c.gate_id), '{}') as n
from campaigns c where c.id = any(%(campaigns)s::uuid[])
"""


def counts_of(session: Session, campaign: Campaign) -> dict[str, int]:
    """Each recipient once, in its furthest state; exclusions are `skipped` and inside `total`; `replied` beside."""
    return counts_of_all(session, [campaign])[campaign.id]


def counts_of_all(session: Session, campaigns: Sequence[Campaign]) -> dict[UUID, dict[str, int]]:
    """The counts of some campaigns, by id, in one statement: what moves meanwhile is in all of them or in none."""
    session.flush()
    found = {}
    for row in run(session, _COUNTS, campaigns=array_of(campaign.id for campaign in campaigns)):
        counts = {"total": row.recipients, **dict.fromkeys((state.value for state in STATES), 0)}
        counts |= row.n | {"replied": row.replied}
        counts[MessageState.SKIPPED] += sum(row.excluded.values())
        found[row.id] = counts
    return found


def standing_of(session: Session, campaign: Campaign) -> Standing:
    """Counts, the speed over the last ten seconds of running, and the seconds that are left at this speed."""
    return standings_of(session, [campaign])[campaign.id]


def standings_of(session: Session, campaigns: Sequence[Campaign]) -> Mapping[UUID, Standing]:
    """How some campaigns stand, by id; asked of the database at once."""
    counted = counts_of_all(session, campaigns)
    running = [campaign for campaign in campaigns if campaign.status == CampaignStatus.RUNNING]
    pulses = last_pulses(session, running) if running else {}
    moment = now()
    return {
        campaign.id: standing_at(campaign, counted[campaign.id], pulses.get(campaign.id, ()), moment)
        for campaign in campaigns
    }


def standing_at(campaign: Campaign, counts: Counts, pulses: Sequence[Pulse], moment: datetime) -> Standing:
    """The same from what was asked already; `pulses` newest first."""
    rate = 0.0
    if campaign.status == CampaignStatus.RUNNING:
        since = max(campaign.running_since or moment, moment - SPEED_OVER)
        # The pulse that has not ended says no more than the counts do.
        rate = _speed(counts, [pulse for pulse in reversed(pulses) if since <= pulse.at <= moment], moment)
    left = counts["queued"] + counts["dispatching"]
    seconds = round(left / rate) if rate > 0 and left and campaign.frozen_at else None
    return Standing(counts, rate, seconds)


def moves(pulses: Sequence[Pulse], counts: Counts, moment: datetime) -> bool:
    """Whether the counts are others than a moment ago; `pulses` newest first."""
    if not pulses or pulses[0].counts != counts:
        return True
    return any(pulse.at >= moment - SETTLES_AFTER and pulse.counts != counts for pulse in pulses)


_LAST_PULSES = """
select p.campaign_id, p.at, p.counts
from unnest(%(campaigns)s::uuid[]) as asked(id)
cross join lateral (
  select campaign_id, at, counts from campaign_pulses where campaign_id = asked.id order by at desc limit %(most)s) p
order by p.campaign_id, p.at desc
"""


def last_pulses(session: Session, campaigns: Sequence[Campaign]) -> Mapping[UUID, Sequence[Pulse]]:
    """The last pulses of each campaign, newest first."""
    found: dict[UUID, list[Pulse]] = {campaign.id: [] for campaign in campaigns}
    for row in run(session, _LAST_PULSES, campaigns=array_of(found), most=PULSES_LOOKED_AT):
        found[row.campaign_id].append(Pulse(row.at, row.counts))
    return found


_TAKE_PULSES = """
insert into campaign_pulses (campaign_id, at, counts)
select key::uuid, %(at)s, value from jsonb_each(%(counts)s::jsonb) order by key
on conflict (tenant_id, campaign_id, at) do update set counts = excluded.counts
"""


def take_pulses(session: Session, counted: Mapping[UUID, Counts], moment: datetime) -> None:
    """Write down how campaigns stand; of several looks within one pulse the last counts."""
    if counted:
        counts = {str(campaign_id): counts for campaign_id, counts in counted.items()}
        run(session, _TAKE_PULSES, at=pulse_time(moment), counts=json_of(counts))


def _speed(counts: Counts, pulses: Sequence[Pulse], moment: datetime) -> float:
    """Messages per second that left the queue, as far as these pulses (oldest first) reach back.

    Zero until they span some seconds: what comes of less changes wildly from one look to the next.
    """
    left = [_left_the_queue(pulse.counts) for pulse in pulses]
    # While nothing left, it had not begun.
    began = next((at for at in range(len(left) - 1) if left[at] != left[at + 1]), None)
    if began is None or moment - pulses[began].at < SPEED_SPANS:
        return 0.0
    seconds = (moment - pulses[began].at).total_seconds()
    return round(max(_left_the_queue(counts) - left[began], 0) / seconds, 1)


def _left_the_queue(counts: Counts) -> int:
    return counts["total"] - sum(counts[state] for state in NEVER_SENT)
