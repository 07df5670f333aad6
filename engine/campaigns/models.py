"""Tables of campaigns: the blast, its frozen set of people, and which state may follow which."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from engine.core.db import TENANT_DEFAULT, Base, TenantTable

PULSE_SECONDS = 2


class CampaignStatus(StrEnum):
    """Where a campaign stands; `pausing` until no call can leave or is under way."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[CampaignStatus, frozenset[CampaignStatus]] = {
    CampaignStatus.DRAFT: frozenset(
        {CampaignStatus.SCHEDULED, CampaignStatus.RUNNING, CampaignStatus.CANCELLED}
    ),
    CampaignStatus.SCHEDULED: frozenset(
        {CampaignStatus.DRAFT, CampaignStatus.RUNNING, CampaignStatus.CANCELLED}
    ),
    CampaignStatus.RUNNING: frozenset(
        {CampaignStatus.PAUSING, CampaignStatus.COMPLETED, CampaignStatus.CANCELLED}
    ),
    CampaignStatus.PAUSING: frozenset(
        {CampaignStatus.PAUSED, CampaignStatus.RUNNING, CampaignStatus.CANCELLED}
    ),
    CampaignStatus.PAUSED: frozenset({CampaignStatus.RUNNING, CampaignStatus.CANCELLED}),
    CampaignStatus.COMPLETED: frozenset({CampaignStatus.RUNNING}),
    CampaignStatus.CANCELLED: frozenset(),
}


class Exclusion(StrEnum):
    """Why a person of the audience gets no message."""

    NO_IDENTITY = "no_identity"
    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"
    DUPLICATE = "duplicate"
    MISSING_VARIABLE = "missing_variable"


class Campaign(TenantTable, Base):
    """One blast. `freeze_after` is the checkpoint of the audience: the last contact taken, written with its rows.

    `retry_after` is the checkpoint of a retry of the failed: the last recipient looked at; none when there is no retry.
    `version` counts the templates and variables that it was given since its start; `change_after` is the checkpoint of
    writing what waits anew: the last recipient looked at. The gate stays closed meanwhile.
    `unfinished` says that pages are still to be written: of the audience, of a retry, a change, of what is to be cancelled.
    """

    __tablename__ = "campaigns"
    __table_args__ = (
        CheckConstraint(
            "status in ('draft', 'scheduled', 'running', 'pausing', 'paused', 'completed', 'cancelled')",
            name="status",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "channel_id"], ["channels.tenant_id", "channels.id"], name="fk_campaigns_channel"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "template_id"],
            ["templates.tenant_id", "templates.id"],
            name="fk_campaigns_template",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "gate_id"], ["gates.tenant_id", "gates.id"], name="fk_campaigns_gate"
        ),
        Index(
            "ix_campaigns_active",
            "status",
            postgresql_where=text("status in ('scheduled', 'running', 'pausing')"),
        ),
        Index("ix_campaigns_gate", "tenant_id", "gate_id"),
        Index("ix_campaigns_unfinished", "tenant_id", "id", postgresql_where=text("unfinished")),
    )

    name: Mapped[str]
    channel_id: Mapped[UUID]
    template_id: Mapped[UUID]
    audience: Mapped[dict[str, Any]]
    variables: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    status: Mapped[str] = mapped_column(server_default="draft")
    scheduled_at: Mapped[datetime | None]
    gate_id: Mapped[UUID]
    snapshot_id: Mapped[UUID | None]
    freeze_after: Mapped[UUID | None]
    frozen_at: Mapped[datetime | None]
    retry_after: Mapped[UUID | None]
    version: Mapped[int] = mapped_column(server_default="1")
    change_after: Mapped[UUID | None]
    unfinished: Mapped[bool] = mapped_column(server_default=text("false"))
    excluded: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    recipients: Mapped[int] = mapped_column(BigInteger, server_default="0")
    replied: Mapped[int] = mapped_column(BigInteger, server_default="0")
    pause_reason: Mapped[str | None]
    started_at: Mapped[datetime | None]
    running_since: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None]
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CampaignRecipient(TenantTable, Base):
    """One person in a campaign: the message written for them (the newest, after a retry), or why there is none.

    `contact_id` is no foreign key: a person may be deleted, and the row then stands for somebody who is gone.
    The message goes with its month (`old_months.py`); then `ended_as` is the state in which it stood, `ended_code` the
    code of why, and `ended_provider_code` the provider's.
    """

    __tablename__ = "campaign_recipients"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaigns.tenant_id", "campaigns.id"],
            ondelete="CASCADE",
            name="fk_campaign_recipients_campaign",
        ),
        Index("uq_campaign_recipients_contact", "tenant_id", "campaign_id", "contact_id", unique=True),
        Index(
            "uq_campaign_recipients_address",
            "tenant_id",
            "campaign_id",
            "address",
            unique=True,
            postgresql_where=text("excluded is null"),
        ),
        Index("ix_campaign_recipients_page", "tenant_id", "campaign_id", "id"),
        Index("ix_campaign_recipients_contact", "tenant_id", "contact_id", "id"),
    )

    campaign_id: Mapped[UUID]
    contact_id: Mapped[UUID | None]
    address: Mapped[str | None]
    message_id: Mapped[UUID | None]
    excluded: Mapped[str | None]
    excluded_detail: Mapped[str | None]
    ended_as: Mapped[str | None]
    ended_code: Mapped[str | None]
    ended_provider_code: Mapped[str | None]
    replied_at: Mapped[datetime | None]


class CampaignPulse(Base):
    """How a campaign stood at a moment (every few seconds while it moves): its timeline, and its speed."""

    __tablename__ = "campaign_pulses"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaigns.tenant_id", "campaigns.id"],
            ondelete="CASCADE",
            name="fk_campaign_pulses_campaign",
        ),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    counts: Mapped[dict[str, Any]]


def pulse_time(moment: datetime) -> datetime:
    """When the pulse that a moment belongs to ends: there is one for every `PULSE_SECONDS`, and its last look stands."""
    since = timedelta(seconds=moment.second % PULSE_SECONDS, microseconds=moment.microsecond)
    return moment - since + timedelta(seconds=PULSE_SECONDS)
