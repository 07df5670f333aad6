"""Sign-ins kept in Redis: sealed, shared, renewed once, gone when Redis is emptied."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from console.auth import PREFIX, SignIn, SignIns, TabCredentials, id_of
from engine.client import SignedOutError
from engine.client.answers import Company, Me, Tokens, User
from tests.console.console_fake_api import make_fake_api
from tests.console.console_fake_data import COMPANIES, Store

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
ME = Me(User("u1", "owner@demo.example"), Company("t1", "Acme"), "owner", (), "session-1")


def run_with(
    redis_url: str, story: Callable[[SignIns, Redis, Store], Coroutine[Any, Any, None]], *, key: bytes = KEY
) -> None:
    """Runs a story over real Redis and a stand-in API."""

    async def run() -> None:
        store = Store()
        redis = Redis.from_url(redis_url)
        transport = httpx.ASGITransport(make_fake_api(store))
        async with httpx.AsyncClient(base_url="http://api.test", transport=transport) as http:
            await story(SignIns(redis, http, key=key, lifetime_seconds=60), redis, store)
        await redis.aclose()

    asyncio.run(run())


def tokens(store: Store, *, expires_in: int = 900) -> Tokens:
    """A pair the stand-in knows."""
    pair = store.pair("owner@demo.example", "acme")
    return Tokens(pair["access_token"], pair["refresh_token"], expires_in)


def test_a_sign_in_is_found_by_its_cookie_and_by_nothing_else(redis_url: str) -> None:
    found: list[SignIn | None] = []

    async def story(sign_ins: SignIns, _: Redis, store: Store) -> None:
        cookie = await sign_ins.open(tokens(store), ME)
        found.extend([await sign_ins.find(one) for one in (cookie, cookie[:-1], id_of(cookie), "", None)])

    run_with(redis_url, story)

    assert found[0] is not None
    assert found[0].me == ME
    assert found[1:] == [None] * 4


def test_neither_tokens_nor_the_cookie_can_be_read_in_redis(redis_url: str) -> None:
    kept: dict[str, bytes] = {}

    async def story(sign_ins: SignIns, redis: Redis, store: Store) -> None:
        cookie = await sign_ins.open(tokens(store), ME)
        kept["cookie"] = cookie.encode()
        for key in await redis.keys("*"):
            kept["stored"] = key + (await redis.get(key) or b"")

    run_with(redis_url, story)

    assert b"access-" not in kept["stored"]
    assert b"demo.example" not in kept["stored"]
    assert kept["cookie"] not in kept["stored"]


def test_another_key_opens_nothing(redis_url: str) -> None:
    cookies: list[str] = []

    async def keep(sign_ins: SignIns, _: Redis, store: Store) -> None:
        cookies.append(await sign_ins.open(tokens(store), ME))

    async def look(sign_ins: SignIns, _: Redis, __: Store) -> None:
        assert await sign_ins.find(cookies[0]) is None

    run_with(redis_url, keep)
    run_with(redis_url, look, key=OTHER_KEY)


def test_a_sign_in_moved_to_another_ones_place_opens_nothing(redis_url: str) -> None:
    async def story(sign_ins: SignIns, redis: Redis, store: Store) -> None:
        mine, theirs = await sign_ins.open(tokens(store), ME), await sign_ins.open(tokens(store), ME)
        sealed = await redis.get(PREFIX + id_of(theirs))
        assert sealed is not None
        await redis.set(PREFIX + id_of(mine), sealed)

        assert await sign_ins.find(mine) is None

    run_with(redis_url, story)


def test_a_stale_token_is_renewed_once_for_all_tabs_of_all_processes(redis_url: str) -> None:
    got: list[set[str]] = []
    refreshes: list[int] = []

    async def story(sign_ins: SignIns, redis: Redis, store: Store) -> None:
        cookie = await sign_ins.open(tokens(store), ME)
        known = await sign_ins.find(cookie)
        assert known is not None
        second_process = SignIns(redis, sign_ins._http, key=KEY, lifetime_seconds=60)
        tabs = [TabCredentials(one, known) for one in (sign_ins, second_process) for _ in range(5)]
        got.append(set(await asyncio.gather(*(tab.renew(known.access_token) for tab in tabs))))
        refreshes.append(store.refreshes)

    run_with(redis_url, story)

    assert (len(got[0]), refreshes) == (1, [1])


def test_a_token_about_to_end_is_renewed_before_it_is_used(redis_url: str) -> None:
    async def story(sign_ins: SignIns, _: Redis, store: Store) -> None:
        cookie = await sign_ins.open(tokens(store, expires_in=5), ME)
        known = await sign_ins.find(cookie)
        assert known is not None

        assert await TabCredentials(sign_ins, known).access_token() != known.access_token

    run_with(redis_url, story)


def test_a_refused_refresh_ends_the_sign_in(redis_url: str) -> None:
    async def story(sign_ins: SignIns, _: Redis, store: Store) -> None:
        cookie = await sign_ins.open(tokens(store), ME)
        known = await sign_ins.find(cookie)
        assert known is not None
        store.refresh.clear()

        with pytest.raises(SignedOutError):
            await TabCredentials(sign_ins, known).renew(known.access_token)

        assert await sign_ins.find(cookie) is None

    run_with(redis_url, story)


def test_a_sign_in_that_ended_while_it_was_renewed_stays_ended(redis_url: str) -> None:
    async def story(sign_ins: SignIns, _: Redis, store: Store) -> None:
        cookie = await sign_ins.open(tokens(store), ME)
        known = await sign_ins.find(cookie)
        assert known is not None

        async def sign_out(answer: httpx.Response) -> None:
            if answer.request.url.path == "/v1/auth/refresh":
                await sign_ins.end(known.id)

        sign_ins._http.event_hooks = {"response": [sign_out]}
        with pytest.raises(SignedOutError):
            await TabCredentials(sign_ins, known).renew(known.access_token)

        assert await sign_ins.find(cookie) is None

    run_with(redis_url, story)


def test_a_renewal_learns_the_role_the_person_has_now(redis_url: str) -> None:
    async def story(sign_ins: SignIns, _: Redis, store: Store) -> None:
        acme = Company(COMPANIES["acme"]["id"], "Acme")
        cookie = await sign_ins.open(tokens(store), Me(ME.user, acme, "analyst", (), "session-1"))
        known = await sign_ins.find(cookie)
        assert known is not None

        await TabCredentials(sign_ins, known).renew(known.access_token)

        renewed = await sign_ins.find(cookie)
        assert renewed is not None
        assert (renewed.me.role, renewed.me.user.name) == ("owner", "Dana Keller")

    run_with(redis_url, story)


def test_when_redis_was_emptied_people_sign_in_again(redis_url: str) -> None:
    async def story(sign_ins: SignIns, redis: Redis, store: Store) -> None:
        cookie = await sign_ins.open(tokens(store), ME)
        known = await sign_ins.find(cookie)
        assert known is not None
        await redis.flushdb()

        assert await sign_ins.find(cookie) is None
        with pytest.raises(SignedOutError):
            await TabCredentials(sign_ins, known).renew(known.access_token)

    run_with(redis_url, story)


def test_a_tab_of_the_company_left_behind_gets_no_token_of_the_new_one(redis_url: str) -> None:
    async def story(sign_ins: SignIns, _: Redis, store: Store) -> None:
        cookie = await sign_ins.open(tokens(store), ME)
        known = await sign_ins.find(cookie)
        assert known is not None
        moved_me = Me(ME.user, Company("t2", "Globex"), "manager")
        moved = SignIn(known.id, moved_me, "", "", 0).with_tokens(tokens(store))
        await sign_ins.keep(moved)

        with pytest.raises(SignedOutError):
            await TabCredentials(sign_ins, known).renew(known.access_token)

    run_with(redis_url, story)


def test_a_sign_in_prints_no_token() -> None:
    sign_in = SignIn("id", ME, "s3cret", "s3cret", time.time())

    assert "s3cret" not in repr(sign_in)
