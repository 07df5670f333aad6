"""Verbs on companies, people and memberships.

Companies and users belong to no tenant: what makes or changes them needs a session across companies
(`engine.core.system`), which only the operator's commands and the sign-in open.
"""

import re
import unicodedata
from uuid import UUID
from zoneinfo import available_timezones

from phonenumbers import SUPPORTED_REGIONS
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine.accounts import passwords
from engine.accounts.events import session_revoked, state_revoked
from engine.accounts.models import Company, Membership, Password, RefreshToken, Role, SignInSession, User
from engine.accounts.queries import find_user, get_user, normal_email
from engine.core.clock import now
from engine.core.errors import Conflict, Invalid, NotFound
from engine.core.events import emit
from engine.core.i18n import LOCALES
from engine.core.ids import uuid7

EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(?:\.[^@\s\x00-\x1f.]+)+")
MAX_EMAIL = 254  # RFC 5321
MAX_NAME = 200
MAX_SLUG = 60


def create_company(
    session: Session,
    *,
    name: str,
    slug: str | None = None,
    time_zone: str = "America/Sao_Paulo",
    locale: str = "pt_BR",
    country: str = "BR",
) -> Company:
    """A new company. Its slug is made from the name when none is given; Conflict when the given one is taken."""
    name = _checked_name(name)
    if time_zone not in available_timezones():
        raise Invalid.field("time_zone", "unknown_time_zone", "There is no time zone of this name.")
    if country not in SUPPORTED_REGIONS:
        raise Invalid.field("country", "unknown_country", "Give the country's two letters, as BR.")
    company = Company(
        id=uuid7(),
        name=name,
        slug=_free_slug(session, name, slug),
        time_zone=time_zone,
        locale=_checked_locale(locale),
        country=country,
    )
    session.add(company)
    session.flush()
    return company


def create_user(
    session: Session,
    *,
    email: str,
    password: str,
    name: str = "",
    locale: str | None = None,
    any_password: bool = False,
) -> User:
    """A new person who can sign in. Conflict when the address is taken.

    `any_password` skips the floor of strength: for the demo company, whose password the operator chooses.
    """
    email = normal_email(email)
    if len(email) > MAX_EMAIL or not EMAIL.fullmatch(email):
        raise Invalid.field("email", "bad_email", "This is not an e-mail address.")
    if not any_password:
        passwords.check_strength(password, known=(email, name))
    if find_user(session, email) is not None:
        raise Conflict("email_taken", "There is somebody with this e-mail address already.")
    user = User(
        id=uuid7(),
        email=email,
        name=_checked_name(name, empty=True),
        locale=_checked_locale(locale) if locale else None,
    )
    session.add(user)
    session.flush()
    session.add(Password(user_id=user.id, hash=passwords.hash_password(password)))
    session.flush()
    return user


def add_member(session: Session, company_id: UUID, user_id: UUID, *, role: Role) -> Membership:
    """Take somebody into a company. Conflict when they belong to it already."""
    known = session.scalar(
        select(Membership).where(Membership.tenant_id == company_id, Membership.user_id == user_id)
    )
    if known is not None:
        raise Conflict("member_already", "This person belongs to the company already.")
    membership = Membership(tenant_id=company_id, id=uuid7(), user_id=user_id, role=role.value)
    session.add(membership)
    session.flush()
    return membership


def change_role(session: Session, company_id: UUID, user_id: UUID, *, role: Role) -> Membership:
    """Make a member something else; it counts from their next request on. A company keeps at least one owner."""
    membership = _member(session, company_id, user_id)
    if role is not Role.OWNER:
        _keep_an_owner(session, membership)
    membership.role = role.value
    session.flush()
    return membership


def remove_member(session: Session, company_id: UUID, user_id: UUID) -> None:
    """Let a member go: their sign-ins to this company end with it, at once."""
    membership = _member(session, company_id, user_id)
    _keep_an_owner(session, membership)
    _end_all(session, user_id, "left", company_id)
    session.execute(
        delete(Membership).where(Membership.tenant_id == company_id, Membership.id == membership.id)
    )


def disable_user(session: Session, user_id: UUID) -> None:
    """Bar somebody from every company, at once; `enable_user` lets them sign in again."""
    get_user(session, user_id).disabled_at = now()
    session.flush()
    _end_all(session, user_id, "disabled")


def enable_user(session: Session, user_id: UUID) -> None:
    """Let a barred person sign in again."""
    get_user(session, user_id).disabled_at = None
    session.flush()


def set_password(session: Session, user_id: UUID, password: str) -> None:
    """Give somebody another password; all their sign-ins end at once."""
    user = get_user(session, user_id)
    passwords.check_strength(password, known=(user.email, user.name))
    hashed = passwords.hash_password(password)
    changed = session.execute(
        update(Password)
        .where(Password.user_id == user_id)
        .values(hash=hashed, changed_at=now())
        .returning(Password.user_id)
    ).one_or_none()
    if changed is None:
        session.add(Password(user_id=user_id, hash=hashed))
        session.flush()
    _end_all(session, user_id, "password_changed")


def change_me(session: Session, user_id: UUID, *, name: str | None = None, locale: str | None = None) -> User:
    """Change what a person says of themselves: name, language. None leaves it as it is."""
    user = get_user(session, user_id)
    if name is not None:
        user.name = _checked_name(name, empty=True)
    if locale is not None:
        user.locale = _checked_locale(locale)
    session.flush()
    return user


def end_session(session: Session, session_id: UUID, why: str) -> None:
    """End one sign-in of this company; a second time changes nothing."""
    ended = session.execute(
        update(SignInSession)
        .where(SignInSession.id == session_id, SignInSession.ended_at.is_(None))
        .values(ended_at=now(), ended_why=why)
        .returning(SignInSession.id)
    ).one_or_none()
    if ended is not None:
        session.execute(delete(RefreshToken).where(RefreshToken.session_id == session_id))
        emit(session, session_revoked(session_id))


def _end_all(session: Session, user_id: UUID, why: str, company_id: UUID | None = None) -> None:
    """End somebody's sign-ins, to one company or to all."""
    of_company = () if company_id is None else (SignInSession.tenant_id == company_id,)
    ended = session.execute(
        update(SignInSession)
        .where(SignInSession.user_id == user_id, SignInSession.ended_at.is_(None), *of_company)
        .values(ended_at=now(), ended_why=why)
        .returning(SignInSession.tenant_id, SignInSession.id)
    ).all()
    state_revoked(session, [(row.tenant_id, row.id) for row in ended])


def _member(session: Session, company_id: UUID, user_id: UUID) -> Membership:
    membership = session.scalar(
        select(Membership)
        .where(Membership.tenant_id == company_id, Membership.user_id == user_id)
        .with_for_update()
    )
    if membership is None:
        raise NotFound()
    return membership


def _keep_an_owner(session: Session, leaving: Membership) -> None:
    if leaving.role != Role.OWNER:
        return
    # Locked, so that two owners who leave at once do not both see the other stay.
    owners = session.scalars(
        select(Membership.user_id)
        .where(Membership.tenant_id == leaving.tenant_id, Membership.role == Role.OWNER.value)
        .order_by(Membership.id)
        .with_for_update()
    ).all()
    if len(owners) < 2:
        raise Conflict("last_owner", "A company needs an owner. Make somebody else an owner first.")


def _checked_name(name: str, *, empty: bool = False) -> str:
    name = " ".join(name.split())
    if (not name and not empty) or len(name) > MAX_NAME:
        raise Invalid.field("name", "bad_name", "Give a name of 1 to %(most)s characters.", most=MAX_NAME)
    return name


def _checked_locale(locale: str) -> str:
    if locale not in LOCALES:
        raise Invalid.field(
            "locale", "unknown_locale", "Choose one of: %(expected)s.", expected=", ".join(LOCALES)
        )
    return locale


def _free_slug(session: Session, name: str, given: str | None) -> str:
    if given is not None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", given) or len(given) > MAX_SLUG:
            raise Invalid.field("slug", "bad_slug", "Use small letters, digits and hyphens only.")
        if session.scalar(select(Company.id).where(Company.slug == given)) is not None:
            raise Conflict("slug_taken", "There is a company of this name already.")
        return given
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG].strip("-") or "company"
    like = session.scalars(select(Company.slug).where(Company.slug.startswith(stem, autoescape=True)))
    taken = set(like)
    numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return stem if stem not in taken else next(slug for slug in numbered if slug not in taken)
