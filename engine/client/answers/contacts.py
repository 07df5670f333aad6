"""People and the files they come from, as the API tells them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.client.answers.page import Reason


@dataclass(frozen=True, slots=True)
class Identity:
    """One way to reach or know a person."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Consent:
    """What the person allowed: granted, withdrawn or none."""

    marketing: str = "none"


@dataclass(frozen=True, slots=True)
class Contact:
    """A person who is written to."""

    id: str
    name: str = ""
    phone: str | None = None
    identities: tuple[Identity, ...] = ()
    tags: tuple[str, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    consent: Consent = field(default_factory=Consent)
    created_at: datetime | None = None
    last_inbound_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag and how many people carry it."""

    tag: str
    contacts: int = 0


@dataclass(frozen=True, slots=True)
class FieldCount:
    """A custom field and how many people have it."""

    field: str
    contacts: int = 0


@dataclass(frozen=True, slots=True)
class ImportColumn:
    """A column of a file, what it is guessed to be, and a few of its values."""

    name: str
    guess: str = "skip"
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What a file looks like before it is imported."""

    columns: tuple[ImportColumn, ...] = ()
    encoding: str = ""
    separator: str | None = None
    has_header: bool = True
    rows_sampled: int = 0
    problems: tuple[str | Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Import:
    """A file of contacts on its way in; `progress` is 0 to 1."""

    id: str
    status: str
    filename: str = ""
    total: int = 0
    created: int = 0
    updated: int = 0
    rejected: int = 0
    progress: float = 0.0
    error: Reason | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
    revision: int = 0
