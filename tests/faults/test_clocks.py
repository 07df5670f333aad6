"""Days of 23 and 25 hours, and machines whose clocks differ: what is planned happens at its hour, once."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from sqlalchemy import update

from engine.analytics.overview import Period, overview
from engine.api.schemas.campaigns import meant_in
from engine.campaigns import queries, service
from engine.campaigns.models import Campaign
from engine.core.bootstrap import DatabaseUrls
from engine.core.clock import now
from engine.core.db import app_engine
from engine.core.system import system_engine, system_session
from engine.messaging.counters import Steps
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


@pytest.fixture
def clock(shop: Shop, superuser_url: str) -> Iterator[Callable[[datetime], None]]:
    """Sets the database's clock, as the product asks it: a `now()` of ours is found before PostgreSQL's own."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("create schema moved")
        connection.execute("create table moved.clock (at timestamptz)")
        connection.execute("insert into moved.clock values (now())")
        connection.execute(
            "create function moved.now() returns timestamptz stable language sql return (select at from moved.clock)"
        )
        connection.execute("grant usage on schema moved to masteria_app, masteria_system")
        connection.execute("grant select on moved.clock to masteria_app, masteria_system")
        for role in ("masteria_app", "masteria_system"):
            connection.execute(f"alter role {role} set search_path = moved, pg_catalog, public")
        _connect_anew()

        yield lambda moment: connection.execute("update moved.clock set at = %s", (moment,)) and None

        for role in ("masteria_app", "masteria_system"):
            connection.execute(f"alter role {role} reset search_path")
        connection.execute("drop schema moved cascade")
        _connect_anew()


def _connect_anew() -> None:
    """What a role's settings say counts from its next connection on."""
    app_engine().dispose()
    system_engine().dispose()


@pytest.mark.parametrize(
    ("zone", "reading"),
    [
        ("America/New_York", "2027-03-14T09:00"),
        ("America/New_York", "2027-11-07T09:00"),
        ("America/New_York", "2027-11-07T01:30"),
    ],
)
def test_a_planned_campaign_goes_out_once_at_its_hour_of_a_day_of_the_clock_change(
    shop: Shop, clock: Callable[[datetime], None], zone: str, reading: str
) -> None:
    """Looked at each quarter of an hour for three hours around it, as the database's clock goes on."""
    add_people(shop, 2)
    moment = meant_in(zone, datetime.fromisoformat(reading))
    assert moment is not None
    at = moment.astimezone(UTC)
    campaign_id = make(shop, scheduled_at=moment)
    with shop.work.session() as session:
        service.start(session, campaign_id)

    begun = []
    for quarter in range(-6, 7):
        clock(at + timedelta(minutes=15 * quarter, seconds=-1))
        for name in ("begin", "freeze"):
            with system_session() as session:
                is_due = JOBS[name].is_due(session)
            if is_due:
                begun.append((name, quarter))
                JOBS[name].work()

    assert begun == [("begin", 1), ("freeze", 1)]
    with shop.work.session() as session:
        assert session.connection().exec_driver_sql("select count(*) from messages").scalar_one() == 2


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2027, 3, 14), 23),
        ("America/New_York", date(2027, 11, 7), 25),
        ("Australia/Lord_Howe", date(2027, 10, 3), 23.5),
        ("Australia/Lord_Howe", date(2027, 4, 4), 24.5),
        ("America/Sao_Paulo", date(2027, 3, 14), 24),
    ],
)
def test_a_day_of_the_clock_change_is_counted_whole_and_once(
    shop: Shop, zone: str, day: date, hours: float
) -> None:
    first, last = (
        datetime(one.year, one.month, one.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for one in (day, day + timedelta(days=1))
    )
    quarters = [first + timedelta(minutes=15 * n) for n in range(round(hours * 4))]
    around = [first - timedelta(minutes=15), last]
    with shop.work.session() as session:
        happened = Counter({(at, shop.channel_id, "accepted"): 1 for at in quarters + around})
        Steps(happenings=happened).write(session)

    with shop.work.session() as session:
        seen = overview(session, Period.TODAY, moment=last - timedelta(seconds=1), time_zone=zone)
        later = overview(session, Period.MONTH, moment=last + timedelta(days=5, hours=2), time_zone=zone)

    assert last - first == timedelta(hours=hours)
    assert sum(point.measures.get("accepted", 0) for point in seen.points) == len(quarters)
    assert [point.at for point in seen.points] == sorted({point.at for point in seen.points})
    by_day = {
        point.at.astimezone(ZoneInfo(zone)).date(): point.measures.get("accepted", 0)
        for point in later.points
    }
    assert (by_day[day], sum(by_day.values())) == (len(quarters), len(quarters) + 2)
    assert len(by_day) == 30
