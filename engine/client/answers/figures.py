"""The figures of the overview, as the API tells them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Kpi:
    """One figure, the same one in the period before, and its course."""

    key: str
    value: float | None = None
    previous: float | None = None
    unit: str = "count"
    spark: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """Messages in one step of time."""

    at: datetime
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """Messages over time, by hour or by day."""

    step: str = "day"
    points: tuple[SeriesPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step of the funnel."""

    key: str
    value: int = 0


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Messages received by weekday (Monday first) and hour of the company's day."""

    measure: str = "received"
    cells: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A quarter-hour of a channel as the figures saw it; `activity.changed` tells its newer revisions."""

    at: datetime
    channel_id: str
    measures: dict[str, int] = field(default_factory=dict)
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Overview:
    """The company's figures for one period."""

    kpis: tuple[Kpi, ...] = ()
    timeseries: Series = field(default_factory=Series)
    funnel: tuple[FunnelStep, ...] = ()
    heatmap: Heatmap = field(default_factory=Heatmap)
    period: dict[str, Any] = field(default_factory=dict)
    recent: tuple[Bucket, ...] = ()
    revision: int = 0
