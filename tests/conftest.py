"""One real PostgreSQL and one real Valkey for the whole run, and an environment of our own.

Every test that writes asks for `database` (or for a fixture that rests on it): rows are deleted after the test.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from alembic import command
from alembic.config import Config
from psycopg import sql

from engine.core.bootstrap import DatabaseUrls
from engine.core.settings import DATABASE_VARIABLES, REDIS_VARIABLE, project_root, settings
from engine.embedded import RunningPostgres, start_postgres, start_valkey

DATABASE = "masteria_test"

# Before any test module is imported: whatever this shell has set must not reach the tests, nor tests its data.
for name in [name for name in os.environ if name.startswith(("MASTERIA_", "LC_"))]:
    del os.environ[name]
os.environ["LANG"] = "C.UTF-8"
HOME = Path(tempfile.mkdtemp(prefix="masteria-test-"))
HOME.chmod(0o711)
os.environ["MASTERIA_ENVIRONMENT"] = "test"
os.environ["MASTERIA_HOME"] = str(HOME)


# What takes minutes begins first, so that no core waits for it at the end; the rest goes in its own order.
LONGEST_FIRST = (
    "tests/faults/",
    "tests/walks/",
    "tests/console/test_console_in_the_browser.py",
    "tests/cli/test_up.py",
    "tests/api/test_openapi.py",
    "tests/console/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; `--no-loadscope-reorder` keeps them there when two cores share the work."""

    def rank(item: pytest.Item) -> int:
        places = [number for number, place in enumerate(LONGEST_FIRST) if item.nodeid.startswith(place)]
        return min(places, default=len(LONGEST_FIRST))

    items.sort(key=rank)


def pytest_unconfigure() -> None:
    """Leave nothing behind; the servers have ended with their fixtures."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def home() -> Path:
    """The data folder of this run (`MASTERIA_HOME`)."""
    return HOME


@pytest.fixture(scope="session")
def running_postgres(home: Path) -> Iterator[RunningPostgres]:
    """The cluster, with its superuser's address; tests of the house and of faults use it."""
    running = start_postgres(home, database=DATABASE, durable=False)
    urls = (running.urls.app, running.urls.system, running.urls.owner)
    os.environ.update(zip(DATABASE_VARIABLES, urls, strict=True))
    settings.cache_clear()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def postgres(running_postgres: RunningPostgres) -> DatabaseUrls:
    """The address of the test database for each role: app, system, owner. No tables are promised."""
    return running_postgres.urls


@pytest.fixture(scope="session")
def superuser_url(running_postgres: RunningPostgres) -> str:
    """The address of the test database for the superuser."""
    return running_postgres.server.url.removesuffix("/postgres") + f"/{DATABASE}"


@pytest.fixture(scope="session")
def valkey_url(home: Path) -> Iterator[str]:
    """The address of a real Valkey."""
    running = start_valkey(home, durable=False)
    os.environ[REDIS_VARIABLE] = running.server.url
    settings.cache_clear()
    yield running.server.url
    running.stop()


@pytest.fixture(scope="session")
def migrated(postgres: DatabaseUrls, superuser_url: str) -> tuple[str, ...]:
    """The schema at its newest revision; answers with the tables whose rows tests may leave behind."""
    config = Config(str(project_root() / "alembic.ini"))
    command.upgrade(config, "head")
    with psycopg.connect(superuser_url) as connection:
        tables = connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
            " and relkind in ('r', 'p') and not relispartition order by relname"
        ).fetchall()
        given = filled_tables(connection, tuple(row[0] for row in tables))
    return tuple(row[0] for row in tables if row[0] not in given)


@pytest.fixture
def database(
    migrated: tuple[str, ...], postgres: DatabaseUrls, valkey_url: str, superuser_url: str
) -> Iterator[DatabaseUrls]:
    """A migrated database and a Valkey, both empty; what the test leaves is deleted after it."""
    yield postgres
    delete_rows(superuser_url, migrated)
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()


def filled_tables(connection: psycopg.Connection, tables: tuple[str, ...]) -> set[str]:
    """Those of the tables that have a row, asked in one statement."""
    if not tables:
        return set()
    probe = sql.SQL("select {} where exists (select 1 from {})")
    probes = [probe.format(sql.Literal(table), sql.Identifier(table)) for table in tables]
    return {row[0] for row in connection.execute(sql.SQL(" union all ").join(probes)).fetchall()}


def delete_rows(superuser_url: str, tables: tuple[str, ...]) -> None:
    """Delete, not truncate: ten times as quick on tables of a few rows."""
    with psycopg.connect(superuser_url) as connection:
        # Without foreign keys' triggers the order does not matter; waiting long means that a test left a lock.
        connection.execute("set session_replication_role = replica")
        connection.execute("set lock_timeout = '10s'")
        for table in sorted(filled_tables(connection, tables)):
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier(table)))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium for browser tests: CHROMIUM_PATH's, the system's, or Playwright's own."""
    script = project_root() / "scripts" / "find-chromium"
    found = subprocess.run([str(script)], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if not found:
        pytest.fail("No Chromium was found: install one, or name yours with CHROMIUM_PATH.")
    return found
