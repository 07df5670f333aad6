"""A live data frame: a snapshot, then facts applied as row patches; the newest revision of a row wins.

The same frame serves a screen, a notebook and a test. Facts carry absolute values, so they may come in any
order, twice, or before the snapshot they belong to: the frame ends up the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import pandas as pd

type Row = dict[str, Any]

# A fact that carries this as true says that the row is gone.
DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Changes:
    """What applying something did: rows that came, cells that changed, rows that went."""

    added: tuple[str, ...] = ()
    changed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(slots=True)
class _Held:
    """One row: what the last snapshot said, and what the newest fact said over it."""

    told: Row = field(default_factory=dict)
    told_revision: int = -1
    fact: Row = field(default_factory=dict)
    fact_revision: int = -1
    gone: bool = False
    listed: bool = False

    def take(self, row: Mapping[str, Any], revision: int) -> None:
        """Takes what a snapshot says, unless a newer snapshot spoke before."""
        if revision >= self.told_revision:
            self.told, self.told_revision = dict(row), revision

    def hear(self, fact: Mapping[str, Any], revision: int) -> None:
        """Takes what a fact says, unless a newer one spoke before; `deleted` ends the row."""
        if revision >= self.fact_revision:
            self.fact, self.fact_revision = dict(fact), revision
            if fact.get(DELETED) and revision >= self.told_revision:
                self.gone, self.listed = True, False

    def row(self) -> Row:
        """The row as it is now: the newer of both, cell by cell."""
        return self.told | self.fact if self.fact_revision >= self.told_revision else dict(self.told)


class LiveFrame:
    """Rows by key, in the order the snapshot gave them; `frame` is the pandas view of them.

    A row that was never in a snapshot is kept back, not shown: a fact may carry only the cells that move.
    `strangers` names such rows heard of since the last snapshot, for a view that wants to fetch them.
    """

    def __init__(self, *, key: str = "id", revision: str = "revision") -> None:
        self._key = key
        self._revision = revision
        self._rows: dict[str, _Held] = {}
        self._order: list[str] = []
        self._strangers: dict[str, None] = {}
        self._frame: pd.DataFrame | None = None
        self._lock = RLock()  # facts come on the loop, questions from worker threads

    def load(self, rows: Iterable[Mapping[str, Any]]) -> Changes:
        """Takes a snapshot: these rows, in this order; a fact newer than the snapshot keeps its word."""
        with self._lock:
            before = self._shown(self._order)
            order: list[str] = []
            for row in rows:
                key = str(row[self._key])
                held = self._rows.setdefault(key, _Held())
                if held.gone and self._revision_of(row) <= held.fact_revision:
                    continue
                held.take(row, self._revision_of(row))
                held.listed, held.gone = True, False
                order.append(key)
            for key in set(self._order) - set(order):
                self._rows[key].listed = False
            self._order = list(dict.fromkeys(order))
            self._strangers.clear()
            self._forget()
            return self._settle(before, self._order)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> Changes:
        """Takes further rows of a snapshot (the next page, or one row fetched by itself)."""
        with self._lock:
            before = self._shown(self._order)
            fresh: list[str] = []
            for row in rows:
                key = str(row[self._key])
                held = self._rows.setdefault(key, _Held())
                revision = self._revision_of(row)
                if held.gone and revision <= held.fact_revision:
                    continue
                held.take(row, revision)
                held.gone = False
                if not held.listed:
                    held.listed = True
                    fresh.append(key)
            self._order += fresh
            return self._settle(before, self._order)

    def apply(self, facts: Iterable[Mapping[str, Any]]) -> Changes:
        """Takes facts: an older one than is known changes nothing."""
        with self._lock:
            told = [(str(fact[self._key]), fact) for fact in facts]
            before = self._shown(key for key, _ in told)
            for key, fact in told:
                held = self._rows.setdefault(key, _Held())
                held.hear(fact, self._revision_of(fact))
                if not held.listed and not held.gone:
                    self._strangers[key] = None
            if any(self._rows[key].gone for key, _ in told):
                self._order = [key for key in self._order if self._rows[key].listed]
            return self._settle(before, before)

    def remove(self, keys: Iterable[str], *, revision: int | None = None) -> Changes:
        """Takes rows away; an older fact or snapshot does not bring them back."""
        with self._lock:
            before = self._shown(self._order)
            for key in keys:
                held = self._rows.setdefault(key, _Held())
                newest = max(held.fact_revision, held.told_revision)
                held.fact_revision = newest if revision is None else max(newest, revision)
                held.gone, held.listed = True, False
            self._order = [key for key in self._order if self._rows[key].listed]
            return self._settle(before, self._order)

    def _forget(self) -> None:
        """Drops rows that went off the list with nothing a later snapshot would need to be told."""
        needed = {key: held for key, held in self._rows.items() if held.listed or held.fact_revision >= 0}
        self._rows = needed

    def _shown(self, keys: Iterable[str]) -> dict[str, Row]:
        return {key: self._rows[key].row() for key in keys if key in self}

    def _settle(self, before: Mapping[str, Row], keys: Iterable[str]) -> Changes:
        self._frame = None
        now = self._shown(keys)
        changed: dict[str, Mapping[str, Any]] = {}
        for key in now.keys() & before.keys():
            cells = {cell: value for cell, value in now[key].items() if before[key].get(cell) != value}
            if cells:
                changed[key] = cells
        return Changes(
            added=tuple(key for key in now if key not in before),
            changed=changed,
            removed=tuple(key for key in before if key not in now),
        )

    def _revision_of(self, row: Mapping[str, Any]) -> int:
        return int(row.get(self._revision) or 0)

    @property
    def strangers(self) -> Sequence[str]:
        """Rows that facts spoke of since the last snapshot, and that it does not list."""
        with self._lock:
            return [key for key in self._strangers if key not in self and not self._rows[key].gone]

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the rows, in order."""
        return tuple(self._order)

    def row(self, key: str) -> Row | None:
        """One row, or None."""
        with self._lock:
            held = self._rows.get(key)
            return held.row() if held is not None and held.listed else None

    def rows(self) -> list[Row]:
        """The rows in order, as dicts."""
        with self._lock:
            return [self._rows[key].row() for key in self._order]

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, key: str) -> bool:
        held = self._rows.get(key)
        return held is not None and held.listed

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a data frame indexed by the key; made anew only when something changed."""
        with self._lock:
            if self._frame is None:
                rows = self.rows()
                self._frame = pd.DataFrame(rows).set_index(self._key, drop=False) if rows else pd.DataFrame()
            return self._frame
