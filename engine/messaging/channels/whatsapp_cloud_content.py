"""What people send on WhatsApp, kind by kind: the words for a list, the payload to keep, the message it speaks of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.messaging.channels.base import InboundMedia
from engine.messaging.channels.foreign_json import needed, part, word

MEDIA_KINDS = frozenset({"image", "video", "audio", "voice", "document", "sticker"})
ENVELOPE = frozenset(
    {
        "from",
        "from_user_id",
        "from_parent_user_id",
        "id",
        "timestamp",
        "type",
        "context",
        "referral",
        "errors",
    }
)

# What malformed items raise when they are read: a missing key, another type, a number out of range.
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, OverflowError, OSError)


@dataclass(frozen=True, slots=True)
class Said:
    """The content of one message."""

    kind: str
    text: str | None
    payload: dict[str, Any]
    about: str | None = None
    media: InboundMedia | None = None


def content_of(item: Mapping[str, Any]) -> Said:
    """What a message says; one that we can't show is `unsupported` and keeps its own words on itself."""
    kind = str(item["type"])
    read = READERS.get(kind)
    if read is not None:
        try:
            return read(kind, item[kind])
        except MALFORMED:
            return _unsupported(item)
    return _unsupported(item)


def _unsupported(item: Mapping[str, Any]) -> Said:
    kept = {key: value for key, value in item.items() if key not in ENVELOPE}
    return Said("unsupported", None, {"type": item["type"], **kept})


def _text(kind: str, content: Any) -> Said:
    return Said(kind, needed(content, "body"), {})


def _media(kind: str, content: Any) -> Said:
    media = InboundMedia(
        provider_media_id=needed(content, "id"),
        mime_type=word(content.get("mime_type")),
        sha256=word(content.get("sha256")),
        filename=word(content.get("filename")),
        url=word(content.get("url")),
    )
    marks = {mark: True for mark in ("voice", "animated") if content.get(mark)}
    if kind == "voice":  # how voice notes came before they were audio
        kind, marks = "audio", {"voice": True}
    return Said(kind, word(content.get("caption")), marks, media=media)


def _location(kind: str, content: Any) -> Said:
    return Said(kind, word(content.get("name")) or word(content.get("address")), dict(content))


def _contacts(kind: str, content: Any) -> Said:
    names = [word(part(one.get("name")).get("formatted_name")) for one in content]
    return Said(kind, ", ".join(name for name in names if name) or None, {"contacts": content})


def _interactive(kind: str, content: Any) -> Said:
    reply = content[content["type"]]
    return Said(kind, word(reply.get("title")) or word(reply.get("body")), dict(content))


def _worded(kind: str, content: Any) -> Said:
    return Said(kind, word(content.get("text")), dict(content))


def _reaction(kind: str, content: Any) -> Said:
    """A reaction; without an emoji it was taken back."""
    emoji = word(content.get("emoji"))
    return Said(kind, emoji, {"emoji": emoji}, about=needed(content, "message_id"))


def _edit(kind: str, content: Any) -> Said:
    inner = content["message"]
    changed = part(inner.get(inner.get("type")))
    text = word(changed.get("body")) or word(changed.get("caption"))
    return Said(kind, text, {"message": inner}, about=needed(content, "original_message_id"))


def _revoke(kind: str, content: Any) -> Said:
    return Said(kind, None, {}, about=needed(content, "original_message_id"))


READERS: Mapping[str, Callable[[str, Any], Said]] = {
    "text": _text,
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "button": _worded,
    "order": _worded,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    **dict.fromkeys(MEDIA_KINDS, _media),
}
