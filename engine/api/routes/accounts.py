"""Signing in and out, and the caller."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy.orm import Session

from engine.accounts import sign_in as door
from engine.accounts.models import Role
from engine.accounts.principal import Principal
from engine.accounts.queries import get_company, get_user
from engine.accounts.service import change_me
from engine.accounts.sign_in import Client, Tokens, companies_of_principal
from engine.accounts.vouching import CLIENT_HEADER, vouched_address
from engine.api.deps import Caller, Doing, SecretRoute, Transaction, domain_router, requires
from engine.api.plain_json import PlainRoute
from engine.api.schemas.accounts import (
    CompanyAnswer,
    CompanyBody,
    MeAnswer,
    MeChange,
    MembershipAnswer,
    RefreshBody,
    TokenPair,
    UserAnswer,
)

open_router = APIRouter(tags=["accounts"], route_class=PlainRoute)
router = domain_router("accounts")
secret_router = APIRouter(tags=["accounts"], route_class=SecretRoute)

Written = Annotated[str, Form(min_length=1, max_length=300)]
Left = Annotated[str, Form(max_length=300)]


def client(request: Request) -> Client:
    """Who is at the other end of the wire."""
    address = request.client.host if request.client else "unknown"
    return Client(address, request.headers.get("user-agent", ""))


def person(request: Request, username: Written) -> Client:
    """The same, or the person for whom the console signs in. For signing in alone: a refresh compares the client."""
    plain = client(request)
    vouched = vouched_address(request.headers.get(CLIENT_HEADER, ""), username)
    return Client(vouched, plain.agent) if vouched else plain


TheClient = Annotated[Client, Depends(client)]
ThePerson = Annotated[Client, Depends(person)]


@open_router.post("/v1/auth/token", responses={401: {}, 403: {}, 409: {}, 429: {}})
def sign_in(username: Written, password: Written, client: ThePerson, company: Left = "") -> TokenPair:
    """Tokens for an e-mail address and a password. With several companies and none named: 409, with `companies`."""
    return pair(door.sign_in(username, password, company=company or None, client=client))


@open_router.post("/v1/auth/refresh", responses={401: {}})
def refresh(body: RefreshBody, client: TheClient) -> TokenPair:
    """The next pair of tokens. A refresh token is good once; a second use ends its sign-in."""
    return pair(door.refresh(body.refresh_token, client=client))


@open_router.post("/v1/auth/logout", status_code=204)
def sign_out(body: RefreshBody) -> None:
    """End the sign-in that a refresh token belongs to; its access tokens end with it, at once."""
    door.sign_out(body.refresh_token)


@secret_router.post("/v1/auth/company", dependencies=[requires(Role.ANALYST)])
def switch_company(body: CompanyBody, caller: Caller, _work: Doing, client: TheClient) -> TokenPair:
    """Tokens for another company of the caller; the present sign-in ends."""
    return pair(door.switch_company(caller, body.company, client=client))


@router.get("/v1/me", dependencies=[requires(Role.ANALYST)])
def show_me(caller: Caller, session: Transaction) -> MeAnswer:
    """The caller: who, for which company, as what, and where else they belong."""
    return me_answer(caller, session)


@router.patch("/v1/me", dependencies=[requires(Role.ANALYST)])
def update_me(body: MeChange, caller: Caller, session: Transaction) -> MeAnswer:
    """Change one's own name or language."""
    change_me(session, caller.user_id, name=body.name, locale=body.locale)
    return me_answer(caller, session)


def pair(tokens: Tokens) -> TokenPair:
    """Tokens as the API tells them."""
    return TokenPair(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token, expires_in=tokens.expires_in
    )


def me_answer(caller: Principal, session: Session) -> MeAnswer:
    """The caller as the API tells them."""
    return MeAnswer(
        user=UserAnswer.model_validate(get_user(session, caller.user_id), from_attributes=True),
        company=CompanyAnswer.model_validate(get_company(session, caller.tenant_id), from_attributes=True),
        role=caller.role,
        companies=[
            MembershipAnswer.model_validate(one, from_attributes=True)
            for one in companies_of_principal(caller)
        ],
        session_id=caller.session_id,
    )
