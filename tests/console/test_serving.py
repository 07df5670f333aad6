"""The console over real HTTP: signing in and out, who gets in, what a page carries, files, headers."""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
import websockets
from bokeh.util.token import get_token_payload
from redis import Redis

from tests.console.serving import TOKEN_IN_PAGE, Serving, serving

OWNER = {"email": "owner@demo.example", "password": "secret"}


@pytest.fixture(scope="module")
def console(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Redis.from_url(valkey_url) as client:
        client.flushdb()
    home: Path = tmp_path_factory.mktemp("console")
    with serving(valkey_url, home) as running:
        yield running


async def socket(console: Serving, browser: httpx.Client, token: str, origin: str = "") -> str:
    """What becomes of a websocket opened with these cookies and this page token."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    try:
        async with websockets.connect(
            console.url.replace("http", "ws") + "/console/ws",
            subprotocols=[websockets.Subprotocol("bokeh"), websockets.Subprotocol(token)],
            origin=websockets.Origin(origin or console.url),
            additional_headers={"cookie": cookies} if cookies else {},
        ) as opened:
            await opened.recv()
            return "open"
    except websockets.InvalidStatus as refused:
        return str(refused.response.status_code)
    except websockets.ConnectionClosed:
        return "closed"


def page_token(browser: httpx.Client, path: str = "/console") -> str:
    """The token in a tab's page."""
    found = TOKEN_IN_PAGE.search(browser.get(path).text)
    assert found is not None
    return found.group(1)


def test_the_root_leads_to_the_console_and_a_stranger_to_the_sign_in_page(console: Serving) -> None:
    browser = console.browser()

    assert browser.get("/").headers["location"] == "/console"
    answer = browser.get("/console/campaigns/7?x=1")

    assert answer.status_code == 302
    assert answer.headers["location"] == "/sign-in?next=/console/campaigns/7%3Fx%3D1"


def test_signing_in_leads_to_where_one_wanted_to_go(console: Serving) -> None:
    answer = console.browser().post("/sign-in", data=OWNER | {"next": "/console/contacts"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/contacts")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/console\\@evil", "/other", ""]
)
def test_signing_in_never_leads_to_another_site(console: Serving, target: str) -> None:
    answer = console.browser().post("/sign-in", data=OWNER | {"next": target})

    assert answer.headers["location"] == "/console"


def test_a_wrong_password_is_said_kindly_and_keeps_the_address(console: Serving) -> None:
    answer = console.browser().post(
        "/sign-in", data=OWNER | {"password": "wrong"}, headers={"accept-language": "en"}
    )

    assert answer.status_code == 401
    assert "The e-mail or the password is not right." in answer.text
    assert 'value="owner@demo.example"' in answer.text
    assert "set-cookie" not in answer.headers


def test_somebody_barred_is_told_so_and_not_that_the_password_is_wrong(console: Serving) -> None:
    form = {"email": "barred@demo.example", "password": "secret"}

    answer = console.browser().post("/sign-in", data=form, headers={"accept-language": "en"})

    assert answer.status_code == 403
    assert "Switched off." in answer.text
    assert "password is not right" not in answer.text


def test_the_api_is_told_from_where_somebody_signs_in(console: Serving) -> None:
    # uvicorn believes a proxy on this machine, as a deployment's believes the one it names.
    console.browser().post("/sign-in", data=OWNER, headers={"x-forwarded-for": "198.51.100.7"})

    address, moment, signature = console.store.said_of_tries[-1].split(";")

    assert address == "198.51.100.7"
    assert abs(int(moment) - time.time()) < 30
    assert len(signature) == 64


def test_many_wrong_passwords_are_told_to_wait(console: Serving) -> None:
    answers = [
        console.browser().post("/sign-in", data={"email": "x@y.example", "password": str(n)})
        for n in range(12)
    ]

    assert answers[-1].status_code == 429
    assert "Espere alguns minutos" in answers[-1].text


def test_what_is_typed_into_the_form_comes_back_escaped(console: Serving) -> None:
    answer = console.browser().post(
        "/sign-in", data={"email": '"><script>alert(1)</script>', "password": "x"}
    )

    assert "<script>alert" not in answer.text


def test_somebody_of_several_companies_chooses_one_first(console: Serving) -> None:
    browser = console.signed_in("many@demo.example")

    page = browser.get("/sign-in/company")
    before = browser.get("/console")
    browser.post("/sign-in/company", data={"company": console_company("globex")})
    after = browser.get("/console")

    assert "Acme Varejo" in page.text
    assert "Globex" in page.text
    assert before.status_code == 302
    assert after.status_code == 200
    assert get_token_payload(token_in(after.text))["company"] == console_company("globex")


def console_company(slug: str) -> str:
    """The id of a company of the stand-in."""
    return {"acme": "00000000-0000-0000-0000-000000000001", "globex": "00000000-0000-0000-0000-000000000002"}[
        slug
    ]


def token_in(html: str) -> str:
    """The page token in a page."""
    found = TOKEN_IN_PAGE.search(html)
    assert found is not None
    return found.group(1)


def test_a_company_one_does_not_belong_to_is_refused(console: Serving) -> None:
    browser = console.signed_in("many@demo.example")

    answer = browser.post("/sign-in/company", data={"company": "umbrella"})

    assert answer.status_code >= 400
    assert browser.get("/console").status_code == 302


def test_signing_out_ends_the_sign_in_also_for_a_copied_cookie(console: Serving) -> None:
    browser = console.signed_in()
    thief = httpx.Client(base_url=console.url, cookies=dict(browser.cookies))
    assert thief.get("/console").status_code == 200

    answer = browser.post("/sign-out")

    assert answer.headers["location"] == "/sign-in?out=1"
    assert thief.get("/console").status_code == 302


def test_forms_sent_by_another_site_are_refused(console: Serving) -> None:
    stranger = httpx.Client(base_url=console.url)

    answers = [
        stranger.post("/sign-in", data=OWNER, headers={"origin": "https://evil.example"}),
        stranger.post("/sign-in", data=OWNER),
        stranger.post("/sign-out", headers={"origin": "null"}),
        stranger.post("/files/imports", headers={"origin": "https://evil.example"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4


def test_neither_tokens_nor_the_cookie_are_in_the_page_or_in_its_token(console: Serving) -> None:
    browser = console.signed_in()
    browser.cookies.set("theme", "dark")

    html = browser.get("/console").text
    payload = str(get_token_payload(token_in(html)))

    held = [
        *console.store.tokens,
        *console.store.refresh,
        *(v for k, v in browser.cookies.items() if k != "theme"),
    ]
    assert held
    assert [value for value in held if value in html or value in payload] == []
    assert 'data-theme="dark"' in html


def test_the_page_is_not_cached_and_loads_nothing_from_elsewhere(console: Serving) -> None:
    answer = console.signed_in().get("/console")

    assert answer.headers["cache-control"] == "no-store"
    assert "cdn." not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_websocket_opens_only_for_the_sign_in_its_page_was_made_for(console: Serving) -> None:
    dana, ari = console.signed_in(), console.signed_in("analyst@demo.example")
    danas, stranger = page_token(dana), console.browser()

    outcomes = [
        asyncio.run(socket(console, dana, danas)),
        asyncio.run(socket(console, ari, danas)),
        asyncio.run(socket(console, stranger, danas)),
        asyncio.run(socket(console, dana, danas[:-4] + "AAAA")),
        asyncio.run(socket(console, dana, danas, origin="https://evil.example")),
    ]

    assert outcomes == ["open", "403", "403", "403", "403"]


def test_a_websocket_does_not_open_after_signing_out(console: Serving) -> None:
    dana = console.signed_in()
    token, cookies = page_token(dana), dict(dana.cookies)
    dana.post("/sign-out")

    outcome = asyncio.run(socket(console, httpx.Client(cookies=cookies), token))

    assert outcome == "403"


def test_deep_links_serve_the_same_page(console: Serving) -> None:
    browser = console.signed_in()

    assert [
        browser.get(path).status_code for path in ("/console", "/console/contacts", "/console/a/b/c")
    ] == [200] * 3


def test_an_emptied_redis_sends_people_to_sign_in_again(console: Serving, valkey_url: str) -> None:
    browser = console.signed_in()
    with redis.Redis.from_url(valkey_url) as client:
        client.flushdb()

    assert browser.get("/console").headers["location"].startswith("/sign-in")


def test_a_download_passes_through_with_its_name(console: Serving) -> None:
    answer = console.signed_in().get("/files/campaigns/0198/recipients.csv?state=read")

    assert answer.text == "name,state\nAna,read\n"
    assert "recipients.csv" in answer.headers["content-disposition"]


def test_a_file_that_is_not_there_is_told_on_a_page_and_not_saved_as_the_file(console: Serving) -> None:
    answer = console.signed_in().get(
        "/files/campaigns/none/recipients.csv", headers={"accept-language": "en"}
    )

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "Não encontramos isso." in answer.text


def test_a_download_whose_sign_in_the_api_no_longer_takes_leads_to_sign_in(console: Serving) -> None:
    browser = console.signed_in()
    console.store.tokens.clear()

    answer = browser.get("/files/campaigns/0198/recipients.csv")

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?ended=1")


def test_the_api_is_told_the_size_of_an_upload(console: Serving) -> None:
    console.signed_in().post("/files/imports", files={"file": ("people.csv", b"a" * 100_000)})

    assert console.store.lengths[-1] > 100_000


def test_an_upload_passes_through_and_one_too_big_is_refused(console: Serving) -> None:
    browser = console.signed_in()

    small = browser.post("/files/imports", files={"file": ("people.csv", b"a" * 100_000)})
    announced = browser.post("/files/imports", files={"file": ("people.csv", b"a" * 2_000_000)})
    streamed = browser.post("/files/imports", content=(b"a" * 100_000 for _ in range(20)))

    assert (small.status_code, "id" in small.json()) == (202, True)
    assert announced.json()["code"] == "too_big"
    assert streamed.json()["code"] == "too_big"


def test_files_need_a_sign_in(console: Serving) -> None:
    stranger = console.browser()

    assert stranger.post("/files/imports", content=b"x").status_code == 401
    assert stranger.get("/files/campaigns/1/recipients.csv").headers["location"] == "/sign-in"


def test_the_language_is_kept_in_a_cookie_and_spoken(console: Serving) -> None:
    browser = console.browser()

    browser.get("/language/en")
    english = browser.get("/sign-in").text
    browser.get("/language/pt-BR")
    portuguese = browser.get("/sign-in").text

    assert "Welcome back" in english
    assert '<html lang="pt-BR"' in portuguese


def test_a_page_that_is_not_there_says_so_in_words(console: Serving) -> None:
    answer = console.browser().get("/nowhere", headers={"accept-language": "en"})

    assert answer.status_code == 404
    assert "This page does not exist" in answer.text


def test_probes_and_root_files_answer(console: Serving) -> None:
    browser = console.browser()

    assert browser.get("/healthz").json() == {"status": "ok"}
    assert browser.get("/readyz").json() == {"api": True, "redis": True, "live": True}
    assert "console_redis_connected 1.0" in browser.get("/metrics").text
    assert browser.get("/manifest.webmanifest").json()["start_url"] == "/console"
    assert "addEventListener" in browser.get("/sw.js").text
    assert browser.get("/offline").status_code == 200
    assert browser.get("/favicon.ico").status_code == 302


def test_static_files_are_compressed_and_kept_for_ever_when_their_address_names_their_content(
    console: Serving,
) -> None:
    browser = console.browser()
    theme = next(
        part.split('"')[0] for part in browser.get("/sign-in").text.split('href="') if "theme.css" in part
    )

    first, again = browser.get(theme), browser.get(theme)
    unnamed = browser.get("/assets/theme.css")

    assert first.headers["content-encoding"] == "gzip"
    assert "immutable" in first.headers["cache-control"]
    assert again.text == first.text == unnamed.text
    assert "immutable" not in unnamed.headers["cache-control"]


def test_material_components_are_never_loaded(console: Serving) -> None:
    console.signed_in().get("/console")

    assert "panel_material_ui" not in sys.modules
