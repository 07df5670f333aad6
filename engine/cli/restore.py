"""`masteria restore`: makes a database that was set back to an earlier time safe to open.

Such a database has forgotten what was sent, deleted and said after that time. Before any process starts, this holds
back all that may have been sent, and reads the erasure ledger, which lies outside the database. Nothing here talks to a
provider; running it again finds nothing to do. How to make and restore a backup: docs/operations.md.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

import psycopg
import typer
from sqlalchemy.orm import Session

from engine.campaigns.restoring import hold_back, tenants_with_work
from engine.cli.database import migrate, revisions
from engine.cli.up import only_one
from engine.contacts import erasures
from engine.contacts.erasure_book import Entry, read
from engine.contacts.erasure_replay import replay
from engine.core.bootstrap import APP_ROLE, SYSTEM_ROLE
from engine.core.db import Work, app_engine, run
from engine.core.ids import TenantId
from engine.core.log import logger
from engine.core.settings import DATABASE_VARIABLES, REDIS_VARIABLE, Settings, settings
from engine.core.system import system_session
from engine.embedded import (
    RunningServer,
    bootstrap_embedded,
    data_directories,
    prepare_postgres,
    prepare_valkey,
    remember_urls,
    spawn,
)
from engine.messaging.recovery import clear_books
from engine.scheduler.jobs import JOBS

log = logger(__name__)

GOING = 2.0  # seconds that a closed connection may take to be gone from the server's list
WAITS_AT_TARGET = (
    "PostgreSQL has reached its recovery target and waits there. Set recovery_target_action = 'promote' and start it "
    "again, or end the recovery with: select pg_wal_replay_resume()"
)


class RestoreRefused(Exception):  # noqa: N818 (reads as what happened)
    """The database can't be made safe now; the text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, of all companies together; `stands_at` is the last change that the recovery replayed."""

    stands_at: datetime | None = None
    campaigns: int = 0
    drafts: int = 0
    messages: int = 0
    rest: int = 0
    lines: int = 0
    cut_off: int = 0
    erased: int = 0
    opted_out: int = 0
    suppressed: int = 0


def run_restore(ledgers: Sequence[Path] = (), *, rest_was_not_sent: bool = False) -> Report:
    """Do all of it; RestoreRefused when the product runs, or the database is not ready for it.

    `ledgers` are folders of the erasure ledger besides this machine's own.
    """
    with database_of(settings()):
        stands_at = _check()
        _keep_last_lines()
        report = _hold_back_all(rest_was_not_sent=rest_was_not_sent)
        report = _replay_all(replace(report, stands_at=stands_at), [settings().ledger_dir, *ledgers])
        _follow_facts()
        with system_session() as session:
            # Nobody's time is used up, and no book is asked about calls that this database never heard of.
            run(session, "delete from webhook_leases")
            clear_books(session)
        app_engine().dispose()
        _refuse_others(
            "Master IA was started while this ran, and may have sent meanwhile. Stop it, and run this again."
        )
    # What an operator did stands in the log: there is no other book of it.
    log.warning("restore.done", **{name: getattr(report, name) for name in Report.__slots__})
    return report


@contextmanager
def database_of(given: Settings) -> Iterator[None]:
    """The database: a server's, or the embedded one, which is started for as long as this takes."""
    if any(os.environ.get(name) for name in DATABASE_VARIABLES):
        yield
        return
    if not any((folder / "PG_VERSION").exists() for folder in _places(given.home)):
        raise RestoreRefused(
            f"There is no database in {given.home}: put the base backup there as {given.home / 'postgres'}."
        )
    with only_one(given):
        server = prepare_postgres(given.home)
        running = RunningServer(server, spawn(server, given.home / "logs" / "postgres.log"))
        try:
            _wait_for_recovery(running)
            remember_urls(given.home, database=bootstrap_embedded(given.home, server), redis_url=None)
            if not os.environ.get(REDIS_VARIABLE) and not given.redis_url:
                # Bells ring at an address, whether anybody hears them or not.
                remember_urls(given.home, database=None, redis_url=prepare_valkey(given.home).url)
            settings.cache_clear()
            migrate()
            yield
        finally:
            running.stop()


def _places(home: Path) -> Iterator[Path]:
    for folder in data_directories(home):
        yield from (folder, folder / "postgres")


def _wait_for_recovery(running: RunningServer) -> None:
    """Return once the write-ahead log is replayed, however long that takes."""
    while running.child.poll() is None:
        state = _recovery_state(running.server.url)
        if state == "done":
            return
        if state == "paused":
            raise RestoreRefused(WAITS_AT_TARGET)
        time.sleep(0.2)
    raise RestoreRefused("PostgreSQL ended while it replayed its log: see postgres.log in the logs folder.")


def _recovery_state(url: str) -> str:
    """`paused` at the target, `done`, or on its way."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute(
                "select case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() else 'done' end"
            ).fetchone()
    except psycopg.OperationalError:
        return "starting"  # it lets nobody in before its data is whole, nor in the moment in which it ends recovering
    return str(row[0]) if row else "starting"


def _check() -> datetime | None:
    """Whether the database may be touched; answers with the time of the last change that was replayed."""
    found = revisions()
    _refuse_others(
        "Master IA runs on this database. Stop its API and its workers everywhere, then run this again."
    )
    with system_session() as session:
        row = run(
            session, "select pg_is_in_recovery() as recovers, pg_last_xact_replay_timestamp() as stands_at"
        )[0]
    if row.recovers:
        raise RestoreRefused(
            "PostgreSQL is still replaying its log, or waits at its recovery target. Once it is done, end the recovery "
            "with: select pg_wal_replay_resume(), or select pg_promote()"
        )
    if found.present != found.wanted:
        raise RestoreRefused(
            f"The schema is at revision {found.present or 'none'}, the code wants {found.wanted}: run "
            "masteria migrate first."
        )
    stands_at: datetime | None = row.stands_at
    return stands_at


def _refuse_others(sentence: str) -> None:
    """RestoreRefused when a process of the product is connected: all of them look at the database once a second.

    One that has just ended may still be seen for a moment, so who is there must be there for a while.
    """
    until = time.monotonic() + GOING
    while others := _others():
        if time.monotonic() > until:
            raise RestoreRefused(f"{sentence} ({others} connected)")
        time.sleep(0.05)


def _others() -> int:
    """How many connections of the product there are besides this one."""
    with system_session() as session:
        return int(
            run(
                session,
                """select count(*) as n from pg_stat_activity
                   where datname = current_database() and usename = any(%(roles)s) and pid <> pg_backend_pid()""",
                roles=[APP_ROLE, SYSTEM_ROLE],
            )[0].n
        )


def _keep_last_lines() -> None:
    """Lines of the ledger that the database still holds belong to what is read below."""
    more = True
    while more:
        with system_session() as session:
            more = erasures.keep_due(session, settings().ledger_dir)


def _hold_back_all(*, rest_was_not_sent: bool) -> Report:
    with system_session() as session:
        tenants = tenants_with_work(session)
    report = Report()
    for tenant_id in tenants:
        held = hold_back(Work(TenantId(tenant_id)), rest_was_not_sent=rest_was_not_sent)
        report = replace(
            report,
            campaigns=report.campaigns + held.campaigns,
            drafts=report.drafts + held.drafts,
            messages=report.messages + held.messages,
            rest=report.rest + held.rest,
        )
    return report


def _replay_all(report: Report, folders: Sequence[Path]) -> Report:
    reading = read(folders)
    by_tenant: dict[UUID, list[Entry]] = {}
    for entry in reading.entries:
        by_tenant.setdefault(entry.tenant_id, []).append(entry)
    with system_session() as session:
        present = _companies(session)
    report = replace(report, lines=len(reading.entries), cut_off=reading.cut_off)
    for tenant_id in sorted(by_tenant.keys() & present):
        done = replay(Work(TenantId(tenant_id)), by_tenant[tenant_id])
        report = replace(
            report,
            erased=report.erased + done.erased,
            opted_out=report.opted_out + done.opted_out,
            suppressed=report.suppressed + done.suppressed,
        )
    return report


def _companies(session: Session) -> set[UUID]:
    """Those that the database knows; one that was made later than the backup is not there to be told anything."""
    return {row.id for row in run(session, "select id from companies")}


def _follow_facts() -> None:
    """What follows from a deletion happens before anybody can look: words and addresses are forgotten."""
    while JOBS["relay"].work():
        continue


def told(report: Report) -> str:
    """The report as a table, and what it means."""
    stands_at = (
        f"The database stands at {report.stands_at:%Y-%m-%d %H:%M:%S %Z}.\n" if report.stands_at else ""
    )
    rows = (
        ("campaigns that now wait for a person", report.campaigns),
        ("scheduled campaigns that are drafts again", report.drafts),
        ("messages that are now unknown", report.messages),
        ("  of them written down only now", report.rest),
        ("lines read from the erasure ledger", report.lines),
        ("people deleted again", report.erased),
        ("people opted out again", report.opted_out),
        ("opt-outs kept again by number", report.suppressed),
    )
    table = "\n".join(f"  {name:<44}{n:>10,}" for name, n in rows)
    return f"{stands_at}{table}\n{_about_the_ledger(report)}\n{WITNESS}"


def _about_the_ledger(report: Report) -> str:
    if report.cut_off:
        lines = f"{report.cut_off} lines of the ledger were cut off"
        return f"  {lines}; a crash does that, and each stands again further down.\n"
    if not report.lines:
        folder = settings().ledger_dir
        return f"  Nothing stands in the erasure ledger ({folder}): if that is the wrong folder, set MASTERIA_LEDGER_DIR\n  and run this again.\n"
    return ""


WITNESS = """\
Unknown messages may have been sent after that time; nothing here sends them again. WhatsApp is the witness: its
statuses that come from now on name our message and settle it by themselves. Those that it had delivered to the lost
database do not come again, so a message can stay unknown though the person has it. Statuses of campaigns that were
made after that time fit nothing; they are kept for 30 days and then let go of. Webhooks in the spool folder are applied
when the API starts.

Now start the product. Campaigns are resumed in the console, one by one, after a look at who is unknown."""


def confirm(home: Path) -> None:
    """Ask; typer.Abort when the answer is no."""
    typer.confirm(
        f"Was this database (settings of {home}) just restored from a backup? Every campaign will wait for a person, "
        "and all that is queued becomes unknown and is not sent.",
        abort=True,
    )
