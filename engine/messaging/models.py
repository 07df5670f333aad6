"""Tables of messaging: channels, templates, conversations, the ledger of messages, the work that is due."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from engine.core.db import TENANT_DEFAULT, Base, TenantTable


class ChannelKind(StrEnum):
    """Whose language a channel speaks."""

    WHATSAPP_CLOUD = "whatsapp_cloud"


class ChannelEnvironment(StrEnum):
    """Live talks to the provider, sandbox to the simulator; a channel is one or the other for life."""

    LIVE = "live"
    SANDBOX = "sandbox"


class ChannelStatus(StrEnum):
    """Whether a channel can send; attention: a person must look, the reason is kept."""

    CONNECTED = "connected"
    ATTENTION = "attention"
    PAUSED = "paused"


class MessageState(StrEnum):
    """Where a message stands; one whose range is leased is `queued` still, and `received` is the inbound one."""

    QUEUED = "queued"
    DISPATCHING = "dispatching"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    RECEIVED = "received"


class Lane(IntEnum):
    """What goes first: a person waits for a reply, a blast waits for nobody."""

    REPLY = 0
    TEST = 1
    BULK = 5


class Origin(StrEnum):
    """Who asked for a message; `origin_id` names the campaign, conversation or user, for the floors above."""

    CAMPAIGN = "campaign"
    TEST = "test"
    AGENT = "agent"
    CONTACT = "contact"


class TemplateStatus(StrEnum):
    """Where a template stands at the provider; only an approved one may be sent."""

    DRAFT = "draft"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    PAUSED = "paused"
    DISABLED = "disabled"


class Gate(TenantTable, Base):
    """What may close: a campaign's or a channel's sending. The mark locks it shared, pause locks it exclusive.

    `generation` counts its openings and closings. `holds_channel_id` and `holds_template_id` must not go yet, because
    whoever owns this gate still means to send by them.
    """

    __tablename__ = "gates"

    is_open: Mapped[bool] = mapped_column(server_default=text("true"))
    reason: Mapped[str | None]
    generation: Mapped[int] = mapped_column(server_default="1")
    holds_channel_id: Mapped[UUID | None]
    holds_template_id: Mapped[UUID | None]


class Channel(TenantTable, Base):
    """A tenant's number or sender at a provider. `account` is the provider's id of the number, `portfolio` the WABA's.

    `business` is that of the portfolio that owns the WABA, where the provider has told it.
    `credentials` and `verify_token` are encrypted; they never leave by the API but for the verify token's owner.
    """

    __tablename__ = "channels"
    __table_args__ = (
        CheckConstraint("environment in ('live', 'sandbox')", name="environment"),
        CheckConstraint("status in ('connected', 'attention', 'paused')", name="status"),
        CheckConstraint("rate_per_second between 1 and 1000", name="rate"),
        ForeignKeyConstraint(
            ["tenant_id", "gate_id"], ["gates.tenant_id", "gates.id"], name="fk_channels_gate"
        ),
    )

    kind: Mapped[str]
    name: Mapped[str]
    environment: Mapped[str]
    status: Mapped[str]
    status_code: Mapped[str | None]
    status_detail: Mapped[str | None]
    account: Mapped[str]
    portfolio: Mapped[str] = mapped_column(server_default="")
    business: Mapped[str | None]
    phone_number: Mapped[str | None]
    display_name: Mapped[str | None]
    quality: Mapped[str | None]
    messaging_limit: Mapped[str | None]
    rate_per_second: Mapped[int] = mapped_column(server_default="80")
    gate_id: Mapped[UUID]
    credentials: Mapped[bytes] = mapped_column(LargeBinary)
    verify_token: Mapped[bytes] = mapped_column(LargeBinary)
    last_webhook_at: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]

    @property
    def limited_as(self) -> str:
        """Whose limit of people a day it shares: the portfolio's, or the account's while nobody has told whose that is."""
        return self.business or self.portfolio


class ChannelRoute(Base):
    """Which tenant and channel a provider's account belongs to; nothing secret, read by intake as system."""

    __tablename__ = "channel_routes"
    __table_args__ = (Index("ix_channel_routes_account", "kind", "account"),)

    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    kind: Mapped[str]
    environment: Mapped[str]
    account: Mapped[str]
    portfolio: Mapped[str] = mapped_column(server_default="")


class Template(TenantTable, Base):
    """Approved text with gaps, as the provider keeps it (Meta's component shape)."""

    __tablename__ = "templates"
    __table_args__ = (
        Index(
            "uq_templates_name",
            "tenant_id",
            "channel_id",
            "name",
            "language",
            unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
        Index("ix_templates_provider", "tenant_id", "provider_id"),
        ForeignKeyConstraint(
            ["tenant_id", "channel_id"], ["channels.tenant_id", "channels.id"], name="fk_templates_channel"
        ),
    )

    channel_id: Mapped[UUID]
    provider_id: Mapped[str | None]
    name: Mapped[str]
    language: Mapped[str]
    category: Mapped[str]
    status: Mapped[str]
    status_reason: Mapped[str | None]
    quality: Mapped[str | None]
    parameter_format: Mapped[str] = mapped_column(server_default="POSITIONAL")
    components: Mapped[list[Any]]
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]


class TemplateSnapshot(TenantTable, Base):
    """A template as it was when something was sent with it, never changed; `variables` says what fills an audience's."""

    __tablename__ = "template_snapshots"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "template_id"],
            ["templates.tenant_id", "templates.id"],
            name="fk_template_snapshots_template",
        ),
        Index(
            "ix_template_snapshots_template",
            "tenant_id",
            "template_id",
            "id",
            postgresql_where=text("template_id is not null"),
        ),
    )

    template_id: Mapped[UUID]
    channel_id: Mapped[UUID]
    name: Mapped[str]
    language: Mapped[str]
    category: Mapped[str]
    parameter_format: Mapped[str]
    components: Mapped[list[Any]]
    variables: Mapped[dict[str, Any]]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Conversation(TenantTable, Base):
    """The thread with one contact on one channel; carries its own summary, so that a list is one index scan."""

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("tenant_id", "channel_id", "contact_id", name="uq_conversations_contact"),
        CheckConstraint("status in ('open', 'closed')", name="status"),
        ForeignKeyConstraint(
            ["tenant_id", "channel_id"],
            ["channels.tenant_id", "channels.id"],
            name="fk_conversations_channel",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            ondelete="CASCADE",
            name="fk_conversations_contact",
        ),
        Index("ix_conversations_newest", "tenant_id", text("last_message_at desc"), text("id desc")),
    )

    channel_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(server_default="open")
    last_message_id: Mapped[UUID | None]
    last_message_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_message_text: Mapped[str | None]
    last_message_kind: Mapped[str | None]
    last_message_direction: Mapped[str | None]
    unread: Mapped[int] = mapped_column(server_default="0")
    window_expires_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Message(TenantTable, Base):
    """One utterance, in or out: the ledger. The id is also the send key that the provider echoes.

    Partitioned by month on the id. `counted` is False for a message that a later one of the same campaign replaced:
    the tallies then count only its successor. `params` are the values of the template's variables, frozen with it.
    `attempt` fences a settle: it counts the marks, so an answer can only settle the call that it belongs to. `tries`
    counts the calls that were surely not taken, of which a message has a few.
    `price_category`, `price_type` and `billable` are the provider's first word on what it costs.
    `work_id` names the due work under which it was marked, so that whoever takes that over knows what was in flight.
    """

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("direction in ('in', 'out')", name="direction"),
        CheckConstraint(
            "state in ('queued', 'dispatching', 'accepted', 'sent', 'delivered', 'read', 'failed', 'unknown', "
            "'skipped', 'cancelled', 'received')",
            name="state",
        ),
        Index(
            "ix_messages_conversation",
            "tenant_id",
            "conversation_id",
            "id",
            postgresql_where=text("conversation_id is not null"),
        ),
        # Its condition keeps it from being leapt through for what is asked for by its id alone.
        Index(
            "ix_messages_contact",
            "tenant_id",
            "contact_id",
            "id",
            postgresql_where=text("contact_id is not null"),
        ),
        {"postgresql_partition_by": "range (id)"},
    )

    direction: Mapped[str]
    kind: Mapped[str]
    channel_id: Mapped[UUID]
    contact_id: Mapped[UUID | None]
    conversation_id: Mapped[UUID | None]
    gate_id: Mapped[UUID | None]
    origin: Mapped[str]
    origin_id: Mapped[UUID | None]
    snapshot_id: Mapped[UUID | None]
    address: Mapped[str]
    params: Mapped[dict[str, Any] | None]
    body: Mapped[str | None]
    payload: Mapped[dict[str, Any] | None]
    quoted_provider_id: Mapped[str | None]
    provider_id: Mapped[str | None]
    state: Mapped[str]
    counted: Mapped[bool] = mapped_column(server_default=text("true"))
    work_id: Mapped[UUID | None]
    attempt: Mapped[int] = mapped_column(server_default="0")
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    reason_code: Mapped[str | None]
    reason: Mapped[dict[str, Any] | None]
    price_category: Mapped[str | None]
    price_type: Mapped[str | None]
    billable: Mapped[bool | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    occurred_at: Mapped[datetime | None]
    called_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]


class ProviderMessage(Base):
    """One row per provider id and channel, in both directions: what a partitioned table cannot keep unique."""

    __tablename__ = "provider_messages"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    provider_id: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[UUID]


class DueSend(TenantTable, Base):
    """Work that is due: a range of message ids of one channel and gate, leased whole. Gone when all are settled."""

    __tablename__ = "due_sends"
    __table_args__ = (
        Index("ix_due_sends_due_at", "due_at"),
        Index("ix_due_sends_channel", "tenant_id", "channel_id", "lane", "due_at", "id"),
        Index("ix_due_sends_gate", "tenant_id", "gate_id"),
        Index("ix_due_sends_held", "tenant_id", "channel_id", postgresql_where=text("holder is not null")),
    )

    channel_id: Mapped[UUID]
    gate_id: Mapped[UUID | None]
    lane: Mapped[int] = mapped_column(SmallInteger)
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    first_id: Mapped[UUID]
    last_id: Mapped[UUID]
    amount: Mapped[int]
    epoch: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None]
    holder: Mapped[str | None]


class SendAttempt(TenantTable, Base):
    """A call that did not end in plain acceptance; the accepted one stands in the message itself."""

    __tablename__ = "send_attempts"
    __table_args__ = (Index("ix_send_attempts_message", "tenant_id", "message_id", "id"),)

    message_id: Mapped[UUID]
    attempt: Mapped[int]
    called_at: Mapped[datetime]
    ended_at: Mapped[datetime] = mapped_column(server_default=func.now())
    verdict: Mapped[str]
    reason_code: Mapped[str | None]
    reason: Mapped[dict[str, Any] | None]


class ParkedReceipt(TenantTable, Base):
    """A provider's word on a message that we do not know (yet): tried again with growing gaps, never dropped early."""

    __tablename__ = "parked_receipts"
    __table_args__ = (
        Index("ix_parked_receipts_provider", "tenant_id", "channel_id", "provider_id"),
        Index("ix_parked_receipts_due_at", "due_at"),
    )

    channel_id: Mapped[UUID]
    provider_id: Mapped[str | None]
    send_key: Mapped[UUID | None]
    receipt: Mapped[dict[str, Any]]
    tries: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class JournalEntry(Base):
    """One webhook body as it came, verified; of no tenant, system role only. Written once, and changed only if odd.

    `digest` is the SHA-256 of the body: the same body sent again to the same channel is not kept twice. `taken` waits or
    has been applied; which of the two stands in `webhook_due`.
    """

    __tablename__ = "webhook_journal"
    __table_args__ = (
        CheckConstraint("status in ('taken', 'quarantined', 'failed')", name="status"),
        UniqueConstraint("channel_id", "digest", name="uq_webhook_journal_body"),
        Index("ix_webhook_journal_odd", "status", "id", postgresql_where=text("status <> 'taken'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    channel_id: Mapped[UUID]
    tenant_id: Mapped[UUID | None]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    body: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[str] = mapped_column(server_default="taken")
    error: Mapped[str | None]


class DueHook(Base):
    """A webhook that waits to be understood; gone when it is. `tries` counts how often it was begun in vain."""

    __tablename__ = "webhook_due"

    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    tries: Mapped[int] = mapped_column(server_default="0")


class HookLease(Base):
    """Who understands a channel's webhooks has it until then; `strikes` counts leases that nobody gave back."""

    __tablename__ = "webhook_leases"

    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    lease_until: Mapped[datetime]
    strikes: Mapped[int] = mapped_column(server_default="1")


class MediaFile(TenantTable, Base):
    """A file that came with a message; fetched at once into our store, because the provider forgets it."""

    __tablename__ = "media_files"
    __table_args__ = (
        CheckConstraint("status in ('pending', 'stored', 'failed')", name="status"),
        Index("ix_media_files_message", "tenant_id", "message_id"),
        Index("ix_media_files_pending", "due_at", postgresql_where=text("status = 'pending'")),
        Index(
            "ix_media_files_forgotten",
            "id",
            postgresql_where=text("status = 'failed' and path is not null"),
        ),
    )

    channel_id: Mapped[UUID]
    message_id: Mapped[UUID]
    provider_media_id: Mapped[str]
    url: Mapped[str | None]
    mime_type: Mapped[str | None]
    filename: Mapped[str | None]
    sha256: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    path: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="pending")
    tries: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
