"""The console behind a proxy that ends TLS and says nothing of it: sign-in works, and cookies are bound to https."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.console.serving import Serving, serving

ADDRESS = "https://console.example"
OWNER = {"email": "owner@demo.example", "password": "secret"}


@pytest.fixture
def console(redis_url: str, tmp_path: Path) -> Iterator[Serving]:
    with serving(redis_url, tmp_path, console_url=ADDRESS) as running:
        yield running


def test_a_sign_in_through_the_proxy_is_let_in_with_a_cookie_bound_to_the_host(console: Serving) -> None:
    proxy = httpx.Client(base_url=console.url, headers={"origin": ADDRESS, "host": "console.example"})

    answer = proxy.post("/sign-in", data=OWNER)
    cookie = answer.headers["set-cookie"].split(";")[0]
    inside = httpx.get(f"{console.url}/console", headers={"cookie": cookie})

    assert answer.status_code == 303
    assert cookie.startswith("__Host-masteria=")
    assert "secure" in answer.headers["set-cookie"].lower()
    assert "max-age" in answer.headers["strict-transport-security"]
    assert inside.status_code == 200
