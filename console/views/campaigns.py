"""The list of campaigns, with their progress moving live."""

from collections.abc import Sequence
from typing import ClassVar

from panel.viewable import Viewable

from console.components import LiveTable, Message, Page, Query, Slot
from console.frames import DELETED, Row
from console.i18n import N_
from console.views import campaign_deeds as deeds
from console.views.base import LIST_SECONDS, Soon, TableFeed, View, answer_queries
from console.views.campaign_deeds import STATUSES
from engine.client import Fact, FactKind

HELD = "held"  # it is to send and does not: its connection or its limit keeps it
WORDS = {**STATUSES, HELD: N_("On hold")}
TONES = {
    "draft": "neutral",
    "scheduled": "violet",
    "running": "info",
    HELD: "warning",
    "pausing": "warning",
    "paused": "warning",
    "completed": "success",
    "cancelled": "muted",
}
WAITING = ("draft", "scheduled")
SENDING = ("running", HELD)
UNDER_WAY = (*SENDING, "pausing", "paused")
SHORT_LIVED = "changing"  # a reason that is gone before anybody has read it
FILTERED = ("running", "paused", "scheduled", "draft", "completed", "cancelled")


def is_moving(row: Row) -> bool:
    """Whether something leaves, as far as is known."""
    return bool(row.get("rate_per_second"))


def why_held(row: Row) -> str:
    """What keeps a campaign that is to send from sending, in words; empty where nothing does."""
    reason = row.get("pause_reason") or {}
    stands = row.get("status") == "running" and not is_moving(row) and reason.get("code") != SHORT_LIVED
    return str(reason.get("text") or "") if stands else ""


def campaign_cells(row: Row) -> Row:
    """A campaign as a row of the table."""
    counts = row.get("counts") or {}
    to_send = counts.get("total", 0) - counts.get("skipped", 0)
    unsent = sum(counts.get(state, 0) for state in ("queued", "dispatching", "cancelled"))
    delivered = counts.get("delivered", 0) + counts.get("read", 0)
    tried = delivered + counts.get("accepted", 0) + counts.get("sent", 0) + counts.get("failed", 0)
    began = row.get("started_at") is not None
    # The time it was to start at says something only while it still waits for it.
    planned = row.get("scheduled_at") if row.get("status") == "scheduled" else None
    held = why_held(row)
    return {
        "id": row["id"],
        "name": row.get("name"),
        "about": held
        or " · ".join(part for part in (row.get("template_name"), row.get("channel_name")) if part),
        "status": HELD if held else row.get("status"),
        "progress": (to_send - unsent) / to_send if began and to_send else None,
        "recipients": counts.get("total") if began else None,
        "delivered": delivered / tried if tried else None,
        "read": counts.get("read", 0) / delivered if delivered else None,
        "at": row.get("started_at") or planned or row.get("created_at"),
    }


def campaign_row(fact: Fact) -> Row:
    """What a fact says of a campaign, as a row of a live frame."""
    return {**fact.data, DELETED: fact.kind == FactKind.CAMPAIGN_DELETED}


class CampaignList(View):
    """All campaigns: search, filter by status, pause and resume from the row."""

    key: ClassVar = "campaigns"
    title: ClassVar = N_("Campaigns")
    facts: ClassVar = (FactKind.CAMPAIGN_CHANGED, FactKind.CAMPAIGN_DELETED, FactKind.CHANNEL_CHANGED)

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
                 "words": {status: _(label) for status, label in WORDS.items()}},
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
            row_actions=self._row_actions(),
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

    def _row_actions(self) -> list[dict[str, object]]:
        _, can = self.words, self.tab.can
        running: list[dict[str, object]] = [
            {"key": "pause", "label": _("Pause"), "icon": "Pause", "when": {"status": list(SENDING)}},
            {"key": "resume", "label": _("Resume"), "icon": "Play", "when": {"status": ["paused", "pausing"]}},
        ]  # fmt: skip
        writing: list[dict[str, object]] = [
            {"key": "edit", "label": _("Edit"), "icon": "Pencil",
             "when": {"status": [*WAITING, *UNDER_WAY]}},
            {"key": "duplicate", "label": _("Duplicate"), "icon": "Copy"},
        ]  # fmt: skip
        began = [status for status in WORDS if status not in WAITING]
        export: dict[str, object] = {
            "key": "export", "label": _("Export recipients"), "icon": "Download", "when": {"status": began},
        }  # fmt: skip
        cancel: dict[str, object] = {
            "key": "cancel", "label": _("Cancel campaign"), "icon": "Ban", "tone": "danger",
            "when": {"status": [*UNDER_WAY, "scheduled"]},
        }  # fmt: skip
        delete: dict[str, object] = {
            "key": "delete", "label": _("Delete"), "icon": "Trash2", "tone": "danger",
            "when": {"status": list(WAITING)},
        }  # fmt: skip
        may_run, may_write = can("campaigns.run"), can("campaigns.write")
        return [
            *(running if may_run else []),
            *(writing if may_write else []),
            export,
            *([cancel] if may_run else []),
            *([delete] if may_write else []),
        ]

    async def enter(self, **parts: str) -> None:
        """Asks for the page on screen again."""
        self.table.refresh()

    async def _answer(self, query: Query) -> None:
        page = await self.tab.api.campaigns.list(
            status=query.filters.get("status"), search=query.search, after=query.after, limit=query.limit
        )
        self.feed.answer(query, page)

    async def _act(self, message: Message) -> None:
        campaign_id, key = str(message["id"]), str(message["key"])
        if key == "edit":
            self.tab.go(f"/campaigns/{campaign_id}/edit")
        elif key == "export":
            deeds.export(self.tab, campaign_id)
        elif key == "duplicate":
            self.lead(f"/campaigns/{await deeds.duplicate(self.tab, campaign_id)}/edit")
        elif key not in ("cancel", "delete"):
            await deeds.act(self.tab, campaign_id, key)
        elif await self._is_sure(key):
            await self._end(campaign_id, key)

    async def _is_sure(self, key: str) -> bool:
        _ = self.words
        if key == "cancel":
            return await self.tab.shell.confirm(
                _("Cancel this campaign?"), _("Nothing more will be sent. This cannot be undone."),
                confirm=_("Cancel campaign"), tone="danger",
            )  # fmt: skip
        return await self.tab.shell.confirm(
            _("Delete this campaign?"), _("This cannot be undone."), confirm=_("Delete"), tone="danger"
        )

    async def _end(self, campaign_id: str, key: str) -> None:
        if key == "cancel":
            await deeds.act(self.tab, campaign_id, key)
            return
        await self.tab.api.campaigns.remove(campaign_id)
        self.feed.remove([campaign_id])
        self.tab.shell.toast(self.words(N_("The campaign was deleted.")), "success")

    def take(self, facts: Sequence[Fact]) -> None:
        """Moves the figures; asks again for a campaign that may belong here, and for why one stands still."""
        before = self._moving()
        told = [campaign_row(fact) for fact in facts if fact.kind != FactKind.CHANNEL_CHANGED]
        is_new = self.feed.take(told)
        if is_new or self._moving() != before or self._is_of_a_channel(facts):
            self._refresh.ask()

    def _moving(self) -> set[str]:
        return {str(row["id"]) for row in self.feed.frame.rows() if is_moving(row)}

    def _is_of_a_channel(self, facts: Sequence[Fact]) -> bool:
        changed = {fact.data.get("id") for fact in facts if fact.kind == FactKind.CHANNEL_CHANGED}
        rows = self.feed.frame.rows() if changed else []
        return any(row.get("status") == "running" and row.get("channel_id") in changed for row in rows)
