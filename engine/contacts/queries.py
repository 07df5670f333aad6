"""Questions about people: one, a page of them, the tags and fields in use."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, exists, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Session

from engine.contacts.identities import Identity, as_identity
from engine.contacts.models import (
    Contact,
    ContactField,
    ContactIdentity,
    ContactTag,
    IdentityKind,
    ImportContact,
)
from engine.contacts.rows import find_contact, get_contact
from engine.contacts.searching import Patterns, patterns_of
from engine.contacts.wording import TAG_LENGTH, clean
from engine.core.pages import clamp, decode_id, page_of
from engine.core.phone import canonical

COUNTED = 10_000
MAX_NAMES = 200

__all__ = [
    "ContactPage",
    "NameCount",
    "Person",
    "find_contact",
    "find_contact_by_phone",
    "get_contact",
    "get_person",
    "list_contacts",
    "list_fields",
    "list_tags",
]


@dataclass(frozen=True, slots=True)
class Person:
    """A contact with all that is known of them."""

    contact: Contact
    identities: tuple[Identity, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContactPage:
    """One page of people, and how many there are: exact up to 10,000, then `total_is_capped`."""

    items: Sequence[Person]
    next: str | None
    total: int
    total_is_capped: bool


@dataclass(frozen=True, slots=True)
class NameCount:
    """A tag or field and how many contacts have it; `is_capped` when there are more than were counted."""

    name: str
    contacts: int
    is_capped: bool


def get_person(session: Session, contact_id: UUID) -> Person:
    """A contact with identities and tags; NotFound when there is none."""
    return _with_details(session, [get_contact(session, contact_id)])[0]


def find_contact_by_phone(session: Session, phone: str) -> Contact | None:
    """The contact with this phone (E.164, with or without the ninth digit), or None."""
    held = select(ContactIdentity.contact_id).where(
        ContactIdentity.kind == IdentityKind.PHONE.value,
        ContactIdentity.scope == "",
        ContactIdentity.value == canonical(phone),
    )
    return session.scalar(select(Contact).where(Contact.id.in_(held)))


def list_contacts(
    session: Session,
    *,
    search: str = "",
    tag: str | None = None,
    import_id: UUID | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> ContactPage:
    """One page of people, the newest first; `import_id` leaves those whom that import brought or touched."""
    size = clamp(limit)
    before = decode_id(after)
    patterns = patterns_of(search)
    tag = clean(tag, TAG_LENGTH) if tag else None
    if import_id is not None:
        ids = _ids_of_import(import_id, patterns, tag, before).limit(size + 1)
    else:
        ids = _ids_found(patterns, tag, before, size) if patterns else _ids_listed(tag, before, size)
    rows = session.scalars(select(Contact).where(Contact.id.in_(ids)).order_by(Contact.id.desc())).all()
    page = page_of(rows, size, lambda contact: (contact.id,))
    if import_id is not None:
        counted = _ids_of_import(import_id, patterns, tag, None).limit(COUNTED + 1).subquery()
        total = session.scalar(select(func.count()).select_from(counted)) or 0
    else:
        total = _count(session, patterns, tag)
    return ContactPage(
        _with_details(session, page.items), page.next, min(total, COUNTED), total_is_capped=total > COUNTED
    )


def _ids_found(patterns: Patterns, tag: str | None, before: UUID | None, size: int) -> Select[UUID]:
    """The ids of one page of a search. The function looks under the policy's feet by the index; the rows are read
    under the policy."""
    found = func.find_contacts(
        patterns.word,
        patterns.other_spelling,
        literal(list(patterns.more), ARRAY(TEXT)),
        literal(tag, TEXT),
        before,
        size + 1,
    )
    return select(found.column_valued("id"))


def _ids_of_import(
    import_id: UUID, patterns: Patterns | None, tag: str | None, before: UUID | None
) -> Select[UUID]:
    """The ids of an import's people, the newest first; a search looks through these people only."""
    column = ImportContact.contact_id
    statement = select(column).where(ImportContact.import_id == import_id).order_by(column.desc())
    if patterns is not None:
        either = or_(Contact.searchable.like(patterns.word), Contact.searchable.like(patterns.other_spelling))
        more = [Contact.searchable.like(pattern) for pattern in patterns.more]
        statement = statement.join(Contact, Contact.id == column).where(either, *more)
    if tag is not None:
        statement = statement.where(exists().where(ContactTag.tag == tag, ContactTag.contact_id == column))
    return statement if before is None else statement.where(column < before)


def _ids_listed(tag: str | None, before: UUID | None, size: int) -> Select[UUID]:
    column = Contact.id if tag is None else ContactTag.contact_id
    statement = select(column).order_by(column.desc()).limit(size + 1)
    if tag is not None:
        statement = statement.where(ContactTag.tag == tag)
    return statement if before is None else statement.where(column < before)


def _count(session: Session, patterns: Patterns | None, tag: str | None) -> int:
    """How many people a list has, counted no further than one above the cap."""
    if patterns is not None:
        more = literal(list(patterns.more), ARRAY(TEXT))
        found = func.count_contacts(
            patterns.word, patterns.other_spelling, more, literal(tag, TEXT), COUNTED + 1
        )
        return session.scalar(select(found)) or 0
    rows = select(literal(1)).select_from(Contact if tag is None else ContactTag).limit(COUNTED + 1)
    if tag is not None:
        rows = rows.where(ContactTag.tag == tag)
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0


def _with_details(session: Session, contacts: Sequence[Contact]) -> list[Person]:
    """The contacts with identities and tags, in two statements for all."""
    ids = [contact.id for contact in contacts]
    identities: dict[UUID, list[Identity]] = {}
    for row in session.scalars(
        select(ContactIdentity).where(ContactIdentity.contact_id.in_(ids)).order_by(ContactIdentity.id)
    ):
        identities.setdefault(row.contact_id, []).append(as_identity(row))
    tags: dict[UUID, list[str]] = {}
    for tagged in session.scalars(
        select(ContactTag).where(ContactTag.contact_id.in_(ids)).order_by(ContactTag.tag)
    ):
        tags.setdefault(tagged.contact_id, []).append(tagged.tag)
    return [
        Person(contact, tuple(identities.get(contact.id, ())), tuple(tags.get(contact.id, ())))
        for contact in contacts
    ]


# A loose index scan: from tag to tag, each counted no further than the cap, however many contacts there are.
TAGS_SQL = text(
    """
    with recursive names(tag, n) as (
        (select tag, 1 from contact_tags order by tag limit 1)
        union all
        select (select t.tag from contact_tags t where t.tag > names.tag order by t.tag limit 1), n + 1
        from names where names.tag is not null and n < :most
    )
    select tag, (select count(*) from (
        select 1 from contact_tags c where c.tag = names.tag limit :cap) counted) as contacts
    from names where tag is not null order by tag
    """
)

FIELDS_SQL = text(
    """
    select key, count(*) as contacts
    from (select fields from contacts order by id desc limit :cap) newest, jsonb_object_keys(fields) key
    group by key
    """
)


def list_tags(session: Session) -> list[NameCount]:
    """Every tag in use (200 at most) with its contacts, counted to 10,000."""
    rows = session.execute(TAGS_SQL, {"most": MAX_NAMES, "cap": COUNTED + 1})
    return [NameCount(row.tag, min(row.contacts, COUNTED), row.contacts > COUNTED) for row in rows]


def list_fields(session: Session) -> list[NameCount]:
    """Every custom field in use (200 at most), counted among the newest 10,000 contacts."""
    people = _count(session, None, None)
    names = session.scalars(select(ContactField.field).order_by(ContactField.field).limit(MAX_NAMES)).all()
    counted = {row.key: row.contacts for row in session.execute(FIELDS_SQL, {"cap": COUNTED})}
    capped = people > COUNTED
    return [NameCount(name, counted.get(name, 0), capped) for name in names if name in counted or capped]
