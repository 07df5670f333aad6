"""Days of 23 and 25 hours, and machines whose clocks differ: what is planned happens at its hour, once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from engine.api.schemas.campaigns import meant_in
from engine.campaigns import queries, service
from engine.campaigns.models import Campaign
from engine.core.bootstrap import DatabaseUrls
from engine.core.clock import now
from engine.core.system import system_session
from engine.scheduler.jobs import JOBS
from tests.campaigns.test_campaigns import make
from tests.messaging.receiving import at_once
from tests.workshop import Shop, add_people, open_shop


@pytest.mark.parametrize(
    ("zone", "reading", "instant"),
    [
        ("America/New_York", "2027-03-13T09:00", "2027-03-13T14:00"),
        ("America/New_York", "2027-03-14T09:00", "2027-03-14T13:00"),  # a day of 23 hours
        ("America/New_York", "2027-11-07T09:00", "2027-11-07T14:00"),  # a day of 25 hours
        ("America/New_York", "2027-03-14T02:30", "2027-03-14T07:30"),  # no clock shows it: an hour later
        ("America/New_York", "2027-11-07T01:30", "2027-11-07T05:30"),  # clocks show it twice: the first time
        ("Australia/Lord_Howe", "2027-04-04T09:00", "2027-04-03T22:30"),  # half an hour of summer
        ("America/Sao_Paulo", "2027-03-14T09:00", "2027-03-14T12:00"),
        ("Asia/Kathmandu", "2027-03-14T09:00", "2027-03-14T03:15"),
    ],
)
def test_nine_oclock_is_nine_oclock_where_the_company_is(zone: str, reading: str, instant: str) -> None:
    moment = meant_in(zone, datetime.fromisoformat(reading))

    assert moment is not None
    assert moment.astimezone(UTC) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.fixture
def shop(database: DatabaseUrls) -> Shop:
    return open_shop()


def test_a_planned_campaign_begins_once_whoever_sees_that_it_is_time(shop: Shop) -> None:
    add_people(shop, 3)
    campaign_id = make(shop, scheduled_at=now() + timedelta(hours=2))
    with shop.work.session() as session:
        service.start(session, campaign_id)
    with system_session() as session:
        early = JOBS["begin"].is_due(session)
    with shop.work.session() as session:
        session.execute(update(Campaign).values(scheduled_at=now() - timedelta(seconds=1)))

    at_once(*(JOBS["begin"].work for _ in range(4)))
    at_once(*(JOBS["freeze"].work for _ in range(4)))

    with shop.work.session() as session:
        assert queries.get_campaign(session, campaign_id).status == "running"
        assert session.connection().exec_driver_sql("select count(*) from messages").scalar_one() == 3
    assert not early


@pytest.mark.parametrize("hours", [24, -1])
def test_whether_it_is_time_is_the_databases_word(
    shop: Shop, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose clock is a day ahead begins nothing early, one whose clock is behind nothing late."""
    campaign_id = make(shop, scheduled_at=now() + timedelta(hours=2))
    with shop.work.session() as session:
        service.start(session, campaign_id)
        is_due = hours < 0
        if is_due:
            session.execute(update(Campaign).values(scheduled_at=now() - timedelta(seconds=1)))
    shifted = lambda: now() + timedelta(hours=hours)  # noqa: E731 - a clock
    for module in (
        "engine.campaigns.progress.now",
        "engine.campaigns.service.now",
        "engine.campaigns.freezing.now",
    ):
        monkeypatch.setattr(module, shifted)

    with system_session() as session:
        assert JOBS["begin"].is_due(session) is is_due
    JOBS["begin"].work()

    with shop.work.session() as session:
        assert (queries.get_campaign(session, campaign_id).status == "scheduled") is not is_due
