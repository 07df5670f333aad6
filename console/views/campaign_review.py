"""The last step of writing a campaign: what was chosen, when it leaves, and what may be done with it."""

from collections.abc import Mapping
from typing import Any

from console.components import Details, Form, Message
from console.i18n import N_
from console.tab import Tab
from console.views.base import values_of
from console.views.campaign_draft import CampaignDraft
from engine.client.answers import AudienceCount

type Button = dict[str, object]


class CampaignReview:
    """A summary and a form for the time; put both somewhere on the page."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._later = False
        self.summary = Details(tab.reader)
        self.timing = Form(tab.reader, buttons=False, guard=False)

    def open(self, draft: CampaignDraft) -> None:
        """Asks when this campaign leaves; one that is scheduled keeps a time."""
        self._later = draft.is_scheduled or bool(draft.scheduled_at)
        self.timing.fields = self._time_fields(draft)
        self.timing.draw({"when": "later" if self._later else "now", "at": draft.scheduled_at})

    def _time_fields(self, draft: CampaignDraft) -> list[dict[str, object]]:
        _ = self._tab.words
        at: dict[str, object] = {
            "name": "at", "kind": "datetime", "label": _("Date and time"), "watch": True, "required": True,
        }  # fmt: skip
        if draft.is_scheduled:
            return [at]
        return [
            {"name": "when", "kind": "radio", "label": _("When"), "watch": True, "options": [
                {"value": "now", "label": _("Now"), "hint": _("Messages leave as soon as you start.")},
                {"value": "later", "label": _("Later"), "hint": _("Starts by itself, in the company's time zone.")},
            ]},
            at | {"when": {"when": ["later"]}},
        ]  # fmt: skip

    def take_time(self, draft: CampaignDraft, message: Message) -> None:
        """Writes what was chosen into the draft."""
        values = values_of(message)
        self._later = draft.is_scheduled or values.get("when") == "later"
        draft.scheduled_at = str(values["at"]) if self._later and values.get("at") else None

    def draw(self, draft: CampaignDraft, count: AudienceCount) -> None:
        """Draws what was chosen, and whom it reaches."""
        _ = self._tab.words
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
        _ = self._tab.words
        if audience.get("tags"):
            return _("People with tags: {tags}", tags=", ".join(audience["tags"]))
        return _("The people of one imported file") if audience.get("import_id") else _("Everyone")

    def buttons(self, draft: CampaignDraft, count: AudienceCount | None) -> list[Button]:
        """What may be done now: one that is scheduled starts by itself, so it is only saved."""
        _ = self._tab.words
        unset = self._later and not draft.scheduled_at
        test: Button = {"key": "test", "label": _("Send a test"), "icon": "Phone"}
        may_run = self._tab.can("campaigns.run")
        if draft.is_scheduled:
            save: Button = {"key": "save", "label": _("Save changes"), "kind": "primary", "disabled": unset}
            return [test, save] if may_run else [save]
        keep: Button = {"key": "save", "label": _("Save draft"), "icon": "FileText"}
        if not may_run:
            return [keep]
        nobody = count is not None and count.will_send == 0
        start: Button = {
            "key": "start", "label": _("Schedule") if self._later else _("Start sending"),
            "icon": "CalendarClock" if self._later else "Send", "kind": "primary", "disabled": nobody or unset,
        }  # fmt: skip
        return [keep, test, start]

    async def is_sure(self, draft: CampaignDraft, count: AudienceCount | None) -> bool:
        """Asks once more before anything leaves."""
        words = self._tab.words
        people = words.plural("{n} person", "{n} people", count.will_send if count else 0)
        title = words(N_("Schedule for {people}?")) if draft.scheduled_at else words(N_("Send to {people}?"))
        return await self._tab.shell.confirm(
            title.format(people=people),
            words(N_("The audience is fixed when it starts. You can pause at any moment.")),
            confirm=words(N_("Schedule")) if draft.scheduled_at else words(N_("Start sending")),
        )
