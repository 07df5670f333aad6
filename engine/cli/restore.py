"""`masteria restore`: makes a database that was set back to an earlier time safe to open.

Such a database has forgotten what was sent, deleted and said after that time. Before any process starts, this holds
back all that may have been sent, and reads the erasure ledger, which lies outside the database. Nothing here talks to a
provider; running it again finds nothing to do. How to make and restore a backup: docs/operations.md.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from engine.campaigns.restoring import hold_back, tenants_with_work
from engine.cli.database import revisions
from engine.cli.restored import RestoreRefused, database_of
from engine.contacts import erasures
from engine.contacts.erasure_book import Entry, Reading, is_kept_in, read
from engine.contacts.erasure_replay import replay
from engine.core.bootstrap import APP_ROLE, SYSTEM_ROLE
from engine.core.crypto import master_key_fits
from engine.core.db import Work, app_engine, run
from engine.core.ids import TenantId
from engine.core.log import logger
from engine.core.settings import settings
from engine.core.system import system_session
from engine.messaging.recovery import clear_books
from engine.scheduler.jobs import JOBS

log = logger(__name__)

GOING = 2.0  # seconds that a closed connection may take to be gone from the server's list
LAST_LINES = (
    "Lines of the erasure ledger that the database still holds can't be written into its file: {error}"
)
LEDGER = "The erasure ledger can't be read: {error}"
OTHER_KEY = (
    "This database was written under another MASTERIA_MASTER_KEY: set that one again (on one machine it stands in "
    "secrets.env, which belongs to the backup). With this one no credentials are read and no opt-outs recognised."
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, of all companies together; `stands_at` is the last change that the recovery replayed."""

    stands_at: datetime | None = None
    campaigns: int = 0
    drafts: int = 0
    messages: int = 0
    rest: int = 0
    lines: int = 0
    strange: int = 0
    cut_off: int = 0
    erased: int = 0
    opted_out: int = 0
    suppressed: int = 0


def run_restore(ledgers: Sequence[Path] = (), *, rest_was_not_sent: bool = False) -> Report:
    """Do all of it; RestoreRefused when the product runs, or the database is not ready for it.

    `ledgers` are folders of the erasure ledger besides this machine's own.
    """
    _refuse_empty(ledgers)
    with database_of(settings()):
        stands_at = _check()
        _keep_last_lines()
        reading = _read([settings().ledger_dir, *ledgers])
        report = _hold_back_all(rest_was_not_sent=rest_was_not_sent)
        report = _replay_all(replace(report, stands_at=stands_at), reading)
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
        is_our_key = found.present != found.wanted or master_key_fits(session)
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
    if not is_our_key:
        raise RestoreRefused(OTHER_KEY)
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
        try:
            with system_session() as session:
                more = erasures.keep_due(session, settings().ledger_dir)
        except OSError as error:
            raise RestoreRefused(LAST_LINES.format(error=error)) from None


def _refuse_empty(ledgers: Sequence[Path]) -> None:
    """A folder that somebody named on purpose and that holds nothing is the wrong one."""
    for folder in ledgers:
        if not is_kept_in(folder):
            raise RestoreRefused(
                f"No erasure ledger lies in {folder}: name the folder of its erasures-….jsonl."
            )


def _read(folders: Sequence[Path]) -> Reading:
    try:
        return read(folders)
    except OSError as error:
        raise RestoreRefused(LEDGER.format(error=error)) from None


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


def _replay_all(report: Report, reading: Reading) -> Report:
    by_tenant: dict[UUID, list[Entry]] = {}
    for entry in reading.entries:
        by_tenant.setdefault(entry.tenant_id, []).append(entry)
    with system_session() as session:
        present = _companies(session)
    strange = sum(len(by_tenant[tenant_id]) for tenant_id in by_tenant.keys() - present)
    report = replace(report, lines=len(reading.entries), strange=strange, cut_off=reading.cut_off)
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
        ("  of them of companies not in this database", report.strange),
        ("people deleted again", report.erased),
        ("people opted out again", report.opted_out),
        ("opt-outs kept again by number", report.suppressed),
    )
    table = "\n".join(f"  {name:<44}{n:>10,}" for name, n in rows)
    return f"{stands_at}{table}\n{_about_the_ledger(report)}\n{WITNESS}"


def _about_the_ledger(report: Report) -> str:
    if report.cut_off and not report.lines:
        return (
            f"  None of the {report.cut_off} lines in the erasure ledger can be read: that is no ledger, or a broken one.\n"
            f"  Look into {settings().ledger_dir}, and run this again.\n"
        )
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
