"""Conversations: the inbox, a thread, replies, and the files that came with messages."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import Query
from fastapi.responses import StreamingResponse

from engine.accounts.models import Role
from engine.api.deps import After, Caller, Limit, Transaction, domain_router, requires
from engine.api.schemas.conversations import (
    ConversationAnswer,
    ConversationPage,
    MessageAnswer,
    MessagePage,
    ReplyBody,
)
from engine.core.pages import DEFAULT_LIMIT
from engine.messaging import conversations
from engine.messaging.media import download_name, get_media, read_media

router = domain_router("conversations")
agents = [requires(Role.AGENT)]


@router.get("/v1/conversations")
def list_conversations(
    *,
    session: Transaction,
    unread: Annotated[bool, Query(description="Only those with something unread.")] = False,
    search: Annotated[str, Query(description="Names and numbers of people.", max_length=200)] = "",
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ConversationPage:
    """Conversations, the newest first."""
    page = conversations.list_conversations(session, unread=unread, search=search, after=after, limit=limit)
    return ConversationPage.of(page)


@router.get("/v1/conversations/{conversation_id}")
def get_conversation(conversation_id: UUID, session: Transaction) -> ConversationAnswer:
    """One conversation."""
    return ConversationAnswer.of(conversations.get_thread(session, conversation_id))


@router.get("/v1/conversations/{conversation_id}/messages")
def list_messages(
    conversation_id: UUID,
    session: Transaction,
    caller: Caller,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> MessagePage:
    """The messages of a conversation, the newest first."""
    page = conversations.list_messages(session, conversation_id, after=after, limit=limit)
    return MessagePage.of(page, caller.locale)


@router.post("/v1/conversations/{conversation_id}/messages", status_code=201, dependencies=agents)
def send_message(
    conversation_id: UUID, body: ReplyBody, session: Transaction, caller: Caller
) -> MessageAnswer:
    """Answer: 201 means that it will be sent."""
    message = conversations.reply(session, conversation_id, **body.model_dump(), user_id=caller.user_id)
    return MessageAnswer.of(conversations.utterance_of(session, message), caller.locale)


@router.post("/v1/conversations/{conversation_id}/read", dependencies=agents)
def mark_read(conversation_id: UUID, session: Transaction) -> ConversationAnswer:
    """Nothing in it is unread any more."""
    return ConversationAnswer.of(conversations.mark_read(session, conversation_id))


@router.get("/v1/media/{media_id}", response_class=StreamingResponse)
def get_file(media_id: UUID, session: Transaction) -> StreamingResponse:
    """A file that came with a message, to be saved and never opened in place."""
    file = get_media(session, media_id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(download_name(file))}",
        "Content-Length": str(file.size),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, max-age=86400, immutable",
    }
    return StreamingResponse(read_media(file), media_type=file.mime_type, headers=headers)
