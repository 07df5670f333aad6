"""The list of campaigns, with their progress moving live."""

from collections.abc import Sequence
from typing import ClassVar

from panel.viewable import Viewable

from console.components import LiveTable, Message, Page, Query, Slot
from console.frames import DELETED, Row
from console.i18n import N_
from console.views.base import LIST_SECONDS, Soon, TableFeed, View, answer_queries
from engine.client import Fact, FactKind

STATUSES = {
    "draft": N_("Draft"),
    "scheduled": N_("Scheduled"),
    "running": N_("Sending"),
    "pausing": N_("Pausing…"),
    "paused": N_("Paused"),
    "completed": N_("Completed"),
    "cancelled": N_("Cancelled"),
}
TONES = {
    "draft": "neutral",
    "scheduled": "violet",
    "running": "info",
    "pausing": "warning",
    "paused": "warning",
    "completed": "success",
    "cancelled": "muted",
}
FILTERED = ("running", "paused", "scheduled", "draft", "completed", "cancelled")


def campaign_cells(row: Row) -> Row:
    """A campaign as a row of the table."""
    counts = row.get("counts") or {}
    to_send = counts.get("total", 0) - counts.get("skipped", 0)
    waiting = counts.get("queued", 0) + counts.get("dispatching", 0)
    delivered = counts.get("delivered", 0) + counts.get("read", 0)
    tried = delivered + counts.get("accepted", 0) + counts.get("sent", 0) + counts.get("failed", 0)
    began = row.get("started_at") is not None
    return {
        "id": row["id"],
        "name": row.get("name"),
        "about": " · ".join(part for part in (row.get("template_name"), row.get("channel_name")) if part),
        "status": row.get("status"),
        "progress": (to_send - waiting) / to_send if began and to_send else None,
        "recipients": counts.get("total") if began else None,
        "delivered": delivered / tried if tried else None,
        "read": counts.get("read", 0) / delivered if delivered else None,
        "at": row.get("started_at") or row.get("scheduled_at") or row.get("created_at"),
    }


def campaign_row(fact: Fact) -> Row:
    """What a fact says of a campaign, as a row of a live frame."""
    return {**fact.data, DELETED: fact.kind == FactKind.CAMPAIGN_DELETED}


class CampaignList(View):
    """All campaigns: search, filter by status, pause and resume from the row."""

    key: ClassVar = "campaigns"
    title: ClassVar = N_("Campaigns")
    facts: ClassVar = (FactKind.CAMPAIGN_CHANGED, FactKind.CAMPAIGN_DELETED)

    def build(self) -> Viewable:
        """The table."""
        _, tab = self.words, self.tab
        new = {
            "key": "new",
            "label": _("New campaign"),
            "icon": "Plus",
            "path": "/campaigns/new",
            "kind": "primary",
        }
        may_write = tab.can("campaigns.write")
        self.table = LiveTable(
            tab.reader,
            columns=[
                {"key": "name", "label": _("Campaign"), "kind": "strong", "sub": "about"},
                {"key": "status", "label": _("Status"), "kind": "badge", "tones": TONES, "phone": "side",
                 "words": {status: _(label) for status, label in STATUSES.items()}},
                {"key": "progress", "label": _("Progress"), "kind": "progress"},
                {"key": "recipients", "label": _("Recipients"), "kind": "number"},
                {"key": "delivered", "label": _("Delivered"), "kind": "percent"},
                {"key": "read", "label": _("Read"), "kind": "percent"},
                {"key": "at", "label": _("Date"), "kind": "ago"},
            ],
            filters=[
                {"key": "status", "label": _("Status"), "all": _("All campaigns"),
                 "options": [{"value": status, "label": _(STATUSES[status])} for status in FILTERED]}
            ],
            search_label=_("Search campaigns"),
            toolbar=[new] if may_write else [],
            row_actions=[
                {"key": "pause", "label": _("Pause"), "icon": "Pause", "when": {"status": ["running"]}},
                {"key": "resume", "label": _("Resume"), "icon": "Play", "when": {"status": ["paused", "pausing"]}},
            ] if tab.can("campaigns.run") else [],
            row_path="/campaigns/{id}",
            noun={"one": _("{n} campaign"), "other": _("{n} campaigns")},
            empty={
                "icon": "Megaphone",
                "title": _("No campaigns yet"),
                "text": _("A campaign sends one message to many people and shows who received and read it."),
                **({"action": new} if may_write else {}),
            },
            sizing_mode="stretch_both",
        )  # fmt: skip
        self.feed = TableFeed(self.table, campaign_cells)
        self._refresh = Soon(tab, self.enter, pause=LIST_SECONDS)
        answer_queries(tab, self.table, self._answer)
        tab.on(self.table, "action", self._act)
        return Page.of(tab.reader, Slot(self.table, key="list", fill=True), sizing_mode="stretch_both")

    async def enter(self, **parts: str) -> None:
        """Asks for the page on screen again."""
        self.table.refresh()

    async def _answer(self, query: Query) -> None:
        page = await self.tab.api.campaigns.list(
            status=query.filters.get("status"), search=query.search, after=query.after, limit=query.limit
        )
        self.feed.answer(query, page)

    async def _act(self, message: Message) -> None:
        await self.tab.api.campaigns.act(str(message["id"]), str(message["key"]))

    def take(self, facts: Sequence[Fact]) -> None:
        """Moves the figures; a campaign that is not on screen may belong there."""
        if self.feed.take(campaign_row(fact) for fact in facts):
            self._refresh.ask()
