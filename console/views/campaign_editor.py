"""Writing a campaign in steps: message, audience, variables, review."""

from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from panel.viewable import Viewable

from console.components import AudiencePicker, Message, MessagePreview, Page, Slot, Stepper, VariableMapper
from console.i18n import N_
from console.views.base import View, plain, plain_all
from console.views.campaign_basics import CampaignBasics
from console.views.campaign_draft import BEGUN, Body, CampaignDraft
from console.views.campaign_review import CampaignReview, file_of
from console.views.test_send import TestSend
from engine.client.answers import AudienceCount

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
# A campaign in another state has ended.
CHANGEABLE = ("draft", "scheduled", *BEGUN)
ALL_SLOTS = ("basics", "audience", "variables", "summary", "timing", "preview")


class CampaignEditor(View):
    """A draft, from nothing to sent."""

    key: ClassVar = "campaign-editor"
    title: ClassVar = N_("New campaign")

    def build(self) -> Viewable:
        """All steps, of which one shows."""
        _, reader = self.words, self.tab.reader
        self.draft = CampaignDraft()
        self._step = "message"
        self._count: AudienceCount | None = None
        self._asked: Body | None = None
        self._wanted = ""
        self._seq = self._previews = 0
        self._under_way = self._just_saved = ""
        self.stepper = Stepper(reader)
        self.basics = CampaignBasics(self.tab)
        self.picker = AudiencePicker(reader)
        self.mapper = VariableMapper(reader)
        self.preview = MessagePreview(reader)
        self.review = CampaignReview(self.tab)
        self.test = TestSend(self.tab)
        self.page = Page.of(
            reader,
            Slot(self.stepper, key="steps"),
            Slot(self.basics.notice, key="notice"),
            Slot(self.basics.form, key="basics", span=7, card=True),
            Slot(self.picker, key="audience", card=True),
            Slot(self.mapper, key="variables", span=7, card=True, title=_("What goes into the text")),
            Slot(self.review.summary, key="summary", span=7, card=True, title=_("Everything right?")),
            Slot(self.preview, key="preview", span=5, card=True, title=_("Preview of the message")),
            Slot(self.review.timing, key="timing", span=7, card=True),
            Slot(self.test.dialog, key="test"),
            back={"label": _("Campaigns"), "path": "/campaigns"},
            hidden=[key for key in (*ALL_SLOTS, "notice") if key not in SLOTS["message"]],
        )
        self._listen()
        return self.page

    def _listen(self) -> None:
        on = self.tab.on
        on(self.basics.form, "change", self._basics_changed)
        on(self.basics.form, "options", self._find_templates)
        on(self.basics.form, "retry", self._retry, failed=self.fail)
        self.picker.on("change", self._hear_audience)
        on(self.mapper, "change", self._variables_changed)
        on(self.review.timing, "change", self._timing_changed)
        on(self.stepper, "step", self._choose_step)
        on(self.page, "action", self._act)

    async def enter(self, **parts: str) -> None:
        """Opens a fresh draft, or the one the route names; one that was just saved under its name goes on."""
        self._wanted = wanted = parts.get("campaign_id", "")
        saved, self._just_saved = self._just_saved, ""
        if wanted and wanted == saved:
            self._name_it()
            return
        draft = await self._load(wanted) if wanted else self._fresh()
        if wanted != self._wanted:  # another one may have been opened while we waited
            return
        if draft is None:
            self.tab.shell.toast(self.words(N_("This campaign has ended, so it can't be changed.")))
            self.lead(f"/campaigns/{wanted}")
            return
        self.draft = draft
        self._count, self._asked, self._seq, self._under_way = None, None, 0, ""
        self.page.guard = False
        self._name_it()
        await self.basics.open(draft)
        self.preview.sender = self.basics.sender
        self.review.open(draft)
        tags = await self.tab.api.contacts.tags()
        imports = await self.tab.api.contacts.imports()
        files = [one | {"total": one["created"] + one["updated"]} for one in plain_all(imports.items)]
        self.picker.draw(draft.audience, tags=plain_all(tags), imports=files)
        await self._show_preview()
        await self._go("message")

    async def resync(self) -> None:
        """Keeps what was chosen."""

    def _fresh(self) -> CampaignDraft:
        """An empty draft, or one to the people of the import that the route names."""
        asked = parse_qs(urlsplit(self.tab.shell.route).query).get("import", [])
        return CampaignDraft(audience={"import_id": asked[0]} if asked else None)

    def _name_it(self) -> None:
        """Says which campaign is being written."""
        new = N_("Edit campaign") if self.draft.id else N_("New campaign")
        self.page.title = self.draft.name or self.words(new)
        if self.on_screen:
            self.tab.shell.title = self.words(new)

    def fail(self, sentence: str) -> None:
        """Says it in place of the first step."""
        self._step = "message"
        self._draw_steps()
        self.basics.form.fail(sentence)

    async def _retry(self, _: Message) -> None:
        await self.enter(**({"campaign_id": self._wanted} if self._wanted else {}))

    async def _load(self, campaign_id: str) -> CampaignDraft | None:
        """The draft of a campaign; None of one that has ended."""
        campaign = await self.tab.api.campaigns.get(campaign_id)
        if campaign.status not in CHANGEABLE:
            return None
        template = await self.tab.api.templates.get(campaign.template_id) if campaign.template_id else None
        return CampaignDraft.of(campaign, template)

    async def _find_templates(self, message: Message) -> None:
        await self.basics.find_templates(self.draft, str(message.get("text") or ""))

    async def _basics_changed(self, message: Message) -> None:
        self.page.guard = True
        await self.basics.take(self.draft, message)
        self.preview.sender = self.basics.sender
        if message.get("name") != "name":
            await self._show_preview()
        self._draw_steps()

    def _hear_audience(self, message: Message) -> None:
        asked = message.get("seq")
        seq = asked if isinstance(asked, int) else 0
        audience = message.get("audience")

        self._seq, self._asked = seq, None
        chosen = audience if isinstance(audience, dict) else None
        if chosen != self.draft.audience:  # the count of the one it opened with changes nothing
            self.page.guard = True
        self.draft.audience = chosen
        self._draw_steps()
        self._count_audience()

    def _count_audience(self) -> None:
        """Counts whom the message reaches; that depends on its template, so without one the picker goes on waiting."""
        seq, question = self._seq, self.draft.question
        if not self.draft.audience or self.draft.template is None or question == self._asked:
            return
        self._asked = question

        async def answer() -> None:
            count = await self.tab.api.campaigns.audience(question)
            if question is self._asked:  # else another audience was chosen while we waited
                self._count = count
                self.picker.show_count(seq, plain(count))

        self.tab.start(answer, failed=lambda sentence: self.picker.fail_count(seq, sentence))

    async def _variables_changed(self, message: Message) -> None:
        variables = message.get("variables")
        self.draft.variables = dict(variables) if isinstance(variables, dict) else {}
        self.page.guard = True
        self._draw_steps()
        await self._show_preview()

    async def _timing_changed(self, message: Message) -> None:
        self.review.take_time(self.draft, message)
        self.page.guard = True
        self._draw_steps()

    async def _show_preview(self) -> None:
        template = self.draft.template
        self._previews = mine = self._previews + 1
        if template is None:
            self.preview.draw({"body": ""})
            return
        body: dict[str, Any] = {"variables": self.draft.filled}
        if self._count and self._count.samples:
            body["contact_id"] = self._count.samples[0].contact_id
            name = self._count.samples[0].name or self._count.samples[0].phone or ""
            self.preview.caption = self.words(N_("As {name} would see it"), name=name)
        drawn = await self.tab.api.templates.preview_saved(template.id, body)
        if mine == self._previews:  # else something was changed while we waited
            self.preview.draw(plain(drawn))

    async def _choose_step(self, message: Message) -> None:
        await self._go(str(message.get("key")))

    async def _go(self, step: str) -> None:
        """Shows a step, if those before it are done."""
        steps = self.draft.steps
        wanted = step if step in steps else "message"
        undone = next((one for one in steps[: steps.index(wanted)] if not self.draft.is_done(one)), None)
        self._step = undone or wanted
        if self._step == "audience":
            self._count_audience()
        if self._step == "variables":
            fields = [one.field for one in await self.tab.api.contacts.fields()]
            gaps = plain_all(self.draft.template.variables) if self.draft.template else []
            self.mapper.draw(gaps, values=self.draft.variables, fields=fields)
            await self._show_preview()
        if self._step == "review":
            asked = (
                None if self.draft.has_begun else self.draft.question
            )  # who gets it was settled when it began
            self._count = await self.tab.api.campaigns.audience(asked) if asked else None
            self.review.draw(self.draft, self._count, await file_of(self.tab, self.draft))
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
        shown = {"steps", "test", *SLOTS[self._step], *(("notice",) if self.basics.notice.title else ())}
        if self.draft.has_begun:
            shown.discard("timing")
        self.page.hidden = [key for key in (*ALL_SLOTS, "notice") if key not in shown]
        self.page.actions = self._actions()

    def _actions(self) -> list[dict[str, object]]:
        _ = self.words
        back: dict[str, object] = {"key": "back", "label": _("Back"), "icon": "ArrowLeft"}
        buttons = [] if self._step == "message" else [back]
        if self._step == "review":
            buttons += self.review.buttons(self.draft, self._count)
        else:
            ready = self.draft.is_done(self._step)
            if self.draft.can_be_kept and not self.draft.is_scheduled and not self.draft.has_begun:
                buttons.append(self.review.keep_button())
            buttons.append({"key": "next", "label": _("Continue"), "kind": "primary", "disabled": not ready})
        if not self._under_way:
            return buttons
        return [button | {"busy": button["key"] == self._under_way, "disabled": True} for button in buttons]

    async def _act(self, message: Message) -> None:
        """Does one thing at a time: the second click of a double click would make a second draft."""
        if self._under_way:
            return
        self._under_way = str(message.get("key"))
        self.page.actions = self._actions()
        try:
            await self._do(self._under_way)
        finally:
            self._under_way = ""
            self.page.actions = self._actions()

    async def _do(self, key: str) -> None:
        draft = self.draft
        if key == "next":
            await self._go(draft.after(self._step))
        elif key == "back":
            await self._go(draft.before(self._step))
        elif key == "save":
            await self._save(draft)
            said = N_("Saved.") if draft.is_scheduled else N_("The draft is saved.")
            self.tab.shell.toast(self.words(said), "success")
            self.lead(f"/campaigns/{draft.id}")
        elif key == "change" and await self.review.is_sure_of_change(draft):
            await self._save(draft)
            self.tab.shell.toast(self.words(N_("Saved.")), "success")
            self.lead(f"/campaigns/{draft.id}")
        elif key == "test":
            await self._save(draft)
            self.test.open(draft.id)
            self._stay()
        elif key == "start" and await self.review.is_sure(draft, self._count):
            await self._save(draft)
            await self.tab.api.campaigns.act(draft.id, "start")
            self.lead(f"/campaigns/{draft.id}")

    async def _save(self, draft: CampaignDraft) -> None:
        campaigns = self.tab.api.campaigns
        if draft.id:
            await campaigns.change(draft.id, draft.body)
        else:
            draft.id = (await campaigns.create(draft.body)).id
        self.page.guard = False

    def _stay(self) -> None:
        """Names the draft that now exists in the address, so that a reload finds it; the step stays."""
        if self.draft.id != self._wanted and self.on_screen:
            self._just_saved = self.draft.id
            self.tab.go(f"/campaigns/{self.draft.id}/edit")
