"""`masteria export-month` and `masteria drop-month`: an old month of messages into files, and then out of the database.

Both run beside the product. The export is one snapshot. The drop believes nothing: it reads the files to their end and
compares them with the rows, lets go of all that points at them in short transactions, and drops the partition last. It
may be killed and run again; what it had let go of stands in the files.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.exc import OperationalError

from engine.campaigns import old_months as of_campaigns
from engine.cli.database import BREATH_SECONDS, PATIENCE_SECONDS, revisions
from engine.cli.month_files import (
    MANIFEST,
    Manifest,
    MonthRefused,
    read_manifest,
    read_rows,
    verify,
    write_manifest,
    write_media,
    write_table,
)
from engine.core.db import CONNECTION
from engine.core.errors import DatabaseAway
from engine.core.log import logger
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging import old_months
from engine.messaging.old_months import FROM_THE_FIRST, MESSAGES, OF_MONTHS, OF_PAGES, Month
from engine.messaging.storage import media_store

PARTS = (*old_months.PARTS, *of_campaigns.PARTS)
KEPT_MONTHS = 13
# Less, and what is tried again for weeks (statuses, webhooks, calls that are looked into) would find its message gone.
LEAST_MONTHS = 4

log = logger(__name__)


def folder_of(into: Path, month: Month) -> Path:
    """Where a month's files stand within the operator's folder."""
    return into / f"messages-{month}"


def export_month(month: Month, into: Path, *, without_lost_files: bool = False) -> Manifest:
    """Write a month that is over into files, and read them back; MonthRefused with the reason."""
    folder = folder_of(into, month)
    if (folder / MANIFEST).exists():
        raise MonthRefused(f"{folder} holds an export already: move it away, or export into another folder.")
    with system_session() as session:
        if month >= old_months.current(session):
            raise MonthRefused(f"{month} is not over yet.")
        if not old_months.is_there(session, month):
            raise MonthRefused(
                f"There are no messages of {month}, and there is no table {month.partition} for them."
            )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _snapshot() as connection:
            tables = [write_table(connection, part, month, folder) for part in PARTS]
            media = write_media(_files(connection, month), media_store().read, folder)
        if media.lost and not without_lost_files:
            raise MonthRefused(
                f"{len(media.lost)} files that people sent are not in {settings().media_dir}, or are damaged there, as "
                f"{media.lost[0]}. Run this where the media folder is. If they are gone for good: --without-lost-files"
            )
        manifest = Manifest(
            month=str(month),
            exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            revision=revisions().present or "",
            tables=tables,
            media=media,
        )
        verify(manifest, folder)
        write_manifest(manifest, folder)
    except OSError as error:
        raise MonthRefused(f"The export can't be written: {error}") from None
    log.warning("month.exported", month=str(month), messages=manifest.table("messages").rows)
    return manifest


@contextmanager
def _snapshot() -> Iterator[psycopg.Connection[Any]]:
    """A connection that sees all companies as they were at one moment, and writes nothing."""
    if not settings().database_system_url:
        raise DatabaseAway()
    with psycopg.connect(settings().database_system_url, **CONNECTION) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        # How values are written must not hang on what a server or a role is set to; and a disk may be slow.
        connection.execute(
            """select set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, MDY', true),
                      set_config('idle_in_transaction_session_timeout', '0', true)"""
        )
        yield connection


def _files(connection: psycopg.Connection[Any], month: Month) -> list[tuple[str, str | None]]:
    """Key and SHA-256 of the files in the store that came with a month's messages."""
    return connection.execute(
        """select path, sha256 from media_files where status = 'stored' and path is not null
             and message_id >= %(floor)s and message_id < %(ceiling)s order by path""",
        month.ids,
    ).fetchall()


def check_drop(month: Month, into: Path, *, kept_months: int) -> Manifest:
    """The export by which a month may be dropped; MonthRefused when it may not."""
    with system_session(OF_MONTHS) as session:
        age = old_months.current(session).since(month) - 1
        if age < kept_months:
            raise MonthRefused(f"{month} is not {kept_months} whole months old: it stays.")
        if not old_months.has_partition(session, month):
            raise MonthRefused(f"There is no table {month.partition}: nothing is there to drop.")
        waiting = old_months.waiting(session, month)
    if waiting:
        raise MonthRefused(
            f"{waiting} messages of {month} still wait to be sent, or are under way: cancel their campaigns first."
        )
    folder = folder_of(into, month)
    manifest = read_manifest(folder)
    if manifest.month != str(month):
        raise MonthRefused(f"{folder} holds the month {manifest.month}, and not {month}.")
    try:
        verify(manifest, folder)
    except OSError as error:
        raise MonthRefused(f"The export can't be read: {error}") from None
    _compare(manifest, month)
    return manifest


def _compare(manifest: Manifest, month: Month) -> None:
    """The messages are those of the files; of what points at them nothing is here that is not there.

    Of the latter some may be gone: a drop that was killed let go of it, or the hourly clearing did.
    """
    with _snapshot() as connection:
        for part in PARTS:
            if not part.goes:
                continue
            file = manifest.table(part.table)
            content = hashlib.sha256()
            rows = read_rows(connection, part, month, file.columns, content.update)
            is_same = content.hexdigest() == file.rows_sha256
            if rows > file.rows or (part is MESSAGES and not is_same):
                raise MonthRefused(
                    f"{part.table} of {month} changed since the export of {manifest.exported_at}: export it again, "
                    "into another folder."
                )


def drop_month(month: Month, *, told: Callable[[str], object] = lambda _: None) -> None:
    """Let go of all that points at a month's messages, and drop them. What `check_drop` allowed, and nothing else."""
    told("Letting go of what points at them…")
    after = FROM_THE_FIRST
    while True:
        with system_session(OF_PAGES) as session:
            page = old_months.page_after(session, month, after)
            if page is None:
                break
            of_campaigns.keep_ends(session, page)
            old_months.let_go(session, page)
        after = page.last
    with system_session(OF_MONTHS) as session:
        of_campaigns.keep_the_rest(session, month)
        old_months.let_go_of_the_rest(session, month)
    _delete_files(month)
    told("Dropping the table…")
    _drop(month)
    log.warning("month.dropped", month=str(month))


def _delete_files(month: Month) -> None:
    while True:
        with system_session(OF_MONTHS) as session:
            files = old_months.files_of(session, month)
            for file in files:
                if file.path is not None:
                    media_store().delete(file.path)
            old_months.forget_files(session, files)
        if not files:
            return


def _drop(month: Month) -> None:
    """Wait for the lock briefly and again, for a few minutes in all: meanwhile nobody stands still."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with system_session(OF_MONTHS) as session:
                old_months.drop(session, month)
            return
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            if time.monotonic() > until:
                raise MonthRefused(
                    "The table of messages was in use all the time, so the month is still there. Run this again."
                ) from None
        time.sleep(BREATH_SECONDS)  # those who waited behind us go first


def told_export(manifest: Manifest, folder: Path) -> str:
    """What was written, as a table."""
    rows = [(table.name, f"{table.rows:,} rows") for table in manifest.tables]
    rows.append((manifest.media.name, f"{manifest.media.files:,} files, {len(manifest.media.lost)} lost"))
    lines = "\n".join(f"  {name:<28}{n:>24}" for name, n in rows)
    return f"{manifest.month} lies in {folder}, read back and found whole:\n{lines}"
