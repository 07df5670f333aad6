"""WhatsApp Cloud API webhooks: every entry, change, message and status of a body becomes an event, in order.

A broken item becomes Unreadable and its neighbours go on; what is unknown is kept, not guessed; nothing here raises.
Source: Meta, webhooks/reference, September 2026; the shapes of each case stand in tests/payloads/whatsapp_cloud.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from engine.core.clock import from_unix
from engine.core.errors import Misconfigured
from engine.core.phone import from_provider
from engine.messaging.channels.base import (
    AccountNotice,
    ConsentNotice,
    IdentityNotice,
    InboundEvent,
    InboundMessage,
    Pricing,
    SenderIdentity,
    SetAside,
    StatusReceipt,
    TemplateNotice,
    Unreadable,
)
from engine.messaging.channels.foreign_json import load, needed, number, part, word
from engine.messaging.channels.whatsapp_cloud_account import TEMPLATE_STATUSES, quality_in
from engine.messaging.channels.whatsapp_cloud_content import MALFORMED, content_of
from engine.messaging.channels.whatsapp_cloud_errors import TEMPLATE, detail_of, error_of
from engine.messaging.models import TemplateStatus

type Item = Mapping[str, Any]

BSUID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,137}")

STATUSES: Mapping[str, str] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "played": "read",  # a voice note was heard
    "failed": "failed",
}
PRICING_WORD = 40
PREFERENCES: Mapping[str, str] = {"stop": "withdrawn", "resume": "granted", "signup": "granted"}

# Known fields that are not for us (yet): where their items stand.
ASIDE: Mapping[str, tuple[str, ...]] = {
    "smb_message_echoes": ("message_echoes",),
    "smb_app_state_sync": ("state_sync",),
    "history": ("history", "messages"),
    "standby": ("standby",),
    "messaging_handovers": (),
    "calls": ("calls", "statuses"),
    "group_lifecycle_update": ("groups",),
    "group_settings_update": ("groups",),
    "group_participants_update": ("groups",),
    "group_status_update": ("groups",),
}
# Fields about the number or the account, and where they say what happened.
NOTICES: Mapping[str, tuple[str, ...]] = {
    "account_update": ("event",),
    "account_alerts": ("alert_info", "alert_type"),
    "account_review_update": ("decision",),
    "business_capability_update": (),
    "phone_number_quality_update": ("event",),
    "phone_number_name_update": ("decision",),
    "security": ("event",),
}


def read_events(body: bytes) -> list[InboundEvent]:
    """Every event in a webhook's body; a body that is no WhatsApp webhook is one Unreadable."""
    try:
        payload = load(body)
    except (ValueError, RecursionError):
        return [Unreadable(None, "the body is not JSON", {})]
    if not isinstance(payload, dict) or payload.get("object") != "whatsapp_business_account":
        return [Unreadable(None, "not a webhook of a WhatsApp account", {"keys": _keys(payload)})]
    entries = payload.get("entry")
    if not isinstance(entries, list):
        return [Unreadable(None, "a webhook without entries", {"keys": _keys(payload)})]
    events: list[InboundEvent] = []
    for entry in entries:
        changes = entry.get("changes") if isinstance(entry, dict) else None
        if not isinstance(changes, list):
            events.append(_unreadable(None, "an entry without changes", entry))
            continue
        portfolio = str(entry.get("id") or "")
        for change in changes:
            events += _guarded(None, "change", change, partial(_read_change, portfolio))
    return events


def _read_change(portfolio: str, change: Item) -> Iterator[InboundEvent]:
    field, value = change["field"], change["value"]
    if not isinstance(value, dict):
        raise TypeError(field)
    if field in NOTICES:
        yield _account_notice(field, value, portfolio)
    elif field in TEMPLATE_FIELDS:
        yield TEMPLATE_FIELDS[field](value, portfolio)
    elif field in ASIDE:
        amount = sum(len(value[key]) for key in ASIDE[field] if isinstance(value.get(key), list | dict))
        yield SetAside(_account_of(value), field, amount or 1)
    elif field == "messages":
        yield from _read_messages(value, portfolio)
    elif field == "user_preferences":
        yield from _each(value, "user_preferences", _consent)
    elif field == "user_id_update":
        yield from _each(value, "user_id_update", _identity_update)
    else:
        yield Unreadable(_account_of(value), f"unknown field {field}", change)


def _read_messages(value: Item, portfolio: str) -> Iterator[InboundEvent]:
    errors = value.get("errors")
    is_empty = True
    for key, read in (("messages", _message), ("statuses", _status)):
        for event in _each(value, key, read):
            is_empty = False
            yield event
    if is_empty and isinstance(errors, list) and errors:
        code = part(errors[0]).get("code", "unknown")
        yield AccountNotice(_account_of(value), portfolio, f"webhook_error.{code}", {"errors": errors})
    elif is_empty:
        yield Unreadable(_account_of(value), "messages without messages or statuses", value)


def _each(value: Item, key: str, read: Callable[[Item, "Value"], InboundEvent]) -> Iterator[InboundEvent]:
    """One event for each item of a list; of a broken item, its neighbours know nothing."""
    items = value.get(key)
    if items is None:
        return
    if not isinstance(items, list):
        yield _unreadable(_account_of(value), f"{key} is no list", value)
        return
    shared = Value(value)
    for item in items:
        yield from _guarded(shared.account, key, item, lambda one: (read(one, shared),))


def _guarded(
    account: str | None,
    subject: str,
    item: object,
    read: Callable[[Item], Iterable[InboundEvent]],
) -> list[InboundEvent]:
    if not isinstance(item, dict):
        return [_unreadable(account, f"{subject}: not an object", item)]
    found: list[InboundEvent] = []
    try:
        found.extend(read(item))
    except MALFORMED as error:
        found.append(Unreadable(account, f"{subject}: {type(error).__name__}", item))
    return found


class Value:
    """What the items of one change share: the number, and the people named beside them (not in the items' order)."""

    def __init__(self, value: Item) -> None:
        self.account = _account_of(value)
        self.errors = value.get("errors")
        self._people: dict[str, Item] = {}
        contacts = value.get("contacts")
        for contact in contacts if isinstance(contacts, list) else ():
            if isinstance(contact, dict):
                for key in ("user_id", "wa_id"):
                    if isinstance(contact.get(key), str):
                        self._people.setdefault(contact[key], contact)

    def number(self) -> str:
        """The id of our number; KeyError when the change does not name it."""
        if self.account is None:
            raise KeyError("phone_number_id")
        return self.account

    def person(self, phone_or_id: object, user_id: object) -> SenderIdentity:
        """A person from what an item says of them and what stands beside; ValueError when neither names anybody."""
        contact = self._people.get(str(user_id)) or self._people.get(str(phone_or_id)) or {}
        profile = part(contact.get("profile"))
        # Some senders repeat the user id where a phone is expected: never read it as one.
        spellings = [text for text in (phone_or_id, contact.get("wa_id")) if isinstance(text, str) and text]
        ids = [
            text
            for text in (user_id, contact.get("user_id"), *spellings)
            if isinstance(text, str) and BSUID.fullmatch(text)
        ]
        digits = next((text.lstrip("+") for text in spellings if from_provider(text)), "")
        phone = from_provider(digits)
        found = SenderIdentity(
            phone=phone,
            bsuid=ids[0] if ids else None,
            username=word(profile.get("username")),
            name=word(profile.get("name")),
            alias=f"+{digits}" if phone is not None and phone != f"+{digits}" else None,
        )
        if found.phone is None and found.bsuid is None and found.username is None:
            raise ValueError("nobody is named")
        return found


def _message(item: Item, value: Value) -> InboundEvent:
    if item.get("group_id"):
        return SetAside(value.account, "group_message", 1)
    if item["type"] == "system":
        return _system(item, value)
    said, context = content_of(item), part(item.get("context"))
    extras = {key: item[key] for key in ("referral", "errors") if item.get(key)}
    extras |= {key: True for key in ("forwarded", "frequently_forwarded") if context.get(key)}
    if said.kind == "unsupported" and value.errors:
        extras.setdefault("errors", value.errors)
    return InboundMessage(
        account=value.number(),
        provider_id=needed(item, "id"),
        sender=value.person(item.get("from"), item.get("from_user_id")),
        kind=said.kind,
        occurred_at=_instant(item["timestamp"]),
        text=said.text,
        payload=said.payload | extras,
        media=said.media,
        quoted_provider_id=said.about or word(context.get("id")),
    )


def _system(item: Item, value: Value) -> InboundEvent:
    system = item["system"]
    word = system.get("type")
    if word in ("user_changed_number", "user_changed_user_id"):
        phone, user_id = system.get("wa_id"), system.get("user_id")
        previous = value.person(item.get("from"), None)
        current = value.person(phone or item.get("from"), user_id)
        return IdentityNotice(value.number(), previous, current, _instant(item["timestamp"]))
    if word == "customer_identity_changed":
        return SetAside(value.account, "customer_identity_changed", 1)
    return Unreadable(value.account, f"unknown system message {word}", item)


def _status(item: Item, value: Value) -> InboundEvent:
    if item.get("recipient_type") == "group":
        return SetAside(value.account, "group_status", 1)
    status = STATUSES.get(str(item["status"]))
    if status is None:
        return Unreadable(value.account, f"unknown status {item['status']}", item)
    failure = _failure(item.get("errors")) if status == "failed" else {}
    recipient = (item.get("recipient_id"), item.get("recipient_user_id"))
    return StatusReceipt(
        account=value.number(),
        provider_id=needed(item, "id"),
        status=status,
        occurred_at=_instant(item["timestamp"]),
        send_key=_send_key(item.get("biz_opaque_callback_data")),
        recipient=value.person(*recipient)
        if any(isinstance(one, str) and one for one in recipient)
        else None,
        pricing=_pricing(item.get("pricing")),
        **failure,
    )


def _pricing(given: object) -> Pricing | None:
    """What a message costs, in Meta's words; `billable` is to go from their side, then the type alone tells."""
    if not isinstance(given, dict):
        return None
    category, kind, billable = (given.get(key) for key in ("category", "type", "billable"))
    return Pricing(
        category[:PRICING_WORD] if isinstance(category, str) and category else None,
        kind[:PRICING_WORD] if isinstance(kind, str) and kind else None,
        billable if isinstance(billable, bool) else None,
    )


def _failure(errors: object) -> dict[str, Any]:
    """What a failed status says: our code, the provider's words, and what must stop for it."""
    given = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    meaning = error_of(given)
    title = word(given[0].get("title")) if given else None
    detail = detail_of(given[0]) if given else ""
    stops = None
    if isinstance(meaning, Misconfigured):
        stops = "template" if meaning.scope == TEMPLATE else "channel"
    return {
        "error_code": meaning.code,
        "error": {"provider_code": meaning.provider_code, "title": title, "detail": detail},
        "stops": stops,
    }


def _consent(item: Item, value: Value) -> InboundEvent:
    state = PREFERENCES.get(str(item.get("value")))
    if state is None or item.get("category") != "marketing_messages":
        return Unreadable(value.account, "unknown preference", item)
    sender = value.person(item.get("wa_id"), item.get("user_id"))
    return ConsentNotice(value.number(), sender, state, _instant(item["timestamp"]))


def _identity_update(item: Item, value: Value) -> InboundEvent:
    ids = item["user_id"]
    phone = item.get("wa_id")
    previous, current = value.person(phone, ids["previous"]), value.person(phone, ids["current"])
    return IdentityNotice(value.number(), previous, current, _instant(item["timestamp"]))


def _notice(
    value: Item,
    portfolio: str,
    *,
    status: TemplateStatus | None = None,
    reason: str | None = None,
    quality: str | None = None,
    category: str | None = None,
) -> TemplateNotice:
    return TemplateNotice(
        account=None,
        portfolio=portfolio,
        provider_template_id=_template_id(value),
        status=status,
        reason=reason,
        quality=quality,
        category=category,
        name=word(value.get("message_template_name")),
        language=word(value.get("message_template_language")),
    )


def _template_status(value: Item, portfolio: str) -> InboundEvent:
    event = str(value["event"]).upper()
    status = TEMPLATE_STATUSES.get(event)
    # A flagged template is approved still, and will be disabled if its quality stays as it is.
    if status is None and event != "FLAGGED":
        return Unreadable(None, f"unknown template event {event}", value)
    reason = word(value.get("reason"))
    if status in (TemplateStatus.APPROVED, TemplateStatus.PENDING):
        reason = None
    elif reason is None or reason == "NONE":
        reason = word(part(value.get("other_info")).get("title")) or event
    return _notice(value, portfolio, status=status, reason=reason)


def _template_quality(value: Item, portfolio: str) -> InboundEvent:
    quality = quality_in(value["new_quality_score"])
    return _notice(value, portfolio, quality=quality or "UNKNOWN")


def _template_category(value: Item, portfolio: str) -> InboundEvent:
    """A category that has changed, or with `correct_category` one that will."""
    coming = word(value.get("correct_category"))
    category = word(value.get("new_category"))
    if coming is not None and not value.get("previous_category"):
        return _notice(value, portfolio, reason=f"CATEGORY_WILL_BE_{coming.upper()}")
    if category is None:
        raise KeyError("new_category")
    return _notice(value, portfolio, category=category.upper())


def _template_components(value: Item, portfolio: str) -> InboundEvent:
    return _notice(value, portfolio, reason="COMPONENTS_CHANGED")


TEMPLATE_FIELDS: Mapping[str, Callable[[Item, str], InboundEvent]] = {
    "message_template_status_update": _template_status,
    "message_template_quality_update": _template_quality,
    "template_category_update": _template_category,
    "message_template_components_update": _template_components,
}


def _account_notice(field: str, value: Item, portfolio: str) -> InboundEvent:
    found: Any = value
    for key in NOTICES[field]:
        found = part(found).get(key)
    happened = word(found)
    # The entry of a partner's notice names the partner's own portfolio; the account stands inside.
    account = word(part(value.get("waba_info")).get("waba_id")) or portfolio
    return AccountNotice(
        _account_of(value),
        account,
        f"{field}.{happened.lower()}" if happened and NOTICES[field] else field,
        value,
    )


def _account_of(value: Item) -> str | None:
    # A hand-over has no metadata; it names the number as its recipient.
    return word(part(value.get("metadata") or value.get("recipient")).get("phone_number_id"))


def _template_id(value: Item) -> str:
    found = value["message_template_id"]
    if not isinstance(found, str | int) or isinstance(found, bool):
        raise TypeError("message_template_id")
    return str(found)


def _instant(given: object) -> datetime:
    """Seconds or milliseconds since 1970, as text or as a number."""
    seconds = number(given)
    if seconds is None:
        raise ValueError("timestamp")
    return from_unix(seconds)


def _send_key(given: object) -> UUID | None:
    """Our send key, where Meta echoes one that we gave."""
    try:
        return UUID(given) if isinstance(given, str) and len(given) == 36 else None
    except ValueError:
        return None


def _unreadable(account: str | None, detail: str, item: object) -> Unreadable:
    return Unreadable(account, detail, item if isinstance(item, dict) else {"item": item})


def _keys(payload: object) -> Sequence[str]:
    return sorted(payload)[:20] if isinstance(payload, dict) else []
