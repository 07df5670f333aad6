"""Bringing contacts from a file: choose it, say what its columns are, say what they allow, start."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from panel.viewable import Viewable

from console.components import Form, MappingTable, Message, Notice, Page, Slot, Stepper
from console.i18n import N_
from console.views.base import View
from engine.client import read_as
from engine.client.answers import ImportPreview, Reason

STEPS = (("file", N_("File")), ("columns", N_("Columns")), ("people", N_("Tags and consent")))
# The API looks at this much of the file to guess its columns.
FIRST_BYTES = 1024 * 1024
# Says the same as the table of columns, which asks for the phone until one is chosen.
SAID_BY_COLUMNS = "no_phone_column"
# Its directory stands at the end, so a part of it says nothing.
WHOLE = ".xlsx"
FILE = "file"


class ImportWizard(View):
    """From a messy file to contacts, in three steps."""

    key: ClassVar = "import-wizard"
    title: ClassVar = N_("Import contacts")

    def build(self) -> Viewable:
        """The three steps, of which one shows."""
        _, reader = self.words, self.tab.reader
        self._mapping: dict[str, str] = {}
        self._problems: list[str] = []
        self._step = "file"
        self.stepper = Stepper(reader, steps=self._steps(), current="file")
        self.notice = Notice(reader, tone="warning")
        self.file = Form(reader, buttons=False, guard=False, fields=[
            {"name": FILE, "kind": "file", "label": _("File with your contacts"), "required": True,
             "help": _("CSV or Excel. One person a row, with a column for the phone."),
             "upload": {"url": "/files/imports/preview", "field": FILE, "accept": ".csv,.txt,.tsv,.xlsx",
                        "max_bytes": self.tab.upload_limit, "first_bytes": FIRST_BYTES, "whole": WHOLE}},
        ])  # fmt: skip
        self.mapping = MappingTable(
            reader,
            targets=[
                {"value": "name", "label": _("Name"), "once": True},
                {"value": "phone", "label": _("Phone"), "once": True},
                {"value": "tags", "label": _("Tags")},
                {"value": "skip", "label": _("Leave out")},
            ],
            required=[{"value": "phone", "text": _("Choose the column that holds the phone.")}],
        )
        self.people = Form(
            reader,
            guard=False,
            submit_label=_("Start import"),
            cancel_label=_("Back"),
            fields=self._people_fields([]),
        )
        self.page = Page.of(
            reader,
            Slot(self.stepper, key="steps"),
            Slot(self.notice, key="notice"),
            Slot(self.file, key="file", card=True),
            Slot(self.mapping, key="columns", card=True),
            Slot(self.people, key="people", card=True),
            title=_("Import contacts"),
            back={"label": _("Contacts"), "path": "/contacts"},
            narrow=True,
        )
        on = self.tab.on
        on(self.file, "uploaded", self._sent)
        on(self.file, "upload_failed", self._not_sent)
        on(self.mapping, "change", self._mapped)
        on(self.mapping, "next", self._next)
        on(self.mapping, "back", self._to_file)
        on(self.people, "submit", self._start)
        on(self.people, "cancel", self._back)
        on(self.stepper, "step", self._choose_step)
        self._go("file")
        return self.page

    def _people_fields(self, tags: Sequence[str]) -> list[dict[str, object]]:
        _ = self.words
        return [
            {"name": "tags", "kind": "tags", "label": _("Tag them"), "suggestions": [{"value": tag} for tag in tags],
             "help": _("With a tag you find these people again, and can write to them alone.")},
            {"name": "consent", "kind": "switch", "label": _("These people agreed to receive marketing messages"),
             "help": _("Only then may campaigns of the marketing category reach them."), "watch": True},
            {"name": "source", "kind": "text", "label": _("Where did they agree?"), "when": {"consent": [True]},
             "placeholder": _("e.g. form on our site, June"), "required": True},
        ]  # fmt: skip

    async def enter(self, **parts: str) -> None:
        """Starts over with a fresh form."""
        self._mapping, self._problems = {}, []
        self.notice.title = ""
        self.file.draw({})
        self.people.draw({})
        self._go("file")
        tags = await self.tab.api.contacts.tags()
        self.people.fields = self._people_fields([one.tag for one in tags])
        self.mapping.fields = [one.field for one in await self.tab.api.contacts.fields()]

    async def resync(self) -> None:
        """Keeps what was typed."""

    def _steps(self) -> list[dict[str, object]]:
        keys = [key for key, _label in STEPS]
        place = keys.index(self._step)
        return [
            {"key": key, "label": self.words(label), "state": "done" if keys.index(key) < place else "todo"}
            for key, label in STEPS
        ]

    def _go(self, step: str) -> None:
        self._step = step
        self.stepper.param.update(steps=self._steps(), current=step)
        self._show(step)

    def _show(self, step: str) -> None:
        """Shows one step's card; what there is to say of the file stands over its columns alone."""
        hidden = [key for key, _label in STEPS if key != step]
        told = self.notice.title and step == "columns"
        self.page.hidden = hidden if told else [*hidden, "notice"]

    def _ready(self) -> bool:
        return "phone" in self._mapping.values() and not self._problems

    async def _sent(self, message: Message) -> None:
        answer = message.get("answer")
        if message.get("again"):
            await self._started(answer)
            return
        preview = read_as(ImportPreview, answer)
        if not preview.columns or not preview.rows_sampled:
            self._refuse(preview)
            return
        self._mapping = {column.name: column.guess for column in preview.columns}
        self._problems = []
        columns = [
            {"name": column.name, "guess": column.guess, "samples": list(column.samples)}
            for column in preview.columns
        ]
        self.mapping.draw(columns, rows=preview.rows_sampled)
        self._remark(preview)
        self._go("columns")

    def _refuse(self, preview: ImportPreview) -> None:
        """Says at the file why there is nothing in it to import."""
        told = " ".join(one.text if isinstance(one, Reason) else str(one) for one in preview.problems)
        nothing = N_("There is nobody in this file that we can read. Choose another one.")
        self._go("file")
        self.file.show_errors({FILE: told or self.words(nothing)})

    def _remark(self, preview: ImportPreview) -> None:
        told = [
            one.text if isinstance(one, Reason) else str(one)
            for one in preview.problems
            if not (isinstance(one, Reason) and one.code == SAID_BY_COLUMNS)
        ]
        self.notice.param.update(
            tone="warning",
            title=self.words(N_("Please look at this file")) if told else "",
            text=" ".join(told),
        )

    async def _not_sent(self, message: Message) -> None:
        answer = message.get("answer")
        detail = str(answer.get("detail") or "") if isinstance(answer, dict) else ""
        if message.get("again"):
            self._go("people")
            self.people.show_errors(
                {}, detail or self.words(N_("The file could not be sent. Please try again."))
            )
        else:
            self.file.show_errors({FILE: detail} if detail else {})

    async def _mapped(self, message: Message) -> None:
        mapping, problems = message.get("mapping"), message.get("problems")
        self._mapping = {str(k): str(v) for k, v in mapping.items()} if isinstance(mapping, dict) else {}
        self._problems = [str(one) for one in problems] if isinstance(problems, list) else []
        self._go("columns")

    async def _next(self, _: Message) -> None:
        if self._ready():
            self._go("people")

    async def _to_file(self, _: Message) -> None:
        self._go("file")

    async def _back(self, _: Message) -> None:
        self._go("columns")

    async def _choose_step(self, message: Message) -> None:
        step = str(message.get("key"))
        if step == "people" and not self._ready():
            return
        self._go(step)

    async def _start(self, message: Message) -> None:
        values = message.get("values")
        self._show("file")  # its progress shows there
        self.file.send_file(FILE, "/files/imports", self._parts(values if isinstance(values, dict) else {}))

    def _parts(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The text parts that go with the file."""
        mapping = {column: target for column, target in self._mapping.items() if target != "skip"}
        parts = {"mapping": json.dumps(mapping)}
        if values.get("tags"):
            parts["tags"] = json.dumps(values["tags"])
        if values.get("consent"):
            parts["consent"] = json.dumps({"purpose": "marketing", "source": str(values.get("source") or "")})
        return parts

    async def _started(self, answer: object) -> None:
        import_id = str(answer.get("id") or "") if isinstance(answer, dict) else ""
        path = f"/contacts/imports/{import_id}"
        self.people.saved()
        if self.on_screen:
            self.tab.go(path)
        else:  # a big file takes a while: the person may be writing something elsewhere by now
            self.tab.shell.toast(
                self.words(N_("Your file was sent and is being imported.")),
                "success",
                action=("see", self.words(N_("See import"))),
                path=path,
            )
