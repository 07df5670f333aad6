"""How fast a campaign goes, and when there is something to say of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from engine.campaigns import queries, service
from engine.campaigns.models import Campaign, CampaignPulse, pulse_time
from engine.campaigns.standing import STATES, Pulse, Standing, counts_of, standing_at, standing_of
from engine.core.clock import now
from engine.messaging.counters import Steps
from engine.messaging.models import MessageState
from tests.campaigns.test_campaigns import begin
from tests.workshop import Shop, add_people


def take_pulse(shop: Shop, campaign_id: UUID, *, seconds_ago: float, left: int) -> None:
    """A pulse of a while ago, when this many messages had left the queue."""
    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
        held = counts_of(session, campaign)
        counts_then = {**held, "queued": held["queued"] + held["sent"] - left, "sent": left}
        at = now() - timedelta(seconds=seconds_ago)
        session.add(CampaignPulse(campaign_id=campaign_id, at=at, counts=counts_then))


def runs_since(shop: Shop, campaign_id: UUID, *, seconds_ago: float) -> None:
    with shop.work.session() as session:
        queries.get_campaign(session, campaign_id).running_since = now() - timedelta(seconds=seconds_ago)


def standing(shop: Shop, campaign_id: UUID, *, left: int) -> Standing:
    """How a campaign stands now that this many messages have left the queue."""
    with shop.work.session() as session:
        campaign = queries.get_campaign(session, campaign_id)
        steps = Steps()
        steps.tallies[campaign.gate_id, MessageState.QUEUED] -= left
        steps.tallies[campaign.gate_id, MessageState.SENT] += left
        steps.write(session)
    with shop.work.session() as session:
        return standing_of(session, queries.get_campaign(session, campaign_id))


@pytest.mark.parametrize(("since", "rate", "left"), [(2, 0.0, None), (6, 10.0, 4)])
def test_a_speed_is_told_once_pulses_span_some_seconds(
    shop: Shop, since: float, rate: float, left: int | None
) -> None:
    add_people(shop, 100)
    campaign_id = begin(shop)
    runs_since(shop, campaign_id, seconds_ago=since)
    take_pulse(shop, campaign_id, seconds_ago=since, left=0)
    take_pulse(shop, campaign_id, seconds_ago=1, left=10)

    told = standing(shop, campaign_id, left=60)

    assert told.rate_per_second == pytest.approx(rate, abs=1)
    assert told.seconds_left == (left if left is None else pytest.approx(left, abs=1))


def test_a_pause_does_not_slow_the_speed_of_what_follows_it(shop: Shop) -> None:
    add_people(shop, 100)
    campaign_id = begin(shop)
    runs_since(shop, campaign_id, seconds_ago=5)
    for seconds_ago, left in ((9.5, 0), (8.5, 20), (8, 30), (5, 30), (3, 50)):
        take_pulse(shop, campaign_id, seconds_ago=seconds_ago, left=left)

    rate = standing(shop, campaign_id, left=80).rate_per_second

    assert rate == pytest.approx((80 - 30) / 5, abs=1)


def test_a_campaign_that_is_resumed_runs_from_then(shop: Shop) -> None:
    add_people(shop, 2)
    campaign_id = begin(shop)
    runs_since(shop, campaign_id, seconds_ago=60)
    with shop.work.session() as session:
        service.pause(session, campaign_id)
    asked = now()
    with shop.work.session() as session:
        service.resume(session, campaign_id)

    with shop.work.session() as session:
        since = queries.get_campaign(session, campaign_id).running_since

    assert since is not None
    assert since >= asked


def test_a_standstill_does_not_slow_the_speed_that_follows(shop: Shop) -> None:
    add_people(shop, 100)
    campaign_id = begin(shop)
    runs_since(shop, campaign_id, seconds_ago=60)
    for seconds_ago, left in ((9.5, 0), (7.5, 0), (5, 0), (3, 30)):
        take_pulse(shop, campaign_id, seconds_ago=seconds_ago, left=left)

    rate = standing(shop, campaign_id, left=60).rate_per_second

    assert rate == pytest.approx(60 / 5, abs=1)


def test_the_speed_is_that_at_which_messages_leave() -> None:
    """Looked at five times a second, of which a pulse keeps the last: its counts are those of its end."""
    began = datetime(2026, 11, 26, 12, 0, 1, 300_000, tzinfo=UTC)
    campaign = Campaign(status="running", running_since=began, frozen_at=began)
    nothing = dict.fromkeys((state.value for state in STATES), 0)
    pulses: dict[datetime, Pulse] = {}
    told = []
    for look in range(100):
        moment = began + timedelta(seconds=look / 5)
        counts = {**nothing, "total": 3000, "queued": 3000 - 16 * look, "sent": 16 * look}
        newest_first = [pulses[at] for at in sorted(pulses, reverse=True)]
        told.append(standing_at(campaign, counts, newest_first, moment).rate_per_second)
        pulses[pulse_time(moment)] = Pulse(pulse_time(moment), counts)

    assert told[10] == 0.0, "too early to say"
    assert all(rate == pytest.approx(80, rel=0.06) for rate in told[40:])
