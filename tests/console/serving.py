"""The console as a process serves it: a real uvicorn in a thread, over the stand-in API."""

import base64
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from console.main import make_app
from console.settings import ConsoleSettings
from engine.embedded.server import free_port
from tests.console.console_fake_api import make_fake_api
from tests.console.console_fake_data import Store

KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
TOKEN_IN_PAGE = re.compile(r'"token":\s*"([^"]+)"')


@dataclass(frozen=True)
class Serving:
    """A console that answers, and what its API holds."""

    url: str
    store: Store

    def browser(self) -> httpx.Client:
        """A browser that says where its forms come from."""
        return httpx.Client(base_url=self.url, headers={"origin": self.url}, timeout=20)

    def signed_in(self, email: str = "owner@demo.example") -> httpx.Client:
        """A browser of somebody who signed in."""
        browser = self.browser()
        answer = browser.post("/sign-in", data={"email": email, "password": "secret"})
        assert answer.status_code == 303, answer.text
        return browser


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """An application behind a real HTTP port."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@contextmanager
def serving(redis_url: str, home: Path, *, console_url: str = "") -> Iterator[Serving]:
    """A console on a port of its own, and its API on another."""
    store = Store()
    with listening(make_fake_api(store)) as api_url:
        settings = ConsoleSettings(
            redis_url=redis_url, console_key=KEY, home=home, api_url=api_url, upload_limit_mb=1,
            console_url=console_url,
        )  # fmt: skip
        with listening(make_app(settings)) as url:
            yield Serving(url, store)
