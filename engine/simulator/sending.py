"""`POST /{number}/messages`: the hot path, raw ASGI in front of the routes.

Token, body, rules, chance and limits are all checked in memory; one row is written; the answer leaves after the
commit that holds the row. In scenario `fast` the rules are skipped (see docs/simulator.md).
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from engine.simulator import ids, people, validation
from engine.simulator.access import CutOffError, bearer, identify, number_for, weather
from engine.simulator.chance import Die, between, pick_weighted, throw
from engine.simulator.errors import GraphError
from engine.simulator.limits import NUMBER_BURST_SECONDS, PAIR_INTERVAL
from engine.simulator.phones import Sent, mask_of, plan
from engine.simulator.runtime import Simulator
from engine.simulator.scenarios import Scenario
from engine.simulator.template_rules import Needs
from engine.simulator.world import Number, Template

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 1_000_000  # bytes
ATTEMPTS_KEPT = 100_000
WRITTEN_WITHIN = 0.02  # seconds: uvloop writes at the end of a turn, and drops what waits when a line is cut
UNSENDABLE = {"PAUSED": 132015, "DISABLED": 132016}
JSON = (b"content-type", b"application/json; charset=UTF-8")
VERSION = (b"facebook-api-version", b"v25.0")


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who a message goes to. `key`: WhatsApp id or user id, as addressed; `person`: the phone behind, where known."""

    asked: str
    key: str
    person: str
    by_user_id: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """What the checks found: the price as category:type, and a failure that is certain already."""

    pricing: str
    failure: int | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What chance does: to the answer (one of OUTCOMES; seconds before it), and to the message."""

    outcome: str = "answered"
    answer_after: float = 0.0
    failure: int | None = None


CERTAIN = Fate()
OUTCOMES = ("answered", "timeout", "error", "reset", "cut")


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted message, its answer, and what becomes of the answer."""

    sent: Sent
    answer: bytes
    fate: Fate


async def serve_send(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one send, read mark or typing indicator."""
    simulator: Simulator = scope["state"]["simulator"]
    number_id, edge = scope["path"].rsplit("/", 2)[1:]
    waba_id = ""
    wait = 0
    try:
        raw = await _read_body(receive)
        token = identify(simulator, bearer(scope["headers"]))
        scenario = simulator.scenario_of(number_id)
        wait = scenario.retry_after
        weather(simulator, scenario)
        number = number_for(simulator, token, number_id)
        waba_id = number.waba_id
        body = _parse(raw)
        if "status" in body:
            await _answer(send, 200, await _mark_read(simulator, number, body), simulator, waba_id)
            return
        accepted = _take(simulator, number, scenario, body, raw, marketing=edge == "marketing_messages")
        await _write_down(simulator, accepted)
        await _answer_accepted(simulator, accepted, receive, send, waba_id)
    except GraphError as error:
        await _answer(send, error.status, orjson.dumps(error.body()), simulator, waba_id, retry_after=wait)
    except CutOffError:
        await hang_up(receive)


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts = [message["body"]]
    size = len(parts[0])
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise GraphError(100, "The body is too large.")
    return b"".join(parts)


def _parse(raw: bytes) -> Mapping[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise GraphError(100, "The body is not valid JSON.", title="Invalid parameter") from error
    if not isinstance(body, dict):
        raise GraphError(100, "The body must be an object.", title="Invalid parameter")
    return body


async def _mark_read(simulator: Simulator, number: Number, body: Mapping[str, Any]) -> bytes:
    """Notes a read mark or a typing indicator."""
    message_id = body.get("message_id")
    if body.get("messaging_product") != "whatsapp" or body["status"] != "read":
        raise GraphError(100, "Param status must be one of {READ}.", title="Invalid parameter")
    if not isinstance(message_id, str) or not ids.is_wamid(message_id):
        raise GraphError(131009, "Parameter 'message_id' is not the id of a message.")
    kind = "typing" if "typing_indicator" in body else "read"
    await simulator.store.write(
        "insert into marks (at, number_id, kind, message_id) values (?, ?, ?, ?)",
        (time.time(), number.id, kind, message_id),
    )
    return b'{"success":true}'


def _take(
    simulator: Simulator,
    number: Number,
    scenario: Scenario,
    body: Mapping[str, Any],
    raw: bytes,
    *,
    marketing: bool,
) -> Accepted:
    """Accepts a message or raises Meta's refusal. Nothing is written yet."""
    kind = validation.check_envelope(body)
    recipient = _recipient(simulator, number, body)
    template_name = _template_name(body) if kind == "template" else None
    terms = Terms("marketing:regular" if template_name else "service:free_customer_service")
    if scenario.validate:
        terms = _check(simulator, number, scenario, body, recipient, marketing=marketing)
    body_hash = hashlib.sha256(raw).hexdigest()
    opaque = body.get("biz_opaque_callback_data")
    fate = _fate(simulator, scenario, opaque or f"{recipient.key}:{body_hash}")
    _check_limits(simulator, number, scenario, recipient)
    simulator.store.sequence += 1
    sent = Sent(
        sequence=simulator.store.sequence,
        at=time.time(),
        number_id=number.id,
        wamid=ids.outbound_wamid(recipient.key, simulator.store.salt, simulator.store.sequence),
        recipient=recipient.key,
        by_user_id=recipient.by_user_id,
        opaque=opaque,
        kind=kind,
        template=template_name,
        pricing=terms.pricing,
        body_hash=body_hash,
        body=body if scenario.keep_bodies else None,
        scenario=scenario,
        failure=terms.failure or fate.failure,
    )
    return Accepted(sent, _answer_body(sent, recipient), fate)


def _check(
    simulator: Simulator,
    number: Number,
    scenario: Scenario,
    body: Mapping[str, Any],
    recipient: Recipient,
    *,
    marketing: bool,
) -> Terms:
    """All of Meta's rules for one message; raises the first that it breaks."""
    if not number.registered:
        raise GraphError(133010)
    kind = body.get("type", "text")
    validation.check_message(kind, body)
    template = _check_references(simulator, number, kind, body, recipient)
    pricing = _pricing(simulator, number, template, recipient, marketing=marketing)
    return Terms(pricing, _check_window(simulator, number, scenario, kind, recipient))


def _recipient(simulator: Simulator, number: Number, body: Mapping[str, Any]) -> Recipient:
    """Who is meant: `to` wins over `recipient`."""
    to = body.get("to")
    if body.get("recipient_type") == "group":
        raise GraphError(100, "Group messaging is not eligible for this number.", title="Invalid parameter")
    if to is not None and to != "":
        wa_id = people.wa_id_of(str(to), number.digits)
        if wa_id is None:
            raise GraphError(131009, "Parameter 'to' is not a valid phone number.")
        if number.digits in (wa_id, people.digits_of(str(to))):
            raise GraphError(131021)
        return Recipient(str(to), wa_id, wa_id, by_user_id=False)
    user_id = body.get("recipient")
    if user_id is None or user_id == "":
        raise GraphError(100, "The parameter to is required.", title="The parameter to is required.")
    if not isinstance(user_id, str) or not people.BSUID.match(user_id):
        raise GraphError(131009, "Parameter 'recipient' is not a valid user id.")
    return Recipient(user_id, user_id, simulator.person_of(number.waba_id, user_id), by_user_id=True)


def _template_name(body: Mapping[str, Any]) -> str:
    part = body.get("template")
    name = part.get("name") if isinstance(part, dict) else None
    if not isinstance(name, str):
        raise GraphError(131008, "Parameter 'template.name' is mandatory.")
    return name


def _check_references(
    simulator: Simulator, number: Number, kind: str, body: Mapping[str, Any], recipient: Recipient
) -> Template | None:
    """Raises for a template or media that is not there, a blocked person, or parameters that do not fit."""
    if recipient.person in number.blocked:
        raise GraphError(130403)
    template = None
    if kind == "template":
        template, needs = _sendable(simulator, number, body["template"])
        validation.check_parameters(body["template"], needs)
        if recipient.by_user_id and needs.is_authentication:
            raise GraphError(131062)
    for media_id in validation.media_ids(kind, body):
        media = simulator.world.media.get(media_id)
        if media is None or media.number_id != number.id or media.expires_at < time.time():
            raise GraphError(131009, f"Media with id {media_id} does not exist or has expired.")
    return template


def _sendable(simulator: Simulator, number: Number, part: Mapping[str, Any]) -> tuple[Template, Needs]:
    name, language = part["name"], part["language"]["code"]
    template = simulator.world.by_name.get((number.waba_id, name, language))
    if template is None or template.status in ("PENDING", "REJECTED", "PENDING_DELETION", "DELETED"):
        raise GraphError(132001, f"template name ({name}) does not exist in {language}")
    if template.status != "APPROVED":
        raise GraphError(UNSENDABLE.get(template.status, 132001))
    return template, simulator.needs_of(template)


def _pricing(
    simulator: Simulator, number: Number, template: Template | None, recipient: Recipient, *, marketing: bool
) -> str:
    if marketing and (template is None or template.category != "MARKETING"):
        raise GraphError(131055)
    if template is None:
        return "service:free_customer_service"
    if template.category == "UTILITY" and simulator.window_is_open(number.id, recipient.person):
        return "utility:free_customer_service"
    return f"{'marketing_lite' if marketing else template.category.lower()}:regular"


def _check_window(
    simulator: Simulator, number: Number, scenario: Scenario, kind: str, recipient: Recipient
) -> int | None:
    """Raises 131047 outside the service window, or gives it as the later failure where the scenario says so."""
    if kind == "template" or scenario.window == "ignored":
        return None
    if scenario.window == "checked" and simulator.window_is_open(number.id, recipient.person):
        return None
    if scenario.window_fails_later:
        return 131047
    raise GraphError(131047)


def _fate(simulator: Simulator, scenario: Scenario, key: str) -> Fate:
    """What chance does to a message; raises the refusal that it wants.

    A refused message that comes again throws anew, or a retry would meet its refusal for ever.
    """
    if not scenario.has_chance:
        return CERTAIN
    tries = simulator.refused.get(key, 0)
    figures = throw(scenario.seed, f"answer:{tries}:{key}")
    refusal = pick_weighted(scenario.refusals, figures[Die.REFUSAL])
    if refusal is not None:
        if len(simulator.refused) > ATTEMPTS_KEPT:
            simulator.refused.clear()
        simulator.refused[key] = tries + 1
        raise GraphError(refusal)
    shares = (
        (1, scenario.accept_then_timeout),
        (2, scenario.accept_then_error),
        (3, scenario.accept_then_reset),
        (4, scenario.accept_then_cut),
    )
    outcome = OUTCOMES[pick_weighted(shares, figures[Die.OUTCOME]) or 0]
    answer_after = between(scenario.answer_after, figures[Die.ANSWER_AFTER]) / scenario.speed
    return Fate(outcome, answer_after, pick_weighted(scenario.failures, figures[Die.FAILURE]))


def _check_limits(simulator: Simulator, number: Number, scenario: Scenario, recipient: Recipient) -> None:
    if scenario.pair or scenario.throughput:
        now = time.time()
        rate = number.rate * scenario.rate_factor
        if scenario.throughput and not simulator.throughput.passes(
            number.id, now=now, interval=1 / rate, burst=max(1.0, rate * NUMBER_BURST_SECONDS)
        ):
            raise GraphError(130429)
        if scenario.pair and not simulator.pairs.passes(
            f"{number.id}:{recipient.person}", now=now, interval=PAIR_INTERVAL, burst=scenario.pair_burst
        ):
            raise GraphError(131056)


def _answer_body(sent: Sent, recipient: Recipient) -> bytes:
    contact = {"input": recipient.asked} | (
        {"user_id": recipient.key} if sent.by_user_id else {"wa_id": recipient.key}
    )
    message = {"id": sent.wamid} | ({"message_status": "accepted"} if sent.kind == "template" else {})
    return orjson.dumps({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]})


async def _write_down(simulator: Simulator, accepted: Accepted) -> None:
    """Commits the accept, then lets the phone live."""
    sent = accepted.sent
    steps = plan(sent)
    commit = simulator.store.append_accept(
        (
            sent.sequence,
            int(sent.at * 1000),
            sent.number_id,
            sent.wamid,
            sent.recipient,
            int(sent.by_user_id),
            sent.opaque,
            sent.kind,
            sent.template,
            sent.pricing,
            sent.body_hash,
            orjson.dumps(sent.body) if sent.body is not None else None,
            simulator.behaviour_id(sent.scenario),
            accepted.fate.outcome,
            sent.failure,
            mask_of(steps),
        )
    )
    await commit
    simulator.follow(sent, steps)


async def _answer_accepted(
    simulator: Simulator, accepted: Accepted, receive: Receive, send: Send, waba_id: str
) -> None:
    """Answers, or loses the answer in the way that the message's chance wants."""
    if accepted.fate.outcome == "timeout":
        await _hold(receive, accepted.sent.scenario.hold_seconds)
    elif accepted.fate.outcome == "reset":
        await hang_up(receive)
    elif accepted.fate.outcome == "error":
        error = GraphError(131000)
        await _answer(send, error.status, orjson.dumps(error.body()), simulator, waba_id)
    elif accepted.fate.outcome == "cut":
        await _answer_half(send, accepted.answer)
        await hang_up(receive)
    else:
        if accepted.fate.answer_after:
            await asyncio.sleep(accepted.fate.answer_after)
        await _answer(send, 200, accepted.answer, simulator, waba_id)


async def _answer_half(send: Send, body: bytes) -> None:
    """The head of an answer and half of what it promises."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [JSON, length, VERSION]})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await asyncio.sleep(WRITTEN_WITHIN)


async def _hold(receive: Receive, seconds: float) -> None:
    """Leaves the caller without an answer until he goes, or `seconds` are over; then cuts."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        await hang_up(receive)


async def hang_up(receive: Receive) -> None:
    """Closes the connection without an answer.

    ASGI has no word for it; uvicorn's request cycle, whose method `receive` is, holds the transport.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise CutOffError
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        continue


async def _answer(
    send: Send, status: int, body: bytes, simulator: Simulator, waba_id: str, *, retry_after: int = 0
) -> None:
    headers = [JSON, (b"content-length", str(len(body)).encode()), VERSION]
    if waba_id:
        headers += simulator.usage_headers(waba_id, management=False)
    if status == 401:
        headers.append((b"www-authenticate", b'OAuth "Facebook Platform" "invalid_token"'))
    if status == 429 and retry_after:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
