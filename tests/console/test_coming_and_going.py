"""Changing language and company, and signing out, as they follow from a shell or a form."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import httpx
import pytest
from bokeh.document import Document
from fastapi import FastAPI

from console.app import Screens, build_tab, leave_ended, wire_shell
from console.auth import SignIn, owner_of
from console.main import make_app
from console.settings import ConsoleSettings
from console.wiring import Console
from engine.client.answers import Me, Tokens
from tests.console.console_fake_api import make_fake_api
from tests.console.console_fake_data import Store
from tests.console.console_setup import Ear, make_tab, run_now, say
from tests.console.serving import KEY

OWNER = "owner@demo.example"


def with_console(
    redis_url: str, story: Callable[[FastAPI, Console, Store], Coroutine[Any, Any, None]]
) -> None:
    """Runs a story with a console over real Redis and a stand-in API."""

    async def run() -> None:
        store = Store()
        settings = ConsoleSettings(redis_url=redis_url, console_key=KEY, api_url="http://api.test")
        app = make_app(settings, transport=httpx.ASGITransport(make_fake_api(store)))
        console: Console = app.state.console
        try:
            await story(app, console, store)
        finally:
            await console.http.aclose()
            await console.redis.aclose()

    asyncio.run(run())


async def signed_in(console: Console, store: Store, *, expires_in: int = 900) -> str:
    """The cookie of somebody who signed in."""
    pair = store.pair(OWNER, "acme")
    me = await owner_of(console.http, pair["access_token"])
    return await console.sign_ins.open(Tokens(pair["access_token"], pair["refresh_token"], expires_in), me)


async def kept(console: Console, cookie: str) -> SignIn:
    """What is kept under a cookie."""
    found = await console.sign_ins.find(cookie)
    assert found is not None
    return found


def test_a_language_chosen_in_the_shell_is_the_one_of_the_next_page(redis_url: str) -> None:
    async def story(_: FastAPI, console: Console, store: Store) -> None:
        cookie = await signed_in(console, store)
        tab = build_tab(console, await kept(console, cookie), locale="en", dark=False, route="/")
        tab.run = run_now
        wire_shell(tab, Screens(tab), Document())
        ear = Ear(tab.shell)

        say(tab.shell, "language", locale="pt-BR")
        async with asyncio.timeout(10):
            while not ear.of("reload"):  # noqa: ASYNC110 - the shell tells nobody else
                await asyncio.sleep(0.01)

        assert (await kept(console, cookie)).me.user.locale == "pt_BR"

    with_console(redis_url, story)


def test_signing_out_reaches_the_api_also_with_a_token_about_to_end(redis_url: str) -> None:
    async def story(app: FastAPI, console: Console, store: Store) -> None:
        cookie = await signed_in(console, store, expires_in=5)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as browser:
            browser.cookies.set("masteria", cookie)
            await browser.post("/sign-out", headers={"origin": "http://console.test"})

        assert [path for _, path, _ in store.asked][-1] == "/v1/auth/logout"
        assert await console.sign_ins.find(cookie) is None

    with_console(redis_url, story)


@pytest.mark.parametrize(("is_good", "status"), [(True, 303), (False, 200)])
def test_a_page_that_says_the_session_ended_asks_nobody_to_sign_in_again_for_nothing(
    redis_url: str, is_good: bool, status: int
) -> None:
    async def story(app: FastAPI, console: Console, store: Store) -> None:
        cookie = await signed_in(console, store)
        if not is_good:
            store.tokens.clear(), store.refresh.clear()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as browser:
            browser.cookies.set("masteria", cookie)
            answer = await browser.get("/sign-in?ended=1")

        assert answer.status_code == status

    with_console(redis_url, story)


@pytest.mark.parametrize(
    ("session", "led_to"),
    [("session-2", "/console"), ("session-1", "/sign-in?ended=1"), (None, "/sign-in?ended=1")],
    ids=["company changed", "session ended", "signed out"],
)
def test_a_session_that_ended_leads_home_where_the_sign_in_goes_on(session: str | None, led_to: str) -> None:
    tab = make_tab()
    me: Me = replace(tab.me, session_id=session or "")

    async def kept_sign_in() -> SignIn | None:
        return SignIn("s1", me, "", "", 0.0) if session else None

    tab.kept_sign_in = kept_sign_in
    ear = Ear(tab.shell)

    asyncio.get_event_loop().run_until_complete(leave_ended(tab))

    assert ear.last("reload")["path"] == led_to


def test_a_change_of_company_is_not_undone_by_a_tab_that_renews_meanwhile(redis_url: str) -> None:
    async def story(_: FastAPI, console: Console, store: Store) -> None:
        cookie = await signed_in(console, store)
        before = await kept(console, cookie)
        elsewhere = replace(before.me, company=replace(before.me.company, id="another"))

        async def ask(token: str) -> tuple[Tokens, Me]:
            renewal.append(asyncio.create_task(console.sign_ins.renew(before.id, before.access_token)))
            await asyncio.sleep(0.05)
            return Tokens("next", "next", 900), elsewhere

        renewal: list[asyncio.Task[SignIn]] = []
        await console.sign_ins.move(before.id, ask)

        assert (await renewal[0]).tenant_id == "another"
        assert (await kept(console, cookie)).access_token == "next"

    with_console(redis_url, story)
