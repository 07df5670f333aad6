"""An answer in any case: who has had none after some seconds is told so, whatever the request still waits for.

A database that hangs, rather than being away, leaves calls waiting for as long as the network holds. Threads can't be
broken off, so the request is let go on by itself and its late answer is dropped; it keeps its place (`deps.PLACES`), so
that those which hang can't grow in number.

A body has its own time: half a minute, and longer while it comes in at a pace that an honest line has.
"""

import asyncio
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.errors import problem
from engine.core.errors import MasterIAError
from engine.core.i18n import choose_locale
from engine.core.log import logger

ROUTE_SECONDS = 15.0
# For a route that waits on a provider: several calls, each with a limit of its own.
PROVIDER_SECONDS = 110.0
BODY_SECONDS = 25.0
BODY_PACE = 16 * 1024  # bytes a second; a large file may take hours at it

log = logger(__name__)


class TooSlow(MasterIAError):  # noqa: N818 - an answer, named as people say it
    """Something that we lean on hangs; nobody can say whether the request still has its effect."""

    status = 503
    retryable = True
    code = "too_slow"
    text = "This took too long, so we stopped waiting. It may still be done: look before you try again."


class Patience:
    """How long a request may take from now on; the time in which its body comes in is not counted."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._comes_in = False

    def extend(self, seconds: float) -> None:
        """Allow so many seconds from now."""
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def body_comes(self, *, comes: bool) -> None:
        """The body is waited for, or has come: the seconds begin anew."""
        self._comes_in = comes
        self._until = time.monotonic() + self._seconds

    def left(self) -> float:
        """Seconds that are left."""
        return self._seconds if self._comes_in else self._until - time.monotonic()


class Deadline:
    """Answers 503 when the application has not begun to answer in time; `scope["state"]["patience"]` may extend it."""

    def __init__(self, app: ASGIApp, *, seconds: float = ROUTE_SECONDS) -> None:
        self.app = app
        self.seconds = seconds
        self._let_go: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        patience = Patience(self.seconds)
        scope.setdefault("state", {})["patience"] = patience
        begun, is_late = asyncio.Event(), False

        async def sending(message: Message) -> None:
            begun.set()
            if not is_late:
                await send(message)

        async def answer() -> None:
            await self.app(scope, _counted(receive, patience), sending)

        answering = asyncio.create_task(answer())
        try:
            await _wait(answering, begun, patience)
            if answering.done() or begun.is_set():
                await answering
                return
        except asyncio.CancelledError:
            answering.cancel()
            raise
        is_late = True
        self._keep(answering)
        log.error("request_too_slow", method=scope["method"], route=getattr(scope.get("route"), "path", "?"))
        locale = choose_locale(dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1"))
        await problem(TooSlow(), locale)(scope, receive, send)

    def _keep(self, answering: asyncio.Task[None]) -> None:
        """Hold on to a request that is let go on, and hear of its end."""
        self._let_go.add(answering)

        def ended(task: asyncio.Task[None]) -> None:
            self._let_go.discard(task)
            error = None if task.cancelled() else task.exception()
            log.warning("late_request_ended", error=type(error).__name__ if error else None)

        answering.add_done_callback(ended)


def _counted(receive: Receive, patience: Patience) -> Receive:
    has_all = False
    began = asyncio.get_running_loop().time()
    size = 0

    async def receiving() -> Message:
        nonlocal has_all, size
        if has_all:  # from here on it is only asked whether somebody still listens
            return await receive()
        patience.body_comes(comes=True)
        try:
            async with asyncio.timeout_at(began + BODY_SECONDS + size / BODY_PACE):
                message = await receive()
        except TimeoutError as error:
            # The framework passes this one on as it is; what is left of the body is not worth reading.
            raise HTTPException(408, headers={"Connection": "close"}) from error
        finally:
            patience.body_comes(comes=False)
        size += len(message.get("body", b""))
        has_all = not message.get("more_body", False)
        return message

    return receiving


async def _wait(answering: asyncio.Task[None], begun: asyncio.Event, patience: Patience) -> None:
    """Return once the request is done, has begun to answer, or is out of time."""
    starting = asyncio.create_task(begun.wait())
    either: set[asyncio.Future[Any]] = {answering, starting}
    try:
        while (left := patience.left()) > 0:
            done, _ = await asyncio.wait(either, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
    finally:
        starting.cancel()
