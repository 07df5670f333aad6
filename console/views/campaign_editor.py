"""Writing a campaign in steps: message, audience, variables, review."""

from collections.abc import Mapping
from typing import Any, ClassVar

from panel.viewable import Viewable

from console.components import (
    AudiencePicker,
    Details,
    Form,
    Message,
    MessagePreview,
    Notice,
    Page,
    Slot,
    Stepper,
    VariableMapper,
)
from console.i18n import N_
from console.views.base import View, plain, plain_all, values_of
from console.views.campaign_draft import CampaignDraft
from console.views.test_send import TestSend
from engine.client.answers import AudienceCount, Template

LABELS = {
    "message": N_("Message"),
    "audience": N_("Audience"),
    "variables": N_("Variables"),
    "review": N_("Review"),
}
# Which slots each step shows, beside the stepper.
SLOTS = {
    "message": ("basics", "preview"),
    "audience": ("audience",),
    "variables": ("variables", "preview"),
    "review": ("summary", "timing", "preview"),
}
ALL_SLOTS = ("basics", "audience", "variables", "summary", "timing", "preview")
TEMPLATE_CHOICES = 50


class CampaignEditor(View):
    """A draft, from nothing to sent."""

    key: ClassVar = "campaign-editor"
    title: ClassVar = N_("New campaign")

    def build(self) -> Viewable:
        """All steps, of which one shows."""
        _, reader = self.words, self.tab.reader
        self.draft = CampaignDraft()
        self._step = "message"
        self._templates: dict[str, Template] = {}
        self._count: AudienceCount | None = None
        self._later = False
        self._seq = 0
        self.stepper = Stepper(reader)
        self.notice = Notice(reader, tone="warning")
        self._senders: list[dict[str, object]] = []
        self._choices: list[dict[str, object]] = []
        self.basics = Form(reader, fields=self._basic_fields(), buttons=False, guard=False)
        self.picker = AudiencePicker(reader)
        self.mapper = VariableMapper(reader)
        self.preview = MessagePreview(reader)
        self.summary = Details(reader)
        self.timing = Form(reader, buttons=False, guard=False, fields=[
            {"name": "when", "kind": "radio", "label": _("When"), "watch": True, "options": [
                {"value": "now", "label": _("Now"), "hint": _("Messages leave as soon as you start.")},
                {"value": "later", "label": _("Later"), "hint": _("Starts by itself, in the company's time zone.")},
            ]},
            {"name": "at", "kind": "datetime", "label": _("Date and time"), "watch": True, "when": {"when": ["later"]},
             "required": True},
        ])  # fmt: skip
        self.test = TestSend(self.tab)
        self.page = Page.of(
            reader,
            Slot(self.stepper, key="steps"),
            Slot(self.notice, key="notice"),
            Slot(self.basics, key="basics", span=7, card=True),
            Slot(self.picker, key="audience", card=True),
            Slot(self.mapper, key="variables", span=7, card=True, title=_("What fills the gaps")),
            Slot(self.summary, key="summary", span=7, card=True, title=_("Everything right?")),
            Slot(self.preview, key="preview", span=5, card=True, title=_("Preview of the message")),
            Slot(self.timing, key="timing", span=7, card=True),
            Slot(self.test.dialog, key="test"),
            back={"label": _("Campaigns"), "path": "/campaigns"},
            hidden=[key for key in (*ALL_SLOTS, "notice") if key not in SLOTS["message"]],
        )
        self._listen()
        return self.page

    def _listen(self) -> None:
        on = self.tab.on
        on(self.basics, "change", self._basics_changed)
        on(self.basics, "options", self._find_templates)
        on(
            self.picker,
            "change",
            self._audience_changed,
            failed=lambda text: self.picker.fail_count(self._seq, text),
        )
        on(self.mapper, "change", self._variables_changed)
        on(self.timing, "change", self._timing_changed)
        on(self.stepper, "step", self._choose_step)
        on(self.page, "action", self._act)

    def _basic_fields(self) -> list[dict[str, object]]:
        _ = self.words
        return [
            {"name": "name", "kind": "text", "label": _("Name"), "required": True, "watch": True,
             "placeholder": _("e.g. Winter sale"), "help": _("Only your team sees it.")},
            {"name": "channel_id", "kind": "select", "label": _("Send from"), "required": True, "watch": True,
             "options": self._senders},
            {"name": "template_id", "kind": "select", "label": _("Template"), "required": True, "watch": True,
             "searchable": True, "remote": True, "options": self._choices,
             "help": _("Only templates WhatsApp has approved can be sent.")},
        ]  # fmt: skip

    async def enter(self, **parts: str) -> None:
        """Opens a fresh draft, or the one the route names."""
        campaign_id = parts.get("campaign_id", "")
        self._count, self._seq = None, 0
        self.draft = await self._load(campaign_id) if campaign_id else CampaignDraft()
        self.page.title = self.draft.name or self.words(N_("New campaign"))
        await self._offer_channels()
        await self._offer_templates("")
        self.basics.draw({
            "name": self.draft.name,
            "channel_id": self.draft.channel_id,
            "template_id": self.draft.template.id if self.draft.template else "",
        })  # fmt: skip
        self.timing.draw(
            {"when": "later" if self.draft.scheduled_at else "now", "at": self.draft.scheduled_at}
        )
        tags = await self.tab.api.contacts.tags()
        imports = await self.tab.api.contacts.imports()
        self.picker.draw(self.draft.audience, tags=plain_all(tags), imports=plain_all(imports.items))
        await self._show_preview()
        await self._go("message")

    async def resync(self) -> None:
        """Keeps what was chosen."""

    async def _load(self, campaign_id: str) -> CampaignDraft:
        campaign = await self.tab.api.campaigns.get(campaign_id)
        template = await self.tab.api.templates.get(campaign.template_id) if campaign.template_id else None
        return CampaignDraft.of(campaign, template)

    async def _offer_channels(self) -> None:
        channels = (await self.tab.api.channels.list()).items
        if not self.draft.channel_id and channels:
            self.draft.channel_id = channels[0].id
        self.preview.sender = next(
            (one.display_name or one.name for one in channels if one.id == self.draft.channel_id), ""
        )
        self._senders = [
            {"value": one.id, "label": one.name, "hint": one.phone_number or ""} for one in channels
        ]
        self.basics.fields = self._basic_fields()
        if not channels:
            self._say(self.words(N_("Connect a number first")), self.words(N_("A campaign leaves from a number of yours.")),
                      "/connections/new", self.words(N_("Connect a number")))  # fmt: skip

    async def _offer_templates(self, text: str) -> None:
        page = await self.tab.api.templates.list(
            channel_id=self.draft.channel_id or None, status="approved", search=text, limit=TEMPLATE_CHOICES
        )
        found = {one.id: one for one in page.items}
        self._templates |= found
        if self.draft.template is not None:
            found.setdefault(self.draft.template.id, self.draft.template)
        self._choices = [{"value": one.id, "label": one.name, "hint": one.language} for one in found.values()]
        self.basics.fields = self._basic_fields()
        if not found and not text and self.draft.channel_id:
            self._say(self.words(N_("No approved template yet")),
                      self.words(N_("A campaign sends a text that WhatsApp has approved. Write one first.")),
                      "/templates/new", self.words(N_("New template")))  # fmt: skip

    def _say(self, title: str, text: str, path: str, label: str) -> None:
        self.notice.param.update(
            title=title, text=text, actions=[{"key": "go", "label": label, "path": path}]
        )

    async def _find_templates(self, message: Message) -> None:
        await self._offer_templates(str(message.get("text") or ""))

    async def _basics_changed(self, message: Message) -> None:
        values = values_of(message)
        self.draft.name = str(values.get("name") or "")
        name = message.get("name")
        if name == "channel_id" and values.get("channel_id") != self.draft.channel_id:
            self.draft.channel_id = str(values.get("channel_id") or "")
            self.draft.choose_template(None)
            self.basics.set_values({"template_id": ""})
            await self._offer_channels()
            await self._offer_templates("")
        if name == "template_id":
            self.draft.choose_template(self._templates.get(str(values.get("template_id"))))
            await self._show_preview()
        self._draw_steps()

    async def _audience_changed(self, message: Message) -> None:
        audience, seq = message.get("audience"), message.get("seq")
        self._seq = seq if isinstance(seq, int) else 0
        self.draft.audience = audience if isinstance(audience, dict) else None
        self._draw_steps()
        if self.draft.audience:
            self._count = await self.tab.api.campaigns.audience(self.draft.question)
            self.picker.show_count(self._seq, plain(self._count))

    async def _variables_changed(self, message: Message) -> None:
        variables = message.get("variables")
        self.draft.variables = dict(variables) if isinstance(variables, dict) else {}
        self._draw_steps()
        await self._show_preview()

    async def _timing_changed(self, message: Message) -> None:
        values = values_of(message)
        later = values.get("when") == "later"
        self.draft.scheduled_at = str(values["at"]) if later and values.get("at") else None
        self._later = later
        self._draw_steps()

    async def _show_preview(self) -> None:
        template = self.draft.template
        if template is None:
            self.preview.draw({"body": ""})
            return
        body: dict[str, Any] = {"variables": self.draft.filled}
        if self._count and self._count.samples:
            body["contact_id"] = self._count.samples[0].contact_id
            name = self._count.samples[0].name or self._count.samples[0].phone or ""
            self.preview.caption = self.words(N_("As {name} would see it"), name=name)
        self.preview.draw(plain(await self.tab.api.templates.preview_saved(template.id, body)))

    async def _choose_step(self, message: Message) -> None:
        await self._go(str(message.get("key")))

    async def _go(self, step: str) -> None:
        """Shows a step, if those before it are done."""
        steps = self.draft.steps
        wanted = step if step in steps else "message"
        undone = next((one for one in steps[: steps.index(wanted)] if not self.draft.is_done(one)), None)
        self._step = undone or wanted
        if self._step == "variables":
            fields = [one.field for one in await self.tab.api.contacts.fields()]
            gaps = plain_all(self.draft.template.variables) if self.draft.template else []
            self.mapper.draw(gaps, values=self.draft.variables, fields=fields)
        if self._step == "review":
            self._count = await self.tab.api.campaigns.audience(self.draft.question)
            self._draw_summary(self._count)
            await self._show_preview()
        self._draw_steps()

    def _draw_steps(self) -> None:
        steps = self.draft.steps
        place = steps.index(self._step)
        drawn = [
            {"key": step, "label": self.words(LABELS[step]),
             "state": "done" if self.draft.is_done(step) and steps.index(step) != place else "todo"}
            for step in steps
        ]  # fmt: skip
        self.stepper.param.update(steps=drawn, current=self._step)
        shown = {"steps", "test", *SLOTS[self._step], *(("notice",) if self.notice.title else ())}
        self.page.hidden = [key for key in (*ALL_SLOTS, "notice") if key not in shown]
        self.page.actions = self._actions()

    def _actions(self) -> list[dict[str, object]]:
        _ = self.words
        back: dict[str, object] = {"key": "back", "label": _("Back"), "icon": "ArrowLeft"}
        if self._step != "review":
            ahead = {"key": "next", "label": _("Continue"), "kind": "primary",
                     "disabled": not self.draft.is_done(self._step)}  # fmt: skip
            return [ahead] if self._step == "message" else [back, ahead]
        actions: list[dict[str, object]] = [
            back,
            {"key": "save", "label": _("Save draft"), "icon": "FileText"},
        ]
        if not self.tab.can("campaigns.run"):
            return actions
        nobody = self._count is not None and self._count.will_send == 0
        unset = self._later and not self.draft.scheduled_at
        label = _("Schedule") if self._later else _("Start sending")
        return [
            *actions,
            {"key": "test", "label": _("Send a test"), "icon": "Phone"},
            {"key": "start", "label": label, "icon": "CalendarClock" if self._later else "Send", "kind": "primary",
             "disabled": nobody or unset},
        ]  # fmt: skip

    def _draw_summary(self, count: AudienceCount) -> None:
        _, draft = self.words, self.draft
        left_out = " · ".join(
            f"{(one.text or one.reason).rstrip('.')}: {_.number(one.n)}" for one in count.excluded if one.n
        )
        self.summary.draw([
            {"key": "name", "label": _("Name"), "value": draft.name},
            {"key": "template", "label": _("Template"), "value": draft.template.name if draft.template else ""},
            {"key": "audience", "label": _("Audience"), "value": self._audience_words(draft.audience or {})},
            {"key": "matched", "label": _("Match the audience"), "value": count.matched, "kind": "number"},
            {"key": "will_send", "label": _("Will receive the message"), "value": count.will_send, "kind": "number",
             "hint": left_out},
        ])  # fmt: skip

    def _audience_words(self, audience: Mapping[str, Any]) -> str:
        _ = self.words
        if audience.get("tags"):
            return _("People with tags: {tags}", tags=", ".join(audience["tags"]))
        return _("The people of one imported file") if audience.get("import_id") else _("Everyone")

    async def _act(self, message: Message) -> None:
        key = message.get("key")
        if key == "next":
            await self._go(self.draft.after(self._step))
        elif key == "back":
            await self._go(self.draft.before(self._step))
        elif key == "save":
            await self._save()
            self.tab.shell.toast(self.words(N_("The draft is saved.")), "success")
            self.tab.go(f"/campaigns/{self.draft.id}")
        elif key == "test":
            await self._save()
            self.test.open(self.draft.id)
        elif key == "start":
            await self._start()

    async def _save(self) -> None:
        campaigns = self.tab.api.campaigns
        if self.draft.id:
            await campaigns.change(self.draft.id, self.draft.body)
        else:
            self.draft.id = (await campaigns.create(self.draft.body)).id

    async def _start(self) -> None:
        words, draft = self.words, self.draft
        people = words.plural("{n} person", "{n} people", self._count.will_send if self._count else 0)
        title = words(N_("Schedule for {people}?")) if draft.scheduled_at else words(N_("Send to {people}?"))
        sure = await self.tab.shell.confirm(
            title.format(people=people),
            words(N_("The audience is fixed when it starts. You can pause at any moment.")),
            confirm=words(N_("Schedule")) if draft.scheduled_at else words(N_("Start sending")),
        )
        if not sure:
            return
        await self._save()
        await self.tab.api.campaigns.act(draft.id, "start")
        self.tab.go(f"/campaigns/{draft.id}")
