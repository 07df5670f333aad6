"""After a restore: people who were deleted since are deleted again, and who opted out since is opted out again.

What counts is each person's and each number's last word in the ledger. A last word that is an opt-out is applied; one
that takes an opt-out back is not, because its proof is gone with the database: an opt-out wins. A deleted person is
known by id alone, so that whoever has got their number meanwhile is left alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.contacts.consent import set_consent, suppressed_hashes
from engine.contacts.erasure_book import Entry
from engine.contacts.erasures import Kind
from engine.contacts.identities import hasher_of
from engine.contacts.models import MARKETING, ConsentState, Contact, Suppression
from engine.contacts.service import delete_contact
from engine.core.db import Work, run
from engine.core.ids import uuid7

BY_LEDGER = "erasure ledger"  # the source of a consent that was withdrawn again
AT_ONCE = 200  # people in one transaction
PAGE = 10_000  # identities looked at in one statement


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many people were deleted again, opted out again, and how many opt-outs of numbers were kept again."""

    erased: int
    opted_out: int
    suppressed: int


@dataclass(frozen=True, slots=True)
class LastWords:
    """When somebody last opted out without taking it back, by contact and by hash of an identity."""

    contacts: Mapping[UUID, datetime]
    hashes: Mapping[bytes, datetime]


def replay(work: Work, entries: Sequence[Entry]) -> Replayed:
    """Bring one company's people to where the ledger left them; `entries` are that company's, the oldest first."""
    erased = _erase(work, erased_by(entries))
    words = last_words(entries)
    suppressed = _suppress(work, words.hashes)
    return Replayed(erased, _opt_out(work, words), suppressed)


def erased_by(entries: Iterable[Entry]) -> set[UUID]:
    """Contacts that were deleted, and those that had been made one with them: a backup may hold them apart."""
    erased, heirs = set(), {}
    for entry in entries:
        if entry.kind == Kind.ERASED:
            erased.add(entry.contact_id)
        elif entry.kind == Kind.MERGED and entry.into is not None:
            heirs[entry.contact_id] = entry.into
    return erased | {gone for gone in heirs if _heir_of(gone, heirs) in erased}


def _heir_of(contact_id: UUID, heirs: Mapping[UUID, UUID]) -> UUID:
    # An older contact is kept, so a chain ends; a file that somebody wrote by hand may hold a ring.
    seen = {contact_id}
    while (heir := heirs.get(contact_id)) is not None and heir not in seen:
        seen.add(heir)
        contact_id = heir
    return contact_id


def last_words(entries: Iterable[Entry]) -> LastWords:
    """Whose last word is an opt-out; of two words of one moment it is the opt-out that counts."""
    contacts: dict[UUID, datetime] = {}
    hashes: dict[bytes, datetime] = {}
    for entry in sorted(entries, key=lambda entry: (entry.at, entry.kind == Kind.OPTED_OUT)):
        if entry.kind == Kind.OPTED_OUT:
            contacts[entry.contact_id] = entry.at
            hashes |= dict.fromkeys(entry.hashes, entry.at)
        elif entry.kind == Kind.OPTED_IN:
            contacts.pop(entry.contact_id, None)
            for digest in entry.hashes:
                hashes.pop(digest, None)
    return LastWords(contacts, hashes)


def _erase(work: Work, ids: Iterable[UUID]) -> int:
    erased = 0
    for some in batched(sorted(ids), AT_ONCE):
        with work.session() as session:
            present = session.scalars(
                select(Contact.id).where(Contact.id == func.any(list(some))).order_by(Contact.id)
            ).all()
            for contact_id in present:
                delete_contact(session, contact_id)
            erased += len(present)
    return erased


def _suppress(work: Work, hashes: Mapping[bytes, datetime]) -> int:
    """Keep opt-outs of numbers, whether anybody has them now or not."""
    kept = 0
    for some in batched(sorted(hashes), PAGE):
        with work.session() as session:
            missing = set(some) - suppressed_hashes(session, some)
            rows = [
                {"id": uuid7(), "purpose": MARKETING, "identity_hash": digest, "source": BY_LEDGER}
                for digest in sorted(missing)
            ]
            if rows:
                session.execute(insert(Suppression).values(rows).on_conflict_do_nothing())
            kept += len(rows)
    return kept


def _opt_out(work: Work, words: LastWords) -> int:
    said = dict(words.contacts) | _holders_of(work, words.hashes)
    opted_out = 0
    for some in batched(sorted(said), AT_ONCE):
        with work.session() as session:
            open_to_it = session.scalars(
                select(Contact.id)
                .where(
                    Contact.id == func.any(list(some)),
                    Contact.marketing_consent != ConsentState.WITHDRAWN.value,
                )
                .order_by(Contact.id)
            ).all()
            for contact_id in open_to_it:
                set_consent(
                    session,
                    contact_id,
                    state=ConsentState.WITHDRAWN,
                    source=BY_LEDGER,
                    said_at=said[contact_id],
                )
            opted_out += len(open_to_it)
    return opted_out


def _holders_of(work: Work, hashes: Mapping[bytes, datetime]) -> dict[UUID, datetime]:
    """Who has one of these numbers now and is not opted out; a hash can't be asked for, so all are hashed."""
    found: dict[UUID, datetime] = {}
    if not hashes:
        return found
    hasher = hasher_of(work.tenant_id)
    for contact_id, kind, scope, value in _identities_of_the_willing(work):
        at = hashes.get(hasher.hash(kind, value, scope))
        if at is not None:
            found[contact_id] = max(at, found.get(contact_id, at))
    return found


def _identities_of_the_willing(work: Work) -> Iterator[tuple[UUID, str, str, str]]:
    after = UUID(int=0)
    while True:
        with work.session() as session:
            rows = _page_of_identities(session, after)
        for row_id, contact_id, kind, scope, value in rows:
            after = row_id
            yield contact_id, kind, scope, value
        if len(rows) < PAGE:
            return


def _page_of_identities(session: Session, after: UUID) -> Sequence[tuple[UUID, UUID, str, str, str]]:
    rows = run(
        session,
        """select i.id, i.contact_id, i.kind, i.scope, i.value
           from contact_identities i join contacts c on c.id = i.contact_id and c.tenant_id = i.tenant_id
           where i.id > %(after)s and c.marketing_consent <> 'withdrawn' order by i.id limit %(page)s""",
        after=after,
        page=PAGE,
    )
    return [(row.id, row.contact_id, row.kind, row.scope, row.value) for row in rows]
