"""Writes a batch of people in one transaction: found or made, merged, tagged, their consent recorded.

COPY into a table under a forced policy is refused, so the batch is copied into a temporary one and selected from there.
Rows are written in the order of their keys, so that two writers wait for each other and do not deadlock.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import orjson
import psycopg
from sqlalchemy.orm import Session

from engine.contacts.identities import Hasher, hasher_of
from engine.contacts.imports.people import ImportedPerson, RejectedRow
from engine.contacts.models import MARKETING, IdentityKind
from engine.core.db import tenant_of
from engine.core.ids import uuid7

TEMPORARY = """
create temporary table if not exists import_batch (
    contact_id uuid not null, identity_id uuid, consent_id uuid not null, phone text not null, name text not null,
    fields jsonb not null, tags text[] not null, is_new boolean not null, suppressed boolean not null
) on commit delete rows
"""
COLUMNS = "contact_id, identity_id, consent_id, phone, name, fields, tags, is_new, suppressed"

INSERT_NEW = """
with taken as (
    insert into contact_identities (id, contact_id, kind, value)
    select identity_id, contact_id, 'phone', phone from import_batch where is_new order by phone
    on conflict (tenant_id, kind, scope, value) do nothing
    returning contact_id)
insert into contacts (id, name, phone, fields, marketing_consent)
select b.contact_id, b.name, b.phone, b.fields,
       case when b.suppressed then 'withdrawn' when %(grants)s then 'granted' else 'none' end
from import_batch b join taken using (contact_id) order by b.contact_id
"""
UPDATE_KNOWN = """
update contacts c
set name = case when b.name = '' then c.name else b.name end, fields = c.fields || b.fields,
    revision = c.revision + 1, updated_at = now()
from (select * from import_batch where not is_new order by contact_id) b
where c.id = b.contact_id
  and ((b.name <> '' and b.name is distinct from c.name) or not c.fields @> b.fields)
"""
LOCK_KNOWN = """
select 1 from contacts where id in (select contact_id from import_batch where not is_new) order by id for update
"""
INSERT_TAGS = """
insert into contact_tags (tag, contact_id)
select distinct tag, contact_id from import_batch, unnest(tags) tag order by tag, contact_id on conflict do nothing
"""
INSERT_FIELDS = "insert into contact_fields (field) select unnest(%(fields)s::text[]) on conflict do nothing"
INSERT_TOUCHED = """
insert into import_contacts (import_id, contact_id)
select %(import_id)s, contact_id from import_batch order by contact_id on conflict do nothing
"""
# Who opted out stays opted out. The log gets a word for each whose consent counts, once in an import.
GRANT = """
update contacts c set marketing_consent = 'granted'
from import_batch b where c.id = b.contact_id and not b.is_new and c.marketing_consent = 'none'
"""
LOG_GRANTS = """
insert into consents (id, contact_id, purpose, state, source, recorded_by)
select b.consent_id, c.id, %(purpose)s, 'granted', %(source)s, %(recorded_by)s
from import_batch b join contacts c on c.id = b.contact_id
where c.marketing_consent = 'granted' and not exists (
      select 1 from import_contacts i where i.import_id = %(import_id)s and i.contact_id = b.contact_id)
order by b.consent_id
"""
INSERT_REJECTS = """
insert into import_rejects (id, import_id, line, cells, reason)
select id, %s, line, cells::jsonb, reason::jsonb
from unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[]) as rejected (id, line, cells, reason)
"""


# Planned anew for each batch, with the batch counted (ANALYZE): a plan kept from when the tables were empty reads them
# whole, 2000 times over.
PEOPLE = (LOCK_KNOWN, UPDATE_KNOWN, INSERT_TAGS, INSERT_FIELDS)
CONSENT = (GRANT, LOG_GRANTS)  # before the people are noted as touched by this import


class OvertakenError(Exception):
    """Somebody else made a contact with a phone of this batch meanwhile: the batch is to be written again."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What every person of an import gets: tags, and consent with its proof."""

    import_id: UUID
    tags: tuple[str, ...] = ()
    consent_source: str | None = None
    recorded_by: UUID | None = None


@dataclass(slots=True)
class Batch:
    """Some rows of a file, in its order, and where they end: the last line, and the bytes read so far."""

    last_line: int = 0
    bytes_read: int = 0
    people: list[ImportedPerson] = field(default_factory=list)
    rejects: list[RejectedRow] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.people) + len(self.rejects)


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch came to; the sum is its number of rows."""

    created: int
    updated: int
    rejected: int


def write_batch(session: Session, batch: Batch, marks: Marks) -> Written:
    """Write a batch in this transaction; OvertakenError when it has to be written again in another."""
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101 - psycopg is the one driver
    hasher = hasher_of(tenant_of(session))
    with connection.cursor() as cursor:
        _write_rejects(cursor, batch.rejects, marks.import_id)
        if not batch.people:
            return Written(0, 0, len(batch.rejects))
        cursor.execute(TEMPORARY)
        created = _copy_people(cursor, batch.people, marks.tags, hasher)
        cursor.execute("analyze import_batch")
        values = _values(batch.people, marks)
        cursor.execute(INSERT_NEW, values, prepare=False)
        if cursor.rowcount != created:
            raise OvertakenError
        for statement in (*PEOPLE, *(CONSENT if marks.consent_source is not None else ()), INSERT_TOUCHED):
            cursor.execute(statement, values, prepare=False)
    return Written(created, len(batch.people) - created, len(batch.rejects))


def _values(people: Sequence[ImportedPerson], marks: Marks) -> dict[str, object]:
    """What the statements of a batch ask for."""
    return {
        "import_id": marks.import_id,
        "grants": marks.consent_source is not None,
        "fields": sorted({key for person in people for key in person.fields}),
        "purpose": MARKETING,
        "source": marks.consent_source,
        "recorded_by": marks.recorded_by,
    }


def _copy_people(
    cursor: psycopg.Cursor, people: Sequence[ImportedPerson], tags: tuple[str, ...], hasher: Hasher
) -> int:
    """Copy each person of the batch once, doubles laid over each other; answers how many are new."""
    known = _known(cursor, [person.phone for person in people])
    merged: dict[UUID | str, ImportedPerson] = {}
    for person in people:
        key = known.get(person.phone, person.phone)
        if key in merged:
            merged[key].take_over(person)
        else:
            merged[key] = person
    hashes = {
        person.phone: hasher.hash(IdentityKind.PHONE, person.phone)
        for key, person in merged.items()
        if isinstance(key, str)
    }
    suppressed = _suppressed(cursor, list(hashes.values()))
    with cursor.copy(f"copy import_batch ({COLUMNS}) from stdin") as copy:
        for key, person in merged.items():
            is_new = isinstance(key, str)
            copy.write_row(
                (
                    uuid7() if is_new else key,
                    uuid7() if is_new else None,
                    uuid7(),
                    person.phone,
                    person.name,
                    orjson.dumps(person.fields).decode(),
                    list(dict.fromkeys(person.tags + tags)),
                    is_new,
                    is_new and hashes[person.phone] in suppressed,
                )
            )
    return len(hashes)


def _known(cursor: psycopg.Cursor, phones: Collection[str]) -> dict[str, UUID]:
    """The contacts that have these phones."""
    cursor.execute(
        "select value, contact_id from contact_identities where kind = 'phone' and scope = '' and value = any(%s)",
        (list(phones),),
        prepare=False,
    )
    return dict(cursor.fetchall())


def _suppressed(cursor: psycopg.Cursor, hashes: list[bytes]) -> set[bytes]:
    """Those of the hashes that stand for an opt-out from marketing."""
    cursor.execute(
        "select identity_hash from suppressions where purpose = %s and identity_hash = any(%s)",
        (MARKETING, hashes),
        prepare=False,
    )
    return {bytes(row[0]) for row in cursor.fetchall()}


def _write_rejects(cursor: psycopg.Cursor, rejects: Sequence[RejectedRow], import_id: UUID) -> None:
    if not rejects:
        return
    cursor.execute(
        INSERT_REJECTS,
        (
            import_id,
            [uuid7() for _ in rejects],
            [row.line for row in rejects],
            [_as_json([_storable(cell) for cell in row.cells]) for row in rejects],
            [_as_json({"code": row.code, "values": dict(row.values)}) for row in rejects],
        ),
    )


def _storable(cell: str) -> str:
    """A cell without what PostgreSQL can't store: NUL, and halves of characters."""
    return cell.replace("\0", "").encode("utf-8", "replace").decode()


def _as_json(value: object) -> str:
    return orjson.dumps(value).decode()
