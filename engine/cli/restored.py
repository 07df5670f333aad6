"""The database that `masteria restore` works on: a server's, or the embedded one, started for as long as that takes."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from engine.cli.database import migrate
from engine.cli.up import only_one, restore_mark
from engine.core.settings import DATABASE_VARIABLES, REDIS_VARIABLE, Settings, settings
from engine.embedded import (
    PASSWORDS_FILE,
    RunningServer,
    bootstrap_embedded,
    postgres_data,
    prepare_postgres,
    prepare_valkey,
    remember_urls,
    spawn,
)

WAITS_AT_TARGET = (
    "PostgreSQL has reached its recovery target and waits there. Set recovery_target_action = 'promote' and start it "
    "again, or end the recovery with: select pg_wal_replay_resume()"
)
# Its last word; what it says to us, who knock while it starts, is none.
LAST_WORD = re.compile(r"(?:FATAL|PANIC):\s+(?!the database system is)(.+)")


class RestoreRefused(Exception):  # noqa: N818 (reads as what happened)
    """The database can't be made safe now; the text is a sentence for the operator."""


@contextmanager
def database_of(given: Settings) -> Iterator[None]:
    """The database: a server's, or the embedded one, which is started for as long as this takes."""
    if any(os.environ.get(name) for name in DATABASE_VARIABLES):
        yield
        return
    with only_one(given):
        _refuse_half_a_backup(given.home)
        restore_mark(given.home).touch()
        server = prepare_postgres(given.home)
        log = given.home / "logs" / "postgres.log"
        running = RunningServer(server, spawn(server, log))
        try:
            _wait_for_recovery(running, log)
            remember_urls(given.home, database=bootstrap_embedded(given.home, server), redis_url=None)
            if not os.environ.get(REDIS_VARIABLE) and not given.redis_url:
                # Bells ring at an address, whether anybody hears them or not.
                remember_urls(given.home, database=None, redis_url=prepare_valkey(given.home).url)
            settings.cache_clear()
            migrate()
            yield
            restore_mark(given.home).unlink()
        finally:
            running.stop()


def _refuse_half_a_backup(home: Path) -> None:
    """What is missing is never made anew here: an empty database would be safe to open, and worth nothing."""
    data = postgres_data(home)
    if not (data / "PG_VERSION").exists():
        raise RestoreRefused(f"There is no database: put the base backup there as {data}.")
    if not (home / PASSWORDS_FILE).exists():
        raise RestoreRefused(
            f"{home / PASSWORDS_FILE} is missing, which has the passwords of this database: put it back there."
        )


def _wait_for_recovery(running: RunningServer, log: Path) -> None:
    """Return once the write-ahead log is replayed, however long that takes."""
    begins_at = log.stat().st_size
    while running.child.poll() is None:
        state = _recovery_state(running.server.url)
        if state == "done":
            return
        if state == "paused":
            raise RestoreRefused(WAITS_AT_TARGET)
        if state == "locked":
            raise RestoreRefused(
                f"PostgreSQL does not take the superuser's password in {PASSWORDS_FILE}: put back the file that this "
                "database had when the backup was made."
            )
        time.sleep(0.2)
    raise RestoreRefused(f"PostgreSQL ended while it replayed its log{_why(log, begins_at)}. See {log}.")


def _why(log: Path, begins_at: int) -> str:
    with log.open(errors="replace") as lines:
        lines.seek(begins_at)
        words = LAST_WORD.findall(lines.read())
    return f": {words[-1]}" if words else ""


def _recovery_state(url: str) -> str:
    """`paused` at the target, `done`, `locked` to us, or on its way."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute(
                "select case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() else 'done' end"
            ).fetchone()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            return "locked"
        return "starting"  # it lets nobody in before its data is whole, nor in the moment in which it ends recovering
    return str(row[0]) if row else "starting"
