"""Who runs an import, and how far it is: turn, lease, epoch, checkpoint, end.

A worker holds an import by a lease and an epoch. Rows, counts and the line they end with are committed together, so
whoever takes over goes on with the next line; a worker that was frozen finds another epoch and writes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from engine.contacts.events import contacts_changed
from engine.contacts.imports.batches import Marks, Written
from engine.contacts.imports.columns import Plan, plan_of
from engine.contacts.imports.layout import Layout
from engine.contacts.imports.problems import BadFile
from engine.contacts.imports.service import discard_file, import_changed
from engine.contacts.models import ContactImport, ImportStatus
from engine.core import clock
from engine.core.db import after_commit
from engine.core.errors import Conflict, NotFound
from engine.core.i18n import N_
from engine.core.ids import ImportId, TenantId

LEASE_SECONDS = 60
MAX_TRIES = 20  # a file that takes its worker down each time is given up


@dataclass(frozen=True, slots=True)
class DueImport:
    """An import that waits for a worker."""

    tenant_id: TenantId
    import_id: ImportId


@dataclass(frozen=True, slots=True)
class Claim:
    """An import in our hands, and all that is needed to go on with it."""

    import_id: UUID
    epoch: int
    path: str
    layout: Layout
    plan: Plan
    region: str
    after_line: int
    bytes_total: int
    marks: Marks


class LeaseLostError(Exception):
    """Another worker has this import now."""


def due_imports(session: Session, *, limit: int = 20) -> list[DueImport]:
    """The imports that wait for a worker, one of each company, so that none waits for all of another's files.

    The company that has waited longest for a turn comes first. For a session of the system role.
    """
    ours = (
        select(ContactImport.tenant_id, ContactImport.id, ContactImport.waits_since)
        .where(ContactImport.finished_at.is_(None), _is_free())
        .ext(distinct_on(ContactImport.tenant_id))
        .order_by(ContactImport.tenant_id, ContactImport.waits_since, ContactImport.id)
        .subquery()
    )
    rows = session.execute(select(ours.c.tenant_id, ours.c.id).order_by(ours.c.waits_since).limit(limit))
    return [DueImport(TenantId(row.tenant_id), ImportId(row.id)) for row in rows]


def claim_import(session: Session, import_id: UUID) -> Claim | None:
    """Take an import that nobody holds; None when somebody does, or it has ended."""
    row = session.scalar(
        update(ContactImport)
        .where(ContactImport.id == import_id, ContactImport.finished_at.is_(None), _is_free())
        .values(
            status=ImportStatus.RUNNING.value,
            epoch=ContactImport.epoch + 1,
            tries=ContactImport.tries + 1,
            waits_since=func.now(),
            lease_until=_lease(),
            revision=ContactImport.revision + 1,
        )
        .returning(ContactImport)
    )
    if row is None:
        return None
    if row.tries > MAX_TRIES:
        _close(session, row, ImportStatus.FAILED, BadFile("gave_up"))
        return None
    import_changed(session, row)
    layout = Layout.from_json(row.layout or {})
    return Claim(
        import_id=row.id,
        epoch=row.epoch,
        path=row.path,
        layout=layout,
        plan=plan_of(layout, row.mapping),
        region=row.region,
        after_line=row.line,
        bytes_total=row.bytes_total,
        marks=Marks(
            row.id,
            tags=tuple(row.tags),
            consent_source=row.consent["source"] if row.consent else None,
            recorded_by=row.created_by,
        ),
    )


def _is_free() -> ColumnElement[bool]:
    return or_(ContactImport.lease_until.is_(None), ContactImport.lease_until < func.now())


def _lease() -> ColumnElement[datetime]:
    return func.now() + text(f"interval '{LEASE_SECONDS} seconds'")


def write_checkpoint(
    session: Session, claim: Claim, written: Written, *, last_line: int, bytes_read: int, gives_back: bool
) -> ContactImport:
    """Write down how far we are, in the transaction of the rows; LeaseLostError when the import is not ours."""
    row: ContactImport | None = session.scalar(
        update(ContactImport)
        .where(ContactImport.id == claim.import_id, ContactImport.epoch == claim.epoch)
        .where(ContactImport.finished_at.is_(None))
        .values(
            line=last_line,
            bytes_read=bytes_read,
            created=ContactImport.created + written.created,
            updated=ContactImport.updated + written.updated,
            rejected=ContactImport.rejected + written.rejected,
            total=ContactImport.total + written.created + written.updated + written.rejected,
            tries=0,
            waits_since=func.now(),
            lease_until=None if gives_back else _lease(),
            revision=ContactImport.revision + 1,
        )
        .returning(ContactImport)
    )
    if row is None:
        raise LeaseLostError
    return row


def cancel_import(session: Session, import_id: UUID) -> ContactImport:
    """End an import where it is: what was taken stays, and its worker writes no more. Conflict when it has ended."""
    # Without a key lock, so that it does not wait for the batch that is being written; that batch is then given up.
    row = session.scalar(
        select(ContactImport).where(ContactImport.id == import_id).with_for_update(key_share=True)
    )
    if row is None:
        raise NotFound()
    if row.finished_at is not None:
        raise Conflict("import_ended", N_("This import has ended already."))
    _close(session, row, ImportStatus.FAILED, BadFile("cancelled"))
    return row


def finish_import(session: Session, claim: Claim, status: ImportStatus, error: BadFile | None = None) -> bool:
    """End an import that is still ours; False when it is not."""
    row = session.scalar(
        select(ContactImport)
        .where(ContactImport.id == claim.import_id, ContactImport.epoch == claim.epoch)
        .where(ContactImport.finished_at.is_(None))
        .with_for_update()
    )
    if row is None:
        return False
    _close(session, row, status, error)
    return True


def _close(session: Session, row: ContactImport, status: ImportStatus, error: BadFile | None = None) -> None:
    """End an import; its file is deleted once that is committed, because it is full of people."""
    row.status = status.value
    row.error = {"code": error.code, "values": error.values} if error else None
    row.finished_at = clock.now()
    row.lease_until = None
    row.revision += 1
    session.flush()
    import_changed(session, row)
    contacts_changed(session, count=row.created + row.updated, import_id=row.id)
    path = row.path
    after_commit(session, lambda: discard_file(path))
