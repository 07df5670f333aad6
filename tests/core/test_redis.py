"""A Redis that hangs is waited for once."""

import socket
import time
from collections.abc import Iterator

import pytest
import redis

from engine.accounts import attempts
from engine.accounts.attempts import forgive, pay_for_try
from engine.core import ratelimit
from engine.core import redis as core_redis
from engine.core.settings import settings


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Redis that takes connections and says nothing, as one that was stopped with SIGSTOP."""

    def forget() -> None:
        settings.cache_clear()
        core_redis.client.cache_clear()
        ratelimit.forget_connections()
        attempts._local.clear()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MASTERIA_REDIS_URL", f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        forget()
        yield
        monkeypatch.undo()
        forget()


@pytest.mark.usefixtures("hanging")
def test_a_sign_in_waits_in_vain_once() -> None:
    began = time.monotonic()

    forgive(pay_for_try("ana@example.com", "192.0.2.7"))

    assert time.monotonic() - began < 4


@pytest.mark.usefixtures("hanging")
def test_after_a_rest_it_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_redis, "REST_SECONDS", 0.2)

    with pytest.raises(redis.TimeoutError):
        core_redis.client().ping()
    with pytest.raises(redis.ConnectionError, match="a moment ago"):
        core_redis.client().ping()
    time.sleep(0.25)
    with pytest.raises(redis.TimeoutError):
        core_redis.client().ping()


def test_a_kept_connection_that_was_closed_costs_no_question(valkey_url: str) -> None:
    client = core_redis.client()
    client.ping()
    with redis.Redis.from_url(valkey_url) as other:
        other.client_kill_filter(_type="normal", skipme=True)

    assert client.ping()
