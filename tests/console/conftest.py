"""Fixtures of the console's tests: Redis of this run, emptied before each test that uses it."""

import asyncio
from collections.abc import Iterator

import pytest
import redis

from tests.console.gallery_browser import browser, gallery, page, phone, playwright

__all__ = ["browser", "gallery", "page", "phone", "playwright"]


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The address of a real, empty Valkey."""
    with redis.Redis.from_url(valkey_url) as client:
        client.flushdb()
    return valkey_url


@pytest.fixture(autouse=True)
def fresh_loop() -> Iterator[None]:
    """A loop for components that start coroutines outside a server; closed after the test."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
