"""Questions about companies and the people who work there."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.accounts.models import Company, Membership, Password, Role, User
from engine.core.errors import NotFound


@dataclass(frozen=True, slots=True)
class CompanyOfUser:
    """One of the companies that somebody belongs to, and as what."""

    id: UUID
    name: str
    slug: str
    role: Role


@dataclass(frozen=True, slots=True)
class Registered:
    """Who has this e-mail address, and the hash of their password when they have one."""

    user: User
    password_hash: str | None


def get_user(session: Session, user_id: UUID) -> User:
    """A person who works here."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound()
    return user


def get_company(session: Session, company_id: UUID) -> Company:
    """A company."""
    company = session.get(Company, company_id)
    if company is None:
        raise NotFound()
    return company


def find_company(session: Session, name_or_id: str) -> Company | None:
    """The company of a slug or an id. Needs a session across companies."""
    found = session.scalar(select(Company).where(Company.slug == name_or_id))
    if found is not None:
        return found
    try:
        return session.get(Company, UUID(name_or_id))
    except ValueError:
        return None


def find_user(session: Session, email: str) -> User | None:
    """The person with this e-mail address, in whatever case it is written. Needs a session across companies."""
    return session.scalar(select(User).where(User.email == normal_email(email)))


def find_registered(session: Session, email: str) -> Registered | None:
    """The person with this e-mail address and their password's hash. Needs a session across companies."""
    found = session.execute(
        select(User, Password.hash)
        .outerjoin(Password, Password.user_id == User.id)
        .where(User.email == normal_email(email))
    ).one_or_none()
    return Registered(found[0], found[1]) if found else None


def companies_of(session: Session, user_id: UUID) -> Sequence[CompanyOfUser]:
    """The companies somebody belongs to, by name. Needs a session across companies."""
    rows = session.execute(
        select(Company.id, Company.name, Company.slug, Membership.role)
        .join(Membership, Membership.tenant_id == Company.id)
        .where(Membership.user_id == user_id)
        .order_by(Company.name, Company.id)
    )
    return [CompanyOfUser(row.id, row.name, row.slug, Role(row.role)) for row in rows]


def normal_email(email: str) -> str:
    """An e-mail address as we compare it: composed, lower case, no spaces around. No dots or plus signs folded."""
    return unicodedata.normalize("NFC", email).strip().lower()
