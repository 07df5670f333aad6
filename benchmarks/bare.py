"""The least a Python server can do with a webhook: read it and say 200. What the intake's own work is measured against."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

type Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer 200 to everything."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        continue
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
