"""The gallery in a real browser: what the tests of components share."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
PATIENCE_MS = 30_000  # a busy machine is slow, not wrong
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def gallery() -> Iterator[str]:
    """The address of a running gallery."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "tests.console.gallery", str(port)])
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{address}/console", timeout=10)
            break
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield started
    started.close()


@pytest.fixture
def page(browser: Browser, gallery: str) -> Iterator[Page]:
    """A desk-sized page at the gallery; the test fails when the page complains or asks another host."""
    yield from opened(browser, gallery, width=1440, height=900)


@pytest.fixture
def phone(browser: Browser, gallery: str) -> Iterator[Page]:
    """The same at the size of a phone."""
    yield from opened(browser, gallery, width=390, height=844)


def opened(browser: Browser, gallery: str, *, width: int, height: int) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        base_url=gallery,
        service_workers="block",
        has_touch=width < 500,
    )
    page, complaints = context.new_page(), list[str]()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda said: complaints.append(said.text) if is_complaint(said.type, said.text) else None
    )
    page.on("request", lambda asked: complaints.append(asked.url) if is_foreign(asked.url, gallery) else None)
    yield page
    context.close()
    assert complaints == []


def is_complaint(kind: str, text: str) -> bool:
    return (kind == "error" and "the server responded with a status of" not in text) or "No label for" in text


def is_foreign(url: str, gallery: str) -> bool:
    return not url.startswith((gallery, "blob:", "data:"))
