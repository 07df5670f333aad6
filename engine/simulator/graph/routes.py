"""Which function answers which call: `/{version}/{object}` and `/{version}/{object}/{edge}`, by kind of object."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from engine.simulator.access import CutOffError, bearer, identify, weather
from engine.simulator.errors import GraphError, unreadable
from engine.simulator.graph import media, numbers, templates, tokens, uploads, wabas
from engine.simulator.graph.call import Call, Handler
from engine.simulator.runtime import Simulator
from engine.simulator.sending import hang_up

VERSION = re.compile(r"^v\d+\.\d+$")
OPEN = {"oauth/access_token": tokens.exchange}  # no bearer: the call brings its own proof
ROOTS = {("debug_token", "GET"): tokens.debug, ("me", "GET"): tokens.me}
EDGES: dict[tuple[str, str, str], Handler] = {
    ("number", "", "GET"): numbers.show,
    ("number", "", "POST"): numbers.change,
    ("number", "register", "POST"): numbers.register,
    ("number", "deregister", "POST"): numbers.deregister,
    ("number", "request_code", "POST"): numbers.request_code,
    ("number", "verify_code", "POST"): numbers.verify_code,
    ("number", "settings", "GET"): numbers.show_settings,
    ("number", "settings", "POST"): numbers.change_settings,
    ("number", "whatsapp_business_profile", "GET"): numbers.show_profile,
    ("number", "whatsapp_business_profile", "POST"): numbers.change_profile,
    ("number", "block_users", "GET"): numbers.list_blocked,
    ("number", "block_users", "POST"): numbers.block,
    ("number", "block_users", "DELETE"): numbers.unblock,
    ("number", "media", "POST"): media.upload,
    ("media", "", "GET"): media.show,
    ("media", "", "DELETE"): media.remove,
    ("waba", "", "GET"): wabas.show,
    ("waba", "phone_numbers", "GET"): wabas.list_numbers,
    ("waba", "phone_numbers", "POST"): wabas.add_number,
    ("waba", "subscribed_apps", "GET"): wabas.list_subscriptions,
    ("waba", "subscribed_apps", "POST"): wabas.subscribe,
    ("waba", "subscribed_apps", "DELETE"): wabas.unsubscribe,
    ("waba", "message_templates", "GET"): templates.index,
    ("waba", "message_templates", "POST"): templates.create,
    ("waba", "message_templates", "DELETE"): templates.remove,
    ("template", "", "GET"): templates.show,
    ("template", "", "POST"): templates.edit,
    ("template", "unpause", "POST"): templates.unpause,
    ("app", "", "GET"): tokens.show_app,
    ("app", "subscriptions", "POST"): tokens.subscribe_app,
    ("app", "subscriptions", "GET"): tokens.list_app_subscriptions,
    ("app", "uploads", "POST"): uploads.begin,
    ("upload", "", "POST"): uploads.append,
    ("upload", "", "GET"): uploads.show,
}


async def answer(request: Request) -> Response:
    """Answers any Graph call but a send."""
    simulator: Simulator = request.state.simulator
    try:
        return await _dispatch(simulator, request)
    except GraphError as error:
        return _json(error.body(), error.status)
    except CutOffError:
        await hang_up(request.receive)
        raise ClientDisconnect from None


async def _dispatch(simulator: Simulator, request: Request) -> Response:
    segments = [part for part in request.path_params["path"].split("/") if part]
    if segments and VERSION.match(segments[0]):
        segments = segments[1:]
    weather(simulator, simulator.scenario)
    path = "/".join(segments)
    if path in OPEN:
        params = await _read_params(request)
        return _json(await OPEN[path](Call(simulator, request, tokens.ANONYMOUS, "", params)))
    token = identify(simulator, bearer(request.headers.raw) or request.query_params.get("access_token", ""))
    node, edge = segments[0] if segments else "", "/".join(segments[1:])
    kind = _kind_of(simulator, node)
    if kind == "number":
        weather(simulator, simulator.scenario_of(node))
    handler = ROOTS.get((path, request.method)) or EDGES.get((kind, edge, request.method))
    if handler is None:
        raise unreadable(node, request.method.lower())
    # An upload's body is a file, however it is labelled.
    params = dict(request.query_params) if kind == "upload" else await _read_params(request)
    call = Call(simulator, request, token, node, params)
    response = _json(await handler(call))
    for waba_id in token.waba_ids[:1]:
        for name, value in simulator.usage_headers(waba_id, management=True):
            response.headers[name.decode()] = value.decode()
    return response


def _kind_of(simulator: Simulator, node: str) -> str:
    world = simulator.world
    shelves: Mapping[str, Mapping[str, Any]] = {
        "number": world.numbers, "waba": world.wabas, "template": world.templates, "media": world.media,
        "app": world.apps, "upload": world.uploads,
    }  # fmt: skip
    return next((kind for kind, shelf in shelves.items() if node in shelf), "")


async def _read_params(request: Request) -> dict[str, Any]:
    """Query and body as one: JSON, urlencoded or multipart."""
    params: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        params |= dict(await request.form(max_part_size=media.LARGEST))
    elif body := await request.body():
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise GraphError(100, "The body is not valid JSON.", title="Invalid parameter") from error
        if not isinstance(given, dict):
            raise GraphError(100, "The body must be an object.", title="Invalid parameter")
        params |= given
    return params


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    headers = {"facebook-api-version": "v25.0"}
    if status == 401:
        headers["www-authenticate"] = 'OAuth "Facebook Platform" "invalid_token"'
    return Response(orjson.dumps(body), status, headers, media_type="application/json; charset=UTF-8")


GRAPH_ROUTES = [
    Route("/_media/{media_id}", media.download, methods=["GET"]),
    Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"]),
]
