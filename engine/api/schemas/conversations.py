"""Bodies and answers of conversations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from engine.core.i18n import say
from engine.core.pages import Page
from engine.messaging.conversations import Thread, Utterance
from engine.messaging.failures import explain
from engine.messaging.models import MediaFile, Message
from engine.messaging.policy import REFUSAL_TEXTS, Refusal

ID = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d90"
OTHER_ID = "01939d3e-6d1a-7c3b-9d3e-2f1a6b7c8d91"
AT = "2026-11-24T12:00:00Z"

THREAD: dict[str, Any] = {
    "id": ID,
    "channel_id": OTHER_ID,
    "contact": {"id": OTHER_ID, "name": "Ana Lima", "phone": "+5571980000102"},
    "last_message": {"text": "Oi, quero saber o preço", "direction": "in", "at": AT, "kind": "text"},
    "unread": 1,
    "window_expires_at": "2026-11-25T12:00:00Z",
    "status": "open",
    "revision": 3,
}
UTTERANCE: dict[str, Any] = {
    "id": ID,
    "direction": "in",
    "kind": "text",
    "text": "Oi, quero saber o preço",
    "payload": None,
    "state": "received",
    "reason": None,
    "created_at": AT,
    "sent_at": None,
    "delivered_at": None,
    "read_at": None,
    "media": None,
}


class PersonAnswer(BaseModel):
    """Who a conversation is with."""

    id: UUID
    name: str
    phone: str | None


class LastMessageAnswer(BaseModel):
    """The newest message of a conversation, shortened; `kind` names what has no text."""

    text: str | None
    direction: str
    at: datetime
    kind: str


class ConversationAnswer(BaseModel):
    """A thread with one person on one channel; until `window_expires_at` they may be sent free text."""

    model_config = ConfigDict(json_schema_extra={"example": THREAD})

    id: UUID
    channel_id: UUID
    contact: PersonAnswer
    last_message: LastMessageAnswer | None
    unread: int
    window_expires_at: datetime | None
    status: str
    revision: int

    @classmethod
    def of(cls, thread: Thread) -> "ConversationAnswer":
        """The answer for one thread."""
        conversation, contact = thread.conversation, thread.contact
        last = None
        if conversation.last_message_id is not None:
            last = LastMessageAnswer(
                text=conversation.last_message_text,
                direction=conversation.last_message_direction or "in",
                at=conversation.last_message_at,
                kind=conversation.last_message_kind or "text",
            )
        return cls(
            id=conversation.id,
            channel_id=conversation.channel_id,
            contact=PersonAnswer(id=contact.id, name=contact.name, phone=contact.phone),
            last_message=last,
            unread=conversation.unread,
            window_expires_at=conversation.window_expires_at,
            status=conversation.status,
            revision=conversation.revision,
        )


class ConversationPage(BaseModel):
    """A page of conversations, the newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [THREAD], "next": None}})

    items: list[ConversationAnswer]
    next: str | None

    @classmethod
    def of(cls, page: Page[Thread]) -> "ConversationPage":
        """The answer for a page."""
        return cls(items=[ConversationAnswer.of(thread) for thread in page.items], next=page.next)


class ReasonAnswer(BaseModel):
    """Why a message did not go out or was not delivered, in the reader's language."""

    code: str
    text: str


class MediaAnswer(BaseModel):
    """A file that came with a message; `url` is an address of this API, for the same bearer."""

    url: str
    mime_type: str
    size: int | None
    filename: str | None

    @classmethod
    def of(cls, file: MediaFile | None) -> "MediaAnswer | None":
        """The answer for a file that is here; None while it is fetched, or when it could not be."""
        if file is None or file.status != "stored":
            return None
        return cls(
            url=f"/v1/media/{file.id}", mime_type=file.mime_type or "", size=file.size, filename=file.filename
        )


class MessageAnswer(BaseModel):
    """One utterance: what was said, and how far it came."""

    model_config = ConfigDict(json_schema_extra={"example": UTTERANCE})

    id: UUID
    direction: str
    kind: str
    text: str | None
    payload: dict[str, Any] | None
    state: str
    reason: ReasonAnswer | None
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    media: MediaAnswer | None

    @classmethod
    def of(cls, utterance: Utterance, locale: str) -> "MessageAnswer":
        """The answer for one message; `created_at` of an incoming one is when the person wrote."""
        message = utterance.message
        return cls(
            id=message.id,
            direction=message.direction,
            kind=message.kind,
            text=utterance.text,
            payload=message.payload,
            state=message.state,
            reason=reason_of(message, locale),
            created_at=message.occurred_at or message.created_at,
            sent_at=message.sent_at,
            delivered_at=message.delivered_at,
            read_at=message.read_at,
            media=MediaAnswer.of(utterance.media),
        )


class MessagePage(BaseModel):
    """A page of a thread, the newest first; `next` goes back in time."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [UTTERANCE], "next": None}})

    items: list[MessageAnswer]
    next: str | None

    @classmethod
    def of(cls, page: Page[Utterance], locale: str) -> "MessagePage":
        """The answer for a page."""
        return cls(items=[MessageAnswer.of(utterance, locale) for utterance in page.items], next=page.next)


class ReplyBody(BaseModel):
    """What to send into a conversation: free text within 24 hours of the person's last message, or a template."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"text": "Olá! Posso ajudar?"}})

    text: str | None = Field(default=None, max_length=100_000)
    template_id: UUID | None = None
    variables: dict[str, Any] = Field(
        default_factory=dict,
        description='Where each gap of the template gets its value: `"contact.name"`, `"field.city"`, `{"text": "…"}`.',
    )


def reason_of(message: Message, locale: str) -> ReasonAnswer | None:
    """Why a message stands where it stands, or None when nothing is wrong."""
    code = message.reason_code
    if code is None:
        return None
    if code in {refusal.value for refusal in Refusal}:
        return ReasonAnswer(code=code, text=say(REFUSAL_TEXTS[Refusal(code)], locale))
    return ReasonAnswer(code=code, text=say(explain(code).text, locale))
