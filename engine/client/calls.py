"""Everything the API can be asked, one function a route, grouped as the API groups it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from engine.client.answers import (
    AudienceCount,
    Campaign,
    Channel,
    Contact,
    Conversation,
    FieldCount,
    Import,
    Me,
    Membership,
    Message,
    Overview,
    Page,
    Preview,
    ReasonCount,
    Recipient,
    TagCount,
    Template,
    Timeline,
    Tokens,
)
from engine.client.wire import Wire

type Body = Mapping[str, Any]


class Accounts:
    """Who am I, and for which company."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def me(self) -> Me:
        """The caller."""
        return await self._wire.get("/v1/me", Me)

    async def change_me(self, body: Body) -> Me:
        """Changes the caller's name or language; gives the caller as they are now."""
        return await self._wire.patch("/v1/me", Me, body)

    async def choose_company(self, company: str) -> Tokens:
        """A token pair for another company of the caller."""
        return await self._wire.post("/v1/auth/company", Tokens, body={"company": company})

    async def sign_out(self, refresh_token: str) -> None:
        """Ends the session the refresh token belongs to."""
        await self._wire.post("/v1/auth/logout", object, body={"refresh_token": refresh_token})


class Channels:
    """The company's numbers and senders."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self) -> Page[Channel]:
        """The channels (a company has few)."""
        return await self._wire.get("/v1/channels", Page[Channel], limit=200)

    async def get(self, channel_id: str) -> Channel:
        """One channel."""
        return await self._wire.get(f"/v1/channels/{channel_id}", Channel)

    async def connect(self, body: Body) -> Channel:
        """Connects a number; where the provider does not confirm it, its status says so."""
        return await self._wire.post("/v1/channels", Channel, body=body)

    async def change(self, channel_id: str, body: Body) -> Channel:
        """Changes a channel."""
        return await self._wire.patch(f"/v1/channels/{channel_id}", Channel, body)

    async def check(self, channel_id: str) -> Channel:
        """Asks the provider again how the channel fares."""
        return await self._wire.post(f"/v1/channels/{channel_id}/check", Channel)

    async def remove(self, channel_id: str) -> None:
        """Disconnects a channel."""
        await self._wire.delete(f"/v1/channels/{channel_id}")


class Contacts:
    """People, their tags, consent, and imports."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(
        self,
        *,
        search: str = "",
        tag: str | None = None,
        import_id: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Contact]:
        """One page of people, newest first."""
        return await self._wire.get(
            "/v1/contacts",
            Page[Contact],
            search=search,
            tag=tag,
            import_id=import_id,
            after=after,
            limit=limit,
        )

    def all(self, *, search: str = "", tag: str | None = None) -> AsyncIterator[Contact]:
        """Everybody, page after page."""
        return self._wire.pages("/v1/contacts", Contact, search=search, tag=tag)

    async def get(self, contact_id: str) -> Contact:
        """One person."""
        return await self._wire.get(f"/v1/contacts/{contact_id}", Contact)

    async def add(self, body: Body) -> Contact:
        """Adds a person."""
        return await self._wire.post("/v1/contacts", Contact, body=body)

    async def change(self, contact_id: str, body: Body) -> Contact:
        """Changes a person."""
        return await self._wire.patch(f"/v1/contacts/{contact_id}", Contact, body)

    async def remove(self, contact_id: str) -> None:
        """Deletes a person; an opt-out outlives it."""
        await self._wire.delete(f"/v1/contacts/{contact_id}")

    async def set_consent(self, contact_id: str, state: str, source: str) -> None:
        """Records that a person allows marketing, or no longer does."""
        body = {"purpose": "marketing", "state": state, "source": source}
        await self._wire.put(f"/v1/contacts/{contact_id}/consent", body)

    async def tags(self) -> Sequence[TagCount]:
        """Every tag in use."""
        return (await self._wire.get("/v1/contacts/tags", Page[TagCount])).items

    async def fields(self) -> Sequence[FieldCount]:
        """Every custom field in use."""
        return (await self._wire.get("/v1/contacts/fields", Page[FieldCount])).items

    async def imports(self, *, after: str | None = None, limit: int = 50) -> Page[Import]:
        """The imports, newest first."""
        return await self._wire.get("/v1/contacts/imports", Page[Import], after=after, limit=limit)

    async def import_(self, import_id: str) -> Import:
        """One import."""
        return await self._wire.get(f"/v1/contacts/imports/{import_id}", Import)

    async def cancel_import(self, import_id: str) -> Import:
        """Ends an import where it is; what was taken stays."""
        return await self._wire.post(f"/v1/contacts/imports/{import_id}/cancel", Import)


class Templates:
    """Texts with gaps."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(
        self,
        *,
        channel_id: str | None = None,
        status: str | None = None,
        search: str = "",
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Template]:
        """One page of templates."""
        return await self._wire.get(
            "/v1/templates",
            Page[Template],
            channel_id=channel_id,
            status=status,
            search=search,
            after=after,
            limit=limit,
        )

    async def get(self, template_id: str) -> Template:
        """One template."""
        return await self._wire.get(f"/v1/templates/{template_id}", Template)

    async def create(self, body: Body) -> Template:
        """Creates a template at the provider."""
        return await self._wire.post("/v1/templates", Template, body=body)

    async def change(self, template_id: str, body: Body) -> Template:
        """Changes a template."""
        return await self._wire.patch(f"/v1/templates/{template_id}", Template, body)

    async def remove(self, template_id: str) -> None:
        """Deletes a template at the provider."""
        await self._wire.delete(f"/v1/templates/{template_id}")

    async def sync(self, channel_id: str) -> None:
        """Pulls a channel's templates from the provider."""
        await self._wire.post("/v1/templates/sync", object, body={"channel_id": channel_id})

    async def preview(self, body: Body) -> Preview:
        """What a text that is not saved yet would look like."""
        return await self._wire.post("/v1/templates/preview", Preview, body=body)

    async def preview_saved(self, template_id: str, body: Body) -> Preview:
        """What a template would look like with these variables."""
        return await self._wire.post(f"/v1/templates/{template_id}/preview", Preview, body=body)


class Campaigns:
    """Blasts, and the verbs that move them."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(
        self, *, status: str | None = None, search: str = "", after: str | None = None, limit: int = 50
    ) -> Page[Campaign]:
        """One page of campaigns, newest first."""
        return await self._wire.get(
            "/v1/campaigns", Page[Campaign], status=status, search=search, after=after, limit=limit
        )

    def all(self, *, status: str | None = None) -> AsyncIterator[Campaign]:
        """Every campaign, page after page."""
        return self._wire.pages("/v1/campaigns", Campaign, status=status)

    async def get(self, campaign_id: str) -> Campaign:
        """One campaign."""
        return await self._wire.get(f"/v1/campaigns/{campaign_id}", Campaign)

    async def create(self, body: Body) -> Campaign:
        """A new draft."""
        return await self._wire.post("/v1/campaigns", Campaign, body=body)

    async def change(self, campaign_id: str, body: Body) -> Campaign:
        """Changes a draft or a scheduled campaign."""
        return await self._wire.patch(f"/v1/campaigns/{campaign_id}", Campaign, body)

    async def remove(self, campaign_id: str) -> None:
        """Deletes a draft."""
        await self._wire.delete(f"/v1/campaigns/{campaign_id}")

    async def act(self, campaign_id: str, verb: str) -> None:
        """Starts, pauses, resumes, cancels, or retries the failed (`verb` as in the path)."""
        await self._wire.post(f"/v1/campaigns/{campaign_id}/{verb}", object)

    async def test_send(self, campaign_id: str, to: str) -> None:
        """Sends one message of the campaign to a number of one's own."""
        await self._wire.post(f"/v1/campaigns/{campaign_id}/test-send", object, body={"to": to})

    async def audience(self, body: Body) -> AudienceCount:
        """Who would be written to, who not, and why, without saving anything."""
        return await self._wire.post("/v1/campaigns/audience", AudienceCount, body=body)

    async def failures(self, campaign_id: str) -> Sequence[ReasonCount]:
        """Failed recipients by reason."""
        return (await self._wire.get(f"/v1/campaigns/{campaign_id}/failures", Page[ReasonCount])).items

    async def exclusions(self, campaign_id: str) -> Sequence[ReasonCount]:
        """Recipients left out at the start, by reason."""
        return (await self._wire.get(f"/v1/campaigns/{campaign_id}/exclusions", Page[ReasonCount])).items

    async def timeline(self, campaign_id: str) -> Timeline:
        """The campaign over time."""
        return await self._wire.get(f"/v1/campaigns/{campaign_id}/timeline", Timeline)

    async def recipients(
        self,
        campaign_id: str,
        *,
        state: str | None = None,
        search: str = "",
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Recipient]:
        """One page of recipients."""
        return await self._wire.get(
            f"/v1/campaigns/{campaign_id}/recipients",
            Page[Recipient],
            state=state,
            search=search,
            after=after,
            limit=limit,
        )


class Conversations:
    """Threads with people."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self, *, after: str | None = None, limit: int = 50) -> Page[Conversation]:
        """One page of conversations, newest first."""
        return await self._wire.get("/v1/conversations", Page[Conversation], after=after, limit=limit)

    async def messages(
        self, conversation_id: str, *, after: str | None = None, limit: int = 50
    ) -> Page[Message]:
        """One page of a thread."""
        return await self._wire.get(
            f"/v1/conversations/{conversation_id}/messages", Page[Message], after=after, limit=limit
        )

    async def send(self, conversation_id: str, body: Body) -> Message:
        """Sends a text or a template into a thread."""
        return await self._wire.post(f"/v1/conversations/{conversation_id}/messages", Message, body=body)


class Analytics:
    """The company's figures."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def overview(self, period: str) -> Overview:
        """Figures, course, funnel and heatmap for today, 7d, 30d or 90d."""
        return await self._wire.get("/v1/analytics/overview", Overview, period=period)


class Api:
    """The whole API in one person's name."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.accounts = Accounts(wire)
        self.channels = Channels(wire)
        self.contacts = Contacts(wire)
        self.templates = Templates(wire)
        self.campaigns = Campaigns(wire)
        self.conversations = Conversations(wire)
        self.analytics = Analytics(wire)


def companies_to_choose(problem: Mapping[str, Any]) -> Sequence[Membership]:
    """The companies named by a `company_required` problem."""
    named = problem.get("companies") or ()
    return [
        Membership(
            id=str(one.get("id", "")),
            name=str(one.get("name", "")),
            slug=str(one.get("slug", "")),
            role=str(one.get("role", "")),
        )
        for one in named
        if isinstance(one, dict)
    ]
