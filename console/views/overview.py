"""The overview: figures that matter, their course, the funnel and the hours people write."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs

from panel.viewable import Viewable

from console.components import Funnel, Heatmap, KpiCards, Message, Notice, Page, Slot
from console.i18n import N_
from console.tab import in_document
from console.views.base import Soon, View, plain
from console.views.charts import VolumeChart
from engine.client import Fact, FactKind
from engine.client.answers import Bucket, Kpi, Overview

PERIODS = {"today": N_("Today"), "7d": N_("7 days"), "30d": N_("30 days"), "90d": N_("90 days")}
# What a figure is compared with: short, for it stands beside the change in a narrow card.
VERSUS = {
    "today": N_("vs yesterday"),
    "7d": N_("vs 7 days before"),
    "30d": N_("vs 30 days before"),
    "90d": N_("vs 90 days before"),
}
DEFAULT_PERIOD = "30d"
KPIS = {
    "sent": (N_("Messages sent"), "up"),
    "delivered_rate": (N_("Delivery rate"), "up"),
    "read_rate": (N_("Read rate"), "up"),
    "replied": (N_("Replies"), "up"),
    "failed_rate": (N_("Failure rate"), "down"),
}
STEPS = {
    "accepted": N_("Accepted"),
    "delivered": N_("Delivered"),
    "read": N_("Read"),
    "replied": N_("Replied"),
}
# What the facts count, and which figure of the screen that moves.
FIGURES = {
    "accepted": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
    "received": "received",
    "replied": "replied",
}
BUCKET = timedelta(minutes=15)
# Between two fetches the figures that are plain sums move by themselves, from the facts.
FETCH_SECONDS = 4.0


def period_of(route: str) -> str:
    """The period an address names, else the usual one."""
    named = parse_qs(route.partition("?")[2]).get("period", [""])[0]
    return named if named in PERIODS else DEFAULT_PERIOD


class ActivityTally:
    """What the quarter-hours told since the last fetch: how much each figure grew, nothing counted twice."""

    def __init__(self) -> None:
        self._seen: dict[tuple[datetime, str], Bucket] = {}
        self._begin = self._end = datetime.max.replace(tzinfo=UTC)

    def start(self, overview: Overview) -> None:
        """Begins anew from what a fetch saw."""
        self._begin, self._end = (datetime.fromisoformat(overview.period[end]) for end in ("from", "to"))
        self._seen = {(bucket.at, bucket.channel_id): bucket for bucket in overview.recent}

    def take(self, facts: Sequence[Fact]) -> Counter[str]:
        """The growth these facts tell, within the period of the fetch."""
        growth: Counter[str] = Counter()
        for fact in facts:
            for told in fact.items:
                growth.update(self._grown(told))
        return Counter({figure: n for figure, n in growth.items() if n})

    def _grown(self, told: Mapping[str, Any]) -> dict[str, int]:
        now = Bucket(
            datetime.fromisoformat(told["at"]),
            str(told["channel_id"]),
            {measure: int(told.get(measure, 0)) for measure in FIGURES},
            int(told["revision"]),
        )
        key = (now.at, now.channel_id)
        before = self._seen.get(key)
        if now.at < self._begin or (before is not None and before.revision >= now.revision):
            return {}
        self._seen[key] = now
        if before is None and now.at + BUCKET <= self._end:
            return {}  # a quarter-hour gone by when we fetched: how much of it the figures hold, nobody said
        known = before.measures if before else {}
        return {figure: now.measures[measure] - known.get(measure, 0) for measure, figure in FIGURES.items()}


class OverviewPage(View):
    """How the company's messages fare, over a period the person chooses."""

    key: ClassVar = "overview"
    title: ClassVar = N_("Overview")
    facts: ClassVar = (FactKind.ACTIVITY_CHANGED,)

    def build(self) -> Viewable:
        """Cards, chart, funnel and heatmap as skeletons."""
        _, reader = self.words, self.tab.reader
        self._period = period_of(self.tab.shell.route)
        self._tally = ActivityTally()
        self._cards: dict[str, float] = {}
        self.kpis = KpiCards(reader, count=len(KPIS))
        self.chart = VolumeChart(self.words)
        self.funnel = Funnel(reader)
        self.heatmap = Heatmap(reader)
        self.welcome = Notice(reader, tone="info", title=_("Welcome to Master IA"), text=_(
            "Three steps to your first campaign: connect a number, import your contacts, write a template."
        ), actions=[
            {"key": "connect", "label": _("Connect a number"), "path": "/connections/new"},
            {"key": "import", "label": _("Import contacts"), "path": "/contacts/imports/new"},
            {"key": "template", "label": _("New template"), "path": "/templates/new"},
        ] if self.tab.can("channels.write") else [])  # fmt: skip
        self._fetch_soon = Soon(self.tab, self._fetch, pause=FETCH_SECONDS)
        new = {
            "key": "new",
            "label": _("New campaign"),
            "icon": "Plus",
            "path": "/campaigns/new",
            "kind": "primary",
        }
        self.page = Page.of(
            reader,
            Slot(self.welcome, key="welcome"),
            Slot(self.kpis, key="kpis"),
            Slot(self.chart.pane, key="chart", title=_("Messages over time"), card=True, min_height=300),
            Slot(self.funnel, key="funnel", span=5, title=_("From sent to answered"), card=True),
            Slot(self.heatmap, key="heatmap", span=7, title=_("When people write to you"), card=True),
            title=_("Hello, {name}", name=(self.tab.me.user.name or self.tab.me.user.email).split()[0]),
            tabs=[{"key": key, "label": _(label)} for key, label in PERIODS.items()],
            tab=self._period,
            hidden=["welcome"],
            actions=[new] if self.tab.can("campaigns.write") else [],
        )
        self.tab.on(self.page, "tab", self._choose)
        for component in (self.kpis, self.funnel, self.heatmap):
            self.tab.on(component, "retry", self._retry)
        return self.page

    async def enter(self, **parts: str) -> None:
        """Fetches the figures of the period that the address names."""
        self._turn_to(period_of(self.tab.shell.route))
        self._fetch_now()

    async def resync(self) -> None:
        """Fetches the same figures again."""
        self._fetch_now()

    def _fetch_now(self) -> None:
        self.tab.start(self._fetch, failed=self._fail)

    async def _retry(self, _: Message) -> None:
        self._fetch_now()

    async def _choose(self, message: Message) -> None:
        period = str(message.get("key") or self._period)
        self.tab.go("/" if period == DEFAULT_PERIOD else f"/?period={period}")

    def _turn_to(self, period: str) -> None:
        self.page.tab = period
        if period != self._period:
            self._period = period
            self.kpis.wait()

    def _fail(self, sentence: str) -> None:
        for component in (self.kpis, self.funnel, self.heatmap):
            component.fail(sentence)

    async def _fetch(self) -> None:
        period = self._period
        overview = await self.tab.api.analytics.overview(period)
        if period == self._period:  # another one may have been chosen while we waited
            self._draw(overview)

    def _draw(self, overview: Overview) -> None:
        words = self.words
        self._tally.start(overview)
        self._cards = {kpi.key: kpi.value or 0 for kpi in overview.kpis}
        self.kpis.draw([self._card(kpi) for kpi in overview.kpis if kpi.key in KPIS])
        self.funnel.draw(
            [{"key": step.key, "label": words(STEPS.get(step.key, step.key)), "value": step.value}
             for step in overview.funnel]
        )  # fmt: skip
        self.heatmap.draw(
            [list(row) for row in overview.heatmap.cells], measure=words(N_("messages received"))
        )
        quiet = not any(self._cards.values()) and not any(point.sent for point in overview.timeseries.points)
        self.page.hidden = [] if quiet else ["welcome"]
        in_document(lambda: self.chart.draw(overview.timeseries))

    def _card(self, kpi: Kpi) -> dict[str, object]:
        label, good = KPIS[kpi.key]
        hint = {} if kpi.previous else {"hint": self.words(N_("Nothing earlier to compare with"))}
        versus = self.words(VERSUS.get(self._period, ""))
        return plain(kpi) | {"label": self.words(label), "good": good, "versus": versus} | hint

    def take(self, facts: Sequence[Fact]) -> None:
        """Moves the sums at once and fetches the rates soon after."""
        growth = self._tally.take(facts)
        for key in ("sent", "replied"):
            if growth[key] and key in self._cards:
                self._cards[key] += growth[key]
                self.kpis.patch(key, value=self._cards[key])
        if growth:
            in_document(lambda: self.chart.add(growth))
        self._fetch_soon.ask()
