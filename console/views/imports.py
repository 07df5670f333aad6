"""Imports: the list, and one of them with its progress and its rejected rows."""

from collections.abc import Sequence
from typing import ClassVar

from panel.viewable import Viewable

from console.components import Details, LiveTable, Message, Notice, Page, ProgressBar, Query, Slot
from console.frames import LiveFrame, Row
from console.i18n import N_
from console.views.base import LIST_SECONDS, Soon, TableFeed, View, answer_queries, plain
from engine.client import Fact, FactKind, RefusedError

STATUSES = {
    "queued": (N_("Waiting"), "neutral"),
    "running": (N_("Importing"), "info"),
    "completed": (N_("Done"), "success"),
    "failed": (N_("Failed"), "danger"),
}


def import_cells(row: Row) -> Row:
    """An import as a row of the table."""
    return {
        "id": row["id"],
        "filename": row.get("filename") or "—",
        "status": row.get("status"),
        "progress": row.get("progress"),
        "created": row.get("created"),
        "updated": row.get("updated"),
        "rejected": row.get("rejected"),
        "at": row.get("created_at"),
    }


class ImportList(View):
    """Every file that was brought in."""

    key: ClassVar = "imports"
    title: ClassVar = N_("Imports")
    facts: ClassVar = (FactKind.IMPORT_CHANGED,)

    def build(self) -> Viewable:
        """The table."""
        _, tab = self.words, self.tab
        new = {
            "key": "new",
            "label": _("Import contacts"),
            "icon": "Upload",
            "path": "/contacts/imports/new",
            "kind": "primary",
        }
        may = tab.can("contacts.import")
        self.table = LiveTable(
            tab.reader,
            columns=[
                {"key": "filename", "label": _("File"), "kind": "strong"},
                {"key": "status", "label": _("Status"), "kind": "badge", "phone": "side",
                 "words": {state: _(label) for state, (label, _tone) in STATUSES.items()},
                 "tones": {state: tone for state, (_label, tone) in STATUSES.items()}},
                {"key": "progress", "label": _("Progress"), "kind": "progress"},
                {"key": "created", "label": _("New"), "kind": "number"},
                {"key": "updated", "label": _("Updated"), "kind": "number"},
                {"key": "rejected", "label": _("Not taken"), "kind": "number"},
                {"key": "at", "label": _("Date"), "kind": "ago"},
            ],
            searchable=False,
            toolbar=[new] if may else [],
            row_path="/contacts/imports/{id}",
            noun={"one": _("{n} import"), "other": _("{n} imports")},
            empty={
                "icon": "FileSpreadsheet",
                "title": _("Nothing imported yet"),
                "text": _("Bring your contacts from a CSV or Excel file. We find out what the columns are."),
                **({"action": new} if may else {}),
            },
            sizing_mode="stretch_both",
        )  # fmt: skip
        self.feed = TableFeed(self.table, import_cells)
        self._refresh = Soon(tab, self.enter, pause=LIST_SECONDS)
        answer_queries(tab, self.table, self._answer)
        return Page.of(
            tab.reader, Slot(self.table, key="list", fill=True), title=_("Imports"),
            back={"label": _("Contacts"), "path": "/contacts"}, sizing_mode="stretch_both",
        )  # fmt: skip

    async def enter(self, **parts: str) -> None:
        """Asks for the page on screen again."""
        self.table.refresh()

    async def _answer(self, query: Query) -> None:
        self.feed.answer(query, await self.tab.api.contacts.imports(after=query.after, limit=query.limit))

    def take(self, facts: Sequence[Fact]) -> None:
        """Moves the progress; an import started elsewhere appears."""
        if self.feed.take(fact.data for fact in facts):
            self._refresh.ask()


class ImportPage(View):
    """One import."""

    key: ClassVar = "import"
    title: ClassVar = N_("Imported file")
    facts: ClassVar = (FactKind.IMPORT_CHANGED,)

    def build(self) -> Viewable:
        """Progress, figures, and what to do next."""
        _, reader = self.words, self.tab.reader
        self._id = ""
        self.frame = LiveFrame()
        self.notice = Notice(reader)
        self.progress = ProgressBar(reader)
        self.details = Details(reader)
        self.page = Page.of(
            reader,
            Slot(self.notice, key="notice"),
            Slot(self.progress, key="progress", card=True),
            Slot(self.details, key="details", card=True, title=_("Result")),
            back={"label": _("Imports"), "path": "/contacts/imports"},
            narrow=True,
            hidden=["notice"],
        )
        for component in (self.progress, self.details):
            self.tab.on(component, "retry", self._retry, failed=self.fail)
        self.tab.on(self.notice, "action", self._act)
        self.tab.on(self.page, "action", self._act)
        return self.page

    async def enter(self, **parts: str) -> None:
        """Shows the import the route names."""
        self._id = wanted = parts.get("import_id", self._id)
        self.frame.add([plain(await self.tab.api.contacts.import_(wanted))])
        if wanted == self._id:  # another one may have been opened while we waited
            self._draw()

    def fail(self, sentence: str) -> None:
        """Says it in place of the progress and of the result."""
        self.progress.fail(sentence)
        self.details.fail(sentence)

    async def resync(self) -> None:
        """Fetches the same import again."""
        await self.enter(import_id=self._id)

    async def _retry(self, _: Message) -> None:
        await self.resync()

    async def _act(self, message: Message) -> None:
        if message.get("key") == "rejects":
            self.tab.shell.download(f"/files/imports/{self._id}/rejects.csv")
        elif message.get("key") == "cancel":
            await self._cancel()

    async def _cancel(self) -> None:
        words = self.words
        sure = await self.tab.shell.confirm(
            words(N_("Stop this import?")),
            words(N_("The contacts that came in until now stay. The rest of the file is not read.")),
            confirm=words(N_("Stop import")),
            tone="danger",
        )
        if not sure:
            return
        try:
            ended = await self.tab.api.contacts.cancel_import(self._id)
        except RefusedError as error:
            self.tab.shell.toast(error.detail, "error")
            return
        self.frame.add([plain(ended)])
        self._draw()

    def take(self, facts: Sequence[Fact]) -> None:
        """Moves the progress."""
        changes = self.frame.apply(fact.data for fact in facts)
        if self._id in changes.changed:
            self._draw()
            if changes.changed[self._id].get("status") == "failed":
                self.tab.start(self.resync)  # why it failed, the API says in words

    def _draw(self) -> None:
        row = self.frame.row(self._id) or {}
        _ = self.words
        label, _tone = STATUSES.get(str(row.get("status")), (str(row.get("status")), "neutral"))
        done = row.get("status") == "completed"
        self.page.param.update(
            title=row.get("filename") or _("Imported file"), status={"label": _(label), "tone": _tone}
        )
        share = 1.0 if done else row.get("progress")
        waits = not share and row.get("status") in {"queued", "running"}
        self.progress.draw(
            None if waits else share,  # as long as nothing was read, it only moves
            label=_(label),
            detail=_.plural("{n} row read", "{n} rows read", int(row.get("total") or 0)),
            tone={"completed": "success", "failed": "danger"}.get(str(row.get("status")), "accent"),
        )
        self.details.draw(self._result(row))
        runs = row.get("status") in {"queued", "running"} and self.tab.can("contacts.import")
        self.page.actions = [{"key": "cancel", "label": _("Stop import")}] if runs else []
        self._advise(row)

    def _result(self, row: Row) -> list[dict[str, object]]:
        _ = self.words
        rejected = int(row.get("rejected") or 0)
        rows: list[dict[str, object]] = [
            {"key": "created", "label": _("New contacts"), "value": row.get("created"), "kind": "number"},
            {"key": "updated", "label": _("Updated contacts"), "value": row.get("updated"), "kind": "number"},
            {"key": "rejected", "label": _("Rows not taken"), "value": rejected, "kind": "number"},
            {"key": "started", "label": _("Started"), "value": row.get("created_at"), "kind": "date"},
        ]
        if row.get("finished_at"):
            rows.append(
                {"key": "finished", "label": _("Finished"), "value": row["finished_at"], "kind": "date"}
            )
        return rows

    def _advise(self, row: Row) -> None:
        _ = self.words
        rejected, error = int(row.get("rejected") or 0), row.get("error")
        if row.get("status") == "failed":
            told = (error or {}).get("text") or _("The file could not be read.")
            again = {"key": "again", "label": _("Try another file"), "path": "/contacts/imports/new"}
            download = {"key": "rejects", "label": _("Download rows not taken")}
            partly = row.get("created") or row.get("updated")
            self.notice.param.update(
                tone="danger",
                title=_("Only a part of this file was imported")
                if partly
                else _("This file was not imported"),
                text=told,
                actions=[download, again] if rejected else [again],
            )
        elif row.get("status") == "completed" and rejected:
            download = {"key": "rejects", "label": _("Download these rows"), "icon": "Download"}
            self.notice.param.update(
                tone="warning",
                title=_.plural("{n} row was not taken", "{n} rows were not taken", rejected),
                text=_("Download them with the reason beside each, mend them, and import that file again."),
                actions=[download, *self._next_steps(row)],
            )
        elif row.get("status") == "completed":
            self.notice.param.update(
                tone="success", title=_("All rows are in"), text="", actions=self._next_steps(row)
            )
        shown = row.get("status") in {"failed", "completed"}
        self.page.hidden = [] if shown else ["notice"]

    def _next_steps(self, row: Row) -> list[dict[str, object]]:
        """What one wants of people who are in: to see them, and to write to them."""
        _ = self.words
        steps: list[dict[str, object]] = [
            {"key": "seen", "label": _("See these people"), "path": f"/contacts?import={self._id}"}
        ]
        if self.tab.can("campaigns.write") and (row.get("created") or row.get("updated")):
            path = f"/campaigns/new?import={self._id}"
            steps.append({"key": "campaign", "label": _("Write to these people"), "path": path})
        return steps
