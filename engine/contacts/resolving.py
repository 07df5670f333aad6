"""Who is it that wrote? The contact of the identities that a provider shows: found, made, or two of them made one.

A lasting identity (BSUID, LID) decides. A phone decides only where no lasting identity speaks against it, because
numbers change hands: a contact with another BSUID of the same portfolio is another person, and loses the number. A
username is chosen and given up, so it decides only where nothing else is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from engine.contacts.consent import carry_opt_out, touch
from engine.contacts.events import contact_changed
from engine.contacts.identities import Identity, as_identity, identities_of
from engine.contacts.merging import Repoint, merge_contacts
from engine.contacts.models import Contact, ContactIdentity, IdentityKind
from engine.contacts.rows import find_locked, get_locked
from engine.contacts.wording import clean_name
from engine.core.db import tenant_of
from engine.core.errors import Conflict
from engine.core.ids import ContactId, uuid7

TRIES = 5


@dataclass(frozen=True, slots=True)
class Resolution:
    """The contact of some identities; whether it was made just now, and which contacts were merged into it."""

    contact_id: ContactId
    created: bool = False
    merged: tuple[UUID, ...] = ()


def resolve_contact(
    session: Session, identities: Sequence[Identity], *, name: str = "", repoint: Repoint
) -> Resolution:
    """The contact with these identities, made when there is none; `name` fills an empty name, never replaces one.

    `repoint(session, kept, gone)` moves what the floors above keep for a contact that is merged into an older one,
    before it is deleted.
    """
    if not identities:
        raise ValueError("a person is known by at least one identity")
    _wait_for_turn(session, identities)
    for _ in range(TRIES):
        resolution = _resolve(session, identities, name=clean_name(name), repoint=repoint)
        if resolution is not None:
            return resolution
    raise Conflict()


def _wait_for_turn(session: Session, identities: Sequence[Identity]) -> None:
    """Let nobody else look for the same person until this transaction ends.

    Without it, two first messages at once make two contacts, and the second takes the number from the first.
    """
    tenant = tenant_of(session)
    keys = sorted(f"{tenant}|{identity.kind}|{identity.scope}|{identity.value}" for identity in identities)
    for key in keys:
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def _resolve(
    session: Session, identities: Sequence[Identity], *, name: str, repoint: Repoint
) -> Resolution | None:
    """One try; None when somebody else took one of the identities meanwhile."""
    people = _people_shown(session, identities)
    if not people:
        contact = Contact(id=uuid7(), name=name)
        session.add(contact)
        session.flush()
        if attach_identities(session, contact.id, identities, name=name):
            return Resolution(ContactId(contact.id), created=True)
        session.delete(contact)
        session.flush()
        return None
    kept, *gone = people
    for absorbed in gone:
        merge_contacts(session, kept=kept, gone=absorbed, repoint=repoint)
    if not attach_identities(session, kept, identities, name=name):
        return None
    return Resolution(ContactId(kept), merged=tuple(gone))


def _people_shown(session: Session, identities: Sequence[Identity]) -> list[UUID]:
    """The contacts that these identities prove to be one person, the oldest first (ids are ordered by time)."""
    holders = find_holders(session, identities)
    lasting = [identity for identity in identities if identity.is_lasting]
    people = {holders[identity] for identity in lasting if identity in holders}
    for identity, holder in holders.items():
        if identity.kind is IdentityKind.PHONE and not _is_another_person(session, holder, lasting):
            people.add(holder)
    if not people and all(identity.kind is IdentityKind.USERNAME for identity in identities):
        people = set(holders.values())
    return sorted(people)


def find_holders(session: Session, identities: Sequence[Identity]) -> dict[Identity, UUID]:
    """Which contact holds each identity now; those that nobody holds are left out."""
    if not identities:
        return {}
    rows = session.scalars(select(ContactIdentity).where(or_(*map(_is_row_of, identities)))).all()
    held = {(row.kind, row.scope, row.value): row.contact_id for row in rows}
    keys = {identity: (identity.kind.value, identity.scope, identity.value) for identity in identities}
    return {identity: held[key] for identity, key in keys.items() if key in held}


def _is_row_of(identity: Identity) -> ColumnElement[bool]:
    return (
        (ContactIdentity.kind == identity.kind.value)
        & (ContactIdentity.scope == identity.scope)
        & (ContactIdentity.value == identity.value)
    )


def _is_another_person(session: Session, contact_id: UUID, lasting: Sequence[Identity]) -> bool:
    """Whether a contact has a lasting identity of a kind and scope that is shown, but with another value."""
    shown = {(identity.kind.value, identity.scope): identity.value for identity in lasting}
    rows = identities_of(session, contact_id)
    return any(shown.get((row.kind, row.scope), row.value) != row.value for row in rows)


def attach_identities(
    session: Session, contact_id: UUID, identities: Sequence[Identity], *, name: str = ""
) -> bool:
    """Give a contact the identities it lacks; False when somebody else took one of them meanwhile."""
    contact = find_locked(session, contact_id)
    if contact is None:
        return False
    known = {(row.kind, row.scope, row.value) for row in identities_of(session, contact_id)}
    missing = [
        identity
        for identity in identities
        if (identity.kind.value, identity.scope, identity.value) not in known
    ]
    _release_identities(session, missing)
    if not all(_take(session, contact_id, identity) for identity in missing):
        return False
    phones = [identity.value for identity in identities if identity.kind is IdentityKind.PHONE]
    phone = phones[0] if phones else contact.phone
    if not missing and phone == contact.phone and (contact.name or not name):
        return True
    contact.phone = phone
    contact.name = contact.name or name
    carry_opt_out(session, contact, missing)
    touch(session, contact)
    contact_changed(session, contact)
    return True


def _take(session: Session, contact_id: UUID, identity: Identity) -> bool:
    statement = (
        insert(ContactIdentity)
        .values(
            id=uuid7(),
            contact_id=contact_id,
            kind=identity.kind.value,
            scope=identity.scope,
            value=identity.value,
            alias=identity.alias,
        )
        .on_conflict_do_nothing()
        .returning(ContactIdentity.id)
    )
    return session.scalar(statement) is not None


def _release_identities(session: Session, identities: Sequence[Identity]) -> None:
    """Take identities from whoever holds them: the number now belongs to another person."""
    for identity, holder in sorted(find_holders(session, identities).items(), key=lambda held: held[1]):
        former = get_locked(session, holder)
        drop_identity(session, former, identity)
        touch(session, former)
        contact_changed(session, former)


def drop_identity(session: Session, contact: Contact, identity: Identity) -> None:
    """Take one identity from a contact, whose newest other phone then stands in the lists."""
    session.execute(delete(ContactIdentity).where(_is_row_of(identity)))
    if contact.phone == identity.value:
        left = [as_identity(row) for row in identities_of(session, contact.id)]
        phones = [kept.value for kept in left if kept.kind is IdentityKind.PHONE]
        contact.phone = phones[-1] if phones else None


def change_identity(
    session: Session, previous: Identity, current: Sequence[Identity], *, repoint: Repoint
) -> Resolution | None:
    """A provider gave a person new identities in place of one (a new BSUID with a new phone); None: never seen."""
    holder = find_holders(session, [previous]).get(previous)
    if holder is None:
        return None
    contact = get_locked(session, holder)
    drop_identity(session, contact, previous)
    session.flush()
    merged: list[UUID] = []
    for other in _people_shown(session, current):
        if other == holder or other in merged:  # who is shown by what they keep may be merged already
            continue
        kept, gone = sorted((holder, other))
        merge_contacts(session, kept=kept, gone=gone, repoint=repoint)
        merged.append(gone)
        holder = kept
    if not attach_identities(session, holder, current):
        raise Conflict()
    return Resolution(ContactId(holder), merged=tuple(merged))
