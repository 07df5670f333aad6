"""Each migration since 0013 goes through while others use the tables, and nobody stands still for long meanwhile."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from engine.cli.database import migrate, revisions
from engine.core.settings import DATABASE_VARIABLES, project_root, settings
from engine.embedded import RunningPostgres, bootstrap_embedded

CONFIG = Config(str(project_root() / "alembic.ini"))
TABLES = (
    "campaigns",
    "campaign_recipients",
    "due_sends",
    "messages",
    "webhook_journal",
    "contacts",
    "channels",
)
FIRST = "0013"
STANDS_STILL = 4.0  # seconds: two of a wait, and this machine's slowness
LONG_HOLD = 5.0  # of a page of an audience, say: longer than any migration waits


class Users:
    """People who use the tables: short transactions all the time, and a long one now and then."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stood_still = 0.0
        self.faults: list[str] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._touch, args=(seed,)) for seed in range(3)]
        self._threads.append(threading.Thread(target=self._hold))

    def __enter__(self) -> "Users":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(20)

    def _touch(self, seed: int) -> None:
        chance = random.Random(seed)
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self._end.wait(0.02):
                began = time.monotonic()
                table = chance.choice(TABLES)
                try:
                    connection.execute(f"delete from {table} where false")  # noqa: S608 - takes the lock of any writer
                except psycopg.Error as error:
                    self.faults.append(f"{table}: {error}")
                self.stood_still = max(self.stood_still, time.monotonic() - began)

    def _hold(self) -> None:
        with psycopg.connect(self.url) as connection:
            while not self._end.is_set():
                with connection.transaction():
                    for table in TABLES:
                        connection.execute(f"select 1 from {table} limit 1 for update")  # noqa: S608
                    self._end.wait(LONG_HOLD)
                self._end.wait(0.8)


@pytest.fixture
def before(running_postgres: RunningPostgres, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database of its own at the first revision; the settings name it while this lasts. Its superuser's address."""
    urls = bootstrap_embedded(home, running_postgres.server, database="migrating")
    for name, url in zip(DATABASE_VARIABLES, (urls.app, urls.system, urls.owner), strict=True):
        monkeypatch.setenv(name, url)
    settings.cache_clear()
    command.upgrade(CONFIG, FIRST)
    yield running_postgres.server.url.removesuffix("/postgres") + "/migrating"
    monkeypatch.undo()
    settings.cache_clear()
    with psycopg.connect(running_postgres.server.url, autocommit=True) as connection:
        connection.execute("drop database migrating with (force)")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_migrations_go_through_while_the_tables_are_used(before: str) -> None:
    with Users(before) as users:
        time.sleep(0.5)
        began = time.monotonic()
        migrate()
        took = time.monotonic() - began
        time.sleep(0.5)

    present = revisions()
    print(f"{FIRST} to {present.present} in {took:.1f} s under use; nobody stood still longer than", end=" ")
    print(f"{users.stood_still:.1f} s")
    assert present.present == present.wanted
    assert users.faults == []
    assert users.stood_still < STANDS_STILL
