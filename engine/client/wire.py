"""One question over HTTP and its answer: bearer token, renewal after a 401, problems as errors."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Protocol, cast

import httpx
from pydantic import TypeAdapter, ValidationError

from engine.client.answers import Page, Tokens
from engine.client.errors import RefusedError, SignedOutError, UnreachableError, UnreadableError

TIMEOUT = httpx.Timeout(20.0, connect=3.0)
# A file takes as long as it takes; who does not even answer the call is away.
STREAM_TIMEOUT = httpx.Timeout(None, connect=3.0)
PAGE_LIMIT = 200


class Credentials(Protocol):
    """Where a bearer token comes from, and how it is renewed."""

    async def access_token(self) -> str:
        """A token that is good now, as far as is known."""
        ...

    async def renew(self, stale: str) -> str:
        """Another token in place of `stale`; SignedOutError where there is none to be had."""
        ...


class HeldTokens:
    """A token pair held in memory, renewed once however many callers find it stale at the same time."""

    def __init__(self, http: httpx.AsyncClient, tokens: Tokens) -> None:
        self._http = http
        self._tokens = tokens
        self._renewing = asyncio.Lock()

    async def access_token(self) -> str:
        """The token in hand."""
        return self._tokens.access_token

    async def renew(self, stale: str) -> str:
        """A new token, asked for only by the first who finds the old one stale."""
        async with self._renewing:
            if self._tokens.access_token == stale:
                self._tokens = await refresh_tokens(self._http, self._tokens.refresh_token)
            return self._tokens.access_token


async def sign_in(
    http: httpx.AsyncClient,
    username: str,
    password: str,
    company: str | None = None,
    *,
    language: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Tokens:
    """A token pair for an e-mail and a password; RefusedError says why not (also `company_required`)."""
    form = {"username": username, "password": password} | ({"company": company} if company else {})
    return await Wire(http, language=language).post("/v1/auth/token", Tokens, form=form, headers=headers)


async def refresh_tokens(http: httpx.AsyncClient, refresh_token: str) -> Tokens:
    """The next token pair; the one used is spent. SignedOutError where the API does not take it."""
    try:
        return await Wire(http).post("/v1/auth/refresh", Tokens, body={"refresh_token": refresh_token})
    except RefusedError as refused:
        if refused.status in (400, 401, 403):
            raise SignedOutError(refused.detail) from refused
        raise


@cache
def _reader(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))


def read_as[Answer](kind: type[Answer], told: object) -> Answer:
    """Plain JSON values read as a dataclass; UnreadableError where they don't fit."""
    reader = _reader(cast(Hashable, kind))
    try:
        answer: Answer = reader.validate_python(told)
    except ValidationError as error:
        raise UnreadableError(str(error)) from error
    return answer


def problem_of(response: httpx.Response) -> RefusedError:
    """The error an answer of 400 and above stands for."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return RefusedError(response.status_code, f"http_{response.status_code}", response.reason_phrase)
    detail = str(problem.get("detail") or problem.get("title") or response.reason_phrase)
    return RefusedError(response.status_code, str(problem.get("code") or "refused"), detail, problem=problem)


class Wire:
    """Asks one API in one person's name and language."""

    def __init__(
        self, http: httpx.AsyncClient, credentials: Credentials | None = None, *, language: str | None = None
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._language = language

    async def get[Answer](self, path: str, kind: type[Answer], **params: object) -> Answer:
        """A question that changes nothing."""
        return read_as(kind, (await self._ask("GET", path, params=_given(params))).json())

    async def post[Answer](
        self,
        path: str,
        kind: type[Answer],
        *,
        body: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A verb; it carries a key of its own, so that a copy of the request does nothing twice."""
        keyed = {"Idempotency-Key": str(uuid.uuid4())} if self._credentials else {}
        response = await self._ask("POST", path, json=body, data=form, headers={**keyed, **(headers or {})})
        return read_as(kind, response.json() if response.content else None)

    async def patch[Answer](self, path: str, kind: type[Answer], body: object) -> Answer:
        """A change of some fields."""
        return read_as(kind, (await self._ask("PATCH", path, json=body)).json())

    async def put(self, path: str, body: object) -> None:
        """Sets something as a whole."""
        await self._ask("PUT", path, json=body)

    async def delete(self, path: str) -> None:
        """Removes something."""
        await self._ask("DELETE", path)

    async def pages[Item](self, path: str, kind: type[Item], **params: object) -> AsyncIterator[Item]:
        """Every item of a list, page after page."""
        after: str | None = None
        while True:
            page = await self.get(path, Page[kind], limit=PAGE_LIMIT, after=after, **params)  # type: ignore[valid-type]
            for item in page.items:
                yield item
            after = page.next
            if after is None:
                return

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        content: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str],
    ) -> AsyncIterator[httpx.Response]:
        """An answer whose body is read as it comes, for a body that is sent as it comes.

        A body can be sent only once, so the token is not renewed here: a 401 is raised as SignedOutError.
        """
        token = await self._token()
        request = self._http.build_request(
            method,
            path,
            content=content,
            headers=self._headers(token) | dict(headers),
            timeout=STREAM_TIMEOUT,
        )
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code == httpx.codes.UNAUTHORIZED and token:
                    await response.aread()
                    raise SignedOutError(problem_of(response).detail)
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:  # also while the body is read
            raise UnreachableError(f"{method} {path}: {error}") from error

    async def _token(self) -> str | None:
        return await self._credentials.access_token() if self._credentials else None

    def _headers(self, token: str | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if self._language:
            headers["Accept-Language"] = self._language.replace("_", "-")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    async def _ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        token = await self._token()
        extra = sent.pop("headers", {})
        response = await self._send(method, path, self._headers(token) | extra, sent)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._credentials and token:
            token = await self._credentials.renew(token)
            response = await self._send(method, path, self._headers(token) | extra, sent)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                raise SignedOutError(problem_of(response).detail)
        if response.is_error:
            raise problem_of(response)
        return response

    async def _send(
        self, method: str, path: str, headers: dict[str, str], sent: dict[str, Any]
    ) -> httpx.Response:
        given = {key: value for key, value in sent.items() if value is not None}
        try:
            return await self._http.request(method, path, headers=headers, timeout=TIMEOUT, **given)
        except (httpx.TimeoutException, httpx.TransportError) as error:
            raise UnreachableError(f"{method} {path}: {error}") from error


def _given(params: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in params.items() if value is not None and value != ""}
