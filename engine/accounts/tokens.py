"""Access tokens (EdDSA JWT, ten minutes) and refresh tokens (opaque, thirty days), made and read; no database here."""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.core.clock import now
from engine.core.errors import Unauthenticated
from engine.core.ids import TenantId, UserId, uuid7
from engine.core.settings import settings

ACCESS_LIFETIME = timedelta(minutes=10)
LEEWAY = timedelta(seconds=30)  # between the clocks of machines that serve the same people
REFRESH_LIFETIME = timedelta(days=30)

ISSUER = "masteria"
AUDIENCE = "masteria-api"
TYPE = "at+jwt"  # RFC 9068: an ID token of the same issuer is not an access token
ALGORITHM = "EdDSA"

REFRESH_PREFIX = "mrt_"
SECRET_BYTES = 32
UUID_BYTES = 16


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Whom an access token names. What they may do now is read from the database, not from here."""

    user_id: UserId
    tenant_id: TenantId
    session_id: UUID


@dataclass(frozen=True, slots=True)
class RefreshParts:
    """What a refresh token says: whose it is, which row keeps it, and the proof of its secret."""

    tenant_id: TenantId
    token_id: UUID
    secret_sha256: bytes


@dataclass(frozen=True, slots=True)
class _Keys:
    private: Ed25519PrivateKey
    public: Ed25519PublicKey
    key_id: str


@cache
def _keys_from(seed: bytes) -> _Keys:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key()
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _Keys(private, public, hashlib.sha256(raw).hexdigest()[:16])


def _keys() -> _Keys:
    return _keys_from(settings().signing_key_bytes)


def write_access_token(*, user_id: UUID, tenant_id: UUID, role: str, session_id: UUID) -> str:
    """A signed access token; the role is told for the reader's sake and never relied upon."""
    keys = _keys()
    issued = now()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "tenant": str(tenant_id),
        "role": role,
        "sid": str(session_id),
        "jti": str(uuid7()),
        "iat": issued,
        "nbf": issued,
        "exp": issued + ACCESS_LIFETIME,
    }
    return jwt.encode(claims, keys.private, ALGORITHM, headers={"typ": TYPE, "kid": keys.key_id})


def read_access_token(token: str) -> AccessClaims:
    """The claims of a token of ours that is good now; Unauthenticated for any other."""
    keys = _keys()
    try:
        header = jwt.get_unverified_header(token)
        # The key is ours whatever the header says: `jwk`, `jku` and a foreign `kid` choose nothing.
        if header.get("typ") != TYPE or header.get("kid") != keys.key_id:
            raise Unauthenticated()
        claims: dict[str, Any] = jwt.decode(
            token,
            keys.public,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=LEEWAY,
            options={
                "require": ["exp", "iat", "nbf", "iss", "aud", "sub", "sid", "tenant", "jti"],
                "verify_iat": True,
                "strict_aud": True,
            },
        )
        return AccessClaims(
            user_id=UserId(UUID(claims["sub"])),
            tenant_id=TenantId(UUID(claims["tenant"])),
            session_id=UUID(claims["sid"]),
        )
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
        raise Unauthenticated() from error


def new_secret() -> bytes:
    """The secret part of a refresh token."""
    return os.urandom(SECRET_BYTES)


def write_refresh_token(*, tenant_id: UUID, token_id: UUID, secret: bytes) -> str:
    """A refresh token: it names its company and its row, so that it is found without looking across companies."""
    packed = tenant_id.bytes + token_id.bytes + secret
    return REFRESH_PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_refresh_token(token: str) -> RefreshParts | None:
    """The parts of a refresh token, or None when it does not look like one of ours."""
    body = token.removeprefix(REFRESH_PREFIX)
    if body == token:
        return None
    try:
        packed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(packed) != 2 * UUID_BYTES + SECRET_BYTES:
        return None
    return RefreshParts(
        tenant_id=TenantId(UUID(bytes=packed[:UUID_BYTES])),
        token_id=UUID(bytes=packed[UUID_BYTES : 2 * UUID_BYTES]),
        secret_sha256=secret_digest(packed[2 * UUID_BYTES :]),
    )


def secret_digest(secret: bytes) -> bytes:
    """What is kept of a secret. It is 256 random bits, so a plain hash can't be guessed back."""
    return hashlib.sha256(secret).digest()
