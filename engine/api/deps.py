"""What a route may ask for: the caller, their session, a page's limits.

    router = domain_router("contacts")

    @router.get("/v1/contacts/{contact_id}", dependencies=[requires(Role.ANALYST)])
    def show(contact_id: UUID, session: Transaction) -> ContactAnswer: ...

A route takes either `Transaction` (one transaction around the whole route: 201 means committed) or `Doing` (a `Work`,
for routes that wait on a provider or stream: they open short sessions themselves). Both know the caller already.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, get_type_hints

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.params import Depends as DependsOn
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator
from sqlalchemy.orm import Session
from starlette.requests import ClientDisconnect

from engine.accounts.models import INCLUDES, Role
from engine.accounts.principal import Principal, principal_of
from engine.accounts.tokens import AccessClaims, read_access_token
from engine.api.deadline import PROVIDER_SECONDS
from engine.api.errors import Busy, locale_of
from engine.api.keyed import keyed_request
from engine.api.plain_json import PlainRoute
from engine.core.db import OF_REQUEST, Work, tenant_session
from engine.core.errors import Unauthenticated
from engine.core.pages import MAX_LIMIT, clamp

# No more requests hold a database connection than the pool has; the rest wait here, where waiting holds no thread.
# Otherwise threads that wait for a connection starve those who hold one and need a thread to give it back.
PLACES = 24
WAIT_SECONDS = 10.0

bearer = HTTPBearer(auto_error=False, description="The access token of `POST /v1/auth/token`.")


async def claims(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> AccessClaims:
    """Whom the bearer token names; Unauthenticated when there is none, or not a good one."""
    if credentials is None:
        raise Unauthenticated()
    return read_access_token(credentials.credentials)


Claims = Annotated[AccessClaims, Depends(claims)]


async def place(request: Request) -> AsyncIterator[None]:
    """A place among the requests that may hold a database connection; Busy when none gets free in time.

    Whoever left while they waited has nothing begun for them: a crowd that gives up and asks again would never end.
    """
    places: asyncio.Semaphore = request.app.state.places
    waits = places.locked()
    try:
        await asyncio.wait_for(places.acquire(), WAIT_SECONDS)
    except TimeoutError as error:
        raise Busy() from error
    try:
        if waits and await _has_left(request):
            raise ClientDisconnect
        yield
    finally:
        places.release()


async def _has_left(request: Request) -> bool:
    # Of a request without a body the first look finds that there is none, and only the second who listens.
    return await request.is_disconnected() or await request.is_disconnected()


Place = Annotated[None, Depends(place, scope="function")]


def transaction(request: Request, claimed: Claims, _place: Place) -> Iterator[Session]:
    """A session of the caller's company; it commits when the route has ended well, before the answer leaves."""
    with tenant_session(claimed.tenant_id, OF_REQUEST) as session:
        principal = _enter(request, session, claimed)
        keyed = keyed_request(request, principal.user_id)
        if keyed is not None:
            keyed.claim(session)
            request.state.keep_answer = lambda response: keyed.keep(session, response)
        yield session


def doing(request: Request, claimed: Claims, _place: Place) -> Iterator[Work]:
    """The caller's `Work`: opens short sessions of their company, for a route that waits on the outside or streams."""
    work = Work(claimed.tenant_id, OF_REQUEST)
    with work.session() as session:
        principal = _enter(request, session, claimed)
    request.state.patience.extend(PROVIDER_SECONDS)
    keyed = keyed_request(request, principal.user_id)
    if keyed is None:
        yield work
        return
    keyed.claim_apart(work)
    request.state.keep_answer = lambda response: keyed.keep_apart(work, response)
    try:
        yield work
    except BaseException:
        keyed.release(work)
        raise


def unkeyed(request: Request) -> None:
    """Overlook an idempotency key: the answer is not to be kept."""
    request.state.unkeyed = True


def _enter(request: Request, session: Session, claimed: AccessClaims) -> Principal:
    principal = principal_of(session, claimed)
    request.state.locale = principal.locale
    # Answers speak the language that the request asks for, as problems do.
    principal = replace(principal, locale=locale_of(request))
    request.state.principal = principal
    return principal


Transaction = Annotated[Session, Depends(transaction, scope="function")]
Doing = Annotated[Work, Depends(doing, scope="function")]


def caller(request: Request) -> Principal:
    """Who is asking, as `ApiRoute` found out before anything else of the route ran."""
    principal: Principal = request.state.principal
    return principal


Caller = Annotated[Principal, Depends(caller)]


@dataclass(frozen=True, slots=True)
class Requires:
    """The least role that a route asks for."""

    least: Role

    def __call__(self, request: Request) -> None:
        """Forbidden unless the caller's role includes it."""
        caller(request).must_be(self.least)


def requires(least: Role) -> DependsOn:
    """For a route's `dependencies`: callers of this role, and of every role that includes it, may ask."""
    depends: DependsOn = Depends(Requires(least))
    return depends


class ApiRoute(PlainRoute):
    """A route of the API: signed-in callers only, of a role that may, and keyed when it is a POST.

    Nothing can be left open by forgetting: without `requires` a route that reads asks for an analyst, any other for a
    manager; without `Transaction` or `Doing` the caller is checked all the same.
    """

    keeps_answers: ClassVar[bool] = True

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        asked = list(options.pop("dependencies", None) or [])
        least = _least_role(asked, options.get("methods"))
        if not any(isinstance(one.dependency, Requires) for one in asked):
            asked.insert(0, requires(least))
        guard = doing if _asks_for(endpoint, doing) else transaction
        extra = {"x-least-role": least.value} | (options.pop("openapi_extra", None) or {})
        super().__init__(
            path,
            endpoint,
            dependencies=[
                *([] if self.keeps_answers else [Depends(unkeyed)]),
                Depends(guard, scope="function"),
                *asked,
            ],
            openapi_extra=extra,
            **options,
        )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route as a function, which keeps the answer to a keyed request before its transaction commits."""
        answer_to = super().get_route_handler()

        async def answer_and_keep(request: Request) -> Response:
            response = await answer_to(request)
            keep = getattr(request.state, "keep_answer", None)
            if keep is not None and response.status_code < 500:
                await run_in_threadpool(keep, response)
            return response

        return answer_and_keep


class SecretRoute(ApiRoute):
    """A guarded route whose answers are secrets, and so are never kept for a second asking."""

    keeps_answers: ClassVar[bool] = False


def _least_role(asked: Iterable[Any], methods: Iterable[str] | None) -> Role:
    named = [one.dependency.least for one in asked if isinstance(one.dependency, Requires)]
    if named:
        return max(named, key=lambda role: len(INCLUDES[role]))
    return Role.ANALYST if set(methods or ["GET"]) <= {"GET", "HEAD"} else Role.MANAGER


def _asks_for(endpoint: Callable[..., Any], wanted: Callable[..., Any]) -> bool:
    """Whether a route's function has a parameter that depends on `wanted`."""
    hints = get_type_hints(endpoint, include_extras=True).values()
    marks = (mark for hint in hints for mark in getattr(hint, "__metadata__", ()))
    return any(getattr(mark, "dependency", None) is wanted for mark in marks)


def domain_router(tag: str) -> APIRouter:
    """The router of a domain, whose routes are all guarded."""
    return APIRouter(tags=[tag], route_class=ApiRoute)


Limit = Annotated[
    int,
    AfterValidator(clamp),
    Query(description=f"Rows on a page, 1 to {MAX_LIMIT}; other numbers are brought into that range."),
]
After = Annotated[str | None, Query(description="`next` of the page before.", max_length=2000)]
