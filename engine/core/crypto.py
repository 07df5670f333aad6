"""AES-256-GCM envelope encryption: a data key per tenant, wrapped under the master key.

A blob is `version (1) | key id (16) | nonce (12) | ciphertext and tag`. The associated data names tenant, table,
column and row, so that a blob copied to another place does not open. Keys: NIST SP 800-38D allows 2^32 random nonces
per key; a data key counts its uses and retires long before.
"""

import hashlib
import os
import threading
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import BigInteger, LargeBinary, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine.core.db import Base, TenantTable, tenant_of
from engine.core.errors import DecryptionFailed
from engine.core.ids import uuid7
from engine.core.settings import settings

VERSION = b"\x01"
NONCE_BYTES = 12
KEY_ID_BYTES = 16
HEAD = len(VERSION) + KEY_ID_BYTES + NONCE_BYTES
USES_PER_KEY = 2**31  # half of what SP 800-38D section 8.3 allows for random nonces


class DataKey(TenantTable, Base):
    """A tenant's data key, wrapped under the master key named in `master_key_id`."""

    __tablename__ = "data_keys"

    master_key_id: Mapped[str]
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    uses: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    retired_at: Mapped[datetime | None]


_unwrapped: dict[UUID, bytes] = {}
_lock = threading.Lock()


def encrypt(session: Session, plaintext: bytes, *, table: str, column: str, row: UUID) -> bytes:
    """A blob that only this tenant, table, column and row can open."""
    key_id, key = _key_for_writing(session)
    nonce = os.urandom(NONCE_BYTES)
    bound = _bound_to(session, table, column, row, key_id)
    return VERSION + key_id.bytes + nonce + AESGCM(key).encrypt(nonce, plaintext, bound)


def decrypt(session: Session, blob: bytes, *, table: str, column: str, row: UUID) -> bytes:
    """The plaintext of a blob; DecryptionFailed when it was altered, cut, moved, or its key is not here."""
    if len(blob) < HEAD + 16 or blob[:1] != VERSION:
        raise DecryptionFailed()
    key_id = UUID(bytes=bytes(blob[1 : 1 + KEY_ID_BYTES]))
    nonce = blob[1 + KEY_ID_BYTES : HEAD]
    key = _key_for_reading(session, key_id)
    try:
        return AESGCM(key).decrypt(nonce, blob[HEAD:], _bound_to(session, table, column, row, key_id))
    except InvalidTag as error:
        raise DecryptionFailed() from error


def _bound_to(session: Session, table: str, column: str, row: UUID, key_id: UUID) -> bytes:
    return f"{tenant_of(session)}|{table}|{column}|{row}|{key_id}".encode()


def _key_for_writing(session: Session) -> tuple[UUID, bytes]:
    """The tenant's present data key, made when there is none or when the present one is used up."""
    key_id = session.scalar(
        select(DataKey.id)
        .where(DataKey.retired_at.is_(None), DataKey.uses < USES_PER_KEY)
        .order_by(DataKey.id.desc())
        .limit(1)
    )
    if key_id is None:
        key_id, key = uuid7(), AESGCM.generate_key(bit_length=256)
        wrapped = _wrap(session, key_id, key)
        session.add(DataKey(id=key_id, master_key_id=_master_key_id(), wrapped=wrapped, uses=1))
        session.flush()
        return key_id, key
    session.execute(update(DataKey).where(DataKey.id == key_id).values(uses=DataKey.uses + 1))
    return key_id, _key_for_reading(session, key_id)


def _key_for_reading(session: Session, key_id: UUID) -> bytes:
    with _lock:
        known = _unwrapped.get(key_id)
    # The row is looked up even when the key is cached: row-level security decides whose key it is.
    stored = session.scalar(select(DataKey).where(DataKey.id == key_id))
    if stored is None:
        raise DecryptionFailed()
    if known is None:
        known = _unwrap(session, stored)
        with _lock:
            _unwrapped[key_id] = known
    return known


def master_key_fits(session: Session) -> bool:
    """Whether all companies' keys were wrapped under the present master key; a question on a system session."""
    other = select(DataKey.id).where(DataKey.master_key_id != _master_key_id()).limit(1)
    return session.scalar(other) is None


def _master_key_id() -> str:
    """A name for the present master key that tells nothing of it."""
    return hashlib.sha256(b"master-key-id|" + settings().master_key_bytes).hexdigest()[:16]


def _wrap(session: Session, key_id: UUID, key: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(settings().master_key_bytes).encrypt(nonce, key, _wrap_binding(session, key_id))


def _unwrap(session: Session, stored: DataKey) -> bytes:
    if stored.master_key_id != _master_key_id():
        raise DecryptionFailed()
    nonce, sealed = stored.wrapped[:NONCE_BYTES], stored.wrapped[NONCE_BYTES:]
    try:
        return AESGCM(settings().master_key_bytes).decrypt(nonce, sealed, _wrap_binding(session, stored.id))
    except InvalidTag as error:
        raise DecryptionFailed() from error


def _wrap_binding(session: Session, key_id: UUID) -> bytes:
    return f"{tenant_of(session)}|data_keys|wrapped|{key_id}".encode()
