"""The same API for scripts and notebooks: every call blocks and gives its answer, lists come as data frames."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import httpx
import pandas as pd

from engine.client.answers import Page
from engine.client.calls import Api
from engine.client.frames import frame_of, gather_frame
from engine.client.wire import HeldTokens, Wire, sign_in


class BlockingApi:
    """An `Api` whose calls block: `api.campaigns.list()`; `api.frame(...)` turns an answer into a frame.

    The questions run on a loop of their own in a thread, so it works in a notebook, which has a loop already.
    """

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api-client", daemon=True)
        self._thread.start()
        self._http = httpx.AsyncClient(base_url=url, transport=transport)
        self._api: Api | None = None

    def sign_in(self, username: str, password: str, company: str | None = None) -> Self:
        """Signs in and gives itself."""
        self._api = Api(Wire(self._http, self.run(self._credentials(username, password, company))))
        return self

    async def _credentials(self, username: str, password: str, company: str | None) -> HeldTokens:
        return HeldTokens(self._http, await sign_in(self._http, username, password, company))

    def run[Answer](self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer to a question of the async core, waited for."""
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()

    def __getattr__(self, name: str) -> "_BlockingGroup":
        if name.startswith("_") or self._api is None:
            raise AttributeError(name if name.startswith("_") else f"{name}: sign in first")
        return _BlockingGroup(getattr(self._api, name), self.run)

    def frame(self, answer: Page[Any] | AsyncIterator[Any]) -> pd.DataFrame:
        """A page, or everything an iterator brings, as a data frame."""
        if isinstance(answer, Page):
            return frame_of(answer.items)
        return self.run(gather_frame(answer))

    def close(self) -> None:
        """Lets go of the connections and the thread."""
        self.run(self._http.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _BlockingGroup:
    """One group of calls, each blocking until it is answered."""

    def __init__(self, group: object, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._group = group
        self._run = run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._group, name)

        def ask(*given: Any, **named: Any) -> Any:
            answer = call(*given, **named)
            return self._run(answer) if isinstance(answer, Awaitable) else answer  # type: ignore[arg-type]

        return ask


def connect(url: str, username: str, password: str, company: str | None = None) -> BlockingApi:
    """A signed-in blocking client: `with connect(url, "me@company.com", secret) as api: ...`."""
    return BlockingApi(url).sign_in(username, password, company)
