"""The overview: key figures of a period against the one before, their course, the funnel, and the busy hours.

All of it is read from `activity`, quarter-hours per channel that the sending and receiving paths count as they go; the
hours and days are the company's own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from engine.core.db import run

SPARKS = 24
# Facts about quarter-hours older than this come so rarely that a screen may wait for its next fetch.
RECENT = timedelta(hours=1)


class Period(StrEnum):
    """What the overview looks back on; all but `today` end now and hold whole days before today."""

    TODAY = "today"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"


DAYS: Mapping[Period, int] = {Period.TODAY: 1, Period.WEEK: 7, Period.MONTH: 30, Period.QUARTER: 90}
HOURLY = (Period.TODAY, Period.WEEK)

MEASURES = ("accepted", "delivered", "read", "failed", "received", "replied")
FUNNEL = ("accepted", "delivered", "read", "replied")


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, and how many of the company's days that touches."""

    begin: datetime
    end: datetime
    days: int

    def before(self) -> "Span":
        """The span of the same length just before: yesterday up to the same time, the seven days before."""
        length = timedelta(days=self.days)
        return Span(self.begin - length, self.end - length, self.days)


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key figure, the same for the period before, and its course; ratios are 0 to 1, None without a base."""

    key: str
    unit: str
    value: float | None
    previous: float | None
    spark: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Point:
    """What happened in one hour or day of the company's time."""

    at: datetime
    measures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A quarter-hour of a channel as these figures saw it, and its revision, as `activity.changed` tells them."""

    at: datetime
    channel_id: UUID
    measures: Mapping[str, int]
    revision: int


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the overview shows; `heatmap` is 7 days (Monday first) by 24 hours of received messages.

    `recent` is what a screen that adds facts to these figures needs to count nothing twice.
    """

    span: Span
    time_zone: str
    step: str
    kpis: Sequence[Kpi]
    points: Sequence[Point]
    funnel: Sequence[tuple[str, int]]
    heatmap: Sequence[Sequence[int]]
    recent: Sequence[Bucket]
    revision: int


def span_of(period: Period, moment: datetime, zone: ZoneInfo) -> Span:
    """The period up to now, from a midnight of the company's time."""
    today = moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first_day = (today.replace(tzinfo=None) - timedelta(days=DAYS[period] - 1)).replace(tzinfo=zone)
    return Span(first_day, moment.astimezone(zone), DAYS[period])


def overview(session: Session, period: Period, *, moment: datetime, time_zone: str) -> Overview:
    """The overview of a period that ends now."""
    zone = ZoneInfo(time_zone)
    span = span_of(period, moment, zone)
    recent = _recent(session, span)
    step = "hour" if period in HOURLY else "day"
    points = _course(session, span, step, time_zone)
    sums = _sum(points)
    before = _sum(_course(session, span.before(), step, time_zone))
    return Overview(
        span=span,
        time_zone=time_zone,
        step=step,
        kpis=_kpis(sums, before, points),
        points=points,
        funnel=[(key, sums[key]) for key in FUNNEL],
        heatmap=_heatmap(session, span, time_zone),
        recent=recent,
        revision=sum(sums.values()),
    )


def _course(session: Session, span: Span, step: str, time_zone: str) -> list[Point]:
    """A point for every hour or day of a span, also for those in which nothing happened."""
    rows = run(
        session,
        """select date_trunc(%(step)s, bucket, %(zone)s) as at, measure, sum(n)::bigint as n from activity
           where bucket >= %(begin)s and bucket < %(end)s and measure = any(%(measures)s) group by 1, 2""",
        step=step,
        zone=time_zone,
        begin=span.begin,
        end=span.end,
        measures=list(MEASURES),
    )
    found: dict[datetime, Counter[str]] = {}
    for row in rows:
        found.setdefault(row.at, Counter())[row.measure] += row.n
    # By quarter-hours, because the clocks of some places change by half an hour, and their hours then begin elsewhere.
    moments = run(
        session,
        """select distinct date_trunc(%(step)s, quarter, %(zone)s) as at
           from generate_series(%(begin)s::timestamptz, %(end)s, interval '15 minutes') quarter
           where quarter < %(end)s order by 1""",
        step=step,
        begin=span.begin,
        end=span.end,
        zone=time_zone,
    )
    return [Point(row.at, found.get(row.at, Counter())) for row in moments]


def _sum(points: Sequence[Point]) -> Counter[str]:
    total: Counter[str] = Counter()
    for point in points:
        total.update(point.measures)
    return total


def _kpis(now: Counter[str], before: Counter[str], points: Sequence[Point]) -> list[Kpi]:
    groups = _grouped(points)

    def count(key: str, measure: str) -> Kpi:
        return Kpi(key, "count", now[measure], before[measure], [group[measure] for group in groups])

    def ratio(key: str, part: str, *whole: str) -> Kpi:
        return Kpi(
            key,
            "ratio",
            _ratio(now, part, whole),
            _ratio(before, part, whole),
            [_ratio(group, part, whole) for group in groups],
        )

    return [
        count("sent", "accepted"),
        ratio("delivered_rate", "delivered", "accepted"),
        ratio("read_rate", "read", "delivered"),
        count("replied", "replied"),
        count("received", "received"),
        ratio("failed_rate", "failed", "accepted", "failed"),
    ]


def _ratio(counts: Counter[str], part: str, whole: Sequence[str]) -> float | None:
    base = sum(counts[name] for name in set(whole) | ({part} if part in whole else set()))
    return min(counts[part] / base, 1.0) if base else None


def _grouped(points: Sequence[Point]) -> list[Counter[str]]:
    """The points in at most `SPARKS` groups of neighbours, for the small curves."""
    size = max(-(-len(points) // SPARKS), 1)
    return [_sum(points[start : start + size]) for start in range(0, len(points), size)]


def _recent(session: Session, span: Span) -> list[Bucket]:
    """The newest quarter-hours, with the revisions that the facts carry."""
    rows = run(
        session,
        """select bucket, channel_id, jsonb_object_agg(measure, n) as measures, sum(revision)::bigint as revision
           from activity where bucket >= %(begin)s and bucket < %(end)s group by 1, 2 order by 1, 2""",
        begin=max(span.begin, span.end - RECENT),
        end=span.end,
    )
    return [Bucket(row.bucket, row.channel_id, row.measures, row.revision) for row in rows]


def _heatmap(session: Session, span: Span, time_zone: str) -> list[list[int]]:
    cells = [[0] * 24 for _ in range(7)]
    rows = run(
        session,
        """select extract(isodow from bucket at time zone %(zone)s)::int as weekday,
                  extract(hour from bucket at time zone %(zone)s)::int as hour, sum(n)::bigint as n
           from activity where bucket >= %(begin)s and bucket < %(end)s and measure = 'received' group by 1, 2""",
        zone=time_zone,
        begin=span.begin,
        end=span.end,
    )
    for row in rows:
        cells[row.weekday - 1][row.hour] = row.n
    return cells
