"""How a thread moves: a message came, a message left, two people are one; and what screens are told of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.contacts.models import Contact
from engine.core.clock import now
from engine.core.db import run
from engine.core.events import Fact, emit
from engine.core.ids import uuid7, uuid7_floor
from engine.messaging.models import Conversation, Message

SUMMARY_LENGTH = 200
# Campaign messages make no thread until the person answers; then those of the last months are shown in it.
THREADED_DAYS = 90


def note_sent(
    session: Session, conversation: Conversation, contact: Contact, message: Message, words: str | None
) -> None:
    """A message of ours is the newest of its thread; screens are told of both."""
    changed = session.scalars(
        update(Conversation)
        .where(Conversation.id == conversation.id)
        .values(
            last_message_id=message.id,
            last_message_at=func.now(),
            last_message_text=_summary(words),
            last_message_kind=message.kind,
            last_message_direction="out",
            revision=Conversation.revision + 1,
        )
        .returning(Conversation)
        .execution_options(populate_existing=True)
    ).one()
    messages_changed(session, [message])
    conversation_changed(session, changed, contact)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an inbound message means for its thread; a remark (a reaction, an edit) does not count as one to read."""

    channel_id: UUID
    contact_id: UUID
    message_id: UUID
    kind: str
    text: str | None
    counts: bool
    window_until: datetime | None


def note_received(session: Session, arrival: Arrival) -> Conversation:
    """The thread of a message that came, made when there is none: two at once make one.

    Its summary stays what was said last; a remark on that becomes the summary of a thread that has nothing else.
    """
    fresh = insert(Conversation).values(
        id=uuid7(),
        channel_id=arrival.channel_id,
        contact_id=arrival.contact_id,
        last_message_id=arrival.message_id,
        last_message_at=func.now(),
        last_message_text=_summary(arrival.text),
        last_message_kind=arrival.kind,
        last_message_direction="in",
        unread=int(arrival.counts),
        window_expires_at=arrival.window_until,
    )
    # A thread whose messages all went with their months has nothing else either.
    is_summary = true() if arrival.counts else Conversation.last_message_id.is_(None)
    newest = {
        name: case((is_summary, fresh.excluded[name]), else_=getattr(Conversation, name))
        for name in (
            "last_message_id",
            "last_message_at",
            "last_message_text",
            "last_message_kind",
            "last_message_direction",
        )
    }
    statement = fresh.on_conflict_do_update(
        constraint="uq_conversations_contact",
        set_=newest
        | {
            "status": "open",
            "unread": Conversation.unread + fresh.excluded.unread,
            # A message that comes late (Meta tries for a week) does not shorten the window.
            "window_expires_at": func.greatest(
                Conversation.window_expires_at, fresh.excluded.window_expires_at
            ),
            "revision": Conversation.revision + 1,
        },
    )
    return session.scalars(
        statement.returning(Conversation), execution_options={"populate_existing": True}
    ).one()


def thread_earlier(session: Session, conversation: Conversation) -> None:
    """Show in a thread what was sent to the person before they answered."""
    floor = int((now() - timedelta(days=THREADED_DAYS)).timestamp() * 1000)
    run(
        session,
        """update messages set conversation_id = %(conversation)s
           where contact_id = %(contact)s and id >= %(floor)s and channel_id = %(channel)s
             and conversation_id is null and direction = 'out'
             and state not in ('queued', 'skipped', 'cancelled')""",
        conversation=conversation.id,
        contact=conversation.contact_id,
        channel=conversation.channel_id,
        floor=uuid7_floor(floor),
    )


def repoint(session: Session, kept: UUID, gone: UUID) -> None:
    """Two contacts are one person: the threads and messages of one become the other's."""
    run(
        session, "update messages set contact_id = %(kept)s where contact_id = %(gone)s", kept=kept, gone=gone
    )
    for lost in session.scalars(select(Conversation).where(Conversation.contact_id == gone)).all():
        keeper = session.scalars(
            select(Conversation)
            .where(Conversation.contact_id == kept, Conversation.channel_id == lost.channel_id)
            .with_for_update()
        ).one_or_none()
        if keeper is None:
            lost.contact_id = kept
            lost.revision += 1
            continue
        run(
            session,
            "update messages set conversation_id = %(keeper)s where conversation_id = %(lost)s",
            keeper=keeper.id,
            lost=lost.id,
        )
        _join(keeper, lost)
        session.delete(lost)
    session.flush()


def _join(keeper: Conversation, lost: Conversation) -> None:
    keeper.unread += lost.unread
    keeper.revision += 1
    windows = [window for window in (keeper.window_expires_at, lost.window_expires_at) if window is not None]
    keeper.window_expires_at = max(windows, default=None)
    if lost.last_message_at > keeper.last_message_at:
        keeper.last_message_id = lost.last_message_id
        keeper.last_message_at = lost.last_message_at
        keeper.last_message_text = lost.last_message_text
        keeper.last_message_kind = lost.last_message_kind
        keeper.last_message_direction = lost.last_message_direction


def messages_changed(session: Session, messages: Iterable[Message]) -> None:
    """Tell screens how messages of threads stand."""
    items = [
        {
            "id": str(message.id),
            "conversation_id": str(message.conversation_id),
            "direction": message.direction,
            "state": message.state,
            "at": (message.occurred_at or now()).isoformat(),
        }
        for message in messages
    ]
    emit(session, Fact("messages.changed", {"items": items}))


def conversation_changed(session: Session, conversation: Conversation, contact: Contact) -> None:
    """Tell screens how a thread stands: the item of the list, and its revision."""
    window = conversation.window_expires_at
    emit(
        session,
        Fact(
            "conversation.changed",
            {
                "id": str(conversation.id),
                "channel_id": str(conversation.channel_id),
                "contact": {"id": str(contact.id), "name": contact.name, "phone": contact.phone},
                "last_message": {
                    "text": conversation.last_message_text,
                    "direction": conversation.last_message_direction,
                    "at": conversation.last_message_at.isoformat(),
                    "kind": conversation.last_message_kind,
                },
                "unread": conversation.unread,
                "window_expires_at": window.isoformat() if window else None,
                "status": conversation.status,
                "revision": conversation.revision,
            },
        ),
    )


def _summary(text: str | None) -> str | None:
    if text is None:
        return None
    line = " ".join(text.split())
    return line if len(line) <= SUMMARY_LENGTH else line[: SUMMARY_LENGTH - 1] + "…"
