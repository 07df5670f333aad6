"""The simulator's ASGI application: `uvicorn engine.simulator.app:app`.

Sends go to the raw hot path, everything else to routes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from engine.simulator.admin import ADMIN_ROUTES
from engine.simulator.config import read_config
from engine.simulator.graph.routes import GRAPH_ROUTES
from engine.simulator.runtime import Simulator
from engine.simulator.sending import Receive, Scope, Send, serve_send

SEND_EDGES = ("/messages", "/marketing_messages")


@asynccontextmanager
async def _open_simulator(_app: Starlette) -> AsyncIterator[dict[str, Simulator]]:
    simulator = Simulator(read_config())
    await simulator.start()
    try:
        yield {"simulator": simulator}
    finally:
        await simulator.stop()


routes = Starlette(routes=[*ADMIN_ROUTES, *GRAPH_ROUTES], lifespan=_open_simulator)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one request; the lifespan belongs to the routes."""
    if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith(SEND_EDGES):
        await serve_send(scope, receive, send)
    else:
        await routes(scope, receive, send)
