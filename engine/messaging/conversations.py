"""Conversations for those who read and answer them: a list, a thread, the search, replies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Session

from engine.contacts.models import Contact, ContactIdentity, IdentityKind
from engine.contacts.searching import Patterns, patterns_of
from engine.core.clock import now
from engine.core.errors import Invalid, NotFound, at_field
from engine.core.pages import Page, clamp, decode_id, decode_key, page_of
from engine.messaging.channels.registry import adapter_for
from engine.messaging.ledger import enqueue
from engine.messaging.models import (
    Channel,
    ChannelKind,
    Conversation,
    MediaFile,
    Message,
    Origin,
    TemplateSnapshot,
    TemplateStatus,
)
from engine.messaging.policy import check_service_window
from engine.messaging.rendering import text_of
from engine.messaging.sources import check_sources, resolve
from engine.messaging.templates import get_template, snapshot_of_words
from engine.messaging.threads import conversation_changed, note_sent

SEARCHED_CONTACTS = 10_000  # the newest that match; of people beyond, their threads are not found


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation and who it is with, as lists show it."""

    conversation: Conversation
    contact: Contact


@dataclass(frozen=True, slots=True)
class Utterance:
    """One message of a thread: `text` is what the person sees, `media` the file that came with it."""

    message: Message
    text: str | None
    media: MediaFile | None


def list_conversations(
    session: Session,
    *,
    unread: bool = False,
    search: str = "",
    after: str | None = None,
    limit: int | None = None,
) -> Page[Thread]:
    """One page of threads, the newest first; `search` looks at people's names and numbers."""
    size = clamp(limit)
    query = select(Conversation, Contact).join(Contact, Contact.id == Conversation.contact_id)
    if unread:
        query = query.where(Conversation.unread > 0)
    patterns = patterns_of(search)
    if patterns is not None:
        query = query.where(Conversation.contact_id.in_(_found(patterns)))
    last = decode_key(after, (datetime, UUID))
    if last is not None:
        at, conversation_id = last
        query = query.where(
            or_(
                Conversation.last_message_at < at,
                (Conversation.last_message_at == at) & (Conversation.id < conversation_id),
            )
        )
    query = query.order_by(Conversation.last_message_at.desc(), Conversation.id.desc()).limit(size + 1)
    threads = [Thread(conversation, contact) for conversation, contact in session.execute(query)]
    return page_of(
        threads,
        size,
        lambda thread: (thread.conversation.last_message_at.isoformat(), thread.conversation.id),
    )


def _found(patterns: Patterns) -> Select[UUID]:
    """People whose name, number or fields have the words of a search."""
    found = func.find_contacts(
        patterns.word,
        patterns.other_spelling,
        literal(list(patterns.more), ARRAY(TEXT)),
        literal(None, TEXT),
        None,
        SEARCHED_CONTACTS,
    )
    return select(found.column_valued("id"))


def get_thread(session: Session, conversation_id: UUID) -> Thread:
    """A conversation and who it is with; NotFound."""
    row = session.execute(
        select(Conversation, Contact)
        .join(Contact, Contact.id == Conversation.contact_id)
        .where(Conversation.id == conversation_id)
    ).one_or_none()
    if row is None:
        raise NotFound()
    return Thread(row[0], row[1])


def list_messages(
    session: Session, conversation_id: UUID, *, after: str | None = None, limit: int | None = None
) -> Page[Utterance]:
    """One page of a thread, the newest first: `after` goes back in time."""
    get_thread(session, conversation_id)
    size = clamp(limit)
    query = select(Message).where(Message.conversation_id == conversation_id)
    before = decode_id(after)
    if before is not None:
        query = query.where(Message.id < before)
    rows = session.scalars(query.order_by(Message.id.desc()).limit(size + 1)).all()
    page = page_of(rows, size, lambda message: (message.id,))
    return Page(_with_words_and_media(session, page.items), page.next)


def utterance_of(session: Session, message: Message) -> Utterance:
    """A message as its thread shows it."""
    return _with_words_and_media(session, [message])[0]


def _with_words_and_media(session: Session, messages: Sequence[Message]) -> list[Utterance]:
    snapshot_ids = {message.snapshot_id for message in messages if message.body is None} - {None}
    snapshots: Mapping[UUID, TemplateSnapshot] = {}
    if snapshot_ids:
        found = session.scalars(select(TemplateSnapshot).where(TemplateSnapshot.id.in_(snapshot_ids)))
        snapshots = {snapshot.id: snapshot for snapshot in found}
    ids = [message.id for message in messages if message.direction == "in"]
    files = session.scalars(select(MediaFile).where(MediaFile.message_id.in_(ids))).all() if ids else ()
    media = {file.message_id: file for file in files}
    return [Utterance(message, _words(message, snapshots), media.get(message.id)) for message in messages]


def _words(message: Message, snapshots: Mapping[UUID, TemplateSnapshot]) -> str | None:
    snapshot = snapshots.get(message.snapshot_id) if message.snapshot_id is not None else None
    if message.body is not None or snapshot is None:
        return message.body
    return text_of(snapshot, message.params or {})


def mark_read(session: Session, conversation_id: UUID) -> Thread:
    """Nothing in this thread is unread any more."""
    thread = get_thread(session, conversation_id)
    changed = session.scalars(
        update(Conversation)
        .where(Conversation.id == conversation_id, Conversation.unread > 0)
        .values(unread=0, revision=Conversation.revision + 1)
        .returning(Conversation)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if changed is not None:
        conversation_changed(session, changed, thread.contact)
    return thread


def reply(
    session: Session,
    conversation_id: UUID,
    *,
    text: str | None = None,
    template_id: UUID | None = None,
    variables: Mapping[str, Any] | None = None,
    user_id: UUID | None = None,
) -> Message:
    """Queue an answer: free text while the 24-hour window is open, an approved template at any time."""
    if (text is None) == (template_id is None):
        raise Invalid.field("text", "one_of", "Write a text, or choose a template: one of the two.")
    thread = get_thread(session, conversation_id)
    conversation, contact = thread.conversation, thread.contact
    channel = session.scalars(select(Channel).where(Channel.id == conversation.channel_id)).one()
    if channel.deleted_at is not None:
        raise Invalid(
            "channel_deleted", "This conversation's channel was deleted, so nothing can be sent on it."
        )
    if template_id is not None:
        words, content = _from_template(session, channel, contact, template_id, variables or {})
    else:
        words = _checked(text or "", channel)
        check_service_window(conversation.window_expires_at, now())
        content = {"kind": "text", "body": words}
    message = enqueue(
        session,
        channel_id=channel.id,
        contact_id=contact.id,
        address=_address(session, channel, contact),
        origin=Origin.AGENT,
        origin_id=user_id,
        conversation_id=conversation.id,
        **content,
    )
    note_sent(session, conversation, contact, message, words)
    return message


def _checked(text: str, channel: Channel) -> str:
    """A text that the provider takes."""
    limit = adapter_for(ChannelKind(channel.kind)).capabilities.text_length
    if not text.strip():
        raise Invalid.field("text", "empty", "Write something.")
    if len(text) > limit:
        raise Invalid.field(
            "text", "too_long", "This text is too long: %(limit)s characters at most.", limit=limit
        )
    return text


def _from_template(
    session: Session, channel: Channel, contact: Contact, template_id: UUID, variables: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The words that the person will see, and what is queued."""
    with at_field("template_id"):
        template = get_template(session, template_id)
    if template.channel_id != channel.id:
        raise Invalid.field("template_id", "other_channel", "This template belongs to another channel.")
    if template.status != TemplateStatus.APPROVED:
        raise Invalid.field("template_id", "not_approved", "Only an approved template can be sent.")
    values = resolve(contact, check_sources(template, variables))
    if values.missing:
        raise Invalid.field(
            f"variables.{values.missing[0]}",
            "missing_variable",
            "This person has no value for %(key)s. Complete the contact, or write the value here.",
            key=values.missing[0],
        )
    snapshot = snapshot_of_words(session, template)
    content = {"kind": "template", "snapshot_id": snapshot.id, "params": values.params}
    return text_of(snapshot, values.params), content


def _address(session: Session, channel: Channel, contact: Contact) -> str:
    """Where a person is reached on a channel: their number, or what the provider calls them."""
    if contact.phone is not None:
        return contact.phone
    known = session.scalars(
        select(ContactIdentity.value)
        .where(
            ContactIdentity.contact_id == contact.id,
            ContactIdentity.kind == IdentityKind.BSUID.value,
            ContactIdentity.scope == channel.portfolio,
        )
        .order_by(ContactIdentity.id.desc())
        .limit(1)
    ).one_or_none()
    if known is None:
        raise Invalid(
            "no_identity", "This person has neither a phone number nor a WhatsApp id on this channel."
        )
    return known
