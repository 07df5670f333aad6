"""Channels and templates, as the API tells them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.client.answers.page import Reason


@dataclass(frozen=True, slots=True)
class Channel:
    """A number or sender of the company, and how it fares."""

    id: str
    kind: str
    name: str
    status: str
    environment: str = "live"
    status_reason: Reason | None = None
    phone_number: str | None = None
    display_name: str | None = None
    quality: str | None = None
    rate_per_second: float | None = None
    webhook_url: str = ""
    verify_token: str = field(default="", repr=False)
    last_webhook_at: datetime | None = None
    last_sent_at: datetime | None = None
    created_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class TemplateVariable:
    """One gap of a template: `body.1`, `body.name`, `header.media`, `button.0.1`."""

    key: str
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A message text with gaps, approved by the provider or on its way there."""

    id: str
    channel_id: str
    name: str
    language: str
    category: str
    status: str
    status_reason: str | Reason | None = None
    quality: str | None = None
    components: tuple[dict[str, Any], ...] = ()
    variables: tuple[TemplateVariable, ...] = ()
    created_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class PreviewHeader:
    """The head of a rendered message."""

    format: str = "TEXT"
    text: str | None = None
    media: str | dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PreviewButton:
    """A button under a rendered message."""

    type: str
    text: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """A rendered message, and the gaps nothing was given for."""

    body: str = ""
    header: PreviewHeader | None = None
    footer: str | None = None
    buttons: tuple[PreviewButton, ...] = ()
    missing: tuple[str, ...] = ()
