"""Consent: an append-only log of what people said, what counts now, and suppressions that outlive the person.

An opt-out holds until the person says otherwise: neither a deletion, nor an import, nor a new contact with the same
number takes it back, only `set_consent` with a new word of theirs.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.contacts.erasures import Kind, note
from engine.contacts.events import contact_changed, contact_opted_out
from engine.contacts.identities import Identity, as_identity, hashes_of, identities_of
from engine.contacts.models import MARKETING, Consent, ConsentState, Contact, Suppression
from engine.contacts.rows import get_locked
from engine.contacts.wording import clean
from engine.core import clock
from engine.core.errors import Invalid
from engine.core.ids import uuid7

PURPOSES: Final = (MARKETING,)
SOURCE_LENGTH = 500

# Sources of what a person said themselves: a word in a message, a switch in WhatsApp, a refusal that WhatsApp reports.
BY_KEYWORD, BY_SETTINGS, BY_REFUSAL = "whatsapp: keyword", "whatsapp: settings", "whatsapp"
OWN_WORDS: Final = (BY_KEYWORD, BY_SETTINGS, BY_REFUSAL)


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """What a new person said, and where: `source` is the proof."""

    source: str
    purpose: str = MARKETING
    state: ConsentState = ConsentState.GRANTED


def set_consent(
    session: Session,
    contact_id: UUID,
    *,
    state: ConsentState,
    source: str,
    purpose: str = MARKETING,
    recorded_by: UUID | None = None,
    said_at: datetime | None = None,
) -> Contact:
    """Write down what a person said, and where; a grant takes back an earlier opt-out, as its newest word."""
    check_consent(purpose, source, state)
    contact = get_locked(session, contact_id)
    said, at = clean(source, SOURCE_LENGTH), said_at or clock.now()
    log_consent(session, contact_id, state=state, source=said, recorded_by=recorded_by, said_at=at)
    identities = [as_identity(row) for row in identities_of(session, contact_id)]
    if state is ConsentState.WITHDRAWN:
        suppress(session, contact_id, identities, source=said)
        contact_opted_out(session, contact, source=said, at=at)
    else:
        lift_suppression(session, contact_id, identities)
    contact.marketing_consent = state.value
    touch(session, contact)
    contact_changed(session, contact)
    return contact


def withdraw_consent(
    session: Session,
    contact_id: UUID,
    *,
    source: str,
    purpose: str = MARKETING,
    recorded_by: UUID | None = None,
) -> Contact:
    """Write down an opt-out: from this commit on no marketing is sent to any identity of this person."""
    return set_consent(
        session,
        contact_id,
        state=ConsentState.WITHDRAWN,
        source=source,
        purpose=purpose,
        recorded_by=recorded_by,
    )


def hear(session: Session, contact_id: UUID, *, state: ConsentState, source: str, said_at: datetime) -> bool:
    """Take a person's own word, however late it comes; False when they have said otherwise since, or it is a copy.

    A stop counts unless they came back later, whatever others wrote down of them meanwhile. Coming back counts unless
    anybody knows of a later stop; of two words of one moment the stop counts.
    """
    contact = get_locked(session, contact_id)
    said_at = min(said_at, clock.now())  # a clock that runs ahead must not outlast what is said after it
    if _is_outdated(session, contact_id, state, said_at):
        return False
    if contact.marketing_consent == state:
        # Nothing changes now, but an older word that is still on its way must find this one.
        log_consent(session, contact_id, state=state, source=source, recorded_by=None, said_at=said_at)
    else:
        set_consent(session, contact_id, state=state, source=source, said_at=said_at)
    return True


def _is_outdated(session: Session, contact_id: UUID, state: ConsentState, said_at: datetime) -> bool:
    is_own = Consent.source.in_(OWN_WORDS)
    grant, stop = Consent.state == ConsentState.GRANTED, Consent.state == ConsentState.WITHDRAWN
    if state is ConsentState.WITHDRAWN:
        later = or_(
            and_(grant, is_own, Consent.said_at > said_at), and_(stop, is_own, Consent.said_at == said_at)
        )
    else:
        later = or_(and_(stop, Consent.said_at >= said_at), and_(grant, is_own, Consent.said_at == said_at))
    query = exists().where(Consent.contact_id == contact_id, Consent.purpose == MARKETING, later)
    return bool(session.scalar(select(query)))


def check_consent(
    purpose: str, source: str, state: ConsentState = ConsentState.GRANTED, *, within: str = ""
) -> None:
    """Raise Invalid unless a word on consent says for what it is and where it was given.

    `within` is where the word stands in what was sent, as `consent.`.
    """
    if purpose not in PURPOSES:
        raise Invalid.field(f"{within}purpose", "unknown_purpose", "The purpose of a consent is “marketing”.")
    if state is ConsentState.NONE:
        raise Invalid.field(f"{within}state", "unknown_state", "A consent is either granted or withdrawn.")
    if not clean(source, SOURCE_LENGTH):
        raise Invalid.field(
            f"{within}source",
            "no_source",
            "Say where this consent was given or withdrawn: it is the proof.",
        )


def log_consent(
    session: Session,
    contact_id: UUID,
    *,
    state: ConsentState,
    source: str,
    recorded_by: UUID | None,
    said_at: datetime | None = None,
) -> None:
    """Append one word to the log."""
    row = Consent(
        id=uuid7(),
        contact_id=contact_id,
        purpose=MARKETING,
        state=state.value,
        source=source,
        recorded_by=recorded_by,
        said_at=said_at or clock.now(),
    )
    session.add(row)
    session.flush()


def suppress(session: Session, contact_id: UUID, identities: Collection[Identity], *, source: str) -> None:
    """Keep a contact's opt-out under the hash of each identity, and in the ledger that outlives the database."""
    hashes = sorted(hashes_of(session, identities))
    note(session, Kind.OPTED_OUT, contact_id, hashes=hashes)
    rows = [
        {"id": uuid7(), "purpose": MARKETING, "identity_hash": digest, "source": source} for digest in hashes
    ]
    if rows:
        session.execute(insert(Suppression).values(rows).on_conflict_do_nothing())


def lift_suppression(session: Session, contact_id: UUID, identities: Collection[Identity]) -> None:
    """Forget the opt-out of a contact's identities, because the person said otherwise."""
    hashes = hashes_of(session, identities)
    note(session, Kind.OPTED_IN, contact_id, hashes=hashes)
    session.execute(delete(Suppression).where(Suppression.identity_hash.in_(hashes)))


def is_suppressed(session: Session, identities: Collection[Identity], *, purpose: str = MARKETING) -> bool:
    """Whether any of these identities opted out, known here or deleted since."""
    return bool(suppressed_hashes(session, hashes_of(session, identities), purpose=purpose))


def suppressed_hashes(session: Session, hashes: Collection[bytes], *, purpose: str = MARKETING) -> set[bytes]:
    """Those of the hashes that stand for an opt-out."""
    found = session.scalars(
        select(Suppression.identity_hash).where(
            Suppression.purpose == purpose, Suppression.identity_hash == func.any(list(hashes))
        )
    )
    return {bytes(digest) for digest in found}


def touch(session: Session, contact: Contact) -> None:
    """Give a changed contact its next revision."""
    contact.revision += 1
    contact.updated_at = clock.now()
    session.flush()


def carry_opt_out(session: Session, contact: Contact, identities: Collection[Identity]) -> None:
    """Make a contact that gains identities opted out when they are, and them when it is."""
    if contact.marketing_consent == ConsentState.WITHDRAWN:
        suppress(session, contact.id, identities, source="known by another identity")
    elif is_suppressed(session, identities):
        contact.marketing_consent = ConsentState.WITHDRAWN.value
        suppress(
            session,
            contact.id,
            [as_identity(row) for row in identities_of(session, contact.id)],
            source="opted out before",
        )
