"""The facts this floor states: for screens with ids and revisions, for the floors above with what happened."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from engine.contacts.models import Contact
from engine.core.events import Fact, emit


def contact_changed(session: Session, contact: Contact) -> None:
    """A person's row changed; screens fetch it again if they show it."""
    emit(session, Fact("contact.changed", {"id": str(contact.id), "revision": contact.revision}))


def contact_gone(session: Session, contact: Contact) -> None:
    """A person's row is gone, deleted or merged into another; screens drop it."""
    data = {"id": str(contact.id), "revision": contact.revision + 1, "deleted": True}
    emit(session, Fact("contact.changed", data))


def contact_deleted(session: Session, contact: Contact) -> None:
    """A person was deleted: the floors above forget what they keep of them."""
    emit(session, Fact("contact.deleted", {"id": str(contact.id)}))


def contacts_merged(session: Session, *, kept: UUID, gone: UUID) -> None:
    """Two contacts turned out to be one person."""
    emit(session, Fact("contacts.merged", {"kept": str(kept), "gone": str(gone)}))


def contact_opted_out(session: Session, contact: Contact, *, source: str, at: datetime) -> None:
    """A person asked not to be written to for marketing."""
    emit(session, Fact("contact.opted_out", {"id": str(contact.id), "source": source, "at": at.isoformat()}))


def contacts_changed(session: Session, *, count: int, import_id: UUID | None = None) -> None:
    """Many people changed at once; screens fetch their page again."""
    data = {"n": count} | ({"import_id": str(import_id)} if import_id else {})
    emit(session, Fact("contacts.changed", data))
