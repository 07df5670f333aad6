"""An intake of its own, served by uvicorn on a socket."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from engine.api.intake import Intake
from engine.api.wire import PatientProtocol
from tests.messaging.receiving import Stage, sign

PATIENCE = 20.0


class Served:
    """An intake of its own, served by uvicorn on a socket."""

    def __init__(self) -> None:
        self.intake = Intake()
        config = uvicorn.Config(
            self._app,
            port=0,
            log_level="error",
            lifespan="on",
            loop="asyncio",
            interface="asgi3",
            http=PatientProtocol,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        wait_for(lambda: self.server.started)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.intake(scope, receive, send)
            return
        await receive()
        await self.intake.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.intake.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def stop(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(PATIENCE)

    def post(self, stage: Stage, body: bytes, **headers: str) -> httpx.Response:
        """A webhook, signed unless `headers` say otherwise."""
        given = {"X-Hub-Signature-256": sign(body, stage.secret)} | headers
        return self.client.post(f"/hooks/whatsapp_cloud/{stage.channel_id}", content=body, headers=given)


@contextmanager
def serving() -> Iterator[Served]:
    served = Served()
    try:
        yield served
    finally:
        served.stop()


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > until:
            pytest.fail("it did not come to pass in time")
        time.sleep(0.02)
