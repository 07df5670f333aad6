"""What views share: their life in a tab, answers as plain rows, and tables fed by live frames."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
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


class View(ABC):
    """One screen. `build` makes it as a skeleton at once; data arrive by message.

    It is made when first visited and kept. `enter` comes with each visit, `take` with facts of the kinds it
    names (also while another view is on screen), `resync` after facts were lost.
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
    return {named.get(fault.field, fault.field.rsplit(".", 1)[-1]): fault.detail for fault in error.fields}


class TableFeed:
    """Feeds a table from a live frame: pages as they are asked for, cells as facts arrive."""

    def __init__(self, table: LiveTable, present: Callable[[Row], Row], *, key: str = "id") -> None:
        self.table = table
        self.frame = LiveFrame(key=key)
        self._present = present
        self._key = key
        self._shown: dict[str, Row] = {}

    def answer(self, query: Query, page: Page[Any]) -> None:
        """Shows a page."""
        self.frame.load(plain_all(page.items))
        self._shown = {str(row[self._key]): self._present(row) for row in self.frame.rows()}
        self.table.show_page(
            query.seq,
            list(self._shown.values()),
            next_cursor=page.next,
            total=page.total,
            total_is_capped=page.total_is_capped,
        )

    def take(self, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Applies facts; True where the page should be asked for again: a row that is not on screen, or a status
        whose reason only the API can put into words.
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
        return bool(self.frame.strangers) or any("status" in cells for cells in changes.changed.values())

    def remove(self, keys: Sequence[str]) -> None:
        """Takes rows off the screen."""
        self.frame.remove(keys)
        for key in keys:
            self._shown.pop(key, None)
        self.table.remove(keys)
