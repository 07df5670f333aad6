"""Answers of the analytics."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from engine.analytics.overview import Overview


class KpiAnswer(BaseModel):
    """One key figure against the period before; ratios are 0 to 1, null where there is nothing to compare."""

    key: str
    unit: str
    value: float | None
    previous: float | None
    spark: list[float | None]


class TimePoint(BaseModel):
    """What happened in one hour or day."""

    at: datetime
    sent: int
    delivered: int
    read: int
    failed: int
    received: int


class TimeseriesAnswer(BaseModel):
    """The course of the period."""

    step: str
    points: list[TimePoint]


class FunnelStep(BaseModel):
    """How many came this far."""

    key: str
    value: int


class HeatmapAnswer(BaseModel):
    """Received messages by weekday (Monday first) and hour."""

    measure: str
    cells: list[list[int]]


class BucketAnswer(BaseModel):
    """A quarter-hour of a channel as these figures saw it; `activity.changed` tells its newer revisions."""

    at: datetime
    channel_id: UUID
    measures: dict[str, int]
    revision: int


class OverviewAnswer(BaseModel):
    """All that the overview shows."""

    period: dict[str, str]
    kpis: list[KpiAnswer]
    timeseries: TimeseriesAnswer
    funnel: list[FunnelStep]
    heatmap: HeatmapAnswer
    recent: list[BucketAnswer]
    revision: int

    @classmethod
    def of(cls, seen: Overview) -> "OverviewAnswer":
        """The answer for an overview."""
        return cls(
            period={
                "from": seen.span.begin.isoformat(),
                "to": seen.span.end.isoformat(),
                "time_zone": seen.time_zone,
            },
            kpis=[
                KpiAnswer(
                    key=kpi.key, unit=kpi.unit, value=kpi.value, previous=kpi.previous, spark=list(kpi.spark)
                )
                for kpi in seen.kpis
            ],
            timeseries=TimeseriesAnswer(
                step=seen.step,
                points=[
                    TimePoint(
                        at=point.at,
                        sent=point.measures.get("accepted", 0),
                        delivered=point.measures.get("delivered", 0),
                        read=point.measures.get("read", 0),
                        failed=point.measures.get("failed", 0),
                        received=point.measures.get("received", 0),
                    )
                    for point in seen.points
                ],
            ),
            funnel=[FunnelStep(key=key, value=value) for key, value in seen.funnel],
            heatmap=HeatmapAnswer(measure="received", cells=[list(row) for row in seen.heatmap]),
            recent=[
                BucketAnswer(
                    at=one.at, channel_id=one.channel_id, measures=dict(one.measures), revision=one.revision
                )
                for one in seen.recent
            ],
            revision=seen.revision,
        )
