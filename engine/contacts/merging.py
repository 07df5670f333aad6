"""Two contacts turn out to be one person: the older is kept, and gets all that the younger has."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import delete, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.contacts.consent import suppress, touch
from engine.contacts.erasures import Kind, note
from engine.contacts.events import contact_changed, contact_gone, contacts_merged
from engine.contacts.identities import as_identity, identities_of
from engine.contacts.models import Consent, ConsentState, Contact, ContactIdentity, ContactTag, ImportContact
from engine.contacts.rows import get_locked
from engine.core.ids import uuid7

# Moves what the floors above keep for a contact: (session, kept, gone). Their rows fall with the contact otherwise.
type Repoint = Callable[[Session, UUID, UUID], None]


def merge_contacts(session: Session, *, kept: UUID, gone: UUID, repoint: Repoint) -> Contact:
    """Make two contacts one; an opt-out of either holds for both."""
    first, second = sorted((kept, gone))
    contacts = {contact_id: get_locked(session, contact_id) for contact_id in (first, second)}
    keeper, leaver = contacts[kept], contacts[gone]
    _move_rows(session, kept=kept, gone=gone)
    repoint(session, kept, gone)
    keeper.name = keeper.name or leaver.name
    keeper.phone = keeper.phone or leaver.phone
    keeper.fields = leaver.fields | keeper.fields
    keeper.marketing_consent = _joint_consent(keeper, leaver)
    keeper.last_inbound_at = max(filter(None, (keeper.last_inbound_at, leaver.last_inbound_at)), default=None)
    session.execute(delete(Contact).where(Contact.id == gone))
    session.expunge(leaver)
    note(session, Kind.MERGED, gone, into=kept)
    if keeper.marketing_consent == ConsentState.WITHDRAWN:
        suppress(session, kept, [as_identity(row) for row in identities_of(session, kept)], source="merged")
    touch(session, keeper)
    contacts_merged(session, kept=kept, gone=gone)
    contact_gone(session, leaver)
    contact_changed(session, keeper)
    return keeper


def _joint_consent(*contacts: Contact) -> str:
    said = {contact.marketing_consent for contact in contacts}
    for state in (ConsentState.WITHDRAWN, ConsentState.GRANTED):
        if state in said:
            return state.value
    return ConsentState.NONE.value


def _move_rows(session: Session, *, kept: UUID, gone: UUID) -> None:
    """Give the kept contact the identities, tags, consents and imports of the other."""
    move = update(ContactIdentity).where(ContactIdentity.contact_id == gone).values(contact_id=kept)
    session.execute(move.execution_options(synchronize_session="fetch"))
    tags = select(ContactTag.tag, literal(kept)).where(ContactTag.contact_id == gone)
    session.execute(insert(ContactTag).from_select(["tag", "contact_id"], tags).on_conflict_do_nothing())
    imports = select(ImportContact.import_id, literal(kept)).where(ImportContact.contact_id == gone)
    session.execute(
        insert(ImportContact).from_select(["import_id", "contact_id"], imports).on_conflict_do_nothing()
    )
    # The log is append-only: its words are written again for the kept contact, with the time they were said.
    for word in session.scalars(select(Consent).where(Consent.contact_id == gone).order_by(Consent.id)).all():
        session.add(
            Consent(
                id=uuid7(),
                contact_id=kept,
                purpose=word.purpose,
                state=word.state,
                source=word.source,
                recorded_by=word.recorded_by,
                said_at=word.said_at,
                recorded_at=word.recorded_at,
            )
        )
    session.flush()
