"""Tables of who may enter: companies, users, passwords, memberships, sign-in sessions, refresh tokens."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from engine.core.db import Base, TenantTable
from engine.core.ids import uuid7


class Role(StrEnum):
    """What somebody is in a company. An analyst reads everything and changes nothing."""

    OWNER = "owner"
    MANAGER = "manager"
    AGENT = "agent"
    ANALYST = "analyst"


# What each role may do: a route asks for the least role, and gets every role that includes it.
INCLUDES: dict[Role, frozenset[Role]] = {
    Role.OWNER: frozenset(Role),
    Role.MANAGER: frozenset({Role.MANAGER, Role.AGENT, Role.ANALYST}),
    Role.AGENT: frozenset({Role.AGENT, Role.ANALYST}),
    Role.ANALYST: frozenset({Role.ANALYST}),
}


class Company(Base):
    """A tenant: the paying organisation. Its id is the tenant id of all its rows."""

    __tablename__ = "companies"
    __table_args__ = (
        UniqueConstraint("slug", name="uq_companies_slug"),
        CheckConstraint("locale in ('pt_BR', 'en')", name="locale"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str]
    slug: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default="America/Sao_Paulo")
    locale: Mapped[str] = mapped_column(server_default="pt_BR")
    country: Mapped[str] = mapped_column(server_default="BR")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class User(Base):
    """A person who works here, known by e-mail (kept in lower case); may belong to several companies."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email", name="uq_users_email"),
        CheckConstraint("locale in ('pt_BR', 'en')", name="locale"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    email: Mapped[str]
    name: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Password(Base):
    """The argon2id hash of a user's password; only the system role may read it."""

    __tablename__ = "passwords"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_passwords_user", ondelete="CASCADE"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    hash: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Membership(TenantTable, Base):
    """One person in one company, and as what."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", name="uq_memberships_user"),
        CheckConstraint("role in ('owner', 'manager', 'agent', 'analyst')", name="role"),
        ForeignKeyConstraint(
            ["tenant_id"], ["companies.id"], name="fk_memberships_company", ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user", ondelete="CASCADE"),
        Index("ix_memberships_user_id", "user_id"),
    )

    user_id: Mapped[UUID]
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SignInSession(TenantTable, Base):
    """One sign-in of one person to one company, from the password to the sign-out.

    `generation` counts the rotations of its refresh token; only tokens of the present generation are good.
    """

    __tablename__ = "sign_in_sessions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["memberships.tenant_id", "memberships.user_id"],
            name="fk_sign_in_sessions_member",
            ondelete="CASCADE",
        ),
        Index("ix_sign_in_sessions_user", "tenant_id", "user_id"),
    )

    user_id: Mapped[UUID]
    generation: Mapped[int] = mapped_column(server_default="1")
    client_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    rotated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_why: Mapped[str | None]


class RefreshToken(TenantTable, Base):
    """One refresh token, of which only the SHA-256 of its secret is kept."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sign_in_sessions.tenant_id", "sign_in_sessions.id"],
            name="fk_refresh_tokens_session",
            ondelete="CASCADE",
        ),
        Index("ix_refresh_tokens_session", "tenant_id", "session_id"),
    )

    session_id: Mapped[UUID]
    generation: Mapped[int]
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
