"""What views share: their life in a tab, answers as plain rows, and tables fed by live frames."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from typing import Any, ClassVar, cast

from panel.viewable import Viewable
from pydantic import TypeAdapter

from console.components import LiveTable, Message, Query
from console.frames import LiveFrame, Row
from console.tab import Tab, Task
from engine.client import Fact, RefusedError
from engine.client.answers import Page

# Facts come in bursts; the first one waits this long for its fellows.
FIRST_PAUSE_SECONDS = 0.25
# How often a list is asked for again, however many facts call for it.
LIST_SECONDS = 2.0


class View(ABC):
    """One screen. `build` makes it as a skeleton at once; data arrive by message.

    It is made when first visited and kept. `enter` comes with each visit, `take` with facts of the kinds it
    names while it is on screen (a visit fetches afresh, so the others need none), `resync` after facts were
    lost. What either could not fetch, `fail` says.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    facts: ClassVar[Sequence[str]] = ()

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.words = tab.words
        self.panel = self.build()

    @abstractmethod
    def build(self) -> Viewable:
        """The screen, without data."""

    async def enter(self, **parts: str) -> None:  # noqa: B027 - a screen without data has nothing to fetch
        """Shows what the route names: fetches afresh."""

    async def resync(self) -> None:
        """Fetches afresh what is on screen: facts may have been missed."""
        await self.enter()

    def take(self, facts: Sequence[Fact]) -> None:  # noqa: B027 - most screens live without facts
        """Draws what changed."""

    def fail(self, sentence: str) -> None:
        """Says that the screen could not be fetched; one that waits with a skeleton says it in its place."""
        self.tab.shell.toast(sentence, "error")

    @property
    def on_screen(self) -> bool:
        """Whether the person looks at this screen now."""
        return self.tab.shell.active == self.key

    def lead(self, path: str) -> None:
        """Leads on to a route, unless the person has gone elsewhere meanwhile, where they may be typing."""
        if self.on_screen:
            self.tab.go(path)


class Soon:
    """Runs a task soon after it is asked for, at most once in `pause` seconds however often that is."""

    def __init__(self, tab: Tab, task: Task, *, pause: float) -> None:
        self._tab = tab
        self._task = task
        self._pause = pause
        self._waiting = False
        self._ran_at = float("-inf")

    def ask(self) -> None:
        """Asks for the task."""
        if not self._waiting:
            self._waiting = True
            self._tab.start(self._run)

    async def _run(self) -> None:
        rest = self._ran_at + self._pause - time.monotonic()
        try:
            await asyncio.sleep(max(FIRST_PAUSE_SECONDS, rest) * self._tab.patience)
        finally:
            self._waiting = False
        self._ran_at = time.monotonic()
        await self._task()


def answer_queries(tab: Tab, table: LiveTable, answer: Callable[[Query], Awaitable[None]]) -> None:
    """Has a table's questions answered; the table itself says what failed, with a way to try again."""

    def hear(message: Message) -> None:
        query = LiveTable.query_of(message)

        async def task() -> None:
            await answer(query)

        tab.start(task, failed=lambda sentence: table.fail_page(query.seq, sentence))

    table.on("query", hear)


@cache
def _writer(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def plain(answer: object) -> Row:
    """A dataclass as JSON values: instants as ISO strings, nested parts as dicts."""
    if not is_dataclass(answer) or isinstance(answer, type):
        raise TypeError(f"{answer!r} is no answer")
    return cast(Row, _writer(type(answer)).dump_python(answer, mode="json"))


def plain_all(answers: Iterable[object]) -> list[Row]:
    """Several dataclasses as JSON values."""
    return [plain(answer) for answer in answers]


def values_of(message: Message) -> dict[str, Any]:
    """The values a form sent."""
    values = message.get("values")
    return dict(values) if isinstance(values, dict) else {}


def field_errors(error: RefusedError, names: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the API says of fields, under the names of the form (`credentials.app_secret` → `app_secret`)."""
    named = names or {}
    said: dict[str, list[str]] = {}
    for fault in error.fields:
        said.setdefault(named.get(fault.field, fault.field.rsplit(".", 1)[-1]), []).append(fault.detail)
    return {name: " ".join(details) for name, details in said.items()}


def complaint(error: RefusedError) -> str:
    """What to say above a form: nothing where its fields say what is wrong."""
    return "" if error.fields else error.detail


_UNHEARD = object()


class TableFeed:
    """Feeds a table from a live frame: pages as they are asked for, cells as facts arrive."""

    def __init__(self, table: LiveTable, present: Callable[[Row], Row], *, key: str = "id") -> None:
        self.table = table
        self.frame = LiveFrame(key=key)
        self._present = present
        self._key = key
        self._shown: dict[str, Row] = {}
        self._elsewhere: dict[str, object] = {}

    def answer(self, query: Query, page: Page[Any]) -> None:
        """Shows a page."""
        self.frame.load(plain_all(page.items))
        self._shown = {str(row[self._key]): self._present(row) for row in self.frame.rows()}
        for key in self._shown:
            self._elsewhere.pop(key, None)
        self.table.show_page(
            query.seq,
            list(self._shown.values()),
            next_cursor=page.next,
            total=page.total,
            total_is_capped=page.total_is_capped,
        )

    def take(self, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Applies facts; True where the page should be asked for again: a row elsewhere that is new or came into
        another status, so that it may belong here, or a status whose reason only the API can put into words.
        """
        rows = [row for row in rows if row.get(self._key)]
        changes = self.frame.apply(rows)
        if changes.removed:
            self.table.remove(changes.removed)
        patches: dict[str, Row] = {}
        for key in changes.changed:
            row = self.frame.row(key)
            if row is None:
                continue
            cells = self._present(row)
            changed = {
                cell: value for cell, value in cells.items() if self._shown.get(key, {}).get(cell) != value
            }
            if changed:
                self._shown[key] = cells
                patches[key] = changed
        if patches:
            self.table.patch(patches)
        return self._may_belong_here(rows) or any("status" in cells for cells in changes.changed.values())

    def _may_belong_here(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether rows that are not listed stand otherwise than when we last asked because of them."""
        strangers = set(self.frame.strangers)
        standing = {key: row.get("status") for row in rows if (key := str(row[self._key])) in strangers}
        fresh = any(self._elsewhere.get(key, _UNHEARD) != status for key, status in standing.items())
        self._elsewhere |= standing
        return fresh

    def remove(self, keys: Sequence[str]) -> None:
        """Takes rows off the screen."""
        self.frame.remove(keys)
        for key in keys:
            self._shown.pop(key, None)
        self.table.remove(keys)
