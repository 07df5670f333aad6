"""What a campaign that has not begun would send: its message, to whom, and with what in its gaps."""

from typing import Any

from console.components import Details, MessagePreview
from console.i18n import N_
from console.tab import Tab
from console.views.base import plain
from console.views.campaign_draft import CampaignDraft
from console.views.campaign_review import file_of, summary_of
from engine.client import RefusedError
from engine.client.answers import AudienceCount, Campaign


class CampaignPlan:
    """A summary and a preview; put both somewhere on the page."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._wanted = ""
        self.summary = Details(tab.reader)
        self.preview = MessagePreview(tab.reader)

    def wait(self) -> None:
        """Shows skeletons, until the next one is there."""
        self._wanted = ""
        self.summary.wait()
        self.preview.wait()

    def fail(self, sentence: str) -> None:
        """Says it in place of both."""
        self.summary.fail(sentence)
        self.preview.fail(sentence)

    async def show(self, campaign: Campaign) -> None:
        """Draws what this campaign would send, were it to start now."""
        self._wanted = campaign.id
        api = self._tab.api
        template = await api.templates.get(campaign.template_id) if campaign.template_id else None
        draft = CampaignDraft.of(campaign, template)
        count = await self._count(draft)
        file = await file_of(self._tab, draft)
        sender = await self._sender(campaign)
        drawn: dict[str, Any] = {"body": ""}
        if template is not None:
            body: dict[str, Any] = {"variables": draft.filled}
            if count and count.samples:
                body["contact_id"] = count.samples[0].contact_id
            drawn = plain(await api.templates.preview_saved(template.id, body))
        if campaign.id != self._wanted:  # another one may have been opened while we waited
            return
        self.summary.draw(summary_of(self._tab.words, draft, count, file))
        self.preview.sender = sender
        self.preview.caption = self._caption(count)
        self.preview.draw(drawn)

    async def _count(self, draft: CampaignDraft) -> AudienceCount | None:
        """Whom it reaches; None where it can't be counted, as when its tags or its connection are gone."""
        if not draft.audience or draft.template is None:
            return None
        try:
            return await self._tab.api.campaigns.audience(draft.question)
        except RefusedError:
            return None

    async def _sender(self, campaign: Campaign) -> str:
        """The name that people see, as in the editor; a connection that is gone is named as we called it."""
        try:
            channel = await self._tab.api.channels.get(campaign.channel_id or "")
        except RefusedError:
            return campaign.channel_name or ""
        return channel.display_name or channel.name

    def _caption(self, count: AudienceCount | None) -> str:
        if count is None or not count.samples:
            return ""
        person = count.samples[0]
        return self._tab.words(N_("As {name} would see it"), name=person.name or person.phone or "")
