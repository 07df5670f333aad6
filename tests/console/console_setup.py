"""What the console's tests share: a tab over the stand-in API, and an ear for what components send."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from console.components import Component, Message, Shell
from console.i18n import Words
from console.tab import Tab, Task, reader_of
from console.views.base import View
from engine.client import Api, Fact, HeldTokens, Wire, read_as
from engine.client.answers import Company, Me, Tokens, User
from tests.console.console_fake_api import make_fake_api
from tests.console.console_fake_data import COMPANIES, NOW, Store

_PENDING: list[asyncio.Task[None]] = []


def run_now(task: Task) -> None:
    """Runs a task to its end, with all it starts; in a running loop it is left to the one who waits."""
    loop = asyncio.get_event_loop()
    if loop.is_running():
        _PENDING.append(loop.create_task(task()))
    else:
        loop.run_until_complete(_finish(task))


async def _finish(task: Task) -> None:
    await task()
    while _PENDING:
        await _PENDING.pop()


def play(story: Task) -> None:
    """Runs a story in which answers come late, with all it starts."""
    asyncio.get_event_loop().run_until_complete(_finish(story))


async def pause() -> None:
    """Lets what was started get as far as it can by itself."""
    for _ in range(50):
        await asyncio.sleep(0)


class Ear:
    """What a component sent to the browser, in order."""

    def __init__(self, component: Component) -> None:
        self.sent: list[dict[str, Any]] = []
        component._send_msg = self.sent.append  # type: ignore[method-assign]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one kind."""
        return [message for message in self.sent if message["type"] == kind]

    def last(self, kind: str) -> dict[str, Any]:
        """The newest message of one kind."""
        return self.of(kind)[-1]


def make_tab(store: Store | None = None, *, role: str = "owner", locale: str = "en") -> Tab:
    """A tab of Dana's at Acme in São Paulo, over a stand-in API."""
    held = store or Store()
    held.tokens["access"] = ("owner@demo.example", "acme")
    http = httpx.AsyncClient(base_url="http://api.test", transport=httpx.ASGITransport(make_fake_api(held)))
    company = Company(COMPANIES["acme"]["id"], "Acme Varejo", "acme", "America/Sao_Paulo")
    me = Me(User("u1", "owner@demo.example", "Dana Keller"), company, role, (), "session-1")
    words = Words(locale, company.time_zone)
    api = Api(Wire(http, HeldTokens(http, Tokens("access", "refresh", 600)), language=locale))
    return Tab(
        api=api, me=me, words=words, shell=Shell(reader_of(words)), sign_in="s1", run=run_now, patience=0.0,
        now=lambda: NOW,
    )  # fmt: skip


def enter(view: View, **parts: str) -> None:
    """Visits a view as its route would."""
    view.tab.shell.active = view.key
    view.tab.start(lambda: view.enter(**parts), failed=view.fail)


def say(component: Component, kind: str, **fields: object) -> None:
    """Has the browser say something."""
    message: Message = {"type": kind, **fields}
    component._handle_msg(message)


def ask(table: Component, seq: int = 1, **fields: object) -> None:
    """Has a table ask for a page."""
    asked: dict[str, object] = {
        "seq": seq,
        "search": "",
        "filters": {},
        "sort": None,
        "after": None,
        "limit": 25,
    }
    say(table, "query", **(asked | fields))


def fact(kind: str, data: Mapping[str, Any]) -> Fact:
    """A fact as it comes over Redis."""
    return Fact(kind=kind, id="f1", at="2026-11-23T15:00:00Z", data=data)


def asked_paths(store: Store, method: str = "POST") -> list[str]:
    """The paths asked with a method, in order."""
    return [path for asked, path, _ in store.asked if asked == method]


@contextmanager
def confirming(tab: Tab, answer: bool) -> Iterator[list[str]]:
    """Answers every question of the shell; gives the questions asked."""
    asked: list[str] = []

    async def confirm(title: str, text: str = "", **_: object) -> bool:
        asked.append(title)
        return answer

    tab.shell.confirm = confirm  # type: ignore[method-assign]
    yield asked


__all__ = [
    "Ear",
    "ask",
    "asked_paths",
    "confirming",
    "enter",
    "fact",
    "make_tab",
    "pause",
    "play",
    "read_as",
    "say",
]
