"""What people do becomes rows: they write, they leave marketing or come back, their identity changes.

Each function is one event in the caller's transaction, and a second copy of it changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.contacts.consent import BY_KEYWORD, BY_SETTINGS, hear
from engine.contacts.identities import Identity, bsuid_identity, phone_identity
from engine.contacts.models import ConsentState, Contact, IdentityKind
from engine.contacts.resolving import change_identity, resolve_contact
from engine.contacts.service import record_inbound
from engine.core.bells import ring
from engine.core.clock import now
from engine.core.db import after_commit, run
from engine.core.events import Fact, emit
from engine.core.ids import uuid7
from engine.messaging.channels.base import (
    ConsentNotice,
    IdentityNotice,
    InboundMedia,
    InboundMessage,
    SenderIdentity,
)
from engine.messaging.channels.registry import adapter_for
from engine.messaging.counters import Steps, bucket_of
from engine.messaging.keywords import Wish, wish_of
from engine.messaging.models import Channel, ChannelKind, MediaFile, Message, MessageState, Origin
from engine.messaging.threads import (
    Arrival,
    conversation_changed,
    messages_changed,
    note_received,
    repoint,
    thread_earlier,
)

# Kinds that speak of another message: nothing new to read.
REMARKS = frozenset({"reaction", "edit", "revoke"})
# Changing or taking back one's words is no message to the company: it does not open the window.
SILENT = frozenset({"edit", "revoke"})
WORDED = frozenset({"text", "button", "interactive"})
FILENAME_LENGTH = 255


def receive(session: Session, channel: Channel, message: InboundMessage, steps: Steps) -> UUID | None:
    """Keep a message that came, with all that follows from it; its id, or None for a copy."""
    message_id = uuid7()
    fresh = run(
        session,
        """insert into provider_messages (channel_id, provider_id, message_id)
           values (%(channel)s, %(provider_id)s, %(message)s) on conflict do nothing returning message_id""",
        channel=channel.id,
        provider_id=message.provider_id,
        message=message_id,
    )
    if not fresh:
        return None
    # A phone's clock may run ahead; nobody writes in the future.
    at = min(message.occurred_at, now())
    contact = _person(session, channel, message.sender)
    record_inbound(session, contact.id, at)
    text = message.text or _words_of_place(message)
    conversation = note_received(
        session,
        Arrival(
            channel_id=channel.id,
            contact_id=contact.id,
            message_id=message_id,
            kind=message.kind,
            text=text,
            counts=message.kind not in REMARKS,
            window_until=_window_after(channel, message.kind, at),
        ),
    )
    thread_earlier(session, conversation)
    row = Message(
        id=message_id,
        direction="in",
        kind=message.kind,
        channel_id=channel.id,
        contact_id=contact.id,
        conversation_id=conversation.id,
        origin=Origin.CONTACT,
        address=message.sender.phone or message.sender.bsuid or message.sender.username or "",
        body=text,
        payload=dict(message.payload) or None,
        quoted_provider_id=message.quoted_provider_id,
        provider_id=message.provider_id,
        state=MessageState.RECEIVED,
        occurred_at=at,
    )
    session.add(row)
    session.flush()
    if message.media is not None:
        _await_media(session, channel, message_id, message.media)
    if message.kind in WORDED:
        _grant_wish(session, contact, wish_of(message.text), at)
    steps.happenings[bucket_of(at), channel.id, "received"] += 1
    _tell(session, row, message)
    messages_changed(session, [row])
    conversation_changed(session, conversation, contact)
    return message_id


def _person(session: Session, channel: Channel, sender: SenderIdentity) -> Contact:
    """Who wrote, as they are now, and locked: their consent may change with this message."""
    found = resolve_contact(session, identities_in(channel, sender), name=sender.name or "", repoint=repoint)
    query = select(Contact).where(Contact.id == found.contact_id).with_for_update()
    return session.scalars(query, execution_options={"populate_existing": True}).one()


def identities_in(channel: Channel, sender: SenderIdentity) -> Sequence[Identity]:
    """What a provider shows of a person, in our words; a username only where nothing better is shown."""
    found = []
    if sender.bsuid is not None:
        found.append(bsuid_identity(sender.bsuid, portfolio=channel.portfolio))
    if sender.phone is not None:
        found.append(phone_identity(sender.phone, alias=sender.alias))
    if not found and sender.username is not None:
        found.append(Identity(IdentityKind.USERNAME, sender.username))
    return found


def _window_after(channel: Channel, kind: str, at: datetime) -> datetime | None:
    hours = adapter_for(ChannelKind(channel.kind)).capabilities.service_window_hours
    return None if hours is None or kind in SILENT else at + timedelta(hours=hours)


def _words_of_place(message: InboundMessage) -> str | None:
    """A bare pin on the map, in words; other kinds without a text are named by the reader's screen."""
    if message.kind != "location":
        return None
    place: Mapping[str, Any] = message.payload
    return f"{place.get('latitude')}, {place.get('longitude')}"


def _await_media(session: Session, channel: Channel, message_id: UUID, media: InboundMedia) -> None:
    session.add(
        MediaFile(
            id=uuid7(),
            channel_id=channel.id,
            message_id=message_id,
            provider_media_id=media.provider_media_id,
            url=media.url,
            mime_type=media.mime_type,
            filename=media.filename[:FILENAME_LENGTH] if media.filename else None,
            sha256=media.sha256,
        )
    )
    session.flush()
    after_commit(session, lambda: ring("media"))


def _grant_wish(session: Session, contact: Contact, wish: Wish | None, at: datetime) -> None:
    """Do what a keyword asks for, in the transaction of the message that says it."""
    if wish is Wish.STOP:
        hear(session, contact.id, state=ConsentState.WITHDRAWN, source=BY_KEYWORD, said_at=at)
    elif wish is Wish.RESUME and contact.marketing_consent != ConsentState.NONE:
        # It takes an opt-out back; of somebody who never agreed it makes no willing reader.
        hear(session, contact.id, state=ConsentState.GRANTED, source=BY_KEYWORD, said_at=at)


def _tell(session: Session, row: Message, message: InboundMessage) -> None:
    """State the fact on which reactions rest: credit for the campaign, and all that comes later."""
    quoted = None
    if message.quoted_provider_id is not None:
        quoted = next(
            iter(
                run(
                    session,
                    """select message_id from provider_messages
                       where channel_id = %(channel)s and provider_id = %(provider_id)s""",
                    channel=row.channel_id,
                    provider_id=message.quoted_provider_id,
                )
            ),
            None,
        )
    emit(
        session,
        Fact(
            "message.received",
            {
                "message_id": str(row.id),
                "conversation_id": str(row.conversation_id),
                "contact_id": str(row.contact_id),
                "channel_id": str(row.channel_id),
                "quoted_message_id": str(quoted.message_id) if quoted else None,
                "kind": row.kind,
                "at": row.occurred_at.isoformat() if row.occurred_at else None,
                "text": row.body,
            },
        ),
    )


def apply_consent_notice(session: Session, channel: Channel, notice: ConsentNotice) -> bool:
    """A person stopped or resumed marketing at the provider; False when something newer was said already."""
    contact = _person(session, channel, notice.sender)
    state = ConsentState(notice.state)
    return hear(session, contact.id, state=state, source=BY_SETTINGS, said_at=notice.occurred_at)


def apply_identity_notice(session: Session, channel: Channel, notice: IdentityNotice) -> bool:
    """A person's number or provider id changed; False when we never met them, or know it already."""
    previous = identities_in(channel, notice.previous)
    current = identities_in(channel, notice.current)
    if not previous or not current:
        return False
    return change_identity(session, previous[0], current, repoint=repoint) is not None
