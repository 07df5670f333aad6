"""One template: writing a new one, or looking at one that was sent for approval."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from panel.viewable import Viewable

from console.components import Details, Message, Notice, Page, Slot, TemplateEditor
from console.frames import LiveFrame, Row
from console.i18n import N_
from console.views.base import View, complaint, plain
from console.views.template_faults import part_errors
from console.views.templates import CATEGORIES, LANGUAGES, STATUSES
from engine.client import Fact, FactKind, RefusedError

NO_CHANNEL = N_("Connect a number first: templates belong to it.")
# What WhatsApp lets change again once it has seen a template.
EDITABLE = frozenset({"draft", "approved", "rejected", "paused"})
# These wait for somebody to write on; the others are read, until somebody asks to change them.
UNFINISHED = frozenset({"draft", "rejected"})


class TemplatePage(View):
    """A template being written or read."""

    key: ClassVar = "template"
    title: ClassVar = N_("Template")
    facts: ClassVar = (FactKind.TEMPLATE_CHANGED,)

    def build(self) -> Viewable:
        """The editor, and above it what the provider says."""
        _, reader = self.words, self.tab.reader
        self._id = ""
        self._default_channel = ""
        self._channels: dict[str, str] = {}
        self._writing = True
        self._noticed = False
        self.frame = LiveFrame()
        self.notice = Notice(reader)
        self.editor = TemplateEditor(
            reader,
            languages=[{"value": key, "label": label} for key, label in LANGUAGES.items()],
            categories=[
                {"value": key, "label": _(label), "hint": _(hint)}
                for key, (label, hint) in CATEGORIES.items()
                if key != "AUTHENTICATION"
            ],
        )
        self.about = Details(reader)
        self.page = Page.of(
            reader,
            Slot(self.notice, key="notice"),
            Slot(self.about, key="about", span=6, card=True, title=_("About this template")),
            Slot(self.editor, key="editor", card=True),
            back={"label": _("Templates"), "path": "/templates"},
            hidden=["notice", "about"],
        )
        self.tab.on(self.editor, "submit", self._save)
        self.tab.on(self.editor, "cancel", self._leave)
        self.tab.on(self.editor, "retry", self._retry, failed=self.fail)
        self.tab.on(self.page, "action", self._act)
        return self.page

    async def enter(self, **parts: str) -> None:
        """Shows the template the route names, or an empty one."""
        self._id = wanted = parts.get("template_id", "")
        self._noticed, self._writing = False, not wanted
        self._arrange()
        channels = (await self.tab.api.channels.list()).items
        if wanted != self._id:  # another one may have been opened while we waited
            return
        self.editor.channels = [{"value": one.id, "label": one.name} for one in channels]
        self._channels = {one.id: one.name for one in channels}
        self._default_channel = channels[0].id if channels else ""
        self.editor.sender = (channels[0].display_name or channels[0].name) if channels else ""
        if self._id:
            await self._open()
            return
        language = self.words.locale if self.words.locale in LANGUAGES else "en"
        readonly = not (channels and self.tab.can("templates.write"))
        self.editor.param.update(fixed=False, readonly=readonly)
        self.page.param.update(status={}, actions=[])
        self._entitle(self.words(N_("New template")))
        self.editor.draw({"language": language, "category": "MARKETING", "channel_id": self._default_channel})
        if not channels:
            self._say("warning", self.words(NO_CHANNEL), "", [
                {"key": "connect", "label": self.words(N_("Connect a number")), "path": "/connections/new"}
            ])  # fmt: skip

    async def resync(self) -> None:
        """Fetches anew how a saved template stands; what is being written stays."""
        if self._id:
            self.tab.start(self._learn_reason)

    def fail(self, sentence: str) -> None:
        """Says it in place of the editor."""
        self.editor.fail(sentence)

    async def _retry(self, _: Message) -> None:
        await self.enter(**({"template_id": self._id} if self._id else {}))

    async def _open(self) -> None:
        wanted = self._id
        found = await self.tab.api.templates.get(wanted)
        self.frame.add([plain(found)])
        row = self.frame.row(wanted) or {}
        if wanted == self._id:
            self._show(row, writing=self._may_write(row) and row.get("status") in UNFINISHED)

    def _may_write(self, row: Row) -> bool:
        return self.tab.can("templates.write") and row.get("status") in EDITABLE

    def _show(self, row: Row, *, writing: bool) -> None:
        """Shows a saved template: to be read, or to be written on."""
        self._writing = writing
        self.editor.param.update(fixed=True, readonly=not writing)
        self.editor.draw(row)
        self.about.draw(self._facts_of(row))
        self._head(row)

    def _facts_of(self, row: Row) -> list[dict[str, object]]:
        _ = self.words
        category, hint = CATEGORIES.get(
            str(row.get("category") or "").upper(), (str(row.get("category")), "")
        )
        language = str(row.get("language"))
        return [
            {"key": "name", "label": _("Name"), "value": row.get("name"), "kind": "copy"},
            {"key": "category", "label": _("Category"), "value": _(category), "hint": _(hint)},
            {"key": "language", "label": _("Language"), "value": LANGUAGES.get(language, language)},
            {
                "key": "channel",
                "label": _("Channel"),
                "value": self._channels.get(str(row.get("channel_id"))),
            },
            {"key": "created", "label": _("Created"), "value": row.get("created_at"), "kind": "date"},
        ]

    def _arrange(self) -> None:
        """Places the parts: facts beside the message to read, or the editor alone."""
        aside = {
            True: {"span": 12, "title": ""},
            False: {"span": 6, "title": self.words(N_("Preview of the message"))},
        }
        self.page.layout = [
            place | aside[self._writing] if place["key"] == "editor" else place for place in self.page.layout
        ]
        parts = (("notice", self._noticed), ("about", not self._writing))
        self.page.hidden = [key for key, shown in parts if not shown]

    def _entitle(self, title: str) -> None:
        self.page.title = title
        if self.on_screen:  # the person may have gone elsewhere meanwhile
            self.tab.shell.title = title

    def _head(self, row: Row) -> None:
        _ = self.words
        label, tone = STATUSES.get(str(row.get("status")), (str(row.get("status")), "neutral"))
        delete = {"key": "delete", "label": _("Delete"), "icon": "Trash2"}
        edit = {"key": "edit", "label": _("Edit"), "icon": "Pencil"}
        use = {"key": "use", "label": _("Use in a campaign"), "icon": "Megaphone", "path": "/campaigns/new"}
        actions = [delete] if self.tab.can("templates.write") else []
        if not self._writing and self._may_write(row):
            actions.append(edit)
        if row.get("status") == "approved" and self.tab.can("campaigns.write"):
            actions.append(use)
        self.page.param.update(status={"label": _(label), "tone": tone}, actions=actions)
        self._entitle(str(row.get("name")))
        reason = row.get("status_reason")
        text = str(reason.get("text") if isinstance(reason, dict) else reason or "")
        if row.get("status") == "rejected":
            self._say("danger", _("WhatsApp rejected this template"), text, [])
        elif row.get("status") == "pending":
            self._say(
                "info", _("WhatsApp is reviewing this template"), _("That takes minutes, at times a day."), []
            )
        else:
            self._noticed = False
            self._arrange()

    def _say(self, tone: str, title: str, text: str, actions: Sequence[Mapping[str, object]]) -> None:
        self.notice.param.update(tone=tone, title=title, text=text, actions=list(actions))
        self._noticed = True
        self._arrange()

    def take(self, facts: Sequence[Fact]) -> None:
        """Shows a new status at once; the text being edited stays."""
        changes = self.frame.apply(fact.data for fact in facts)
        if self._id in changes.changed:
            self._head(self.frame.row(self._id) or {})
            if "status" in changes.changed[self._id]:
                self.tab.start(self._learn_reason)

    async def _learn_reason(self) -> None:
        """Fetches why the provider decided so: facts carry no words."""
        wanted = self._id
        self.frame.add([plain(await self.tab.api.templates.get(wanted))])
        row = self.frame.row(wanted) or {}
        if wanted != self._id:
            return
        if row.get("status") in UNFINISHED and self._may_write(row) and not self._writing:
            self._show(row, writing=True)
        else:
            self._head(row)

    async def _save(self, message: Message) -> None:
        template = message.get("template")
        body: dict[str, Any] = dict(template) if isinstance(template, dict) else {}
        body["channel_id"] = body.get("channel_id") or self._default_channel
        try:
            if self._id:
                kept: dict[str, Any] = {key: body[key] for key in ("components", "category") if key in body}
                await self.tab.api.templates.change(self._id, kept)
            else:
                body.pop("parameter_format", None)
                await self.tab.api.templates.create(body)
        except RefusedError as error:
            self.editor.show_errors(part_errors(error, body.get("components") or []), complaint(error))
            return
        self.editor.saved()
        self.tab.shell.toast(self.words(N_("The template was sent for approval.")), "success")
        self.lead("/templates")

    async def _leave(self, _: Message) -> None:
        row = self.frame.row(self._id) if self._id else None
        if row and row.get("status") not in UNFINISHED:
            self._show(row, writing=False)
        else:
            self.tab.go("/templates")

    async def _act(self, message: Message) -> None:
        words = self.words
        row = self.frame.row(self._id) if self._id else None
        if message.get("key") == "edit" and row:
            self._show(row, writing=self._may_write(row))
        if message.get("key") != "delete" or not self._id:
            return
        sure = await self.tab.shell.confirm(
            words(N_("Delete this template?")),
            words(N_("It is deleted at WhatsApp too. Campaigns that were sent keep their text.")),
            confirm=words(N_("Delete")),
            tone="danger",
        )
        if sure:
            await self.tab.api.templates.remove(self._id)
            self.tab.shell.toast(words(N_("The template was deleted.")), "success")
            self.lead("/templates")
