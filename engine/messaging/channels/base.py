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
    """What a provider can carry."""

    text_length: int
    templates: bool
    media: bool
    service_window_hours: int | None
    read_receipts: bool
    echoes_send_key: bool


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


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message, rendered: `content` is the provider-neutral content of rendering.py, `send_key` ours and echoed."""

    send_key: UUID
    address: str
    kind: str
    content: Mapping[str, Any]
    quoted_provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """The provider took it: its id, and the spelling of the address it uses (a Brazilian wa_id without its 9)."""

    provider_id: str
    address_alias: str | None = None
    held: bool = False


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
    alias: str | None = None


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
    """Somebody wrote. `payload` keeps what has no column; an unknown kind is kept as `unsupported`, not guessed."""

    account: str
    provider_id: str
    sender: SenderIdentity
    kind: str
    occurred_at: datetime
    text: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    media: InboundMedia | None = None
    quoted_provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class StatusReceipt:
    """The provider's word on a message of ours. `status`: sent, delivered, read, failed."""

    account: str
    provider_id: str
    status: str
    occurred_at: datetime
    send_key: UUID | None = None
    recipient: SenderIdentity | None = None
    error_code: str | None = None
    error: Mapping[str, Any] | None = None
    pricing: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TemplateNotice:
    """The provider changed a template: status, quality or category."""

    account: str | None
    portfolio: str
    provider_template_id: str
    status: str | None = None
    reason: str | None = None
    quality: str | None = None
    category: str | None = None


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
    """Something about the number or the account that a person should see."""

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


InboundEvent = (
    InboundMessage
    | StatusReceipt
    | TemplateNotice
    | ConsentNotice
    | IdentityNotice
    | AccountNotice
    | Unreadable
)


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
