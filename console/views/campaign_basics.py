"""The first step of writing a campaign: its name, the number it leaves from, and its template."""

from console.components import Form, Message, Notice
from console.tab import Tab
from console.views.base import values_of
from console.views.campaign_draft import CampaignDraft
from engine.client.answers import Template

TEMPLATE_CHOICES = 50


class CampaignBasics:
    """A form with what there is to choose from, and a notice of what lacks; put both somewhere on the page."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._templates: dict[str, Template] = {}
        self._senders: list[dict[str, object]] = []
        self._choices: list[dict[str, object]] = []
        self.sender = ""
        self.notice = Notice(tab.reader, tone="warning")
        self.form = Form(tab.reader, fields=self._fields(), buttons=False, guard=False)

    def _fields(self) -> list[dict[str, object]]:
        _ = self._tab.words
        return [
            {"name": "name", "kind": "text", "label": _("Name"), "required": True, "watch": True,
             "placeholder": _("e.g. Winter sale"), "help": _("Only your team sees it.")},
            {"name": "channel_id", "kind": "select", "label": _("Send from"), "required": True, "watch": True,
             "options": self._senders},
            {"name": "template_id", "kind": "select", "label": _("Template"), "required": True, "watch": True,
             "searchable": True, "remote": True, "options": self._choices,
             "help": _("Only templates WhatsApp has approved can be sent.")},
        ]  # fmt: skip

    async def open(self, draft: CampaignDraft) -> None:
        """Shows what this draft has, among what there is now."""
        self.notice.title = ""
        await self._offer_channels(draft)
        await self.find_templates(draft, "")
        self.form.draw({
            "name": draft.name,
            "channel_id": draft.channel_id,
            "template_id": draft.template.id if draft.template else "",
        })  # fmt: skip

    async def _offer_channels(self, draft: CampaignDraft) -> None:
        _ = self._tab.words
        channels = (await self._tab.api.channels.list()).items
        if not draft.channel_id and channels:
            draft.channel_id = channels[0].id
        self.sender = next(
            (one.display_name or one.name for one in channels if one.id == draft.channel_id), ""
        )
        self._senders = [
            {"value": one.id, "label": one.name, "hint": one.phone_number or ""}
            for one in channels
            if not draft.has_begun
            or one.id == draft.channel_id  # it leaves from the number that it began with
        ]
        self.form.fields = self._fields()
        if not channels:
            self._say(_("Connect a number first"), _("A campaign leaves from a number of yours."),
                      "/connections/new", _("Connect a number"))  # fmt: skip

    async def find_templates(self, draft: CampaignDraft, text: str) -> None:
        """Offers the approved templates whose name holds this text."""
        _ = self._tab.words
        page = await self._tab.api.templates.list(
            channel_id=draft.channel_id or None, status="approved", search=text, limit=TEMPLATE_CHOICES
        )
        found = {one.id: one for one in page.items}
        self._templates |= found
        if draft.template is not None:
            found.setdefault(draft.template.id, draft.template)
        self._choices = [{"value": one.id, "label": one.name, "hint": one.language} for one in found.values()]
        self.form.fields = self._fields()
        self.form.show_options("template_id", self._choices, text)
        if not found and not text and draft.channel_id:
            self._say(_("No approved template yet"),
                      _("A campaign sends a text that WhatsApp has approved. Write one first."),
                      "/templates/new", _("New template"))  # fmt: skip

    def _say(self, title: str, text: str, path: str, label: str) -> None:
        self.notice.param.update(
            title=title, text=text, actions=[{"key": "go", "label": label, "path": path}]
        )

    async def take(self, draft: CampaignDraft, message: Message) -> None:
        """Writes what was chosen into the draft; another number has other templates."""
        values, name = values_of(message), message.get("name")
        draft.name = str(values.get("name") or "")
        if name == "channel_id" and values.get("channel_id") != draft.channel_id:
            draft.channel_id = str(values.get("channel_id") or "")
            draft.choose_template(None)
            self.form.set_values({"template_id": ""})
            await self._offer_channels(draft)
            await self.find_templates(draft, "")
        if name == "template_id":
            draft.choose_template(self._templates.get(str(values.get("template_id"))))
