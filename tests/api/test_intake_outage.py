"""The webhooks' door while the database is away, on a PostgreSQL of its own that is stopped and started."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from engine.api import intake as intake_module
from engine.api.journal import Journal
from engine.api.spool import Hook, Spool, SpoolDamaged
from engine.core.db import app_engine
from engine.core.ids import uuid7
from engine.core.settings import DATABASE_VARIABLES, project_root, settings
from engine.core.system import system_engine
from engine.embedded import start_postgres, wait_for_postgres
from engine.embedded.server import spawn
from tests.api.served import Served, serving, wait_for
from tests.messaging.receiving import Stage, journal_rows, set_stage, text_body


@dataclass
class OwnPostgres:
    """A cluster that only these tests use."""

    home: Path

    def __post_init__(self) -> None:
        self.running = start_postgres(self.home, database="outage", durable=False)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stopped while this lasts."""
        self.running.stop()
        try:
            yield
        finally:
            self._start_again()

    def _start_again(self) -> None:
        child = spawn(self.running.server, self.home / "logs" / "postgres.log")
        self.running = replace(self.running, child=child)
        wait_for_postgres(self.running.server, lambda: child.poll() is None)


def forget_connections() -> None:
    """Let settings and engines be read anew."""
    for engine in (app_engine, system_engine):
        if engine.cache_info().currsize:
            engine().dispose()
        engine.cache_clear()
    settings.cache_clear()


@pytest.fixture(scope="module")
def cluster(valkey_url: str, home: Path) -> Iterator[OwnPostgres]:
    place = home / "outage"
    place.mkdir(mode=0o711)
    own = OwnPostgres(place)
    urls = own.running.urls
    former = {name: os.environ.get(name) for name in DATABASE_VARIABLES}
    os.environ.update(zip(DATABASE_VARIABLES, (urls.app, urls.system, urls.owner), strict=True))
    forget_connections()
    command.upgrade(Config(str(project_root() / "alembic.ini")), "head")
    yield own
    for name, value in former.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    forget_connections()
    own.running.stop()


@pytest.fixture
def spool(cluster: OwnPostgres) -> Iterator[Spool]:
    spool = Spool(settings().spool_dir)
    yield spool
    for path in spool.files():
        spool.drop(path)


@pytest.fixture
def stage(cluster: OwnPostgres) -> Stage:
    return set_stage()


@pytest.fixture
def door(stage: Stage) -> Iterator[Served]:
    with serving() as served:
        yield served


def said_in(stage: Stage) -> list[bytes]:
    return [bytes(row.body) for row in journal_rows(stage)]


def test_webhooks_go_to_the_disk_while_the_database_is_away_and_come_back_in_order(
    cluster: OwnPostgres, door: Served, stage: Stage, spool: Spool
) -> None:
    bodies = [text_body(stage, str(n)) for n in range(12)]
    answers = [door.post(stage, body) for body in bodies[:2]]

    with cluster.away():
        answers += [door.post(stage, body) for body in bodies[2:8]]
        kept = sum(len(spool.read(path)) for path in spool.files())
    answers += [door.post(stage, body) for body in bodies[8:]]
    wait_for(lambda: len(said_in(stage)) == len(bodies) and spool.files() == [])

    assert [answer.status_code for answer in answers] == [200] * 12
    assert kept == 6
    assert said_in(stage) == bodies
    assert spool.files() == []


def test_what_a_former_process_left_on_the_disk_goes_first(
    cluster: OwnPostgres, stage: Stage, spool: Spool
) -> None:
    left = Hook(uuid7(), stage.channel_id, stage.tenant_id, datetime.now(UTC), text_body(stage, "left"))
    spool.keep([left])

    with serving() as door:
        fresh = text_body(stage, "fresh")
        door.post(stage, fresh)
        wait_for(lambda: len(journal_rows(stage)) == 2)

    assert said_in(stage) == [left.body, fresh]
    assert spool.files() == []


def test_a_copy_that_is_in_the_database_already_is_not_kept_twice(
    cluster: OwnPostgres, stage: Stage, spool: Spool
) -> None:
    """A commit whose answer was lost: the batch is in the database and on the disk."""
    body = text_body(stage)
    with serving() as door:
        door.post(stage, body)
    entry = journal_rows(stage)[0]
    spool.keep([Hook(entry.id, stage.channel_id, stage.tenant_id, datetime.now(UTC), body)])

    with serving():
        wait_for(lambda: spool.files() == [])

    assert said_in(stage) == [body]


def test_a_secret_that_was_known_serves_on_and_an_unknown_one_asks_to_come_again(
    cluster: OwnPostgres, door: Served, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = set_stage()
    monkeypatch.setattr(intake_module, "FRESH_SECONDS", 0.0)
    door.post(stage, text_body(stage))

    with cluster.away():
        known, unknown = door.post(stage, text_body(stage)), door.post(stranger, text_body(stranger))
        forged = door.post(stage, text_body(stage), **{"X-Hub-Signature-256": "sha256=00"})

    assert (known.status_code, unknown.status_code, forged.status_code) == (200, 503, 401)
    assert unknown.headers["retry-after"] == "5"


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("switch"), ZeroDivisionError()])
def test_whatever_breaks_the_connection_breaks_no_webhook_and_not_those_behind_it(
    cluster: OwnPostgres, stage: Stage, spool: Spool, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    insert, errors = Journal._insert, iter([error, error])

    async def stumble(journal: Journal, hooks: Iterable[Hook]) -> None:
        for one in errors:
            raise one
        await insert(journal, hooks)

    with serving() as door:
        monkeypatch.setattr(Journal, "_insert", stumble)
        bodies = [text_body(stage, str(n)) for n in range(4)]
        answers = [door.post(stage, body) for body in bodies]
        wait_for(lambda: len(said_in(stage)) == 4)

    assert [answer.status_code for answer in answers] == [200] * 4
    assert said_in(stage) == bodies
    assert spool.files() == []


def test_with_neither_database_nor_disk_the_provider_is_asked_to_come_again(
    cluster: OwnPostgres, door: Served, stage: Stage, spool: Spool
) -> None:
    door.post(stage, text_body(stage))
    folder, aside = spool.folder, spool.folder.with_name("aside")
    if folder.exists():
        folder.rename(aside)
    folder.write_text("a file where the folder should be")

    with cluster.away():
        refused = door.post(stage, text_body(stage))
    folder.unlink()
    again = door.post(stage, text_body(stage))
    wait_for(lambda: len(said_in(stage)) == 2)

    assert (refused.status_code, again.status_code) == (503, 200)


def test_a_process_that_starts_while_the_database_is_away_asks_to_come_again(
    cluster: OwnPostgres, stage: Stage, spool: Spool
) -> None:
    with cluster.away(), serving() as door:
        refused = door.post(stage, text_body(stage))

    assert refused.status_code == 503, "its secret was never known to this process"
    assert spool.files() == []


def test_a_damaged_file_is_set_aside_and_those_behind_it_go_on(
    cluster: OwnPostgres, stage: Stage, spool: Spool
) -> None:
    torn, whole = (
        Hook(uuid7(), stage.channel_id, stage.tenant_id, datetime.now(UTC), text_body(stage, words))
        for words in ("torn", "whole")
    )
    for hook in (torn, whole):
        spool.keep([hook])
    damaged = spool.files()[0]
    damaged.write_bytes(damaged.read_bytes()[:-10])

    with serving():
        wait_for(lambda: spool.files() == [])

    assert said_in(stage) == [whole.body]
    aside = damaged.with_suffix(".unreadable")
    assert aside.exists()
    aside.unlink()


@pytest.mark.parametrize("content", [b"x", b"\0" * 8, b"\0\0\0\2\0\0\0\0{}", b"\xff" * 64])
def test_a_file_that_is_not_ours_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.hooks"
    path.write_bytes(content)

    with pytest.raises(SpoolDamaged):
        Spool(tmp_path).read(path)


def test_the_spool_gives_back_what_it_was_given(tmp_path: Path) -> None:
    hooks = [
        Hook(uuid7(), uuid7(), uuid7(), datetime.now(UTC), body) for body in (b"", b"\x00\xff", b"x" * 70_000)
    ]
    spool = Spool(tmp_path / "spool")

    spool.keep(hooks)

    assert [hook for path in spool.files() for hook in spool.read(path)] == hooks
    assert [path.suffix for path in spool.folder.iterdir()] == [".hooks"]
