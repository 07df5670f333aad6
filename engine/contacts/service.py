"""Verbs on people: create, change, delete, and what they did last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.contacts.consent import (
    GivenConsent,
    carry_opt_out,
    check_consent,
    log_consent,
    set_consent,
    touch,
    withdraw_consent,
)
from engine.contacts.erasures import Kind, note
from engine.contacts.events import contact_changed, contact_deleted, contact_gone
from engine.contacts.identities import Identity, phone_identity
from engine.contacts.models import (
    ConsentState,
    Contact,
    ContactField,
    ContactIdentity,
    ContactTag,
    IdentityKind,
)
from engine.contacts.resolving import drop_identity, find_holders
from engine.contacts.rows import get_locked
from engine.contacts.wording import MAX_FIELDS, clean_fields, clean_name, clean_tags
from engine.core.errors import Conflict, Invalid
from engine.core.ids import uuid7
from engine.core.phone import parse_phone

__all__ = [
    "UNCHANGED",
    "ContactChange",
    "GivenConsent",
    "change_contact",
    "create_contact",
    "delete_contact",
    "record_inbound",
    "set_consent",
    "tag_contacts",
    "withdraw_consent",
]


class Unchanged(Enum):
    """Stands for a part of a contact that a change leaves as it is."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class ContactChange:
    """What to change: `tags` replace all tags, `fields` are laid over the present ones (None takes one away)."""

    name: str | Unchanged = UNCHANGED
    phone: str | Unchanged | None = UNCHANGED
    tags: Sequence[str] | Unchanged = UNCHANGED
    fields: Mapping[str, Any] | Unchanged = UNCHANGED


def create_contact(
    session: Session,
    *,
    name: str = "",
    phone: str | None = None,
    tags: Iterable[str] = (),
    fields: Mapping[str, Any] | None = None,
    consent: GivenConsent | None = None,
    region: str = "BR",
    recorded_by: UUID | None = None,
) -> Contact:
    """A new person; Conflict when the phone belongs to one already. `region` reads phones without a country code.

    A phone that opted out makes an opted-out contact, whatever `consent` says: a new word goes through set_consent.
    """
    identity = phone_identity(_read_phone(phone, region)) if phone else None
    name = clean_name(name)
    if not name and identity is None:
        raise _nothing_given("name")
    if consent is not None:
        check_consent(consent.purpose, consent.source, consent.state, within="consent.")
    contact = Contact(
        id=uuid7(),
        name=name,
        phone=identity.value if identity else None,
        fields=_fields(session, {}, fields or {}),
    )
    session.add(contact)
    session.flush()
    if identity is not None:
        _take_phone(session, contact, identity)
    _set_tags(session, contact.id, tags)
    if consent is not None:
        _take_first_word(session, contact, consent, recorded_by)
    session.refresh(contact)
    contact_changed(session, contact)
    return contact


def _take_first_word(
    session: Session, contact: Contact, consent: GivenConsent, recorded_by: UUID | None
) -> None:
    if consent.state is ConsentState.WITHDRAWN:
        withdraw_consent(session, contact.id, source=consent.source, recorded_by=recorded_by)
    elif contact.marketing_consent != ConsentState.WITHDRAWN:
        log_consent(session, contact.id, state=consent.state, source=consent.source, recorded_by=recorded_by)
        contact.marketing_consent = consent.state.value
        session.flush()


def change_contact(
    session: Session, contact_id: UUID, change: ContactChange, *, region: str = "BR"
) -> Contact:
    """The person after the change; Conflict when the new phone belongs to somebody else.

    The last of name and phone can't be taken away. Who never had either (they wrote by a WhatsApp id alone) may stay so.
    """
    contact = get_locked(session, contact_id)
    had_any = bool(contact.name or contact.phone)
    if not isinstance(change.name, Unchanged):
        contact.name = clean_name(change.name)
    if not isinstance(change.phone, Unchanged):
        _change_phone(session, contact, change.phone, region)
    if had_any and not contact.name and contact.phone is None:
        raise _nothing_given("phone" if isinstance(change.name, Unchanged) else "name")
    if not isinstance(change.fields, Unchanged):
        contact.fields = _fields(session, contact.fields, change.fields)
    if not isinstance(change.tags, Unchanged):
        session.execute(delete(ContactTag).where(ContactTag.contact_id == contact_id))
        _set_tags(session, contact_id, change.tags)
    touch(session, contact)
    contact_changed(session, contact)
    return contact


def delete_contact(session: Session, contact_id: UUID) -> None:
    """Remove a person with identities, tags, consents and threads; an opt-out stays as a hash.

    The floors above hear of it and forget their words, files and addresses; that messages went out stays counted.
    """
    contact = get_locked(session, contact_id)
    contact_gone(session, contact)
    contact_deleted(session, contact)
    note(session, Kind.ERASED, contact_id)
    session.execute(delete(Contact).where(Contact.id == contact_id))
    session.expunge(contact)


def record_inbound(session: Session, contact_id: UUID, at: datetime) -> None:
    """Note when a person last wrote; a message that comes late moves nothing back."""
    changed = session.scalar(
        update(Contact)
        .where(Contact.id == contact_id, or_(Contact.last_inbound_at.is_(None), Contact.last_inbound_at < at))
        .values(last_inbound_at=at, revision=Contact.revision + 1)
        .returning(Contact)
    )
    if changed is not None:
        contact_changed(session, changed)


def tag_contacts(session: Session, contact_ids: Iterable[UUID], tags: Iterable[str]) -> None:
    """Give several people some tags."""
    rows = [{"tag": tag, "contact_id": contact_id} for contact_id in contact_ids for tag in clean_tags(tags)]
    if rows:
        session.execute(insert(ContactTag).values(rows).on_conflict_do_nothing())


def _set_tags(session: Session, contact_id: UUID, tags: Iterable[str]) -> None:
    tag_contacts(session, [contact_id], tags)


def _fields(session: Session, present: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields after a change, their names made known for the list of fields."""
    cleaned = clean_fields(given)
    fields = {key: value for key, value in (dict(present) | cleaned).items() if value is not None}
    if len(fields) > MAX_FIELDS:
        raise Invalid.field(
            "fields", "too_many_fields", "A person has %(limit)s fields at most.", limit=MAX_FIELDS
        )
    names = [{"field": key} for key in sorted(set(fields) - set(present))]
    if names:
        session.execute(insert(ContactField).values(names).on_conflict_do_nothing())
    return fields


def _nothing_given(field: str) -> Invalid:
    return Invalid.field(field, "nothing_given", "Give the person a name or a phone number.")


def _read_phone(phone: str, region: str) -> str:
    number = parse_phone(phone, region=region)
    if number is None:
        raise Invalid.field(
            "phone",
            "bad_phone",
            "“%(value)s” is not a phone number. Write it with area code, or with + and the country code.",
            value=phone[:40],
        )
    return number


def _take_phone(session: Session, contact: Contact, identity: Identity) -> None:
    taken = (
        insert(ContactIdentity)
        .values(id=uuid7(), contact_id=contact.id, kind=identity.kind.value, value=identity.value)
        .on_conflict_do_nothing()
        .returning(ContactIdentity.id)
    )
    if session.scalar(taken) is None:
        holder = find_holders(session, [identity]).get(identity)
        raise Conflict(
            "phone_taken",
            "%(phone)s belongs to another contact already.",
            values={"phone": identity.value},
            extra={"contact_id": str(holder)} if holder else None,
        )
    carry_opt_out(session, contact, [identity])


def _change_phone(session: Session, contact: Contact, phone: str | None, region: str) -> None:
    """Put a phone in the place of the one shown, or take it away."""
    number = _read_phone(phone, region) if phone else None
    if number == contact.phone:
        return
    if contact.phone is not None:
        drop_identity(session, contact, Identity(IdentityKind.PHONE, contact.phone))
    if number is None:
        return
    identity = phone_identity(number)
    if find_holders(session, [identity]).get(identity) != contact.id:
        _take_phone(session, contact, identity)
    contact.phone = number
