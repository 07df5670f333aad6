"""Tables of the people who are written to, and how they may be written to."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
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


class IdentityKind(StrEnum):
    """How a person is known: by phone, or by what a provider calls them."""

    PHONE = "phone"
    BSUID = "bsuid"
    LID = "lid"
    USERNAME = "username"


class ConsentState(StrEnum):
    """What a person said to being written to for a purpose."""

    NONE = "none"
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class ImportStatus(StrEnum):
    """Where an import stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


MARKETING = "marketing"


class Contact(TenantTable, Base):
    """One person. `phone` repeats the newest phone identity, for lists; `marketing_consent` what counts of their consents.

    `searchable` is made by PostgreSQL: name, phone and fields without accents and capitals.
    """

    __tablename__ = "contacts"
    __table_args__ = (
        CheckConstraint("marketing_consent in ('none', 'granted', 'withdrawn')", name="marketing_consent"),
        Index(
            "ix_contacts_searchable",
            "tenant_id",
            "searchable",
            postgresql_using="gin",
            postgresql_ops={"searchable": "gin_trgm_ops"},
        ),
    )

    name: Mapped[str] = mapped_column(server_default="")
    phone: Mapped[str | None]
    fields: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    searchable: Mapped[str] = mapped_column(
        Computed("contact_searchable(name, phone, fields)", persisted=True), deferred=True
    )
    marketing_consent: Mapped[str] = mapped_column(server_default="none")
    last_inbound_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ContactIdentity(TenantTable, Base):
    """One way to reach a contact; unique in the company by (kind, scope, value). Phones are canonical E.164.

    `alias` is the other spelling a provider uses for the same phone (a Brazilian wa_id without its ninth digit).
    """

    __tablename__ = "contact_identities"
    __table_args__ = (
        UniqueConstraint("tenant_id", "kind", "scope", "value", name="uq_contact_identities_value"),
        ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            ondelete="CASCADE",
            name="fk_contact_identities_contact",
        ),
        CheckConstraint("kind in ('phone', 'bsuid', 'lid', 'username')", name="kind"),
        Index("ix_contact_identities_contact", "tenant_id", "contact_id"),
    )

    contact_id: Mapped[UUID]
    kind: Mapped[str]
    scope: Mapped[str] = mapped_column(server_default="")
    value: Mapped[str]
    alias: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ContactTag(Base):
    """One tag of one contact."""

    __tablename__ = "contact_tags"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            ondelete="CASCADE",
            name="fk_contact_tags_contact",
        ),
        Index("ix_contact_tags_contact", "tenant_id", "contact_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    tag: Mapped[str] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(primary_key=True)


class ContactField(Base):
    """The name of a custom field that contacts have or had."""

    __tablename__ = "contact_fields"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    field: Mapped[str] = mapped_column(primary_key=True)


class Consent(TenantTable, Base):
    """One word of a person on one purpose, with its source; append-only.

    What was said last counts: `said_at` is the person's time, `recorded_at` ours.
    """

    __tablename__ = "consents"
    __table_args__ = (
        CheckConstraint("state in ('granted', 'withdrawn')", name="state"),
        ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            ondelete="CASCADE",
            name="fk_consents_contact",
        ),
        Index("ix_consents_contact", "tenant_id", "contact_id"),
    )

    contact_id: Mapped[UUID]
    purpose: Mapped[str]
    state: Mapped[str]
    source: Mapped[str]
    recorded_by: Mapped[UUID | None]
    said_at: Mapped[datetime] = mapped_column(server_default=func.now())
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Suppression(TenantTable, Base):
    """An opt-out that outlives the person: a keyed hash of the identity, per purpose."""

    __tablename__ = "suppressions"
    __table_args__ = (
        UniqueConstraint("tenant_id", "purpose", "identity_hash", name="uq_suppressions_identity"),
    )

    purpose: Mapped[str]
    identity_hash: Mapped[bytes] = mapped_column(LargeBinary)
    source: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ContactImport(TenantTable, Base):
    """One file of contacts on its way in; `line` is the checkpoint, written in the transaction of the rows before it.

    `path` is below the media folder. `layout` says how the file is read, `mapping` what each column is taken for;
    `region` is the country in which numbers without a country code are read. `waits_since` is when it last had its turn,
    `tries` how often it was claimed since it last got on.
    """

    __tablename__ = "contact_imports"
    __table_args__ = (
        CheckConstraint("status in ('queued', 'running', 'completed', 'failed')", name="status"),
        Index("ix_contact_imports_unfinished", "created_at", postgresql_where=text("finished_at is null")),
    )

    filename: Mapped[str]
    path: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="queued")
    region: Mapped[str] = mapped_column(server_default="BR")
    layout: Mapped[dict[str, Any] | None]
    mapping: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    tags: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    consent: Mapped[dict[str, Any] | None]
    total: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rejected: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bytes_total: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bytes_read: Mapped[int] = mapped_column(BigInteger, server_default="0")
    line: Mapped[int] = mapped_column(BigInteger, server_default="0")
    error: Mapped[dict[str, Any] | None]
    lease_until: Mapped[datetime | None]
    epoch: Mapped[int] = mapped_column(server_default="0")
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    waits_since: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class ImportReject(TenantTable, Base):
    """A row that could not be taken: its line, its cells as they were, and the reason (code and values)."""

    __tablename__ = "import_rejects"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["contact_imports.tenant_id", "contact_imports.id"],
            ondelete="CASCADE",
            name="fk_import_rejects_import",
        ),
        Index("ix_import_rejects_import", "tenant_id", "import_id", "id"),
    )

    import_id: Mapped[UUID]
    line: Mapped[int] = mapped_column(BigInteger)
    cells: Mapped[list[Any]]
    reason: Mapped[dict[str, Any]]


class ImportContact(Base):
    """Which contacts an import brought or touched: the audience `{import_id}`."""

    __tablename__ = "import_contacts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["contact_imports.tenant_id", "contact_imports.id"],
            ondelete="CASCADE",
            name="fk_import_contacts_import",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            ondelete="CASCADE",
            name="fk_import_contacts_contact",
        ),
        Index("ix_import_contacts_contact", "tenant_id", "contact_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=TENANT_DEFAULT)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
