"""Asking the API: renewal, problems, pages, and answers of a newer API."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from engine.client import (
    Api,
    HeldTokens,
    RefusedError,
    SignedOutError,
    UnreachableError,
    UnreadableError,
    Wire,
    companies_to_choose,
    sign_in,
)
from engine.client.answers import Campaign, Tokens

type Answerer = Callable[[httpx.Request], httpx.Response]


def api_over(answer: Answerer, *, tokens: Tokens | None = None, language: str | None = None) -> Api:
    """An API whose other end is a function."""
    http = httpx.AsyncClient(base_url="http://api.test", transport=httpx.MockTransport(answer))
    held = HeldTokens(http, tokens or Tokens("old", "refresh-1", 600))
    return Api(Wire(http, held, language=language))


def renewing(spent: list[str]) -> Answerer:
    """An API that takes only the token `new` and hands it out for a refresh token, once each."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/auth/refresh":
            spent.append(request.content.decode())
            return httpx.Response(200, json={"access_token": "new", "refresh_token": "r", "expires_in": 600})
        if request.headers["authorization"] != "Bearer new":
            return httpx.Response(401, json={"code": "expired", "detail": "too old"})
        return httpx.Response(200, json={"items": [], "next": None})

    return answer


def test_a_stale_token_is_renewed_once_however_many_ask_at_the_same_time() -> None:
    spent: list[str] = []
    api = api_over(renewing(spent))

    async def ask_ten() -> None:
        await asyncio.gather(*(api.campaigns.list() for _ in range(10)))

    asyncio.run(ask_ten())

    assert len(spent) == 1


def test_a_refresh_token_that_is_not_taken_means_signed_out() -> None:
    api = api_over(lambda _: httpx.Response(401, json={"code": "revoked", "detail": "over"}))

    with pytest.raises(SignedOutError):
        asyncio.run(api.campaigns.list())


def test_a_problem_tells_its_code_and_the_fields_at_fault() -> None:
    problem = {
        "type": "about:blank", "title": "Invalid", "status": 422, "code": "invalid", "detail": "Check the fields.",
        "fields": [{"field": "phone", "code": "phone_invalid", "detail": "Too short."}],
    }  # fmt: skip
    api = api_over(lambda _: httpx.Response(422, json=problem))

    with pytest.raises(RefusedError) as refused:
        asyncio.run(api.contacts.add({"phone": "1"}))

    assert refused.value.code == "invalid"
    assert [(fault.field, fault.detail) for fault in refused.value.fields] == [("phone", "Too short.")]


def test_an_error_that_is_no_problem_json_still_has_a_code() -> None:
    api = api_over(lambda _: httpx.Response(502, text="<html>bad gateway</html>"))

    with pytest.raises(RefusedError) as refused:
        asyncio.run(api.campaigns.get("x"))

    assert (refused.value.status, refused.value.code) == (502, "http_502")


def test_an_api_that_is_away_is_unreachable() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(UnreachableError):
        asyncio.run(api_over(away).campaigns.list())


def test_what_a_newer_api_adds_is_left_out_and_what_it_does_not_tell_has_a_default() -> None:
    told = {
        "id": "c1",
        "name": "Sale",
        "status": "running",
        "colour": "red",
        "counts": {"total": 3, "bounced": 1},
    }
    api = api_over(lambda _: httpx.Response(200, json=told))

    campaign = asyncio.run(api.campaigns.get("c1"))

    assert (campaign.counts.total, campaign.counts.read, campaign.seconds_left) == (3, 0, None)


def test_an_answer_of_another_shape_is_unreadable() -> None:
    api = api_over(lambda _: httpx.Response(200, json={"nothing": "expected"}))

    with pytest.raises(UnreadableError):
        asyncio.run(api.campaigns.get("c1"))


def test_every_verb_carries_a_key_of_its_own_and_the_language_of_the_person() -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(202, json={})

    api = api_over(answer, language="pt_BR")

    async def act_twice() -> None:
        await api.campaigns.act("c1", "pause")
        await api.campaigns.act("c1", "resume")

    asyncio.run(act_twice())

    assert len({headers["idempotency-key"] for headers in seen}) == 2
    assert {headers["accept-language"] for headers in seen} == {"pt-BR"}


def test_all_walks_every_page_by_its_cursor() -> None:
    pages: dict[str | None, dict[str, Any]] = {
        None: {"items": [{"id": "1", "name": "a", "status": "draft"}], "next": "k"},
        "k": {"items": [{"id": "2", "name": "b", "status": "draft"}], "next": None},
    }
    api = api_over(lambda request: httpx.Response(200, json=pages[request.url.params.get("after")]))

    async def gather() -> list[Campaign]:
        return [campaign async for campaign in api.campaigns.all()]

    assert [campaign.id for campaign in asyncio.run(gather())] == ["1", "2"]


def test_somebody_of_several_companies_is_told_which() -> None:
    companies = [{"id": "1", "name": "Acme", "slug": "acme", "role": "owner"}]
    problem = {"code": "company_required", "detail": "Choose.", "companies": companies}
    transport = httpx.MockTransport(lambda _: httpx.Response(409, json=problem))

    async def enter() -> None:
        async with httpx.AsyncClient(base_url="http://api.test", transport=transport) as http:
            await sign_in(http, "me@demo.example", "secret")

    with pytest.raises(RefusedError) as refused:
        asyncio.run(enter())

    assert [one.name for one in companies_to_choose(refused.value.problem)] == ["Acme"]


def test_tokens_do_not_show_when_printed() -> None:
    assert "s3cret" not in repr(Tokens("s3cret", "s3cret", 600))
