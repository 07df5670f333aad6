"""The list of connections: the company's numbers and how each fares."""

from collections.abc import Sequence
from typing import ClassVar

from panel.viewable import Viewable

from console.components import LiveTable, Page, Query, Slot
from console.frames import Row
from console.i18n import N_
from console.views.base import LIST_SECONDS, Soon, TableFeed, View, answer_queries
from engine.client import Fact, FactKind

STATUSES = {
    "connected": (N_("Connected"), "success"),
    "attention": (N_("Needs attention"), "danger"),
    "paused": (N_("Paused"), "warning"),
}
ENVIRONMENTS = {"live": N_("Production"), "sandbox": N_("Sandbox")}
QUALITIES = {
    "GREEN": (N_("High"), "success"),
    "YELLOW": (N_("Medium"), "warning"),
    "RED": (N_("Low"), "danger"),
}
KINDS = {"whatsapp_cloud": N_("WhatsApp Cloud API")}


def channel_cells(row: Row) -> Row:
    """A channel as a row of the table."""
    reason = row.get("status_reason") or {}
    return {
        "id": row["id"],
        "name": row.get("name"),
        "about": reason.get("text") or row.get("display_name") or "",
        "phone": row.get("phone_number"),
        "environment": row.get("environment"),
        "status": row.get("status"),
        "quality": str(row.get("quality") or "").upper() or None,
        "sent": row.get("last_sent_at"),
        "heard": row.get("last_webhook_at"),
    }


class ConnectionList(View):
    """All channels with their health."""

    key: ClassVar = "connections"
    title: ClassVar = N_("Connections")
    facts: ClassVar = (FactKind.CHANNEL_CHANGED,)

    def build(self) -> Viewable:
        """The table."""
        _, tab = self.words, self.tab
        new = {
            "key": "new",
            "label": _("Connect a number"),
            "icon": "Plus",
            "path": "/connections/new",
            "kind": "primary",
        }
        may = tab.can("channels.write")
        self.table = LiveTable(
            tab.reader,
            columns=[
                {"key": "name", "label": _("Connection"), "kind": "strong", "sub": "about"},
                {"key": "phone", "label": _("Phone"), "kind": "phone"},
                {"key": "status", "label": _("Status"), "kind": "badge", "phone": "side",
                 "words": {state: _(label) for state, (label, _tone) in STATUSES.items()},
                 "tones": {state: tone for state, (_label, tone) in STATUSES.items()}},
                {"key": "quality", "label": _("Quality"), "kind": "badge",
                 "words": {state: _(label) for state, (label, _tone) in QUALITIES.items()},
                 "tones": {state: tone for state, (_label, tone) in QUALITIES.items()}},
                {"key": "environment", "label": _("Environment"), "kind": "badge",
                 "words": {key: _(label) for key, label in ENVIRONMENTS.items()},
                 "tones": {"live": "accent", "sandbox": "violet"}},
                {"key": "sent", "label": _("Last sent"), "kind": "ago"},
                {"key": "heard", "label": _("Last heard"), "kind": "ago"},
            ],
            searchable=False,
            toolbar=[new] if may else [],
            row_path="/connections/{id}",
            noun={"one": _("{n} connection"), "other": _("{n} connections")},
            empty={
                "icon": "Plug",
                "title": _("No number connected yet"),
                "text": _("Connect your WhatsApp number from Meta's Cloud API. It takes about five minutes."),
                **({"action": new} if may else {}),
            },
            sizing_mode="stretch_both",
        )  # fmt: skip
        self.feed = TableFeed(self.table, channel_cells)
        self._refresh = Soon(tab, self.enter, pause=LIST_SECONDS)
        answer_queries(tab, self.table, self._answer)
        return Page.of(tab.reader, Slot(self.table, key="list", fill=True), sizing_mode="stretch_both")

    async def enter(self, **parts: str) -> None:
        """Asks for the list again."""
        self.table.refresh()

    async def _answer(self, query: Query) -> None:
        self.feed.answer(query, await self.tab.api.channels.list())

    def take(self, facts: Sequence[Fact]) -> None:
        """Shows how a channel fares now; a new one appears."""
        if self.feed.take(fact.data for fact in facts):
            self._refresh.ask()
