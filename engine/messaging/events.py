"""The facts that messaging states about channels and templates, for screens: the item as the API tells it.

Left out is what never changes or not everybody may see (webhook address, verify token). Facts have no reader, so their
reasons are in the company's language; an answer of the API is in the reader's.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.accounts.models import Company
from engine.core.db import tenant_of
from engine.core.events import Fact, emit
from engine.core.i18n import DEFAULT_LOCALE, say
from engine.messaging.failures import Explanation, explain, explain_template_reason
from engine.messaging.models import Channel, Template
from engine.messaging.rendering import variables_of


def channel_changed(session: Session, channel: Channel) -> None:
    """State how a channel stands."""
    code = channel.status_code
    data: dict[str, Any] = {
        "id": str(channel.id),
        "kind": channel.kind,
        "name": channel.name,
        "environment": channel.environment,
        "status": channel.status,
        "status_reason": _reason(session, code, explain(code)) if code else None,
        "phone_number": channel.phone_number,
        "display_name": channel.display_name,
        "quality": channel.quality,
        "messaging_limit": channel.messaging_limit,
        "rate_per_second": channel.rate_per_second,
        "checked_at": _instant(channel.checked_at),
        "created_at": _instant(channel.created_at),
        "deleted": channel.deleted_at is not None,
        "revision": channel.revision,
    }
    emit(session, Fact("channel.changed", data))


def template_changed(session: Session, template: Template) -> None:
    """State how a template stands."""
    code = template.status_reason
    data: dict[str, Any] = {
        "id": str(template.id),
        "channel_id": str(template.channel_id),
        "name": template.name,
        "language": template.language,
        "category": template.category,
        "status": template.status,
        "status_reason": _reason(session, code, explain_template_reason(code)) if code else None,
        "quality": template.quality,
        "components": template.components,
        "variables": [{"key": one.key, "example": one.example} for one in variables_of(template)],
        "created_at": _instant(template.created_at),
        "deleted": template.deleted_at is not None,
        "revision": template.revision,
    }
    emit(session, Fact("template.changed", data))


def _reason(session: Session, code: str, words: Explanation) -> dict[str, str]:
    locale = _company_locale(session)
    values = {"reason": code}
    return {"code": code, "text": say(words.text, locale, values), "action": say(words.action, locale)}


def _company_locale(session: Session) -> str:
    """The company's language, asked once in a session."""
    if "company_locale" not in session.info:
        found = session.scalar(select(Company.locale).where(Company.id == tenant_of(session)))
        session.info["company_locale"] = found or DEFAULT_LOCALE
    locale: str = session.info["company_locale"]
    return locale


def _instant(instant: datetime | None) -> str | None:
    return instant.isoformat().replace("+00:00", "Z") if instant is not None else None
