"""How a person is known: kind, scope and value, as stored, and as a keyed hash that tells nothing."""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.contacts.models import ContactIdentity, IdentityKind
from engine.core.db import tenant_of
from engine.core.phone import canonical
from engine.core.settings import settings

# What a provider assigns to one person for good. A phone changes hands, a username is chosen and given up.
LASTING_KINDS = frozenset({IdentityKind.BSUID, IdentityKind.LID})


@dataclass(frozen=True, slots=True)
class Identity:
    """One way to know a person. `scope` says within what the value is theirs: a BSUID's portfolio, a LID's channel.

    `alias` is a provider's other spelling of the same phone (a Brazilian wa_id without its ninth digit).
    """

    kind: IdentityKind
    value: str
    scope: str = ""
    alias: str | None = None

    @property
    def is_lasting(self) -> bool:
        """Whether it names one person for good, as a phone does not."""
        return self.kind in LASTING_KINDS


def phone_identity(number: str, *, alias: str | None = None) -> Identity:
    """A phone in E.164, in its canonical form."""
    return Identity(IdentityKind.PHONE, canonical(number), alias=alias)


def bsuid_identity(value: str, *, portfolio: str) -> Identity:
    """WhatsApp's business-scoped user id, within the portfolio (or WhatsApp Business Account) that it was given to."""
    return Identity(IdentityKind.BSUID, value, scope=portfolio)


def as_identity(row: ContactIdentity) -> Identity:
    """The identity that a row holds."""
    return Identity(IdentityKind(row.kind), row.value, row.scope, row.alias)


def identities_of(session: Session, contact_id: UUID) -> Sequence[ContactIdentity]:
    """All identities of a contact, the oldest first."""
    return session.scalars(
        select(ContactIdentity).where(ContactIdentity.contact_id == contact_id).order_by(ContactIdentity.id)
    ).all()


def hash_of(session: Session, identity: Identity) -> bytes:
    """The keyed hash (HMAC-SHA256) of an identity; another company's hash of the same person differs."""
    return hasher_of(tenant_of(session)).hash(identity.kind, identity.value, identity.scope)


def hashes_of(session: Session, identities: Iterable[Identity]) -> list[bytes]:
    """The keyed hashes of several identities."""
    return [hash_of(session, identity) for identity in identities]


@dataclass(frozen=True, slots=True)
class Hasher:
    """Makes a tenant's keyed hashes; the key is derived from the master key, so a stolen table is of no use."""

    key: bytes

    def hash(self, kind: str, value: str, scope: str = "") -> bytes:
        """The hash of one identity."""
        return hmac.digest(self.key, f"{kind}|{scope}|{value}".encode(), "sha256")


@cache
def _derived_key(master_key: bytes, tenant_id: UUID) -> bytes:
    info = b"suppression|" + tenant_id.bytes
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(master_key)


def hasher_of(tenant_id: UUID) -> Hasher:
    """The hasher of a tenant."""
    return Hasher(_derived_key(settings().master_key_bytes, tenant_id))
