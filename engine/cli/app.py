"""The `masteria` command: parses, calls one function, prints; every failure is a sentence and exit code 1."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from engine.cli.accounts import company_app, user_app
from engine.cli.database import SchemaNotCurrent, await_schema, bootstrap, migrate, role_passwords
from engine.cli.doctor import examine
from engine.cli.month_files import MonthRefused
from engine.cli.months import (
    KEPT_MONTHS,
    LEAST_MONTHS,
    check_drop,
    drop_month,
    export_month,
    folder_of,
    told_export,
)
from engine.cli.reset import ResetRefused, reset_home
from engine.cli.restore import confirm, run_restore, told
from engine.cli.restored import RestoreRefused
from engine.cli.supervisor import SupervisorError
from engine.cli.up import UpError, run_up
from engine.core.bootstrap import bootstrap_script, database_urls
from engine.core.errors import DatabaseAway, MasterIAError
from engine.core.i18n import choose_locale, say
from engine.core.log import configure_logging
from engine.core.settings import DATABASE_VARIABLES, SettingsError, settings
from engine.embedded import EmbeddedServerError
from engine.messaging.old_months import Month
from engine.seed import seed_demo
from engine.seed.sandbox import SimulatorAwayError

FORESEEN = (
    EmbeddedServerError,
    MasterIAError,
    MonthRefused,
    ResetRefused,
    RestoreRefused,
    SchemaNotCurrent,
    SettingsError,
    SimulatorAwayError,
    SupervisorError,
    UpError,
    psycopg.OperationalError,
)

app = typer.Typer(
    help="Master IA on this machine: start it, look after it, make companies and people.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(company_app, name="company")
app.add_typer(user_app, name="user")


@app.command()
def up() -> None:
    """Start everything on this machine and stay until Ctrl-C."""
    run_up()


@app.command(name="migrate")
def migrate_command() -> None:
    """Bring the database's schema to the newest revision."""
    migrate()
    typer.echo("The schema is at its newest revision.")


@app.command(name="await-schema")
def await_schema_command(
    seconds: Annotated[float, typer.Option(min=0, help="How long to wait.")] = 300.0,
) -> None:
    """Wait until somebody else has brought the database's schema to the one of this version."""
    await_schema(seconds)


@app.command(name="seed")
def seed_command() -> None:
    """Fill an empty database with the demo company."""
    typer.echo(
        "The demo company is in place." if seed_demo() else "There is a company already: nothing was changed."
    )


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the data of the embedded servers, media and logs, so that the next start is a first one."""
    home = settings().home
    if not yes:
        typer.confirm(f"Delete all data in {home}?", abort=True)
    reset_home(home)
    typer.echo("Deleted. The next start makes the demo company anew.")


@app.command()
def restore(
    ledger: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Another machine's folder of the erasure ledger; may be given again.",
        ),
    ] = None,
    rest_was_not_sent: Annotated[
        bool,
        typer.Option(
            "--rest-was-not-sent",
            help="Nobody was written to whom the backup does not know of: a campaign whose recipients were still being "
            "chosen goes on choosing them when a person resumes it.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Make a database that was restored from a backup safe to open. Run it before the processes start.

    Pauses every campaign, makes unknown what may have been sent since, and deletes and opts out again who was.
    """
    if not yes:
        confirm(settings().home)
    typer.echo(told(run_restore(ledger or (), rest_was_not_sent=rest_was_not_sent)))


def _month(text: str) -> Month:
    """A month as the operator writes it."""
    try:
        return Month.read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


MONTH = typer.Argument(parser=_month, metavar="YYYY-MM", help="A month of UTC, as 2025-09.")
FOLDER = "Your folder of old months; each has one of its own in it."


@app.command(name="export-month")
def export_month_command(
    month: Annotated[Month, MONTH],
    into: Annotated[Path, typer.Option(file_okay=False, help=FOLDER)],
    without_lost_files: Annotated[
        bool,
        typer.Option(
            "--without-lost-files",
            help="Go on though files that people sent are no longer in the media folder.",
        ),
    ] = False,
) -> None:
    """Write the messages of a month, and all that belongs to them, into compressed files with a manifest."""
    manifest = export_month(month, into, without_lost_files=without_lost_files)
    typer.echo(told_export(manifest, folder_of(into, month)))


@app.command(name="drop-month")
def drop_month_command(
    month: Annotated[Month, MONTH],
    exported: Annotated[Path, typer.Option("--from", exists=True, file_okay=False, help=FOLDER)],
    kept_months: Annotated[
        int,
        typer.Option(
            min=LEAST_MONTHS,
            envvar="MASTERIA_KEPT_MONTHS",
            help="How many whole months stay in the database.",
        ),
    ] = KEPT_MONTHS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an old month of messages, once its export was compared with it. Runs beside the product."""
    manifest = check_drop(month, exported, kept_months=kept_months)
    rows = manifest.table("messages").rows
    if not yes:
        typer.confirm(f"Delete the {rows:,} messages of {month} from the database?", abort=True)
    drop_month(month, told=typer.echo)
    typer.echo(f"{month} is gone: {rows:,} messages lie in {folder_of(exported, month)}, and nowhere else.")


@app.command()
def doctor() -> None:
    """Check everything that must be right, and say what to do about what is not."""
    findings = examine()
    for finding in findings:
        typer.echo(f"{'ok     ' if finding.ok else 'ATTEND '} {finding.subject}: {finding.text}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[
        str, typer.Argument(help="A process, as api or worker-send; without it, their names.")
    ] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay and show new lines.")] = False,
) -> None:
    """Show a process's log."""
    folder = settings().home / "logs"
    path = folder / f"{name}.log"
    if not name or not path.is_file():
        names = sorted(item.name.removesuffix(".log") for item in folder.glob("*.log"))
        told = "Logs: " + (", ".join(names) or "none yet; start with `make up`")
        typer.echo(f"There is no log of {name!r}. {told}" if name else told, err=bool(name))
        raise typer.Exit(1 if name else 0)
    subprocess.run(["tail", *(["-f"] if follow else []), "-n", str(lines), str(path)], check=False)


@app.command(name="bootstrap-database")
def bootstrap_database_command(
    superuser_url: Annotated[
        str,
        typer.Option(envvar="MASTERIA_SUPERUSER_URL", help="postgresql://superuser:…@host/postgres"),
    ] = "",
    database: Annotated[str, typer.Option(help="The database's name.")] = "masteria",
    show: Annotated[
        bool, typer.Option("--print", help="Print the SQL for a DBA instead of running it.")
    ] = False,
) -> None:
    """Make the three roles, the database and its extensions on a server of yours. Safe to run again.

    Takes the roles' passwords from the addresses in the environment; without them it draws new ones and prints
    the addresses to put into the settings.
    """
    passwords = role_passwords()
    if show:
        typer.echo(bootstrap_script(database=database, passwords=passwords), nl=False)
        urls = database_urls(superuser_url or "postgresql://HOST:5432/", database, passwords)
    elif superuser_url:
        urls = bootstrap(superuser_url, database, passwords)
        typer.echo(f"The roles, the database {database} and its extensions are in place.", err=True)
    else:
        raise typer.BadParameter("Name the superuser's address with MASTERIA_SUPERUSER_URL, or add --print.")
    if any(os.environ.get(name) for name in DATABASE_VARIABLES):
        return
    for name, url in zip(DATABASE_VARIABLES, (urls.app, urls.system, urls.owner), strict=True):
        typer.echo(f"{name}={url}", err=show)  # with --print, standard output is the script alone


def main() -> None:
    """Run the command; what was foreseen is told in a sentence, the rest is a traceback."""
    configure_logging("cli", level="WARNING")
    try:
        app(prog_name="masteria")
    except FORESEEN as error:
        typer.echo(sentence_of(error), err=True)
        sys.exit(1)


def start_hint() -> str:
    """What the operator does about a database that does not answer; in English, as all that is for operators."""
    if any(os.environ.get(name) for name in DATABASE_VARIABLES):
        return f"Is it running, and is {DATABASE_VARIABLES[0]} right? `masteria doctor` looks."
    return "Start everything on this machine with `make up`."


def sentence_of(error: Exception) -> str:
    """What went wrong, in the terminal's language where it is one of the product's own errors."""
    if not isinstance(error, MasterIAError):
        return str(error).strip()
    # As every program of a terminal reads its language; one that names none has that of the C locale.
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = choose_locale(next(filter(None, named), "C"))
    if isinstance(error, DatabaseAway):
        return f"{say(error.text, locale, error.values)} {start_hint()}"
    if error.fields:
        return "\n".join(f"{each.field}: {say(each.text, locale, each.values)}" for each in error.fields)
    return say(error.text, locale, error.values)
