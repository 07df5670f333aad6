"""Who is asking, looked up on every request, so that a sign-out or another role counts at once."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from engine.accounts.models import INCLUDES, Company, Membership, Role, SignInSession, User
from engine.accounts.tokens import AccessClaims
from engine.core.errors import Forbidden, Unauthenticated
from engine.core.ids import TenantId, UserId


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request: a person, in a company, as something, through one sign-in."""

    user_id: UserId
    tenant_id: TenantId
    role: Role
    session_id: UUID
    locale: str
    time_zone: str

    def must_be(self, least: Role) -> None:
        """Forbidden unless this role includes the one asked for."""
        if least not in INCLUDES[self.role]:
            raise Forbidden()


_ALIVE = (
    select(Membership.role, User.locale, Company.locale.label("company_locale"), Company.time_zone)
    .select_from(SignInSession)
    .join(
        Membership,
        (Membership.tenant_id == SignInSession.tenant_id) & (Membership.user_id == SignInSession.user_id),
    )
    .join(User, User.id == SignInSession.user_id)
    .join(Company, Company.id == SignInSession.tenant_id)
    .where(
        SignInSession.id == bindparam("session_id"),
        SignInSession.user_id == bindparam("user_id"),
        SignInSession.ended_at.is_(None),
        SignInSession.expires_at > func.now(),
        User.disabled_at.is_(None),
    )
)


def principal_of(session: Session, claims: AccessClaims) -> Principal:
    """The caller behind a token, as they stand now; `session` must be of the token's company.

    One query over four primary keys, under the company's own policy. Unauthenticated when the sign-in has ended, the
    person was disabled, or is no longer in the company.
    """
    found = session.execute(
        _ALIVE, {"session_id": claims.session_id, "user_id": claims.user_id}
    ).one_or_none()
    if found is None:
        raise Unauthenticated("session_ended")
    return Principal(
        user_id=claims.user_id,
        tenant_id=claims.tenant_id,
        role=Role(found.role),
        session_id=claims.session_id,
        locale=found.locale or found.company_locale,
        time_zone=found.time_zone,
    )
