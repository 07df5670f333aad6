"""Wrong passwords are slowed down, whoever types them and from wherever; nobody is locked out for long."""

from collections.abc import Iterator

import pytest
import redis

from engine.accounts import attempts
from engine.accounts.attempts import forgive, pay_for_try
from engine.core.bootstrap import DatabaseUrls
from engine.core.errors import TooManyTries


def tries_until_refused(email: str, address: str, most: int = 100) -> int:
    """How many tries were granted before one was refused."""
    for granted in range(most):
        try:
            pay_for_try(email, address)
        except TooManyTries:
            return granted
    return most


def test_one_person_at_one_address_is_slowed_after_ten_tries(database: DatabaseUrls) -> None:
    granted = tries_until_refused("ana@example.com", "198.51.100.1")

    assert granted == 10


def test_one_account_tried_from_many_addresses_is_slowed(database: DatabaseUrls) -> None:
    granted = 0
    for address in range(40):
        granted += tries_until_refused("ana@example.com", f"198.51.100.{address}", most=1)

    assert 20 <= granted <= 21


def test_many_accounts_tried_from_one_address_are_slowed(database: DatabaseUrls) -> None:
    granted = 0
    for account in range(100):
        granted += tries_until_refused(f"person{account}@example.com", "198.51.100.1", most=1)

    assert 60 <= granted <= 63


def test_the_wait_is_seconds_and_never_long(database: DatabaseUrls) -> None:
    waits = []
    for _ in range(200):
        try:
            pay_for_try("ana@example.com", "198.51.100.1")
        except TooManyTries as refused:
            waits.append(refused.seconds)

    assert min(waits) >= 1
    assert max(waits) <= 10


def test_strangers_who_try_an_account_do_not_hold_up_its_owner(database: DatabaseUrls) -> None:
    forgive(pay_for_try("ana@example.com", "192.0.2.7"))
    for address in range(40):
        tries_until_refused("ana@example.com", f"198.51.100.{address}", most=1)

    granted = tries_until_refused("ana@example.com", "192.0.2.7")

    assert granted == 10


def test_a_right_password_gives_the_try_back(database: DatabaseUrls) -> None:
    for _ in range(50):
        forgive(pay_for_try("ana@example.com", "192.0.2.7"))

    assert tries_until_refused("ana@example.com", "192.0.2.7") == 10


def test_redis_holds_no_addresses(database: DatabaseUrls, valkey_url: str) -> None:
    forgive(pay_for_try("ana@example.com", "192.0.2.7"))

    with redis.Redis.from_url(valkey_url) as client:
        names = b" ".join(client.keys())

    assert names
    assert b"ana" not in names
    assert b"192.0.2.7" not in names


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Redis address where nobody listens."""
    nowhere = redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    monkeypatch.setattr("engine.core.ratelimit.client", lambda: nowhere)
    monkeypatch.setattr(attempts, "client", lambda: nowhere)
    attempts._local.clear()
    monkeypatch.setattr("engine.core.ratelimit._script", nowhere.register_script)
    yield
    attempts._local.clear()


@pytest.mark.usefixtures("redis_away")
def test_without_redis_the_limit_is_stricter_not_absent() -> None:
    assert tries_until_refused("ana@example.com", "198.51.100.1") == 1
    assert tries_until_refused("bia@example.com", "198.51.100.2") == 1


@pytest.mark.usefixtures("redis_away")
def test_without_redis_a_right_password_still_costs_nothing() -> None:
    for _ in range(5):
        forgive(pay_for_try("ana@example.com", "192.0.2.7"))

    assert tries_until_refused("ana@example.com", "192.0.2.7") == 1


@pytest.mark.usefixtures("redis_away")
def test_without_redis_what_is_remembered_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "LOCAL_BUCKETS", 10)

    for account in range(50):
        tries_until_refused(f"person{account}@example.com", f"198.51.100.{account}", most=1)

    assert len(attempts._local) == 10
