"""Conversations and messages, as the API tells them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.client.answers.page import Reason


@dataclass(frozen=True, slots=True)
class Person:
    """Who a conversation is with."""

    id: str
    name: str = ""
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class LastMessage:
    """The newest message of a conversation, shortened."""

    text: str | None = None
    direction: str = "in"
    at: datetime | None = None
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A thread with one person on one channel."""

    id: str
    contact: Person
    channel_id: str | None = None
    last_message: LastMessage | None = None
    unread: int = 0
    window_expires_at: datetime | None = None
    status: str = "open"
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Media:
    """A file that came or went with a message."""

    url: str
    mime_type: str = ""
    size: int | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One utterance of a conversation."""

    id: str
    direction: str
    kind: str = "text"
    text: str | None = None
    payload: dict[str, Any] | None = None
    state: str | None = None
    reason: Reason | None = None
    created_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    media: Media | None = None
