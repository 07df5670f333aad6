"""What the operator does to the database: migrate, and the roles and database themselves."""

import os
import secrets
import time
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from engine.core.bootstrap import DatabaseUrls, RolePasswords, bootstrap_database, database_urls
from engine.core.settings import DATABASE_VARIABLES, SettingsError, project_root, settings

PATIENCE_SECONDS = 300.0
BREATH_SECONDS = 1.0


class SchemaNotCurrent(Exception):  # noqa: N818 - says what it is
    """The schema did not become the one of this code in time; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """Where the schema is and where the code wants it."""

    present: str | None
    wanted: str | None


def migrate() -> None:
    """Bring the schema to the newest revision, as the owner role; what is done of it stays done.

    A table that is in use is waited for briefly and again, for a few minutes in all: meanwhile nobody stands still.
    """
    if not settings().database_owner_url:
        raise SettingsError(f"{DATABASE_VARIABLES[2]} is not set: migrations run as the owner of the tables.")
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            command.upgrade(_alembic(), "head")
            return
        except OperationalError as error:
            is_in_use = isinstance(error.orig, psycopg.errors.LockNotAvailable)
            if not is_in_use or time.monotonic() > until:
                raise
        time.sleep(BREATH_SECONDS)  # those who waited behind us go first


def revisions() -> Revisions:
    """The schema's revision and the newest one; asked as the app role, which every process has the address of."""
    wanted = ScriptDirectory.from_config(_alembic()).get_current_head()
    with psycopg.connect(settings().database_url, connect_timeout=5) as connection:
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            row = None  # nothing was migrated yet, or not as far as this role may look
    return Revisions(present=row[0] if row else None, wanted=wanted)


def await_schema(seconds: float) -> None:
    """Return once somebody else has brought the schema to this code's revision; SchemaNotCurrent when nobody did."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = revisions()
            if found.present == found.wanted:
                return
            why = f"it is {found.present or 'empty'}, this version's is {found.wanted}. Run masteria migrate."
        except psycopg.OperationalError:
            why = f"the database does not answer. Is it running, and is {DATABASE_VARIABLES[0]} right?"
        if time.monotonic() >= until:
            raise SchemaNotCurrent(f"The schema was waited for in vain: {why}")
        time.sleep(BREATH_SECONDS)


def _alembic() -> Config:
    return Config(str(project_root() / "alembic.ini"))


def role_passwords() -> RolePasswords:
    """The passwords in the three addresses that the environment gives, or fresh ones when it gives none."""
    given = [unquote(urlsplit(os.environ.get(name, "")).password or "") for name in DATABASE_VARIABLES]
    if any(given) and not all(given):
        raise SettingsError(f"Give all of {', '.join(DATABASE_VARIABLES)} with their passwords, or none.")
    app, system, owner = given if all(given) else [secrets.token_urlsafe(24) for _ in DATABASE_VARIABLES]
    return RolePasswords(owner=owner, app=app, system=system)


def bootstrap(superuser_url: str, database: str, passwords: RolePasswords) -> DatabaseUrls:
    """Make roles, database and extensions; answers with the address for each role."""
    bootstrap_database(superuser_url, database=database, passwords=passwords)
    return database_urls(superuser_url, database, passwords)
