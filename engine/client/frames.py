"""Answers as pandas data frames: one row an item, dates as UTC timestamps, nested parts as dotted columns."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, is_dataclass
from typing import Any

import pandas as pd

from engine.client.answers import Overview, Timeline


def frame_of(items: Iterable[Any]) -> pd.DataFrame:
    """Dataclasses of one kind as a data frame indexed by their id, where they have one."""
    rows = [asdict(item) for item in items if is_dataclass(item) and not isinstance(item, type)]
    if not rows:
        return pd.DataFrame()
    frame = pd.json_normalize(rows)
    for column in frame.columns:
        if column.endswith("_at") or column == "at":
            frame[column] = pd.to_datetime(frame[column], utc=True)
    return frame.set_index("id") if "id" in frame.columns else frame


async def gather_frame(items: AsyncIterator[Any]) -> pd.DataFrame:
    """Everything an iterator brings as one data frame."""
    return frame_of([item async for item in items])


def series_frame(overview: Overview) -> pd.DataFrame:
    """Messages over time, indexed by instant."""
    frame = frame_of(overview.timeseries.points)
    return frame.set_index("at") if "at" in frame.columns else frame


def timeline_frame(timeline: Timeline) -> pd.DataFrame:
    """A campaign over time, indexed by instant."""
    frame = frame_of(timeline.points)
    return frame.set_index("at") if "at" in frame.columns else frame


def heatmap_frame(overview: Overview) -> pd.DataFrame:
    """Messages received: weekdays (0 is Monday) down, hours across."""
    cells = overview.heatmap.cells or tuple((0,) * 24 for _ in range(7))
    return pd.DataFrame(list(cells), index=pd.RangeIndex(7, name="weekday"), columns=range(24))
