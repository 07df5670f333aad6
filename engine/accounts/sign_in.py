"""Signing in, staying signed in, signing out.

These open their own sessions. Whom an e-mail address belongs to is asked across companies; all else happens in the
company's own session. A refusal that must be remembered (a stolen token ends its sign-in) is committed before it is
told.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine.accounts import passwords
from engine.accounts.attempts import forgive, pay_for_try
from engine.accounts.models import Membership, Password, RefreshToken, Role, SignInSession, User
from engine.accounts.principal import Principal
from engine.accounts.queries import CompanyOfUser, Registered, companies_of, find_registered, normal_email
from engine.accounts.service import end_session
from engine.accounts.tokens import (
    ACCESS_LIFETIME,
    REFRESH_LIFETIME,
    RefreshParts,
    new_secret,
    read_refresh_token,
    secret_digest,
    write_access_token,
    write_refresh_token,
)
from engine.core.clock import now
from engine.core.db import OF_REQUEST, tenant_session
from engine.core.errors import Conflict, Forbidden, Unauthenticated
from engine.core.i18n import N_
from engine.core.ids import uuid7
from engine.core.system import system_session

# Two tabs may renew with the same token in the same moment, and an answer may get lost on the way: for so long the
# token just replaced is still taken, from the same client.
GRACE = timedelta(seconds=10)
# A token this many rotations old is no longer known, merely refused: over a day at one rotation in ten minutes.
KEPT_GENERATIONS = 200


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end of the wire: network address and user agent."""

    address: str
    agent: str

    @property
    def sha256(self) -> bytes:
        """What is kept of it, to tell the same client from another."""
        return hashlib.sha256(f"{self.address}|{self.agent}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Tokens:
    """A fresh pair of tokens."""

    access_token: str
    refresh_token: str
    expires_in: int


class WrongCredentials(Unauthenticated):
    """No such person, or not their password: the same answer for both."""

    code = "wrong_credentials"
    text = "The e-mail address or the password is not right."


class CompanyRequired(Conflict):
    """The person belongs to several companies and named none."""

    code = "company_required"
    text = "You belong to several companies. Choose one."

    def __init__(self, companies: Sequence[CompanyOfUser]) -> None:
        choices = [
            {"id": str(one.id), "name": one.name, "slug": one.slug, "role": one.role.value}
            for one in companies
        ]
        super().__init__(extra={"companies": choices})


def sign_in(email: str, password: str, *, company: str | None, client: Client) -> Tokens:
    """Tokens for a person and one of their companies (by id or slug; not needed when they have only one).

    WrongCredentials, TooManyTries, CompanyRequired; Forbidden when they are barred or not of that company.
    """
    spent = pay_for_try(normal_email(email), client.address)
    with system_session(OF_REQUEST) as session:
        registered = find_registered(session, email)
        companies = companies_of(session, registered.user.id) if registered else ()
    if not passwords.verify_password(password, registered.password_hash if registered else None):
        raise WrongCredentials()
    assert registered is not None  # noqa: S101 - a password has fitted
    forgive(spent)
    if registered.user.disabled_at is not None:
        raise Forbidden(
            "user_disabled", N_("Your access has been switched off. Ask an owner of the company.")
        )
    _keep_hash_current(registered, password)
    chosen = choose_company(companies, company)
    with tenant_session(chosen.id, OF_REQUEST) as session:
        return _open(session, registered.user.id, chosen, client)


def choose_company(companies: Sequence[CompanyOfUser], wanted: str | None) -> CompanyOfUser:
    """The company meant: by id or slug, or the only one."""
    if wanted:
        named = [one for one in companies if wanted in (str(one.id), one.slug)]
        if not named:
            raise Forbidden("not_a_member", N_("You do not belong to this company."))
        return named[0]
    if not companies:
        raise Forbidden("no_company", N_("You do not belong to any company yet. Ask an owner to add you."))
    if len(companies) > 1:
        raise CompanyRequired(companies)
    return companies[0]


def refresh(refresh_token: str, *, client: Client) -> Tokens:
    """The next pair of tokens; the refresh token given is spent. Unauthenticated when it is not good.

    A token that was spent before is a sign that two hold it: the whole sign-in ends, but for the grace above.
    """
    parts = read_refresh_token(refresh_token)
    if parts is None:
        raise Unauthenticated("session_ended")
    with tenant_session(parts.tenant_id, OF_REQUEST) as session:
        tokens = _rotate(session, parts, client)
    if tokens is None:
        raise Unauthenticated("session_ended")
    return tokens


def sign_out(refresh_token: str) -> None:
    """End the sign-in that a refresh token belongs to, at once. An unknown one is no error: it is signed out already."""
    parts = read_refresh_token(refresh_token)
    if parts is None:
        return
    with tenant_session(parts.tenant_id, OF_REQUEST) as session:
        kept = _find_kept(session, parts)
        if kept is not None:
            end_session(session, kept.session_id, "signed_out")


def switch_company(principal: Principal, company: str, *, client: Client) -> Tokens:
    """Tokens for another company of the same person; the sign-in to the present one ends."""
    with system_session(OF_REQUEST) as session:
        chosen = choose_company(companies_of(session, principal.user_id), company)
    with tenant_session(chosen.id, OF_REQUEST) as session:
        tokens = _open(session, principal.user_id, chosen, client)
    with tenant_session(principal.tenant_id, OF_REQUEST) as session:
        end_session(session, principal.session_id, "switched")
    return tokens


def companies_of_principal(principal: Principal) -> Sequence[CompanyOfUser]:
    """All companies of the caller, also those that their present session can't see."""
    with system_session(OF_REQUEST) as session:
        return companies_of(session, principal.user_id)


def _keep_hash_current(registered: Registered, password: str) -> None:
    known_hash = registered.password_hash
    if known_hash is None or not passwords.is_outdated(known_hash):
        return
    with system_session(OF_REQUEST) as session:
        session.execute(
            update(Password)
            .where(Password.user_id == registered.user.id, Password.hash == known_hash)
            .values(hash=passwords.hash_password(password))
        )


def _open(session: Session, user_id: UUID, company: CompanyOfUser, client: Client) -> Tokens:
    opened = SignInSession(
        id=uuid7(),
        user_id=user_id,
        generation=1,
        client_sha256=client.sha256,
        expires_at=now() + REFRESH_LIFETIME,
    )
    session.add(opened)
    session.flush()
    return _issue(session, opened, company.id, company.role)


def _issue(session: Session, opened: SignInSession, tenant_id: UUID, role: Role) -> Tokens:
    token_id, secret = uuid7(), new_secret()
    session.add(
        RefreshToken(
            id=token_id,
            session_id=opened.id,
            generation=opened.generation,
            secret_sha256=secret_digest(secret),
        )
    )
    session.flush()
    return Tokens(
        access_token=write_access_token(
            user_id=opened.user_id, tenant_id=tenant_id, role=role.value, session_id=opened.id
        ),
        refresh_token=write_refresh_token(tenant_id=tenant_id, token_id=token_id, secret=secret),
        expires_in=int(ACCESS_LIFETIME.total_seconds()),
    )


def _find_kept(session: Session, parts: RefreshParts) -> RefreshToken | None:
    kept = session.scalar(select(RefreshToken).where(RefreshToken.id == parts.token_id))
    if kept is None or not hmac.compare_digest(kept.secret_sha256, parts.secret_sha256):
        return None
    return kept


def _rotate(session: Session, parts: RefreshParts, client: Client) -> Tokens | None:
    """The next pair, or None when the token is not good (any more)."""
    kept = _find_kept(session, parts)
    if kept is None:
        return None
    # Whoever comes second waits here, and then sees what the first has done.
    found = session.execute(
        select(SignInSession, Membership.role)
        .join(Membership, Membership.user_id == SignInSession.user_id)
        .join(User, User.id == SignInSession.user_id)
        .where(
            SignInSession.id == kept.session_id,
            SignInSession.ended_at.is_(None),
            SignInSession.expires_at > now(),
            User.disabled_at.is_(None),
        )
        .with_for_update(of=SignInSession)
    ).one_or_none()
    if found is None:
        return None
    current: SignInSession = found[0]
    if kept.generation == current.generation:
        _advance(session, current, client)
    elif not _in_grace(kept, current, client):
        end_session(session, current.id, "token_reused")
        return None
    return _issue(session, current, parts.tenant_id, Role(found[1]))


def _advance(session: Session, current: SignInSession, client: Client) -> None:
    current.generation += 1
    current.rotated_at = now()
    current.expires_at = now() + REFRESH_LIFETIME
    current.client_sha256 = client.sha256
    session.flush()
    session.execute(
        delete(RefreshToken).where(
            RefreshToken.session_id == current.id,
            RefreshToken.generation < current.generation - KEPT_GENERATIONS,
        )
    )


def _in_grace(kept: RefreshToken, current: SignInSession, client: Client) -> bool:
    """Whether a spent token may be taken once more: just replaced, a moment ago, by the same client."""
    return (
        kept.generation == current.generation - 1
        and now() - current.rotated_at <= GRACE
        and hmac.compare_digest(current.client_sha256, client.sha256)
    )
