"""Behind PgBouncer in transaction mode a connection is anybody's: nothing of a tenant may be left on it."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from engine.api.journal import Journal
from engine.api.spool import Hook, Spool
from engine.contacts.models import Contact
from engine.core.bootstrap import DatabaseUrls
from engine.core.clock import now
from engine.core.db import OF_JOB, app_engine, run, tenant_session, transaction_on
from engine.core.ids import uuid7
from engine.core.settings import DATABASE_VARIABLES, settings
from engine.core.system import system_engine
from engine.embedded import RunningPostgres
from tests.messaging.sending import provider, queue_blast, send, shop, states
from tests.pooler import SIZE, Pooler, running_pooler
from tests.provider import Provider
from tests.walks.stack import eventually
from tests.workshop import Shop

__all__ = ["provider", "shop"]

PEOPLE = 8  # threads at once, on SIZE connections
ROUNDS = 40


@pytest.fixture
def pooler(
    database: DatabaseUrls, running_postgres: RunningPostgres, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pooler]:
    """A pooler that the settings name; every connection of the product leads through it."""
    with running_pooler(running_postgres, home / f"pooler-{uuid4().hex}") as running:
        addresses = (running.urls.app, running.urls.system, running.urls.owner)
        for name, url in zip(DATABASE_VARIABLES, addresses, strict=True):
            monkeypatch.setenv(name, url)
        monkeypatch.setenv("MASTERIA_DATABASE_POOLED", "true")
        _anew()
        yield running
    monkeypatch.undo()
    _anew()


def _anew() -> None:
    """Forget the settings and every connection."""
    for engine in (app_engine, system_engine):
        if engine.cache_info().currsize:
            engine().dispose()
        engine.cache_clear()
    settings.cache_clear()


@pytest.fixture
def pooled_shop(pooler: Pooler, shop: Shop) -> Shop:
    return shop


def test_companies_that_share_connections_see_their_own_rows(pooler: Pooler) -> None:
    companies = [uuid4() for _ in range(PEOPLE)]
    servers: set[int] = set()

    def work(tenant_id: UUID) -> int:
        for number in range(ROUNDS):
            with tenant_session(tenant_id) as session:
                session.add(Contact(id=uuid7(), name=f"{tenant_id} {number}"))
            with tenant_session(tenant_id) as session:
                seen = set(session.scalars(select(Contact.tenant_id)))
                servers.add(run(session, "select pg_backend_pid() as pid")[0].pid)
                assert seen == {tenant_id}
        with tenant_session(tenant_id) as session:
            return session.scalar(select(func.count()).select_from(Contact)) or 0

    with ThreadPoolExecutor(PEOPLE) as threads:
        assert list(threads.map(work, companies)) == [ROUNDS] * PEOPLE
    assert len(servers) <= SIZE


def test_nothing_of_a_tenant_is_left_on_a_connection(pooler: Pooler) -> None:
    with tenant_session(uuid4()) as session:
        session.add(Contact(id=uuid7(), name="Ana"))

    with psycopg.connect(pooler.urls.app, autocommit=True, prepare_threshold=None) as stranger:
        for _ in range(SIZE * 2):
            left = stranger.execute(
                "select current_setting('app.tenant_id', true), current_setting('statement_timeout'),"
                " (select count(*) from contacts)"
            ).fetchone()
            assert left is not None
            assert (left[0] or "", *left[1:]) == ("", "0", 0)


def test_a_statement_still_has_its_limit(pooler: Pooler) -> None:
    brief = type(OF_JOB)(statement=0.2, lock=1, idle=5)

    with (
        pytest.raises(DBAPIError, match="statement timeout"),
        transaction_on(app_engine(), uuid4(), brief) as session,
    ):
        run(session, "select pg_sleep(5)")


def test_a_statement_that_is_asked_often_is_prepared_nowhere(pooler: Pooler) -> None:
    """psycopg prepares what it is asked five times; another transaction's server would not know of it."""
    barrier = threading.Barrier(PEOPLE)

    def work(_: int) -> int:
        barrier.wait(10)
        for number in range(ROUNDS):
            with tenant_session(uuid4()) as session:
                [row] = run(session, "select %(n)s::int as n", n=number)
                assert row.n == number
        return ROUNDS

    with ThreadPoolExecutor(PEOPLE) as threads:
        assert sum(threads.map(work, range(PEOPLE))) == PEOPLE * ROUNDS


def test_messages_go_out(pooler: Pooler, provider: Provider, pooled_shop: Shop) -> None:
    queue_blast(pooled_shop, 120)

    send()

    assert states(pooled_shop) == {"accepted": 120}


def test_webhooks_are_kept_and_outlast_the_pooler(pooler: Pooler, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")

    def hook(text: str) -> Hook:
        return Hook(uuid7(), uuid7(), uuid4(), now(), text.encode())

    async def story() -> None:
        journal = Journal(pooler.urls.system, spool, committed=lambda: None, pooled=True)
        await journal.start()
        await asyncio.gather(*(journal.write(hook(f"before {n}")) for n in range(50)))
        await asyncio.to_thread(pooler.stop)
        await asyncio.gather(*(journal.write(hook(f"away {n}")) for n in range(50)))
        assert spool.files()
        pooler.start()  # on this thread: its life is bound to the thread that starts it
        await asyncio.to_thread(eventually, lambda: not journal.behind)
        await journal.write(hook("after"))
        await journal.stop()

    asyncio.run(story())

    with transaction_on(system_engine(), None) as session:
        [kept] = run(session, "select count(*) as n, count(distinct body) as bodies from webhook_journal")
    assert (kept.n, kept.bodies) == (101, 101)
    assert not spool.files()
