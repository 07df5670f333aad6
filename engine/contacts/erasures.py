"""The erasure ledger: who was deleted, who opted out, kept outside the database for the day a backup is restored.

A backup that is older than a deletion brings the person back, one that is older than an opt-out forgets it. So each
writes a row here, in its own transaction; a job copies the rows into a file (`erasure_book.py`) and deletes them once
they are on the disk. A process that dies in between leaves the row, and a line that is written twice counts once.
Nobody's name or number stands in it: ids, and the keyed hashes that suppressions have.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, LargeBinary, func, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine.contacts.erasure_book import Entry, append
from engine.core.bells import ring
from engine.core.db import Base, TenantTable, after_commit, run
from engine.core.ids import uuid7

BATCH = 500


class Kind(StrEnum):
    """What happened to a person's rows: deleted, made one with another's, no marketing any more, marketing again."""

    ERASED = "erased"
    MERGED = "merged"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class ErasureEntry(TenantTable, Base):
    """One line of the ledger that is not in its file yet.

    `at` is read from the clock, and not when the transaction began: who waited for a contact comes after who had it.
    """

    __tablename__ = "erasure_ledger"
    __table_args__ = (CheckConstraint("kind in ('erased', 'merged', 'opted_out', 'opted_in')", name="kind"),)

    kind: Mapped[str]
    contact_id: Mapped[UUID]
    into_id: Mapped[UUID | None]
    hashes: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


def note(
    session: Session,
    kind: Kind,
    contact_id: UUID,
    *,
    hashes: Collection[bytes] = (),
    into: UUID | None = None,
) -> None:
    """Write a line, if and only if this transaction commits; `hashes` are of the identities that it speaks of."""
    session.execute(
        insert(ErasureEntry).values(
            id=uuid7(), kind=kind.value, contact_id=contact_id, into_id=into, hashes=sorted(hashes)
        )
    )
    after_commit(session, lambda: ring("erasures"))


def keep_due(session: Session, folder: Path) -> bool:
    """Copy some lines into the ledger's file and let go of them; True when there may be more. System session.

    Raises OSError when the folder can't be written: the lines stay, and are tried again.
    """
    rows = run(
        session,
        """select tenant_id, id, kind, contact_id, into_id, hashes, at from erasure_ledger
           order by id limit %(batch)s for update skip locked""",
        batch=BATCH,
    )
    if rows:
        append(
            folder,
            [
                Entry(
                    row.tenant_id,
                    row.id,
                    row.kind,
                    row.contact_id,
                    row.at,
                    tuple(bytes(digest) for digest in row.hashes),
                    row.into_id,
                )
                for row in rows
            ],
        )
        # Only now are they on the disk: a crash before the commit writes them twice, never not at all.
        run(session, "delete from erasure_ledger where id = any(%(ids)s)", ids=[row.id for row in rows])
    return len(rows) == BATCH


def lines_wait(session: Session) -> bool:
    """Whether a line is not in the file yet; a question on a system session."""
    return bool(run(session, "select 1 from erasure_ledger limit 1"))
