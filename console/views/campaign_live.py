"""One campaign: its figures as they move, its buttons, and its recipients."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from panel.viewable import Viewable

from console.components import CampaignLive, LiveTable, Message, Page, Query, Slot
from console.frames import LiveFrame, Row
from console.i18n import N_
from console.views import campaign_deeds as deeds
from console.views.base import Soon, View, answer_queries, plain, plain_all
from console.views.campaign_plan import CampaignPlan
from console.views.campaigns import is_moving, why_held
from console.views.test_send import TestSend
from engine.client import Fact, FactKind

RECIPIENT_STATES = {
    "queued": (N_("Waiting"), "neutral"),
    "dispatching": (N_("Being sent"), "info"),
    "accepted": (N_("Accepted"), "info"),
    "sent": (N_("Sent"), "info"),
    "delivered": (N_("Delivered"), "success"),
    "read": (N_("Read"), "accent"),
    "failed": (N_("Failed"), "danger"),
    "unknown": (N_("Not confirmed"), "warning"),
    "skipped": (N_("Left out"), "muted"),
    "cancelled": (N_("Cancelled"), "muted"),
}
FILTERED = ("read", "delivered", "sent", "accepted", "queued", "failed", "unknown", "skipped")
# What the buttons of the component are called in the API, and what the role must allow.
VERBS = {"start": "start", "pause": "pause", "resume": "resume", "cancel": "cancel", "retry": "retry-failed"}
# What stands below the figures: what it would send before it began, to whom it was sent after.
PLANNED, BEGUN = ("plan", "preview"), ("recipients",)
ALL_PARTS = (*PLANNED, *BEGUN)
LIST_SECONDS = 3.0
REASONS_SECONDS = 2.0


def recipient_cells(row: Row) -> Row:
    """A recipient as a row of the table."""
    reason = row.get("reason") or {}
    moments = ("read_at", "delivered_at", "failed_at", "sent_at", "accepted_at")
    return {
        "id": row.get("contact_id") or row.get("message_id") or row.get("phone"),
        "name": row.get("name") or row.get("phone"),
        "phone": row.get("phone"),
        "state": row.get("state"),
        "reason": reason.get("text") or "",
        "replied": row.get("replied_at"),
        "at": next((row[moment] for moment in moments if row.get(moment)), None),
    }


def as_drawn(row: Row) -> Row:
    """A campaign as its page draws it."""
    return {**row, "held": bool(why_held(row))}


class CampaignPage(View):
    """A campaign while it runs, and after."""

    key: ClassVar = "campaign"
    title: ClassVar = N_("Campaign")
    facts: ClassVar = (FactKind.CAMPAIGN_CHANGED, FactKind.CAMPAIGN_DELETED, FactKind.CHANNEL_CHANGED)

    def build(self) -> Viewable:
        """Figures on top, recipients below, and the dialog of the test message."""
        _, tab = self.words, self.tab
        self.frame = LiveFrame()
        self._id = ""
        self._failed_shown = -1
        self.live = CampaignLive(tab.reader, allowed=self._allowed())
        self.table = self._build_table()
        self.plan = CampaignPlan(tab)
        self.test = TestSend(tab)
        self._rows = Soon(tab, self._ask_rows, pause=LIST_SECONDS)
        self._reasons = Soon(tab, self._show_reasons, pause=REASONS_SECONDS)
        tab.on(self.live, "command", self._command, failed=self._command_failed)
        tab.on(self.live, "reason", self._filter_failed)
        tab.on(self.live, "state", self._filter_state)
        tab.on(self.live, "retry", self._reload, failed=self.fail)
        for component in (self.plan.summary, self.plan.preview):
            tab.on(component, "retry", self._reload, failed=self.fail)
        answer_queries(tab, self.table, self._answer)
        self.page = Page.of(
            tab.reader,
            Slot(self.live, key="live"),
            Slot(self.plan.summary, key="plan", span=7, card=True, title=_("What will be sent")),
            Slot(self.plan.preview, key="preview", span=5, card=True, title=_("Preview of the message")),
            Slot(self.table, key="recipients", title=_("Recipients"), card=True),
            Slot(self.test.dialog, key="test"),
            hidden=list(ALL_PARTS),
        )
        return self.page

    def _build_table(self) -> LiveTable:
        _ = self.words
        return LiveTable(
            self.tab.reader,
            columns=[
                {"key": "name", "label": _("Name"), "kind": "strong"},
                {"key": "phone", "label": _("Phone"), "kind": "phone"},
                {"key": "state", "label": _("State"), "kind": "badge", "phone": "side",
                 "words": {state: _(label) for state, (label, _tone) in RECIPIENT_STATES.items()},
                 "tones": {state: tone for state, (_label, tone) in RECIPIENT_STATES.items()}},
                {"key": "reason", "label": _("Reason"), "kind": "text"},
                {"key": "replied", "label": _("Replied"), "kind": "ago"},
                {"key": "at", "label": _("Last step"), "kind": "ago"},
            ],
            filters=[
                {"key": "state", "label": _("State"), "all": _("All people"),
                 "options": [{"value": state, "label": _(RECIPIENT_STATES[state][0])} for state in FILTERED]}
            ],
            search_label=_("Search by name or phone"),
            row_path="/contacts/{id}",
            noun={"one": _("{n} recipient"), "other": _("{n} recipients")},
            empty={"icon": "Users", "title": _("No recipients yet"),
                   "text": _("The audience is fixed when the campaign starts.")},
        )  # fmt: skip

    def _allowed(self) -> list[str]:
        can = self.tab.can
        running = ["start", "pause", "resume", "cancel", "retry", "test"] if can("campaigns.run") else []
        writing = ["edit", "duplicate", "delete"] if can("campaigns.write") else []
        return [*running, *writing, "export"]

    async def enter(self, **parts: str) -> None:
        """Shows the campaign the route names."""
        wanted = parts.get("campaign_id", self._id)
        if wanted != self._id:
            self._id = wanted
            self._failed_shown = -1
            self.live.wait()
            self.plan.wait()
            self.page.hidden = list(ALL_PARTS)
            self.live.busy_command = ""
            self.table.reset()
        else:
            self.table.refresh()
        await self._fetch(wanted)
        self.tab.start(self._show_reasons)

    async def resync(self) -> None:
        """Fetches the same campaign again."""
        await self.enter(campaign_id=self._id)

    async def _reload(self, _: Message) -> None:
        await self.resync()

    def fail(self, sentence: str) -> None:
        """Says it in place of the figures, and waits for nothing below them."""
        self.page.hidden = list(ALL_PARTS)
        self.live.fail(sentence)

    async def _fetch(self, campaign_id: str) -> None:
        campaign = await self.tab.api.campaigns.get(campaign_id)
        self.frame.add([plain(campaign)])
        if campaign_id == self._id:  # another one may have been opened while we waited
            self._draw()
            if campaign.started_at is None:
                self.tab.start(lambda: self.plan.show(campaign), failed=self.plan.fail)

    def _draw(self) -> None:
        row = self.frame.row(self._id)
        if row is not None:
            self.live.draw(as_drawn(row))
            self._lay_out(row)
            if self.on_screen:
                self.tab.shell.title = str(row.get("name") or "")

    def _lay_out(self, row: Row) -> None:
        """Recipients are there once it began; until then stands what it would send."""
        shown = PLANNED if row.get("started_at") is None else BEGUN
        self.page.hidden = [part for part in ALL_PARTS if part not in shown]

    async def _show_reasons(self) -> None:
        campaign_id = self._id
        row = self.frame.row(campaign_id) or {}
        failures, exclusions = await asyncio.gather(
            self.tab.api.campaigns.failures(campaign_id), self.tab.api.campaigns.exclusions(campaign_id)
        )
        if campaign_id != self._id:
            return
        self._failed_shown = int((row.get("counts") or {}).get("failed", 0))
        self.live.show_failures(plain_all(failures))
        self.live.show_exclusions(plain_all(exclusions))

    def take(self, facts: Sequence[Fact]) -> None:
        """Moves the figures of the campaign on screen; lists follow at their own pace."""
        if any(fact.kind == FactKind.CAMPAIGN_DELETED and fact.data.get("id") == self._id for fact in facts):
            self._gone()
            return
        if self._is_of_its_channel(facts):
            self.tab.start(self._again)  # whether it stands still, and why, the API says in words
        was_moving = is_moving(self.frame.row(self._id) or {})
        changes = self.frame.apply(fact.data for fact in facts if fact.kind == FactKind.CAMPAIGN_CHANGED)
        if self._id not in changes.changed:
            return
        row = self.frame.row(self._id) or {}
        self.live.patch(as_drawn(row))
        self._lay_out(row)
        if "status" in changes.changed[self._id] or is_moving(row) != was_moving:
            self.tab.start(self._again)
        if "counts" in changes.changed[self._id]:
            self._rows.ask()
            if int((row.get("counts") or {}).get("failed", 0)) != self._failed_shown:
                self._reasons.ask()

    def _is_of_its_channel(self, facts: Sequence[Fact]) -> bool:
        channel_id = (self.frame.row(self._id) or {}).get("channel_id")
        return any(
            fact.kind == FactKind.CHANNEL_CHANGED and fact.data.get("id") == channel_id for fact in facts
        )

    async def _again(self) -> None:
        await self._fetch(self._id)

    def _gone(self) -> None:
        """Says once that the campaign was deleted, here or elsewhere, and leads back to the list."""
        if self._id:
            self._id = ""
            self.tab.shell.toast(self.words(N_("The campaign was deleted.")), "success")
            self.lead("/campaigns")

    async def _ask_rows(self) -> None:
        self.table.refresh()

    async def _answer(self, query: Query) -> None:
        if not self._id:
            return
        page = await self.tab.api.campaigns.recipients(
            self._id,
            state=query.filters.get("state"),
            search=query.search,
            after=query.after,
            limit=query.limit,
        )
        rows = [recipient_cells(row) for row in plain_all(page.items)]
        self.table.show_page(query.seq, rows, next_cursor=page.next, total=page.total)

    async def _filter_failed(self, _: Message) -> None:
        self.table.reset(filters={"state": "failed"})

    async def _filter_state(self, message: Message) -> None:
        state = str(message.get("state"))
        self.table.reset(filters={"state": state} if state in FILTERED else {})

    async def _command(self, message: Message) -> None:
        name = str(message.get("name"))
        if name in VERBS:
            await self._act(name)
        elif name == "test":
            self.test.open(self._id)
        elif name == "edit":
            self.tab.go(f"/campaigns/{self._id}/edit")
        elif name == "export":
            deeds.export(self.tab, self._id)
        elif name == "duplicate":
            self.lead(f"/campaigns/{await deeds.duplicate(self.tab, self._id)}/edit")
        elif name == "delete":
            await self.tab.api.campaigns.remove(self._id)
            self._gone()

    async def _act(self, name: str) -> None:
        if self.live.busy_command:  # the second press of a double click
            return
        campaign_id = self._id
        self.live.busy_command = name
        await deeds.act(self.tab, campaign_id, VERBS[name])
        # The fact that follows moves the screen; asking once more covers one that was lost.
        await self._fetch(campaign_id)
        self.live.busy_command = ""

    def _command_failed(self, sentence: str) -> None:
        self.live.busy_command = ""
        self.tab.shell.toast(sentence, "error")
        self.tab.start(self.resync, failed=self.fail)
