"""What is not an access token of ours is refused, however it is dressed up."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.core.settings import settings

from .conftest import Caller, World


def our_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(settings().signing_key_bytes)


def good(caller: Caller) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of the caller's own token."""
    token = caller.http.headers["authorization"].removeprefix("Bearer ")
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def forge(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token put together by hand, so that no library refuses to make it."""

    def pack(part: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")

    signed = pack(header) + b"." + pack(claims)
    return (signed + b"." + base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")).decode()


def status(world: World, token: str) -> int:
    return world.client(Authorization=f"Bearer {token}").get("/v1/me").status_code


def test_the_forger_of_these_tests_can_make_a_good_one(world: World) -> None:
    header, claims = good(world.caller())

    assert status(world, forge(header, claims, our_key().sign)) == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(world: World, algorithm: str) -> None:
    header, claims = good(world.caller())

    assert status(world, forge(header | {"alg": algorithm}, claims, lambda _: b"")) == 401


def test_a_token_signed_with_the_public_key_as_a_password_is_refused(world: World) -> None:
    header, claims = good(world.caller())
    key = our_key().public_key()
    spellings = [
        key.public_bytes(Encoding.Raw, PublicFormat.Raw),
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ]

    forged = [
        forge(
            header | {"alg": "HS256"},
            claims,
            lambda signed, k=spelling: hmac.digest(k, signed, hashlib.sha256),
        )
        for spelling in spellings
    ]

    assert [status(world, token) for token in forged] == [401, 401]


def test_a_token_that_brings_its_own_key_is_refused(world: World) -> None:
    header, claims = good(world.caller())
    own = Ed25519PrivateKey.generate()
    raw = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}

    for extra in ({"jwk": jwk}, {"jku": "http://127.0.0.1:1/keys"}, {"x5u": "http://127.0.0.1:1/c"}, {}):
        assert status(world, forge(header | extra, claims, own.sign)) == 401


@pytest.mark.parametrize("key_id", ["other", "../../dev/null", "", None, 7])
def test_an_unknown_key_id_is_refused(world: World, key_id: object) -> None:
    header, claims = good(world.caller())

    assert status(world, forge(header | {"kid": key_id}, claims, our_key().sign)) == 401


@pytest.mark.parametrize(
    "change",
    [
        {"exp": datetime(2020, 1, 1, tzinfo=UTC).timestamp()},
        {"nbf": (datetime.now(UTC) + timedelta(hours=1)).timestamp()},
        {"iat": (datetime.now(UTC) + timedelta(hours=1)).timestamp()},
        {"aud": "another-api"},
        {"aud": ["masteria-api", "another-api"]},
        {"iss": "somebody"},
        {"sub": "not-an-id"},
        {"sub": str(uuid4())},
        {"sid": str(uuid4())},
        {"sid": 5},
        {"tenant": str(uuid4())},
        {"tenant": None},
    ],
)
def test_a_token_of_ours_with_other_claims_is_refused(world: World, change: dict[str, Any]) -> None:
    header, claims = good(world.caller())

    assert status(world, forge(header, claims | change, our_key().sign)) == 401


@pytest.mark.parametrize(("ahead", "is_good"), [(20, True), (61, False), (-20, True), (-61, False)], ids=str)
def test_a_machine_whose_clock_is_a_little_off_is_believed(world: World, ahead: int, is_good: bool) -> None:
    """Its tokens begin so many seconds from now, or have ended so many ago."""
    header, claims = good(world.caller())
    moment = datetime.now(UTC).timestamp() + ahead
    told = {"iat": moment, "nbf": moment} if ahead > 0 else {"exp": moment}

    assert status(world, forge(header, claims | told, our_key().sign)) == (200 if is_good else 401)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "iss", "aud", "sub", "sid", "tenant", "jti"])
def test_a_token_of_ours_without_a_claim_is_refused(world: World, name: str) -> None:
    header, claims = good(world.caller())
    del claims[name]

    assert status(world, forge(header, claims, our_key().sign)) == 401


@pytest.mark.parametrize("kind", ["JWT", "rt+jwt", None])
def test_a_token_of_another_kind_is_refused(world: World, kind: str | None) -> None:
    header, claims = good(world.caller())

    assert status(world, forge(header | {"typ": kind}, claims, our_key().sign)) == 401


def test_a_refresh_token_is_no_access_token(world: World) -> None:
    caller = world.caller()

    assert status(world, caller.refresh_token) == 401


def test_one_companys_sign_in_opens_no_other_company(world: World) -> None:
    caller, other = world.caller(), world.caller(email="other@example.com")
    header, claims = good(caller)
    theirs = good(other)[1]

    forged = forge(header, claims | {"tenant": theirs["tenant"]}, our_key().sign)

    assert status(world, forged) == 401


def test_a_role_in_the_token_gives_nothing(world: World) -> None:
    company = world.caller()
    analyst = world.caller(email="b@example.com", company=company.tenant_id)
    header, claims = good(analyst)

    token = forge(header, claims | {"role": "god"}, our_key().sign)

    assert world.client(Authorization=f"Bearer {token}").get("/v1/me").json()["role"] == "owner"


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi", "Bearer a.b.c", "bearer x y"])
def test_rubbish_in_place_of_a_token_is_refused(world: World, header: str) -> None:
    answer = world.client(Authorization=header).get("/v1/me")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "unauthenticated"
