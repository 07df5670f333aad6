"""The state file: SQLite, written in groups.

All that arrives in one turn of the event loop is committed together and answered after the commit, so that an
answered accept is in the log also when the process is killed (write-ahead log, `synchronous=NORMAL`: safe
against the death of the process; a power cut may lose the last moments).
"""

import asyncio
import fcntl
import logging
import os
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path

PROGRESS_EVERY = 0.1  # seconds
CHECKPOINT_EVERY = 1.0  # seconds
CHECKPOINT_ABOVE = 8_000_000  # bytes of write-ahead log
Value = str | int | float | bytes | None

logger = logging.getLogger("masteria.simulator")

SCHEMA_VERSION = 1  # to be raised with every change of the tables
SCHEMA = """
create table if not exists settings (key text primary key, value text not null) without rowid;
create table if not exists objects (
    kind text not null, id text not null, data blob not null, primary key (kind, id)) without rowid;
create table if not exists behaviours (id integer primary key, data text not null unique);
create table if not exists accepts (
    seq integer primary key, at integer not null, number_id text not null, wamid text not null,
    recipient text not null, by_user_id integer not null, opaque text, kind text not null, template text,
    pricing text not null, body_hash text not null, body blob, behaviour integer not null,
    outcome text not null, failure integer, planned integer not null, acked integer not null default 0,
    dropped integer not null default 0);
create index if not exists accepts_under_way on accepts (seq) where planned <> acked | dropped;
create table if not exists notices (
    id integer primary key, number_id text, waba_id text not null, field text not null, value blob not null,
    raw integer not null, created_at real not null, due_at real not null);
create table if not exists windows (
    number_id text not null, user text not null, at real not null, primary key (number_id, user)) without rowid;
create table if not exists tallies (
    number_id text not null, kind text not null, emitted integer not null, acknowledged integer not null,
    unrouted integer not null, given_up integer not null, primary key (number_id, kind)) without rowid;
create table if not exists marks (
    id integer primary key, at real not null, number_id text not null, kind text not null, message_id text not null);
"""

INSERT_ACCEPT = """
insert into accepts (seq, at, number_id, wamid, recipient, by_user_id, opaque, kind, template, pricing, body_hash,
    body, behaviour, outcome, failure, planned)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
WIPE = """
delete from accepts; delete from notices; delete from windows; delete from tallies; delete from marks;
delete from behaviours;
"""
MARK_ACCEPT = "update accepts set acked = acked | ?, dropped = dropped | ? where seq = ?"


class StateFileBusyError(RuntimeError):
    """Another simulator is running on this file."""


class StateFileVersionError(RuntimeError):
    """The file has the tables of another version."""


class Store:
    """One SQLite file with one writer: this process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = self._take_lock(path)
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("pragma journal_mode = wal")
        self.connection.execute("pragma synchronous = normal")
        self.connection.execute("pragma wal_autocheckpoint = 0")  # done aside: a checkpoint syncs, and blocks
        self._check_version()
        self.connection.executescript(SCHEMA)
        self.salt = self.setting("salt") or self._new_salt()
        self.sequence: int = self.connection.execute("select coalesce(max(seq), 0) from accepts").fetchone()[
            0
        ]
        self._accepts: list[tuple[Value, ...]] = []
        self._statements: list[tuple[str, Sequence[Value]]] = []
        self._progress: dict[int, tuple[int, int]] = {}
        self._later: list[tuple[str, Sequence[Value]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._commit: asyncio.Future[None] | None = None

    def _check_version(self) -> None:
        version: int = self.connection.execute("pragma user_version").fetchone()[0]
        made = self.connection.execute("select count(*) from sqlite_schema").fetchone()[0]
        if made and version != SCHEMA_VERSION:
            raise StateFileVersionError(
                f"{self.path} was written by another version of the simulator; delete it to start afresh"
            )
        self.connection.execute(f"pragma user_version = {SCHEMA_VERSION}")

    @staticmethod
    def _take_lock(path: Path) -> int:
        lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise StateFileBusyError(f"another simulator is running on {path}") from error
        return lock

    def close(self) -> None:
        """Writes what waits and lets the file go."""
        self._flush_progress()
        self.connection.execute("pragma wal_checkpoint(truncate)")
        self.connection.close()
        os.close(self._lock)

    def setting(self, key: str) -> str | None:
        """A stored setting, if any."""
        row = self.connection.execute("select value from settings where key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def _new_salt(self) -> str:
        salt = secrets.token_hex(4).upper()
        self.connection.execute("insert or replace into settings values ('salt', ?)", (salt,))
        return salt

    def append_accept(self, row: tuple[Value, ...]) -> asyncio.Future[None]:
        """Adds a row to the witness log; the future is done once it is committed."""
        self._accepts.append(row)
        return self._soon()

    def note_progress(self, sequence: int, *, acked: int = 0, dropped: int = 0) -> None:
        """Remembers which updates of a message reached their receiver.

        Written a little later, many together: rows are wide and an update lost is only posted again.
        """
        before = self._progress.get(sequence, (0, 0))
        self._progress[sequence] = (before[0] | acked, before[1] | dropped)
        self._set_timer()

    def write_later(self, statement: str, values: Sequence[Value] = ()) -> None:
        """Runs a statement with the progress that waits: for what may be lost with the process."""
        self._later.append((statement, values))
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PROGRESS_EVERY, self._flush_progress)

    def _flush_progress(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._statements += self._later
        self._later = []
        self._flush()

    def write(self, statement: str, values: Sequence[Value] = ()) -> asyncio.Future[None]:
        """Runs a statement with the next commit; the future is done once it is committed."""
        self._statements.append((statement, values))
        return self._soon()

    def wipe_log(self) -> None:
        """Empties the log and all that hangs on it; ids made before are forgotten."""
        self._flush_progress()
        self.connection.executescript(WIPE)
        self.salt = self._new_salt()
        self.sequence = 0

    def _soon(self) -> asyncio.Future[None]:
        if self._commit is None:
            loop = asyncio.get_running_loop()
            self._commit = loop.create_future()
            self._commit.add_done_callback(_report)
            loop.call_soon(self._flush)
        return self._commit

    def _flush(self) -> None:
        commit, self._commit = self._commit, None
        accepts, statements = self._accepts, self._statements
        self._accepts, self._statements = [], []
        progress: list[tuple[int, int, int]] = []
        if self._timer is None:
            progress = [(acked, dropped, sequence) for sequence, (acked, dropped) in self._progress.items()]
            self._progress = {}
        if not accepts and not progress and not statements:
            return
        error: sqlite3.Error | None = None
        try:
            self.connection.execute("begin immediate")
            for statement, values in statements:
                self.connection.execute(statement, values)
            if accepts:
                self.connection.executemany(INSERT_ACCEPT, accepts)
            if progress:
                self.connection.executemany(MARK_ACCEPT, progress)
            self.connection.execute("commit")
        except sqlite3.Error as failure:
            error = failure
            if self.connection.in_transaction:
                self.connection.execute("rollback")
        if commit is None or commit.done():
            return
        if error is None:
            commit.set_result(None)
        else:
            commit.set_exception(error)

    async def checkpoint_forever(self) -> None:
        """Moves the write-ahead log into the file now and then, on a thread and a connection of its own."""
        wal = self.path.with_name(self.path.name + "-wal")
        while True:
            await asyncio.sleep(CHECKPOINT_EVERY)
            if wal.exists() and wal.stat().st_size > CHECKPOINT_ABOVE:
                await asyncio.to_thread(_checkpoint, self.path)


def _checkpoint(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
    try:
        connection.execute("pragma wal_checkpoint(passive)")
    except sqlite3.OperationalError as error:
        logger.info("checkpoint put off: %s", error)
    finally:
        connection.close()


def _report(commit: asyncio.Future[None]) -> None:
    if not commit.cancelled() and (error := commit.exception()) is not None:
        logger.error("the state file refused a write: %s", error)
