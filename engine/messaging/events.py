"""The facts that messaging states about channels and templates, for screens: the whole item, and its revision."""

from typing import Any

from sqlalchemy.orm import Session

from engine.core.events import Fact, emit
from engine.messaging.models import Channel, Template


def channel_changed(session: Session, channel: Channel) -> None:
    """State that a channel is another: every column that a screen shows. Reasons are codes, told by the reader."""
    data: dict[str, Any] = {
        "id": str(channel.id),
        "kind": channel.kind,
        "name": channel.name,
        "environment": channel.environment,
        "status": channel.status,
        "status_code": channel.status_code,
        "phone_number": channel.phone_number,
        "display_name": channel.display_name,
        "quality": channel.quality,
        "rate_per_second": channel.rate_per_second,
        "deleted": channel.deleted_at is not None,
        "revision": channel.revision,
    }
    emit(session, Fact("channel.changed", data))


def template_changed(session: Session, template: Template) -> None:
    """State that a template is another."""
    data: dict[str, Any] = {
        "id": str(template.id),
        "channel_id": str(template.channel_id),
        "name": template.name,
        "language": template.language,
        "category": template.category,
        "status": template.status,
        "quality": template.quality,
        "components": template.components,
        "deleted": template.deleted_at is not None,
        "revision": template.revision,
    }
    emit(session, Fact("template.changed", data))
