"""Tokens and apps: what a token may do, exchanging codes, the app's own webhook address."""

import secrets
import time
from dataclasses import replace

from engine.simulator import ids
from engine.simulator.access import app_for, identify
from engine.simulator.errors import GraphError
from engine.simulator.graph.call import SUCCESS, Answer, Call
from engine.simulator.graph.handshake import shake_hands
from engine.simulator.world import Token

LONG_LIVED = 5_183_944  # seconds, about sixty days
OBJECT = "whatsapp_business_account"
ANONYMOUS = Token(id="", app_id="", waba_ids=[], issued_at=0, type="NONE")  # of a call that needs none


async def debug(call: Call) -> Answer:
    """GET /debug_token"""
    asked = call.need("input_token")
    try:
        token = identify(call.simulator, asked)
    except GraphError as error:
        said = {"code": error.code, "message": error.title, "subcode": error.subcode}
        return {"data": {"error": said, "is_valid": False, "scopes": []}}
    if token.app_id != call.token.app_id:
        raise GraphError(100, title="You must provide an app access token or a token of the same app.")
    world = call.simulator.world
    data: Answer = {
        "app_id": token.app_id,
        "type": token.type,
        "application": world.apps[token.app_id].name,
        "data_access_expires_at": 0,
        "expires_at": token.expires_at,
        "is_valid": True,
        "issued_at": token.issued_at,
        "scopes": token.scopes,
        "granular_scopes": [{"scope": scope, "target_ids": token.waba_ids} for scope in token.scopes],
        "user_id": "1" + token.app_id,
    }
    return {"data": data}


async def me(call: Call) -> Answer:
    """GET /me"""
    return {"id": "1" + call.token.app_id, "name": call.simulator.world.apps[call.token.app_id].name}


async def show_app(call: Call) -> Answer:
    """GET /{app}"""
    app = app_for(call.simulator, call.token, call.node)
    return {"id": app.id, "name": app.name, "link": f"https://www.facebook.com/games/?app_id={app.id}"}


async def exchange(call: Call) -> Answer:
    """GET /oauth/access_token: an app token, a longer life for a token, or a code of Embedded Signup."""
    app = call.simulator.world.apps.get(call.need("client_id"))
    if app is None or not secrets.compare_digest(app.secret, call.need("client_secret")):
        raise GraphError(100, title="Error validating client secret.")
    if call.text("grant_type") == "client_credentials":
        return {"access_token": f"{app.id}|{app.secret}", "token_type": "bearer"}
    if call.text("grant_type") == "fb_exchange_token":
        old = identify(call.simulator, call.need("fb_exchange_token"))
        if old.app_id != app.id:
            raise GraphError(190, title="The token belongs to another app.")
        now = int(time.time())
        longer = replace(old, id=ids.access_token(), issued_at=now, expires_at=now + LONG_LIVED, type="USER")
        await call.simulator.world.put(longer)
        return {"access_token": longer.id, "token_type": "bearer", "expires_in": LONG_LIVED}
    waba_id = call.simulator.redeem_code(app.id, call.need("code"))
    token = Token(id=ids.access_token(), app_id=app.id, waba_ids=[waba_id], issued_at=int(time.time()))
    await call.simulator.world.put(token)
    return {"access_token": token.id, "token_type": "bearer"}


async def subscribe_app(call: Call) -> Answer:
    """POST /{app}/subscriptions: the app's own webhook address and fields."""
    app = app_for(call.simulator, call.token, call.node, "post")
    if call.need("object") != OBJECT:
        raise GraphError(100, f"Param object must be one of {{{OBJECT}}}.")
    url = call.need("callback_url")
    await shake_hands(url, call.need("verify_token"))
    wanted = call.params.get("fields", "")
    fields = (
        wanted
        if isinstance(wanted, list)
        else [part.strip() for part in str(wanted).split(",") if part.strip()]
    )
    await call.simulator.world.put(replace(app, callback_url=url, fields=fields))
    return SUCCESS


async def list_app_subscriptions(call: Call) -> Answer:
    """GET /{app}/subscriptions"""
    app = app_for(call.simulator, call.token, call.node)
    if not app.callback_url:
        return {"data": []}
    fields = [{"name": name, "version": "v25.0"} for name in app.fields]
    return {"data": [{"object": OBJECT, "callback_url": app.callback_url, "active": True, "fields": fields}]}
