"""A contact's row, read or locked for a change."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.contacts.models import Contact
from engine.core.errors import NotFound


def find_contact(session: Session, contact_id: UUID) -> Contact | None:
    """The contact with this id, or None."""
    return session.scalar(select(Contact).where(Contact.id == contact_id))


def get_contact(session: Session, contact_id: UUID) -> Contact:
    """The contact with this id; NotFound when there is none."""
    contact = find_contact(session, contact_id)
    if contact is None:
        raise NotFound()
    return contact


def find_locked(session: Session, contact_id: UUID) -> Contact | None:
    """The contact as it is now, locked until the transaction ends; None when there is none."""
    statement = select(Contact).where(Contact.id == contact_id).with_for_update()
    return session.scalar(statement.execution_options(populate_existing=True))


def get_locked(session: Session, contact_id: UUID) -> Contact:
    """The contact as it is now, locked until the transaction ends; NotFound when there is none."""
    contact = find_locked(session, contact_id)
    if contact is None:
        raise NotFound()
    return contact
