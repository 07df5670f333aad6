"""The console while Redis, which holds its sign-ins, does not answer."""

import asyncio

import httpx
import pytest

from console.main import make_app
from console.settings import ConsoleSettings
from tests.console.console_fake_api import make_fake_api
from tests.console.serving import KEY


def ask(method: str, path: str, **headers: str) -> httpx.Response:
    """The answer to somebody with a cookie."""

    async def run() -> httpx.Response:
        settings = ConsoleSettings(
            redis_url="redis://127.0.0.1:1/0", console_key=KEY, api_url="http://api.test"
        )
        app = make_app(settings, transport=httpx.ASGITransport(make_fake_api()))
        transport = httpx.ASGITransport(app)
        asked = {"origin": "http://console.test", "cookie": "masteria=x", "accept-language": "en"} | headers
        async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as browser:
            return await browser.request(method, path, headers=asked)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "path", ["/sign-in", "/console", "/console/campaigns", "/files/campaigns/1/recipients.csv"]
)
def test_a_page_says_so_in_words(path: str) -> None:
    answer = ask("GET", path)

    assert answer.status_code == 503
    assert "The server does not answer right now." in answer.text


def test_an_upload_is_told_so_in_a_sentence() -> None:
    answer = ask("POST", "/files/imports", accept="application/json")

    assert (answer.status_code, answer.json()["detail"]) == (503, "The server does not answer right now.")
