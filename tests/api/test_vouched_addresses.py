"""Whose try at a password it is: the console names the person's address, and only the console is believed."""

import time
from collections.abc import Callable

import pytest

from console.settings import ConsoleSettings
from engine.accounts import vouching
from engine.accounts.models import Role
from engine.client import CLIENT_HEADER, vouch
from engine.core.settings import settings

from .conftest import Person, World

EMAIL = "ana@aurora.example"


def header(address: str, *, username: str = EMAIL, key: bytes | None = None, at: float | None = None) -> str:
    """What the console says of a try from an address, with the key it derives in development."""
    ours = ConsoleSettings(master_key=settings().master_key).key_for("client-address")
    return vouch(key or ours, address, username=username, at=at or time.time())


@pytest.fixture
def ana(world: World) -> Person:
    return world.person(EMAIL, (world.company(), Role.OWNER))


def wrong_tries(world: World, said: Callable[[int], dict[str, str]], times: int = 12) -> list[int]:
    """The statuses of so many wrong passwords, each with its own headers."""
    return [
        world.client(**said(n))
        .post("/v1/auth/token", data={"username": EMAIL, "password": f"wrong password {n}"})
        .status_code
        for n in range(times)
    ]


def test_wrong_tries_of_a_stranger_at_the_console_do_not_hold_up_the_person(
    world: World, ana: Person
) -> None:
    tries = wrong_tries(world, lambda _: {CLIENT_HEADER: header("198.51.100.1")})

    owner = world.sign_in(ana, **{CLIENT_HEADER: header("192.0.2.7")})

    assert tries[-1] == 429
    assert owner.status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        lambda n: {CLIENT_HEADER: header(f"198.51.100.{n}", key=b"k" * 32)},
        lambda n: {CLIENT_HEADER: header(f"198.51.100.{n}", username="bia@aurora.example")},
        lambda n: {CLIENT_HEADER: header(f"198.51.100.{n}", at=time.time() - 90)},
        lambda n: {CLIENT_HEADER: header(f"198.51.100.{n}", at=time.time() + 90)},
        lambda n: {CLIENT_HEADER: header("192.0.2.7").replace("192.0.2.7", f"198.51.100.{n}")},
        lambda n: {CLIENT_HEADER: f"198.51.100.{n}"},
        lambda n: {CLIENT_HEADER: f";;;{n}"},
    ],
    ids=["another key", "another person", "stale", "ahead", "altered", "unsigned", "nonsense"],
)
def test_an_address_that_the_console_did_not_name_does_not_count(
    world: World, ana: Person, said: Callable[[int], dict[str, str]]
) -> None:
    tries = wrong_tries(world, said)

    assert tries[-1] == 429


def test_a_sign_in_by_the_console_is_renewed_as_any_other(world: World, ana: Person) -> None:
    tokens = world.sign_in(ana, **{CLIENT_HEADER: header("192.0.2.7")}).json()
    body = {"refresh_token": tokens["refresh_token"]}

    first, at_once_again = (world.client().post("/v1/auth/refresh", json=body) for _ in range(2))

    assert (first.status_code, at_once_again.status_code) == (200, 200)


def test_both_sides_call_the_header_by_one_name() -> None:
    assert vouching.CLIENT_HEADER == CLIENT_HEADER
