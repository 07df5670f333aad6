"""Facts as they come over Redis `tenant:{tenant_id}`: what changed, in absolute values, with a revision.

The newest revision wins, so neither order nor copies matter.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

CHANNEL_PREFIX = "tenant:"


class FactKind(StrEnum):
    """The kinds of facts told to screens."""

    CAMPAIGN_CHANGED = "campaign.changed"
    CAMPAIGN_DELETED = "campaign.deleted"
    IMPORT_CHANGED = "import.changed"
    CONTACT_CHANGED = "contact.changed"
    CONTACTS_CHANGED = "contacts.changed"
    TEMPLATE_CHANGED = "template.changed"
    CHANNEL_CHANGED = "channel.changed"
    MESSAGES_CHANGED = "messages.changed"
    CONVERSATION_CHANGED = "conversation.changed"
    ACTIVITY_CHANGED = "activity.changed"
    SESSION_REVOKED = "session.revoked"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: its kind, its own id, when it became true, and what it says."""

    kind: str
    id: str
    at: str
    data: Mapping[str, Any]

    @property
    def items(self) -> Sequence[Mapping[str, Any]]:
        """The rows a plural fact carries; a singular one is its own row."""
        for key in ("items", "buckets"):
            rows = self.data.get(key)
            if isinstance(rows, list):
                return [row for row in rows if isinstance(row, dict)]
        return [self.data]


def channel_of(tenant_id: str) -> str:
    """The Redis channel a company's facts are published on."""
    return f"{CHANNEL_PREFIX}{tenant_id}"


def read_fact(raw: bytes | str) -> Fact | None:
    """The fact in a published message, or None where it is not one."""
    try:
        told = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("kind"), str):
        return None
    data = told.get("data")
    return Fact(
        kind=told["kind"],
        id=str(told.get("id", "")),
        at=str(told.get("at", "")),
        data=data if isinstance(data, dict) else {},
    )
