"""The chart of messages over time, in Bokeh: built once, moved by data."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import panel as pn
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJSHover,
    CustomJSTickFormatter,
    DataRange1d,
    DatetimeTicker,
    DatetimeTickFormatter,
    HoverTool,
)
from bokeh.plotting import figure

from console.i18n import N_, Words
from console.theme import LIGHT
from engine.client.answers import Series, SeriesPoint

LINES = (
    ("sent", N_("Messages sent"), LIGHT["series-1"]),
    ("read", N_("Messages read"), LIGHT["series-2"]),
    ("received", N_("Messages received"), LIGHT["series-4"]),
)
CUMULATED = ("sent", "delivered", "read", "failed", "received")


def local(instant: datetime, time_zone: str) -> np.datetime64:
    """An instant as the wall clock of the company shows it: Bokeh knows no time zones."""
    return np.datetime64(instant.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None), "ms")


def columns_of(series: Series, time_zone: str) -> dict[str, Any]:
    """A series as the columns of the chart."""
    points = series.points
    return {
        "at": np.array([local(point.at, time_zone) for point in points], dtype="datetime64[ms]"),
        "floor": [0] * len(points),
        **{name: [getattr(point, name) for point in points] for name in CUMULATED},
    }


class VolumeChart:
    """Sent, read and received over time. Change it only with the document locked (`add_next_tick_callback`)."""

    def __init__(self, words: Words) -> None:
        self._words = words
        # A flat line until the data are there: without any point the browser cannot lay out its axes.
        points = tuple(SeriesPoint(datetime.now(UTC) - timedelta(days=day)) for day in (7, 0))
        self.source = ColumnDataSource(columns_of(Series(points=points), words.time_zone))
        self.figure = self._make()
        self.pane = pn.pane.Bokeh(self.figure, sizing_mode="stretch_width", margin=0)  # type: ignore[no-untyped-call]

    def _make(self) -> figure:
        words = self._words
        # "24/11" or "Nov 24": Bokeh knows English month names only.
        day = "%d/%m" if words.locale == "pt_BR" else "%b %e"
        drawn = figure(
            x_axis_type="datetime", height=280, sizing_mode="stretch_width", toolbar_location=None, tools="",
            y_range=DataRange1d(start=0),
        )  # fmt: skip
        name, _label, colour = LINES[0]
        drawn.varea("at", "floor", name, source=self.source, fill_color=colour, fill_alpha=0.13)
        lines = [
            drawn.line(
                "at", name, source=self.source, line_color=colour, line_width=2, legend_label=words(label)
            )
            for name, label, colour in LINES
        ]
        drawn.xgrid.grid_line_color = None
        drawn.legend.location = "right"
        drawn.add_layout(drawn.legend[0], "above")
        drawn.xaxis.formatter = DatetimeTickFormatter(
            hours="%H:%M", minutes="%H:%M", hourmin="%H:%M", days=day, months=day, years="%Y"
        )
        drawn.xaxis.ticker = DatetimeTicker(desired_num_ticks=6)
        # Bokeh knows the numerals of English only; the browser knows them all.
        numerals = f"return new Intl.NumberFormat('{words.tag}').format({{}})"
        drawn.yaxis.formatter = CustomJSTickFormatter(code=numerals.format("tick"))
        drawn.yaxis.ticker = BasicTicker(desired_num_ticks=4)
        tips = [
            ("", f"@at{{{day} %H:%M}}"),
            *((words(label), f"@{name}{{custom}}") for name, label, _ in LINES),
        ]
        said = CustomJSHover(code=numerals.format("value"))
        formatters: dict[str, Any] = {
            "@at": "datetime",
            **{f"@{name}": said for name, _label, _colour in LINES},
        }
        drawn.add_tools(HoverTool(tooltips=tips, formatters=formatters, mode="vline", renderers=[lines[0]]))
        return drawn

    def draw(self, series: Series) -> None:
        """Draws a series."""
        self.source.data = columns_of(series, self._words.time_zone)

    def add(self, figures: Mapping[str, int]) -> None:
        """Adds to the newest point what happened since."""
        newest = len(self.source.data["at"]) - 1
        if newest >= 0:
            patches = {
                name: [(newest, int(self.source.data[name][newest]) + n)]
                for name, n in figures.items()
                if name in CUMULATED and n
            }
            if patches:
                self.source.patch(patches)
