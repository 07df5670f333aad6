"""WhatsApp Business Accounts: what they are, their numbers, and which apps hear of them."""

from dataclasses import replace

from engine.simulator.access import waba_for
from engine.simulator.errors import GraphError
from engine.simulator.graph.call import SUCCESS, Answer, Call, page, select
from engine.simulator.graph.handshake import shake_hands
from engine.simulator.graph.numbers import DEFAULT_FIELDS, describe
from engine.simulator.world import open_account

WABA_FIELDS = ("id", "name", "timezone_id", "message_template_namespace")


async def show(call: Call) -> Answer:
    """GET /{account}"""
    waba = waba_for(call.simulator, call.token, call.node)
    record = {
        "id": waba.id,
        "name": waba.name,
        "currency": waba.currency,
        "timezone_id": waba.timezone_id,
        "message_template_namespace": f"ns_{waba.id}",
        "account_review_status": "APPROVED",
        "business_verification_status": "verified",
        "ownership_type": "SELF",
        "marketing_messages_lite_api_status": "ELIGIBLE",
        "owner_business_info": {"id": waba.business_id, "name": waba.name},
        "health_status": {
            "can_send_message": "AVAILABLE",
            "entities": [{"entity_type": "WABA", "id": waba.id, "can_send_message": "AVAILABLE"}],
        },
    }
    return select(record, call.text("fields"), WABA_FIELDS)


async def list_numbers(call: Call) -> Answer:
    """GET /{account}/phone_numbers"""
    waba = waba_for(call.simulator, call.token, call.node)
    numbers = call.simulator.world.numbers_of(waba.id)
    return page(
        call,
        [(n.id, select(describe(call.simulator, n), call.text("fields"), DEFAULT_FIELDS)) for n in numbers],
    )


async def add_number(call: Call) -> Answer:
    """POST /{account}/phone_numbers"""
    waba = waba_for(call.simulator, call.token, call.node, "post")
    code = call.text("cc") or call.need("country_code")
    account = await open_account(
        call.simulator.world,
        waba_id=waba.id,
        display_phone_number=f"+{code.lstrip('+')} {call.need('phone_number')}",
        verified_name=call.need("verified_name"),
    )
    return {"id": account.phone_number_id}


async def list_subscriptions(call: Call) -> Answer:
    """GET /{account}/subscribed_apps"""
    waba = waba_for(call.simulator, call.token, call.node)
    data = []
    for app_id, url in waba.subscriptions.items():
        app = call.simulator.world.apps[app_id]
        record: Answer = {
            "whatsapp_business_api_data": {
                "id": app.id,
                "name": app.name,
                "link": f"https://www.facebook.com/games/?app_id={app.id}",
            }
        }
        data.append(record | ({"override_callback_uri": url} if url else {}))
    return {"data": data}


async def subscribe(call: Call) -> Answer:
    """POST /{account}/subscribed_apps: with an address of its own, that address has to echo the challenge."""
    waba = waba_for(call.simulator, call.token, call.node, "post")
    url = call.text("override_callback_uri")
    if url:
        await shake_hands(url, call.need("verify_token"))
    elif "verify_token" in call.params:
        raise GraphError(100, title="The parameter override_callback_uri is required.")
    waba = call.simulator.world.wabas[waba.id]
    subscriptions = waba.subscriptions | {call.token.app_id: url}
    await call.simulator.world.put(replace(waba, subscriptions=subscriptions))
    return SUCCESS


async def unsubscribe(call: Call) -> Answer:
    """DELETE /{account}/subscribed_apps"""
    waba = waba_for(call.simulator, call.token, call.node, "delete")
    subscriptions = {app: url for app, url in waba.subscriptions.items() if app != call.token.app_id}
    await call.simulator.world.put(replace(waba, subscriptions=subscriptions))
    return SUCCESS
