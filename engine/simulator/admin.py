"""The other side of the simulator: accounts, scenarios, the witness log, people who write. Not part of Meta's API.

Whoever reaches the port may call it: the simulator listens on loopback.
"""

import asyncio
import base64
import binascii
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.simulator import ids, people, witness
from engine.simulator.graph import media
from engine.simulator.payloads import contact_card, inbound_value, metadata_of
from engine.simulator.runtime import Simulator
from engine.simulator.scenarios import SCENARIOS, UnknownScenarioError, scenario_fields
from engine.simulator.world import Number, account_of, open_account

DEFAULT_PAGE, LONGEST_PAGE = 1000, 10_000
MARKS_SHOWN = 200
ACCOUNT_FIELDS = {"display_phone_number": str, "verified_name": str, "tier": str, "rate": int, "waba_id": str,
                  "business_id": str, "phone_number_id": str, "app_secret": str, "access_token": str}  # fmt: skip
NUMBER_FIELDS = {
    "verified_name": str,
    "tier": str,
    "rate": int,
    "status": str,
    "quality_rating": str,
    "registered": bool,
}
TEMPLATE_STATES = ("APPROVED", "REJECTED", "PENDING", "PAUSED", "DISABLED", "FLAGGED", "LOCKED", "ARCHIVED")
MEDIA_TYPES = ("image", "video", "audio", "document", "sticker")


class RequestError(Exception):
    """A request that cannot be done; the text says why."""

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, slots=True)
class Writer:
    """A person who writes to a business. `card`: as `contacts` shows them."""

    user_id: str
    wa_id: str | None
    card: dict[str, Any]


Verb = Callable[[Simulator, Request, dict[str, Any]], Awaitable[object]]


def _route(path: str, verb: Verb, method: str) -> Route:
    async def answer(request: Request) -> Response:
        try:
            body = await _read_body(request)
            return _json(await verb(request.state.simulator, request, body))
        except RequestError as error:
            return _json({"error": str(error)}, error.status)
        except UnknownScenarioError as error:
            return _json({"error": str(error)}, 400)

    return Route(path, answer, methods=[method])


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


async def _read_body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise RequestError("the body must be an object")
    return body


def _number(simulator: Simulator, number_id: object) -> Number:
    """The number named, or the first there is."""
    if not number_id:
        return next(iter(simulator.world.numbers.values()))
    number = simulator.world.numbers.get(str(number_id))
    if number is None:
        raise RequestError(f"no number has the id {number_id}", 404)
    return number


def _typed(body: dict[str, Any], shape: dict[str, type]) -> dict[str, Any]:
    for key, value in body.items():
        if key not in shape:
            raise RequestError(f"unknown field {key!r}; there are: {', '.join(shape)}")
        if type(value) is not shape[key]:
            raise RequestError(f"{key!r} must be of type {shape[key].__name__}")
    return body


async def health(simulator: Simulator, _request: Request, _body: dict[str, Any]) -> object:
    """GET /healthz"""
    return {"status": "ok", "scenario": simulator.scenario.name}


async def state(simulator: Simulator, _request: Request, _body: dict[str, Any]) -> object:
    """GET /_admin/state: `idle` means that nothing more will be posted until somebody acts."""
    courier = simulator.courier
    waiting = {
        "scheduled": simulator.agenda.size,
        "queued": courier.waiting,
        "posts_under_way": courier.under_way,
    }
    world = simulator.world
    return {
        "scenario": scenario_fields(simulator.scenario),
        "accounts": [asdict(account_of(world, number)) for number in world.numbers.values()],
        "number_scenarios": {n.id: n.scenario["name"] for n in world.numbers.values() if n.scenario},
        "subscriptions": {waba.id: waba.subscriptions for waba in world.wabas.values()},
        "templates": [
            {"id": t.id, "waba_id": t.waba_id, "name": t.name, "language": t.language, "status": t.status}
            for t in world.templates.values()
        ],
        "accepted": simulator.store.sequence,
        "webhooks": waiting,
        "idle": not any(waiting.values()),
    }


async def list_accounts(simulator: Simulator, _request: Request, _body: dict[str, Any]) -> object:
    """GET /_admin/accounts"""
    return {
        "items": [asdict(account_of(simulator.world, number)) for number in simulator.world.numbers.values()]
    }


async def create_account(simulator: Simulator, _request: Request, body: dict[str, Any]) -> object:
    """POST /_admin/accounts"""
    given = _typed(body, ACCOUNT_FIELDS)
    if given.get("rate", 1) < 1:
        raise RequestError("'rate' must be at least 1")
    if given.get("phone_number_id") in simulator.world.numbers:
        raise RequestError("this phone_number_id is taken", 409)
    if not all(given.get(key, "1").isdigit() for key in ("waba_id", "business_id", "phone_number_id")):
        raise RequestError("ids are digits")
    if given.get("access_token") in simulator.world.tokens:
        raise RequestError("this access_token is taken", 409)
    return asdict(await open_account(simulator.world, **given))


async def change_account(simulator: Simulator, request: Request, body: dict[str, Any]) -> object:
    """POST /_admin/accounts/{phone_number_id}: the number's fields, and `token_expires_at` (0 = never)."""
    number = _number(simulator, request.path_params["phone_number_id"])
    if "token_expires_at" in body:
        end = body.pop("token_expires_at")
        if type(end) is not int:
            raise RequestError("'token_expires_at' must be of type int")
        for token in [t for t in simulator.world.tokens.values() if number.waba_id in t.waba_ids]:
            simulator.world.put(replace(token, expires_at=end))
    changed = replace(number, **_typed(body, NUMBER_FIELDS))
    await simulator.world.put(changed)
    return asdict(account_of(simulator.world, changed))


async def create_code(simulator: Simulator, _request: Request, body: dict[str, Any]) -> object:
    """POST /_admin/signup_codes: a code as Embedded Signup hands it to the browser."""
    number = _number(simulator, body.get("phone_number_id"))
    return {
        "code": simulator.issue_code(number.waba_id),
        "waba_id": number.waba_id,
        "phone_number_id": number.id,
    }


async def list_scenarios(simulator: Simulator, _request: Request, _body: dict[str, Any]) -> object:
    """GET /_admin/scenarios"""
    return {"current": simulator.scenario.name, "items": [scenario_fields(s) for s in SCENARIOS.values()]}


async def choose_scenario(simulator: Simulator, _request: Request, body: dict[str, Any]) -> object:
    """POST /_admin/scenario"""
    number_id = body.pop("phone_number_id", None)
    if number_id is not None:
        number_id = _number(simulator, number_id).id
    return scenario_fields(await simulator.choose_scenario(body, number_id))


async def list_accepts(simulator: Simulator, request: Request, _body: dict[str, Any]) -> object:
    """GET /_admin/accepts"""
    query = request.query_params
    try:
        after, limit = int(query.get("after", 0)), int(query.get("limit", DEFAULT_PAGE))
    except ValueError as error:
        raise RequestError("'after' and 'limit' are numbers") from error
    return await asyncio.to_thread(
        witness.read_accepts,
        simulator.store.path,
        number_id=query.get("phone_number_id", ""),
        opaque=query.get("opaque", ""),
        after=after,
        limit=min(max(limit, 1), LONGEST_PAGE),
    )


async def summarise_accepts(simulator: Simulator, request: Request, _body: dict[str, Any]) -> object:
    """GET /_admin/accepts/summary"""
    number_id = request.query_params.get("phone_number_id", "")
    tallies: dict[str, dict[str, int]] = {}
    for (number, kind), tally in simulator.courier.tallies.items():
        if number_id in ("", number):
            sums = tallies.setdefault(kind, dict.fromkeys(asdict(tally), 0))
            for name, count in asdict(tally).items():
                sums[name] += count
    return await asyncio.to_thread(witness.summarise, simulator.store.path, number_id, tallies)


async def list_marks(simulator: Simulator, _request: Request, _body: dict[str, Any]) -> object:
    """GET /_admin/marks: the last read marks and typing indicators."""
    rows = simulator.store.connection.execute(
        "select at, number_id, kind, message_id from marks order by id desc limit ?", (MARKS_SHOWN,)
    )
    return {
        "items": [
            dict(zip(("at", "phone_number_id", "kind", "message_id"), row, strict=True)) for row in rows
        ]
    }


async def judge_template(simulator: Simulator, request: Request, body: dict[str, Any]) -> object:
    """POST /_admin/templates/{id}: ends a review, pauses, disables; says so by webhook."""
    template = simulator.world.templates.get(request.path_params["template_id"])
    if template is None:
        raise RequestError("no template has this id", 404)
    status = body.get("status")
    if status not in TEMPLATE_STATES:
        raise RequestError(f"'status' must be one of {', '.join(TEMPLATE_STATES)}")
    settled = replace(template, review_at=0.0)
    titles = {"PAUSED": "FIRST_PAUSE", "DISABLED": "DISABLED"}
    other = {"title": titles[status], "description": "Low quality."} if status in titles else None
    judged = await simulator.judge(settled, status, str(body.get("reason", "NONE")), other)
    return {"id": judged.id, "name": judged.name, "status": judged.status}


async def reset(simulator: Simulator, _request: Request, body: dict[str, Any]) -> object:
    """POST /_admin/reset"""
    await simulator.reset(accounts=bool(body.get("accounts", False)))
    return {"reset": True}


async def receive_inbound(simulator: Simulator, _request: Request, body: dict[str, Any]) -> object:
    """POST /_admin/inbound: a person writes, or a raw payload goes out as it is."""
    number = _number(simulator, body.get("phone_number_id"))
    waba = simulator.world.wabas[number.waba_id]
    if "payload" in body:
        payload = body["payload"]
        if not isinstance(payload, dict):
            raise RequestError("'payload' must be an object")
        if body.get("adopt"):
            payload = _adopt(payload, number)
        await simulator.announce(waba.id, "messages", payload, number_id=number.id, raw=True)
        return {"queued": True}
    writer = _writer(body, number, waba.business_id)
    key = simulator.person_of(number.waba_id, writer.wa_id or writer.user_id)
    if key in number.blocked:
        return {"blocked": True}
    message = {"id": ids.inbound_wamid(writer.wa_id or "0", secrets.token_hex(10))} | _content(body)
    message |= await _stored_media(simulator, number, body)
    origin = ({"from": writer.wa_id} if writer.wa_id else {}) | {"from_user_id": writer.user_id}
    value = inbound_value(number, writer.card, origin | message)
    if body.get("context_message_id"):
        value["messages"][0]["context"] = {"from": number.digits, "id": str(body["context_message_id"])}
    simulator.open_window(number.id, key)
    for _ in range(int(body.get("copies", 1))):
        await simulator.announce(waba.id, "messages", value, number_id=number.id)
    return {"id": message["id"], "from": writer.wa_id, "user_id": writer.user_id}


def _writer(body: dict[str, Any], number: Number, business_id: str) -> Writer:
    """Who writes; without `from` a person who shows no phone."""
    wa_id: str | None = None
    if body.get("from"):
        wa_id = people.wa_id_of(str(body["from"]), number.digits)
        if wa_id is None:
            raise RequestError("'from' is not a phone number")
    user_id = str(body.get("user_id") or "")
    if user_id and not people.BSUID.match(user_id):
        raise RequestError("'user_id' must look like BR.123")
    if not user_id:
        user_id = people.user_id_of(wa_id, business_id) if wa_id else f"BR.9{secrets.randbelow(10**16):016d}"
    name = str(body.get("name") or people.name_of(wa_id or user_id))
    return Writer(user_id, wa_id, contact_card(wa_id, user_id, name, body.get("username")))


def _content(body: dict[str, Any]) -> dict[str, Any]:
    kind = str(body.get("type") or "text")
    if kind == "text":
        text = body.get("text", "Oi")
        return {"type": "text", "text": text if isinstance(text, dict) else {"body": str(text)}}
    return {"type": kind, kind: body.get(kind, {})}


async def _stored_media(simulator: Simulator, number: Number, body: dict[str, Any]) -> dict[str, Any]:
    """The media part of a message, with real bytes behind its id and address."""
    kind = body.get("type")
    given = body.get("media")
    if given is None:
        return {}
    if kind not in MEDIA_TYPES or not isinstance(given, dict) or "mime_type" not in given:
        raise RequestError(f"'media' needs mime_type and data, and a type of {', '.join(MEDIA_TYPES)}")
    try:
        content = base64.b64decode(str(given.get("data", "")), validate=True)
    except binascii.Error as error:
        raise RequestError("'media.data' is not base64") from error
    stored = await media.keep(simulator, number, content, str(given["mime_type"]), days=media.RECEIVED_DAYS)
    part = {
        "mime_type": stored.mime_type,
        "sha256": base64.b64encode(bytes.fromhex(stored.sha256)).decode(),
        "id": stored.id,
        "url": media.media_url(simulator, stored, simulator.config.base_url),
    }
    extras = {key: given[key] for key in ("caption", "filename", "voice", "animated") if key in given}
    return {"type": kind, str(kind): part | extras}


def _adopt(payload: dict[str, Any], number: Number) -> dict[str, Any]:
    """A fixture made our own: its account and number become those of this number, its times now."""
    adopted: dict[str, Any] = orjson.loads(orjson.dumps(payload))
    for entry in adopted.get("entry", []):
        entry["id"] = number.waba_id
        for change in entry.get("changes", []):
            value = change.get("value", {})
            if "metadata" in value:
                value["metadata"] = metadata_of(number)
            for item in [*value.get("messages", []), *value.get("statuses", [])]:
                item["timestamp"] = str(int(time.time()))
    return adopted


ADMIN_ROUTES = [
    _route("/healthz", health, "GET"),
    _route("/_admin/state", state, "GET"),
    _route("/_admin/accounts", list_accounts, "GET"),
    _route("/_admin/accounts", create_account, "POST"),
    _route("/_admin/accounts/{phone_number_id}", change_account, "POST"),
    _route("/_admin/signup_codes", create_code, "POST"),
    _route("/_admin/scenarios", list_scenarios, "GET"),
    _route("/_admin/scenario", choose_scenario, "POST"),
    _route("/_admin/accepts", list_accepts, "GET"),
    _route("/_admin/accepts/summary", summarise_accepts, "GET"),
    _route("/_admin/marks", list_marks, "GET"),
    _route("/_admin/templates/{template_id}", judge_template, "POST"),
    _route("/_admin/inbound", receive_inbound, "POST"),
    _route("/_admin/reset", reset, "POST"),
]
