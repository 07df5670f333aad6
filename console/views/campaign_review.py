"""The last step of writing a campaign: what was chosen, when it leaves, and what may be done with it."""

from collections.abc import Mapping
from typing import Any

from console.components import Details, Form, Message
from console.i18n import N_, Words
from console.tab import Tab
from console.views.base import values_of
from console.views.campaign_draft import CampaignDraft
from engine.client import RefusedError
from engine.client.answers import AudienceCount

type Button = dict[str, object]

SOURCES = {
    "contact.name": N_("Name"),
    "contact.first_name": N_("First name"),
    "contact.phone": N_("Phone"),
}
PASSED = N_("This time has passed. Choose a later one.")


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
            "min": self._tab.now().isoformat(),
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
        self._mark_time(draft)

    def _mark_time(self, draft: CampaignDraft) -> None:
        self.timing.show_errors({"at": self._tab.words(PASSED)} if self._has_passed(draft) else {})

    def _has_passed(self, draft: CampaignDraft) -> bool:
        """Whether the time that was chosen lies behind us: the engine would send at once."""
        return bool(draft.scheduled_at) and (draft.starts_at is None or draft.starts_at <= self._tab.now())

    def draw(self, draft: CampaignDraft, count: AudienceCount | None, file: str) -> None:
        """Draws what was chosen, and whom it reaches; `file` is the name of an imported one."""
        self.summary.draw(summary_of(self._tab.words, draft, count, file))
        if self._has_passed(draft):
            self._mark_time(draft)

    def buttons(self, draft: CampaignDraft, count: AudienceCount | None) -> list[Button]:
        """What may be done now: one that is scheduled starts by itself, so it is only saved."""
        _ = self._tab.words
        unset = self._later and (not draft.scheduled_at or self._has_passed(draft))
        test: Button = {"key": "test", "label": _("Send a test"), "icon": "Phone"}
        may_run = self._tab.can("campaigns.run")
        if draft.has_begun:
            return [{"key": "change", "label": _("Save changes"), "kind": "primary"}]
        if draft.is_scheduled:
            save: Button = {"key": "save", "label": _("Save changes"), "kind": "primary", "disabled": unset}
            return [test, save] if may_run else [save]
        keep = self.keep_button()
        if not may_run:
            return [keep]
        nobody = count is not None and count.will_send == 0
        start: Button = {
            "key": "start", "label": _("Schedule") if self._later else _("Start sending"),
            "icon": "CalendarClock" if self._later else "Send", "kind": "primary", "disabled": nobody or unset,
        }  # fmt: skip
        return [keep, test, start]

    def keep_button(self) -> Button:
        """The button that keeps the draft for later."""
        return {"key": "save", "label": self._tab.words(N_("Save draft")), "icon": "FileText"}

    async def is_sure(self, draft: CampaignDraft, count: AudienceCount | None) -> bool:
        """Asks once more before anything leaves; a time that passed while we waited is refused."""
        words = self._tab.words
        if self._has_passed(draft):
            self._mark_time(draft)
            return False
        people = words.plural("{n} person", "{n} people", count.will_send if count else 0)
        title = words(N_("Schedule for {people}?")) if draft.scheduled_at else words(N_("Send to {people}?"))
        return await self._tab.shell.confirm(
            title.format(people=people),
            words(
                N_("It starts by itself on {when}. The audience is fixed then."),
                when=words.instant(draft.starts_at),
            )
            if draft.starts_at
            else words(N_("The audience is fixed when it starts. You can pause at any moment.")),
            confirm=words(N_("Schedule")) if draft.scheduled_at else words(N_("Start sending")),
        )

    async def is_sure_of_change(self, draft: CampaignDraft) -> bool:
        """Asks once more before those who wait get other words than those before them; another name asks nothing."""
        if not draft.says_otherwise:
            return True
        words = self._tab.words
        people = words.plural("{n} person", "{n} people", draft.waiting)
        return await self._tab.shell.confirm(
            words(N_("Change the message for {people}?")).format(people=people),
            words(
                N_(
                    "Whoever has the message already keeps it. Sending stops for a moment, and goes on by itself."
                )
            ),
            confirm=words(N_("Save changes")),
        )


async def file_of(tab: Tab, draft: CampaignDraft) -> str:
    """The name of the file whose people a campaign is for; empty where it is for others, or the import is gone."""
    import_id = (draft.audience or {}).get("import_id")
    if not import_id:
        return ""
    try:
        return (await tab.api.contacts.import_(str(import_id))).filename
    except RefusedError:
        return ""


def summary_of(
    words: Words, draft: CampaignDraft, count: AudienceCount | None, file: str
) -> list[dict[str, object]]:
    """What a campaign says to whom, as rows of details; without a count, whom it reaches is not told."""
    _ = words
    gaps: list[dict[str, object]] = [
        {"key": gap, "label": _gap_words(_, gap), "value": _source_words(_, source)}
        for gap, source in draft.filled.items()
    ]
    rows: list[dict[str, object]] = [
        {"key": "name", "label": _("Name"), "value": draft.name},
        {"key": "template", "label": _("Template"), "value": draft.template.name if draft.template else ""},
        *gaps,
        {"key": "audience", "label": _("Audience"), "value": _audience_words(_, draft.audience or {}, file)},
    ]
    if draft.has_begun:
        rows.append({"key": "waiting", "label": _("Not sent yet"), "value": draft.waiting, "kind": "number"})
    if count is not None:
        left_out = " · ".join(
            f"{(one.text or one.reason).rstrip('.')}: {_.number(one.n)}" for one in count.excluded if one.n
        )
        rows += [
            {"key": "matched", "label": _("Match the audience"), "value": count.matched, "kind": "number"},
            {"key": "will_send", "label": _("Will receive the message"), "value": count.will_send,
             "kind": "number", "hint": left_out},
        ]  # fmt: skip
        rows += _limit_rows(_, count)
    return rows


def _limit_rows(words: Words, count: AudienceCount) -> list[dict[str, object]]:
    """WhatsApp's limit of people a day, where there is one; and what becomes of those who are beyond it."""
    limit = count.daily_limit
    if limit is None:
        return []
    beyond = words(
        N_("WhatsApp lets this number begin with {n} people a day. The others follow by themselves, as room comes back."),
        n=words.number(limit.limit),
    )  # fmt: skip
    return [
        {"key": "daily", "label": words(N_("Left of WhatsApp's limit today")), "value": limit.left, "kind": "number",
         "hint": beyond if count.will_send > limit.left else ""},
    ]  # fmt: skip


def _gap_words(words: Words, gap: str) -> str:
    """`body.1` as the text has it, `{{1}}`."""
    return words(N_("File of the header")) if gap == "header.media" else f"{{{{{gap.rsplit('.', 1)[-1]}}}}}"


def _source_words(words: Words, source: object) -> str:
    if isinstance(source, Mapping):
        return f"“{source.get('text')}”"
    named = SOURCES.get(str(source))
    return words(named) if named else str(source).removeprefix("field.")


def _audience_words(words: Words, audience: Mapping[str, Any], file: str) -> str:
    if audience.get("tags"):
        return words(N_("People with tags: {tags}"), tags=", ".join(audience["tags"]))
    if audience.get("import_id"):
        return (
            words(N_("The people of {file}"), file=file)
            if file
            else words(N_("The people of one imported file"))
        )
    return words(N_("Everyone")) if audience else ""
