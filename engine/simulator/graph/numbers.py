"""Business phone numbers: what they are, registration, profile, settings, blocked people."""

import re
from dataclasses import replace
from typing import Any

from engine.simulator import people
from engine.simulator.access import number_for
from engine.simulator.errors import GraphError
from engine.simulator.graph.call import SUCCESS, Answer, Call, page, select
from engine.simulator.graph.handshake import shake_hands
from engine.simulator.runtime import Simulator
from engine.simulator.world import Number

PIN = re.compile(r"^\d{6}$")
HIGH_RATE = 1000
DEFAULT_FIELDS = ("verified_name", "code_verification_status", "display_phone_number", "quality_rating",
                  "platform_type", "throughput", "webhook_configuration", "id")  # fmt: skip
PROFILE_LENGTHS = {"about": 139, "address": 256, "description": 512, "email": 128, "vertical": 64}
PROFILE_FIELDS = (*PROFILE_LENGTHS, "websites", "profile_picture_url", "messaging_product")
MOST_WEBSITES = 2


def describe(simulator: Simulator, number: Number) -> Answer:
    """All fields of a number."""
    waba = simulator.world.wabas[number.waba_id]
    override = next(iter(waba.subscriptions.values()), "")
    hooks = {"phone_number": number.override_url, "whatsapp_business_account": override}
    blocked = not number.registered
    health = {
        "can_send_message": "BLOCKED" if blocked else "AVAILABLE",
        "entities": [
            {
                "entity_type": "PHONE_NUMBER",
                "id": number.id,
                "can_send_message": "BLOCKED" if blocked else "AVAILABLE",
            },
            {"entity_type": "WABA", "id": waba.id, "can_send_message": "AVAILABLE"},
        ],
    }
    return {
        "id": number.id,
        "display_phone_number": number.display_phone_number,
        "verified_name": number.verified_name,
        "status": number.status if number.registered else "DISCONNECTED",
        "quality_rating": number.quality_rating,
        "quality_score": {"score": number.quality_rating},
        "name_status": "APPROVED",
        "new_name_status": "NONE",
        "code_verification_status": "VERIFIED",
        "account_mode": "LIVE",
        "platform_type": "CLOUD_API" if number.registered else "NOT_APPLICABLE",
        "throughput": {"level": "HIGH" if number.rate >= HIGH_RATE else "STANDARD"},
        "whatsapp_business_manager_messaging_limit": number.tier,
        "messaging_limit_tier": number.tier,
        "is_official_business_account": False,
        "is_pin_enabled": bool(number.pin),
        "is_on_biz_app": False,
        "last_onboarded_time": None,
        "health_status": health,
        "webhook_configuration": {key: url for key, url in hooks.items() if url} or None,
    }


async def show(call: Call) -> Answer:
    """GET /{number}"""
    number = number_for(call.simulator, call.token, call.node, "get")
    return select(describe(call.simulator, number), call.text("fields"), DEFAULT_FIELDS)


async def change(call: Call) -> Answer:
    """POST /{number}: the webhook address of this number, or the two-step PIN."""
    number = number_for(call.simulator, call.token, call.node)
    if "webhook_configuration" in call.params:
        wanted = call.params["webhook_configuration"]
        if not isinstance(wanted, dict):
            raise GraphError(100, "Param webhook_configuration must be an object.")
        url = str(wanted.get("override_callback_uri") or "")
        if url:
            await shake_hands(url, str(wanted.get("verify_token") or ""))
        await call.simulator.world.put(replace(call.simulator.world.numbers[number.id], override_url=url))
        return SUCCESS
    if "pin" in call.params:
        await call.simulator.world.put(replace(number, pin=_pin(call)))
        return SUCCESS
    raise GraphError(100, "Nothing to change: webhook_configuration or pin is expected.")


def _pin(call: Call) -> str:
    pin = call.need("pin")
    if not PIN.match(pin):
        raise GraphError(100, "Param pin must have six digits.", title="Invalid parameter")
    return pin


def _need_product(call: Call) -> None:
    if call.text("messaging_product") != "whatsapp":
        raise GraphError(100, title="The parameter messaging_product is required.")


async def register(call: Call) -> Answer:
    """POST /{number}/register: with the PIN, if one was set before."""
    number = number_for(call.simulator, call.token, call.node)
    _need_product(call)
    pin = _pin(call)
    if number.pin and number.pin != pin:
        raise GraphError(133005)
    await call.simulator.world.put(replace(number, registered=True, pin=pin))
    return SUCCESS


async def deregister(call: Call) -> Answer:
    """POST /{number}/deregister: sends get 133010 from now on."""
    number = number_for(call.simulator, call.token, call.node)
    await call.simulator.world.put(replace(number, registered=False))
    return SUCCESS


async def request_code(call: Call) -> Answer:
    """POST /{number}/request_code: numbers here are verified from the first."""
    number_for(call.simulator, call.token, call.node)
    raise GraphError(136024)


async def verify_code(call: Call) -> Answer:
    """POST /{number}/verify_code"""
    number_for(call.simulator, call.token, call.node)
    raise GraphError(136024)


async def show_settings(call: Call) -> Answer:
    """GET /{number}/settings"""
    number = number_for(call.simulator, call.token, call.node, "get")
    return {
        "calling": {"status": "DISABLED"},
        "storage_configuration": {"status": "DEFAULT"},
    } | number.settings


async def change_settings(call: Call) -> Answer:
    """POST /{number}/settings"""
    number = number_for(call.simulator, call.token, call.node)
    given = {k: v for k, v in call.params.items() if k not in ("messaging_product", "access_token")}
    await call.simulator.world.put(replace(number, settings=number.settings | given))
    return SUCCESS


async def show_profile(call: Call) -> Answer:
    """GET /{number}/whatsapp_business_profile"""
    number = number_for(call.simulator, call.token, call.node, "get")
    wanted = call.text("fields").split(",") if call.text("fields") else list(PROFILE_FIELDS)
    record = {"messaging_product": "whatsapp"} | number.profile
    return {"data": [{name: record[name] for name in [*wanted, "messaging_product"] if name in record}]}


async def change_profile(call: Call) -> Answer:
    """POST /{number}/whatsapp_business_profile"""
    number = number_for(call.simulator, call.token, call.node)
    _need_product(call)
    profile: dict[str, Any] = dict(number.profile)
    for name, most in PROFILE_LENGTHS.items():
        if name in call.params:
            if len(call.text(name)) > most or (name == "about" and not call.text(name)):
                raise GraphError(
                    100, f"Param {name} has at most {most} characters.", title="Invalid parameter"
                )
            profile[name] = call.text(name)
    if "websites" in call.params:
        websites = call.params["websites"]
        if (
            not isinstance(websites, list)
            or len(websites) > MOST_WEBSITES
            or any(len(str(w)) > 256 for w in websites)
        ):
            raise GraphError(
                100, f"Param websites is a list of at most {MOST_WEBSITES}.", title="Invalid parameter"
            )
        profile["websites"] = websites
    handle = call.text("profile_picture_handle")
    if handle and handle not in call.simulator.handles():
        raise GraphError(
            100, "Param profile_picture_handle is not a finished upload.", title="Invalid parameter"
        )
    await call.simulator.world.put(replace(number, profile=profile))
    return SUCCESS


async def list_blocked(call: Call) -> Answer:
    """GET /{number}/block_users"""
    number = number_for(call.simulator, call.token, call.node, "get")
    return page(call, [(user, {"messaging_product": "whatsapp", "wa_id": user}) for user in number.blocked])


def _users(call: Call, number: Number) -> list[tuple[str, str]]:
    """(as given, person) for each user of a block call."""
    given = call.params.get("block_users")
    if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
        raise GraphError(100, title="The parameter block_users is required.")
    users = []
    for item in given:
        asked = str(item.get("user") or item.get("user_id") or "")
        is_user_id = bool(people.BSUID.match(asked))
        person = (
            call.simulator.person_of(number.waba_id, asked)
            if is_user_id
            else people.wa_id_of(asked, number.digits)
        )
        if person is None:
            raise GraphError(131009, "Parameter 'block_users' holds what is neither a phone nor a user id.")
        users.append((asked, person))
    return users


async def block(call: Call) -> Answer:
    """POST /{number}/block_users: only people who wrote within a day."""
    number = number_for(call.simulator, call.token, call.node)
    _need_product(call)
    users = _users(call, number)
    for _, person in users:
        if not call.simulator.window_is_open(number.id, person):
            raise GraphError(
                139101, "Only users who messaged the business in the last 24 hours can be blocked."
            )
    blocked = list(dict.fromkeys([*number.blocked, *(person for _, person in users)]))
    await call.simulator.world.put(replace(number, blocked=blocked))
    return _blocking("added_users", users)


async def unblock(call: Call) -> Answer:
    """DELETE /{number}/block_users"""
    number = number_for(call.simulator, call.token, call.node, "delete")
    users = _users(call, number)
    gone = {person for _, person in users}
    await call.simulator.world.put(
        replace(number, blocked=[user for user in number.blocked if user not in gone])
    )
    return _blocking("removed_users", users)


def _blocking(word: str, users: list[tuple[str, str]]) -> Answer:
    listed = [{"input": asked, "wa_id": person} for asked, person in users]
    return {"messaging_product": "whatsapp", "block_users": {word: listed}}
