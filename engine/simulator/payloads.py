"""Webhook bodies in Meta's shapes, and the bytes Meta would send and sign."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.simulator import ids, people, speech
from engine.simulator.chance import Die, pick, throw
from engine.simulator.errors import status_error
from engine.simulator.phones import STATUS_WORDS, Event, Sent, reply_mark
from engine.simulator.template_rules import read_needs
from engine.simulator.world import Number, World

Payload = dict[str, Any]
MANAGEMENT_PREFIXES = ("message_template", "template_", "phone_number", "account", "business", "security")
REACTION_SHARE = 0.08  # of replies that are an emoji on the message
PRESS_SHARE = 0.6  # of people offered buttons who press one instead of writing


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """One event of an accepted message, to be reported: a status, or the reply."""

    sent: Sent
    event: Event
    at: float
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Anything else to be reported: what a person wrote by request, a template's review, a raw payload."""

    id: int
    waba_id: str
    number_id: str | None
    field: str
    value: Mapping[str, Any]
    raw: bool
    created_at: float
    attempt: int = 0


Update = StatusUpdate | Notice


def encode(payload: Mapping[str, Any]) -> bytes:
    """The body as Meta writes it: compact, non-ASCII and `/` escaped."""
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode()


def sign(secret: str, body: bytes) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def contact_card(wa_id: str | None, user_id: str, name: str, username: str | None = None) -> Payload:
    """A person as `contacts` shows them; without a phone when there is none to show."""
    profile = {"name": name} | ({"username": username} if username else {})
    return {"profile": profile} | ({"wa_id": wa_id} if wa_id else {}) | {"user_id": user_id}


def metadata_of(number: Number) -> Payload:
    """The business number that an update belongs to."""
    return {"display_phone_number": number.digits, "phone_number_id": number.id}


def envelope(world: World, updates: Sequence[Update]) -> Payload:
    """Many updates in one body: an entry per account, a change per number and kind."""
    if len(updates) == 1 and isinstance(updates[0], Notice) and updates[0].raw:
        return dict(updates[0].value)
    statuses: dict[str, list[StatusUpdate]] = {}
    replies: dict[str, list[StatusUpdate]] = {}
    changes: dict[str, list[Payload]] = {}
    times: dict[str, int] = {}
    for update in updates:
        if isinstance(update, Notice):
            changes.setdefault(update.waba_id, []).append({"value": update.value, "field": update.field})
            if update.field.startswith(MANAGEMENT_PREFIXES):
                times[update.waba_id] = int(update.created_at)
        elif update.event is Event.REPLY:
            replies.setdefault(update.sent.number_id, []).append(update)
        else:
            statuses.setdefault(update.sent.number_id, []).append(update)
    for number_id, group in statuses.items():
        number = world.numbers[number_id]
        changes.setdefault(number.waba_id, []).append(_change(number, _statuses_value(world, number, group)))
    for number_id, group in replies.items():
        number = world.numbers[number_id]
        changes.setdefault(number.waba_id, []).append(_change(number, _replies_value(world, number, group)))
    entries = [
        {"id": waba_id} | ({"time": times[waba_id]} if waba_id in times else {}) | {"changes": parts}
        for waba_id, parts in changes.items()
    ]
    return {"object": "whatsapp_business_account", "entry": entries}


def _change(number: Number, value: Payload) -> Payload:
    return {
        "value": {"messaging_product": "whatsapp", "metadata": metadata_of(number)} | value,
        "field": "messages",
    }


def _statuses_value(world: World, number: Number, updates: Iterable[StatusUpdate]) -> Payload:
    business_id = world.wabas[number.waba_id].business_id
    cards: dict[str, Payload] = {}
    statuses = []
    for update in updates:
        sent = update.sent
        user_id = sent.recipient if sent.by_user_id else people.user_id_of(sent.recipient, business_id)
        if update.event is not Event.FAILED and sent.recipient not in cards:
            wa_id = None if sent.by_user_id else sent.recipient
            cards[sent.recipient] = contact_card(wa_id, user_id, people.name_of(sent.recipient))
        statuses.append(_status(update, user_id))
    return ({"contacts": list(cards.values())} if cards else {}) | {"statuses": statuses}


def _status(update: StatusUpdate, user_id: str) -> Payload:
    sent, event = update.sent, update.event
    status: Payload = {"id": sent.wamid, "status": STATUS_WORDS[event], "timestamp": str(int(update.at))}
    if not sent.by_user_id:
        status["recipient_id"] = sent.recipient
    if event is not Event.FAILED or sent.by_user_id:
        status["recipient_user_id"] = user_id
    if event in (Event.SENT, Event.DELIVERED):
        category, kind = sent.pricing.split(":")
        status["pricing"] = {
            "billable": kind == "regular",
            "pricing_model": "PMP",
            "category": category,
            "type": kind,
        }
    if sent.failure is not None and event is Event.FAILED:
        status["errors"] = [status_error(sent.failure)]
    if sent.opaque is not None:
        status["biz_opaque_callback_data"] = sent.opaque
    return status


def _replies_value(world: World, number: Number, updates: Iterable[StatusUpdate]) -> Payload:
    business_id = world.wabas[number.waba_id].business_id
    cards: dict[str, Payload] = {}
    messages = []
    for update in updates:
        sent = update.sent
        wa_id = None if sent.by_user_id else sent.recipient
        user_id = sent.recipient if sent.by_user_id else people.user_id_of(sent.recipient, business_id)
        cards[sent.recipient] = contact_card(wa_id, user_id, people.name_of(sent.recipient))
        message: Payload = ({"from": wa_id} if wa_id else {}) | {
            "from_user_id": user_id,
            "id": ids.inbound_wamid(sent.recipient, reply_mark(sent)),
            "timestamp": str(int(update.at)),
        }
        messages.append(message | _reply_content(world, number, sent))
    return {"contacts": list(cards.values()), "messages": messages}


def _reply_content(world: World, number: Number, sent: Sent) -> Payload:
    """What the person answers: a word, a button, an emoji; chosen by the message's own chance."""
    figures = throw(sent.scenario.seed, f"reply:{sent.key}")
    country = sent.recipient[:2] if sent.by_user_id else people.country_of(sent.recipient)
    quoted = {"context": {"from": number.digits, "id": sent.wamid}}
    if figures[Die.OPTS_OUT] < sent.scenario.opt_out_share:
        return {"type": "text", "text": {"body": speech.opt_out_text(country, figures[Die.WORDS])}}
    choices = _choices(world, number, sent)
    if choices and figures[Die.OUTCOME] < PRESS_SHARE:
        return pick(choices, figures[Die.WORDS]) | quoted
    if figures[Die.REFUSAL] < REACTION_SHARE:
        emoji = pick(speech.EMOJI, figures[Die.WORDS])
        return {"type": "reaction", "reaction": {"message_id": sent.wamid, "emoji": emoji}}
    text = {"type": "text", "text": {"body": speech.reply_text(country, figures[Die.WORDS])}}
    return text | (quoted if figures[Die.ORDER] < 0.3 else {})


def _choices(world: World, number: Number, sent: Sent) -> list[Payload]:
    """The buttons a person can press on this message, as the answers they give."""
    if sent.body is None or not sent.scenario.validate:
        return []
    if sent.kind == "interactive":
        return _interactive_choices(sent.body["interactive"])
    if sent.kind != "template":
        return []
    asked = sent.body["template"]
    template = world.by_name.get((number.waba_id, asked["name"], asked["language"]["code"]))
    if template is None:
        return []
    payloads = {
        str(part.get("index")): part["parameters"][0].get("payload")
        for part in asked.get("components", ())
        if part.get("sub_type") == "quick_reply" and part.get("parameters")
    }
    needs = read_needs(template.components, template.parameter_format, template.category)
    return [
        {"type": "button", "button": {"payload": payloads.get(str(index)) or text, "text": text}}
        for index, text in needs.quick_replies
    ]


def _interactive_choices(interactive: Mapping[str, Any]) -> list[Payload]:
    action = interactive.get("action", {})
    if interactive.get("type") == "button":
        return [
            {
                "type": "interactive",
                "interactive": {"type": "button_reply", "button_reply": dict(button["reply"])},
            }
            for button in action.get("buttons", ())
        ]
    if interactive.get("type") == "list":
        return [
            {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": dict(row)}}
            for section in action.get("sections", ())
            for row in section.get("rows", ())
        ]
    return []


def inbound_value(number: Number, person: Payload, message: Payload) -> Payload:
    """What a person wrote by request, as the value of a `messages` change."""
    return {
        "messaging_product": "whatsapp",
        "metadata": metadata_of(number),
        "contacts": [person],
        "messages": [{"timestamp": str(int(time.time()))} | message],
    }
