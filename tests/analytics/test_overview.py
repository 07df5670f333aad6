"""The overview over real rows: sums, ratios, the company's days, and the period before."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from engine.analytics.overview import Overview, Period, overview, span_of
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import tenant_session
from engine.core.ids import TenantId
from engine.messaging.counters import Steps, bucket_of

ZONE = "America/Sao_Paulo"
NOON = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)  # Wednesday, 12:00 in São Paulo


@pytest.fixture
def tenant_id(database: DatabaseUrls) -> TenantId:
    return TenantId(uuid4())


def happened(tenant_id: TenantId, at: datetime, **measures: int) -> None:
    channel = uuid4()
    with tenant_session(tenant_id) as session:
        happenings = Counter({(bucket_of(at), channel, name): n for name, n in measures.items()})
        Steps(happenings=happenings).write(session)


def look(tenant_id: TenantId, period: Period = Period.WEEK) -> Overview:
    with tenant_session(tenant_id) as session:
        return overview(session, period, moment=NOON, time_zone=ZONE)


def kpi(seen: Overview, key: str) -> tuple[float | None, float | None]:
    [found] = [one for one in seen.kpis if one.key == key]
    return found.value, found.previous


def test_figures_are_sums_of_the_period_and_of_the_one_before(tenant_id: TenantId) -> None:
    happened(tenant_id, NOON - timedelta(hours=1), accepted=100, delivered=90, read=45, replied=9)
    happened(tenant_id, NOON - timedelta(days=3), accepted=100, delivered=80)
    happened(tenant_id, NOON - timedelta(days=8), accepted=50, delivered=40)

    seen = look(tenant_id)

    assert kpi(seen, "sent") == (200, 50)
    assert kpi(seen, "delivered_rate") == (0.85, 0.8)
    assert kpi(seen, "replied") == (9, 0)
    assert seen.funnel == [("accepted", 200), ("delivered", 170), ("read", 45), ("replied", 9)]


def test_a_ratio_without_a_base_is_nothing_rather_than_zero(tenant_id: TenantId) -> None:
    assert kpi(look(tenant_id), "delivered_rate") == (None, None)


def test_failures_are_measured_against_all_that_was_tried(tenant_id: TenantId) -> None:
    happened(tenant_id, NOON - timedelta(hours=1), accepted=75, failed=25)

    assert kpi(look(tenant_id), "failed_rate")[0] == 0.25


def test_a_day_is_the_companys_own(tenant_id: TenantId) -> None:
    happened(tenant_id, datetime(2026, 11, 18, 2, 59, tzinfo=UTC), accepted=1)
    happened(tenant_id, datetime(2026, 11, 18, 3, 0, tzinfo=UTC), accepted=10)
    happened(tenant_id, datetime(2026, 11, 17, 14, 0, tzinfo=UTC), accepted=2)

    assert kpi(look(tenant_id, Period.TODAY), "sent") == (10, 2)


def test_the_course_has_a_point_for_every_hour_and_day(tenant_id: TenantId) -> None:
    assert len(look(tenant_id, Period.TODAY).points) == 12
    assert len(look(tenant_id, Period.WEEK).points) == 6 * 24 + 12
    assert len(look(tenant_id, Period.QUARTER).points) == 90


def test_busy_hours_are_by_weekday_and_hour_of_the_company(tenant_id: TenantId) -> None:
    happened(tenant_id, NOON - timedelta(hours=1), received=7)

    cells = look(tenant_id).heatmap

    assert cells[2][11] == 7
    assert sum(map(sum, cells)) == 7


def test_the_newest_quarter_hours_come_as_facts_tell_them(tenant_id: TenantId) -> None:
    bucket, channel = bucket_of(NOON - timedelta(minutes=5)), uuid4()
    for n in (12, -4):  # an earlier word moves some to another quarter
        with tenant_session(tenant_id) as session:
            Steps(happenings=Counter({(bucket, channel, "accepted"): n})).write(session)
    happened(tenant_id, NOON - timedelta(hours=2), accepted=7)

    [recent] = look(tenant_id).recent

    assert (recent.at, recent.channel_id) == (bucket, channel)
    assert (recent.measures, recent.revision) == ({"accepted": 8}, 2)


def test_the_period_before_a_day_of_the_clock_change_is_as_long() -> None:
    zone = ZoneInfo("America/New_York")
    moment = datetime(2026, 11, 1, 20, 0, tzinfo=zone)

    span = span_of(Period.TODAY, moment, zone)

    assert span.begin == datetime(2026, 11, 1, 0, 0, tzinfo=zone)
    assert span.before().end == moment - timedelta(days=1)


def test_nothing_of_another_company_is_counted(tenant_id: TenantId) -> None:
    happened(TenantId(uuid4()), NOON - timedelta(hours=1), accepted=5, received=3)

    seen = look(tenant_id)

    assert kpi(seen, "sent") == (0, 0)
    assert seen.revision == 0
