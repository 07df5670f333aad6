"""Secrets at rest: a blob opens in its own place alone, and only under the key it was sealed with."""

import base64
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from engine.core import crypto
from engine.core.bootstrap import DatabaseUrls
from engine.core.crypto import DataKey, decrypt, encrypt
from engine.core.db import tenant_session
from engine.core.errors import DecryptionFailed
from engine.core.settings import settings

SECRET = b"EAAG-a-token-of-a-provider"
TENANT = uuid4()
ROW = uuid4()


@pytest.fixture(autouse=True)
def _no_keys_in_memory(database: DatabaseUrls) -> None:
    crypto._unwrapped.clear()


def seal(secret: bytes = SECRET, *, tenant_id: UUID = TENANT, row: UUID = ROW) -> bytes:
    with tenant_session(tenant_id) as session:
        return encrypt(session, secret, table="channels", column="credentials", row=row)


def open_(
    blob: bytes,
    *,
    tenant_id: UUID = TENANT,
    table: str = "channels",
    column: str = "credentials",
    row: UUID = ROW,
) -> bytes:
    with tenant_session(tenant_id) as session:
        return decrypt(session, blob, table=table, column=column, row=row)


@pytest.mark.parametrize("secret", [SECRET, b"", b"\0" * 100_000])
def test_what_was_sealed_opens_in_its_place(secret: bytes) -> None:
    blob = seal(secret)

    assert open_(blob) == secret
    assert SECRET not in blob


def test_a_blob_opens_in_a_process_that_has_not_seen_the_key() -> None:
    blob = seal()
    crypto._unwrapped.clear()

    assert open_(blob) == SECRET


@pytest.mark.parametrize(
    "elsewhere",
    [
        lambda blob: open_(blob, row=uuid4()),
        lambda blob: open_(blob, column="verify_token"),
        lambda blob: open_(blob, table="templates"),
        lambda blob: open_(blob, tenant_id=uuid4()),
    ],
    ids=["row", "column", "table", "tenant"],
)
def test_a_blob_that_was_moved_does_not_open(elsewhere: Callable[[bytes], bytes]) -> None:
    blob = seal()

    with pytest.raises(DecryptionFailed):
        elsewhere(blob)


def test_a_tenant_with_a_key_of_its_own_does_not_open_anothers_blob() -> None:
    other = uuid4()
    blob, _ = seal(), seal(tenant_id=other)

    with pytest.raises(DecryptionFailed):
        open_(blob, tenant_id=other)


def test_a_blob_with_one_bit_changed_does_not_open() -> None:
    blob = seal()
    opened = []

    for place in range(len(blob)):
        altered = bytearray(blob)
        altered[place] ^= 1 << (place % 8)
        with pytest.raises(DecryptionFailed):
            opened.append(open_(bytes(altered)))

    assert opened == []


def test_a_blob_that_was_cut_or_lengthened_does_not_open() -> None:
    blob = seal()

    for altered in (*(blob[:length] for length in range(0, len(blob), 5)), blob + b"\0"):
        with pytest.raises(DecryptionFailed):
            open_(altered)


def test_another_master_key_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = seal()
    crypto._unwrapped.clear()

    with monkeypatch.context() as changed:
        changed.setenv("MASTERIA_MASTER_KEY", base64.b64encode(bytes(range(32))).decode())
        settings.cache_clear()
        with pytest.raises(DecryptionFailed):
            open_(blob)
    settings.cache_clear()

    assert open_(blob) == SECRET


def test_a_data_key_that_was_moved_to_another_tenant_does_not_open() -> None:
    blob, other = seal(), uuid4()
    with tenant_session(TENANT) as session:
        stolen = session.scalars(select(DataKey)).one()
        kept = {"id": stolen.id, "master_key_id": stolen.master_key_id, "wrapped": stolen.wrapped}
    with tenant_session(other) as session:
        session.add(DataKey(**kept))
    crypto._unwrapped.clear()

    with pytest.raises(DecryptionFailed):
        open_(blob, tenant_id=other)


def test_the_same_secret_never_looks_the_same() -> None:
    blobs = {seal() for _ in range(50)}

    assert len(blobs) == 50
    assert len({blob[17:29] for blob in blobs}) == 50, "each has a nonce of its own"


def test_a_key_counts_its_uses_and_makes_way_when_they_are_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "USES_PER_KEY", 3)

    blobs = [seal() for _ in range(7)]

    with tenant_session(TENANT) as session:
        uses = session.scalars(select(DataKey.uses).order_by(DataKey.id)).all()
    assert uses == [3, 3, 1]
    assert {open_(blob) for blob in blobs} == {SECRET}


def test_a_retired_key_still_opens_and_seals_no_more() -> None:
    before = seal()
    with tenant_session(TENANT) as session:
        session.execute(update(DataKey).values(retired_at=DataKey.created_at))

    after = seal()

    assert before[1:17] != after[1:17]
    assert open_(before) == open_(after) == SECRET
