"""What every provider's translator speaks: our words for what goes out, what comes in, and what an answer means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID

from engine.core.http import HttpRequest, HttpResponse
from engine.messaging.models import ChannelKind


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can carry; `pair_interval` are the seconds between two messages to one person, where it counts."""

    text_length: int
    templates: bool
    media: bool
    service_window_hours: int | None
    read_receipts: bool
    pair_interval: float = 0.0
    pair_burst: int = 1


@dataclass(frozen=True, slots=True)
class Credentials:
    """A channel's secrets in the clear, for the length of a call; `base_url` is the provider's or the simulator's.

    A webhook signed with one of `older_app_secrets` is good too: while a secret is changed, both are in use.
    """

    base_url: str
    account: str
    portfolio: str
    access_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    older_app_secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(slots=True)
class OutboundMessage:
    """One message, rendered: `content` is the provider-neutral content of rendering.py, `send_key` ours and echoed."""

    send_key: str
    address: str
    kind: str
    content: Mapping[str, Any]
    quoted_provider_id: str | None = None


@dataclass(slots=True)
class SendReceipt:
    """The provider took it, and calls it by this id."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A webhook as it came: the raw bytes are what was signed."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """Who wrote, or who was written to: any of these may be missing, never all."""

    phone: str | None = None
    bsuid: str | None = None
    username: str | None = None
    name: str | None = None
    alias: str | None = None  # another E.164 spelling of `phone`, where the provider uses one


@dataclass(frozen=True, slots=True)
class InboundMedia:
    """A file at the provider, to be fetched at once."""

    provider_media_id: str
    mime_type: str | None = None
    sha256: str | None = None
    filename: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """Somebody wrote. `payload` keeps what has no column; an unknown kind is kept as `unsupported`, not guessed.

    Kinds: text, image, video, audio, document, sticker, location, contacts, interactive, button, order, unsupported;
    and three that speak of another message, named in `quoted_provider_id`: reaction, edit, revoke.
    """

    account: str
    provider_id: str
    sender: SenderIdentity
    kind: str
    occurred_at: datetime
    text: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    media: InboundMedia | None = None
    quoted_provider_id: str | None = None


@dataclass(slots=True)
class Pricing:
    """What the provider says a message costs: its own words for category and type, and whether it is billed."""

    category: str | None = None
    type: str | None = None
    billable: bool | None = None


@dataclass(slots=True)
class StatusReceipt:
    """The provider's word on a message of ours. `status`: sent, delivered, read, failed.

    `error_code` is ours (engine/messaging/failures.py), `error` keeps the provider's own code, title and detail;
    `stops` says what a failure makes useless to go on with: "channel", "template", or None for this message alone.
    """

    account: str
    provider_id: str
    status: str
    occurred_at: datetime
    send_key: UUID | None = None
    recipient: SenderIdentity | None = None
    error_code: str | None = None
    error: Mapping[str, Any] | None = None
    stops: str | None = None
    pricing: Pricing | None = None


@dataclass(frozen=True, slots=True)
class TemplateNotice:
    """The provider changed a template: status, quality or category; None is unchanged. `reason` is its code."""

    account: str | None
    portfolio: str
    provider_template_id: str
    status: str | None = None
    reason: str | None = None
    quality: str | None = None
    category: str | None = None
    name: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentNotice:
    """A person stopped or resumed marketing at the provider."""

    account: str
    sender: SenderIdentity
    state: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class IdentityNotice:
    """A person's provider id or phone changed."""

    account: str
    previous: SenderIdentity
    current: SenderIdentity
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class AccountNotice:
    """Something about the number or the account that a person should see; `account` is None where it is not named."""

    account: str | None
    portfolio: str
    code: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item that we do not understand: kept with the journal entry, its neighbours go on."""

    account: str | None
    detail: str
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SetAside:
    """Items that we know and that are not for us: a phone app's echoes and history, another owner's thread, calls."""

    account: str | None
    subject: str
    amount: int


InboundEvent = (
    InboundMessage
    | StatusReceipt
    | TemplateNotice
    | ConsentNotice
    | IdentityNotice
    | AccountNotice
    | SetAside
    | Unreadable
)


@dataclass(frozen=True, slots=True)
class AccountState:
    """How the provider describes a number."""

    phone_number: str | None
    display_name: str | None
    quality: str | None
    messaging_limit: str | None
    status: str | None
    can_send: str | None


@dataclass(frozen=True, slots=True)
class MediaPlace:
    """Where a file lies for a few minutes, and what it should be."""

    url: str
    mime_type: str | None
    sha256: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class TemplateDraft:
    """A template as it is submitted for review."""

    name: str
    language: str
    category: str
    parameter_format: str
    components: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ProviderTemplate:
    """A template as the provider keeps it; `status` and `category` in our words."""

    provider_id: str
    name: str
    language: str
    category: str
    status: str
    reason: str | None
    quality: str | None
    parameter_format: str
    components: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TemplatePage:
    """One page of a provider's templates; `after` is None on the last."""

    items: Sequence[ProviderTemplate]
    after: str | None


class ChannelAdapter(Protocol):
    """One provider's language, translated to ours and back. No state, no database, no tenant, no network."""

    kind: ClassVar[ChannelKind]
    capabilities: ClassVar[Capabilities]

    def verify(self, request: WebhookRequest, credentials: Credentials) -> None:
        """Raise Unauthenticated unless the provider signed these bytes."""

    def parse(self, request: WebhookRequest) -> Sequence[InboundEvent]:
        """Everything in a webhook: each entry, change, message and status, in order."""

    def ask(self, message: OutboundMessage, credentials: Credentials) -> HttpRequest:
        """The request that sends this message; the same credentials give the same `headers` object."""

    def read(self, response: HttpResponse) -> SendReceipt:
        """The receipt in an answer, or a ProviderError that says what to do."""


class ChecksAccount(Protocol):
    """A provider that can say how a number fares, and can be told where its webhooks go."""

    def ask_account(self, credentials: Credentials) -> HttpRequest:
        """The request for the number's state."""

    def read_account(self, response: HttpResponse) -> AccountState:
        """The number's state, or a ProviderError."""

    def ask_owner(self, credentials: Credentials) -> HttpRequest:
        """The request for whose the account is."""

    def read_owner(self, response: HttpResponse) -> str | None:
        """The provider's id of the portfolio that owns the account, where it tells; or a ProviderError."""

    def ask_subscription(self, credentials: Credentials, webhook_url: str, verify_token: str) -> HttpRequest:
        """The request that has webhooks sent to an address of ours."""

    def read_done(self, response: HttpResponse) -> None:
        """Nothing when the provider did what was asked; else a ProviderError."""


class SyncsTemplates(Protocol):
    """A provider that keeps templates: submit, change, list, delete."""

    def ask_templates(self, credentials: Credentials, after: str | None) -> HttpRequest:
        """The request for one page of all templates."""

    def read_templates(self, response: HttpResponse) -> TemplatePage:
        """One page, or a ProviderError."""

    def ask_template_creation(self, credentials: Credentials, draft: TemplateDraft) -> HttpRequest:
        """The request that submits a template."""

    def read_template_creation(self, response: HttpResponse, draft: TemplateDraft) -> ProviderTemplate:
        """The template as taken for review, or a ProviderError."""

    def ask_template_change(
        self, credentials: Credentials, provider_id: str, changes: Mapping[str, Any]
    ) -> HttpRequest:
        """The request that submits a template's new category or components."""

    def ask_template_deletion(self, credentials: Credentials, provider_id: str, name: str) -> HttpRequest:
        """The request that deletes a template in one language."""

    def read_done(self, response: HttpResponse) -> None:
        """Nothing when the provider did what was asked; else a ProviderError."""


class FetchesMedia(Protocol):
    """A provider that keeps the files of messages for a while."""

    def ask_media(self, credentials: Credentials, provider_media_id: str) -> HttpRequest:
        """The request for a file's place."""

    def read_media(self, response: HttpResponse) -> MediaPlace:
        """The file's place, or a ProviderError."""

    def ask_file(self, credentials: Credentials, url: str) -> HttpRequest:
        """The request for the bytes; Refused when the address is not the provider's, so that no token leaks."""
