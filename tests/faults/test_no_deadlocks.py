"""Everybody writes at once: senders, appliers of statuses, an import beside a campaign being frozen, what follows.

All of them take the same rows. PostgreSQL counts its deadlocks, and a job that met one has failed.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from engine.campaigns import audience, service
from engine.contacts.imports import run as import_run
from engine.core.db import app_engine
from engine.core.system import system_engine
from engine.messaging.channels.base import StatusReceipt
from engine.messaging.dispatch import Dispatcher
from engine.messaging.models import Message
from engine.messaging.receipts import apply_receipts
from engine.scheduler import job, reactions
from engine.scheduler.jobs import JOBS
from engine.scheduler.jobs import campaigns as campaign_jobs
from engine.scheduler.reactions import react_due
from engine.scheduler.relay import relay_due
from tests.campaigns.test_campaigns import make
from tests.contacts.conftest import Company
from tests.messaging.receiving import NOON
from tests.messaging.sending import provider, shop
from tests.provider import Provider
from tests.walks.stack import eventually
from tests.workshop import Shop, add_people

__all__ = ["provider", "shop"]

PEOPLE = 150  # known before; each file brings them anew, and as many more
ROUNDS = 2  # campaigns to everybody, and files, one after the other
SLICE = 0.2  # seconds that a sender goes on before it is asked whether all is done
ON_THE_WAY = ("accepted", "sent", "delivered")

_DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"
_WAITING = "select count(*) from pg_locks where not granted"
_OTHERS = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'masteria'"


class Crowd:
    """Threads that do their work over and over until all is done; what breaks in one of them is kept."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def add(self, work: Callable[[], object], *, once: bool = False) -> threading.Thread:
        """Let one more begin; it goes on until the end, or does its work once."""

        def go_on() -> None:
            try:
                work()
                while not once and not self.is_over.wait(0.01):
                    work()
            except BaseException as error:  # noqa: BLE001 - asserted by the test
                self.faults.append(error)

        thread = threading.Thread(target=go_on)
        thread.start()
        self._threads.append(thread)
        return thread

    def end(self) -> None:
        """Everybody goes home."""
        self.is_over.set()
        for thread in self._threads:
            thread.join(30)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd()
    yield made
    made.end()


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What jobs and reactions say of their failures, which they outlive."""
    said: list[str] = []

    class Heard:
        def exception(self, name: str, **told: Any) -> None:
            said.append(f"{name} {told}")

        warning = exception

    for module in (job, campaign_jobs, reactions):
        monkeypatch.setattr(module, "log", Heard())
    return said


@pytest.fixture
def statistics(shop: Shop, superuser_url: str) -> Iterator[psycopg.Connection]:
    """A connection that asks PostgreSQL what it counted."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        yield connection


def deadlocks(connection: psycopg.Connection) -> int:
    """So far. A process of PostgreSQL says what it counted when it ends, at the latest: so all of ours are ended."""
    app_engine().dispose()
    system_engine().dispose()
    eventually(lambda: connection.execute(_OTHERS).fetchone() == (0,), seconds=20, why="somebody stays")
    [counted] = connection.execute(_DEADLOCKS).fetchone() or (0,)
    return int(counted)


def test_nobody_deadlocks_when_all_write_at_once(
    provider: Provider,
    shop: Shop,
    statistics: psycopg.Connection,
    crowd: Crowd,
    failed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audience, "FIRST_PAGE", 20)
    monkeypatch.setattr(audience, "PAGE", 20)
    monkeypatch.setattr(import_run, "BATCH_ROWS", 20)
    add_people(shop, PEOPLE)
    company = Company(shop.tenant_id)
    before = deadlocks(statistics)

    for _ in range(2):
        crowd.add(lambda: send(crowd.is_over), once=True)
    for order in (Message.id.asc(), Message.id.desc()):
        crowd.add(lambda order=order: apply_words(shop, order))
    crowd.add(follow)
    ends = [
        crowd.add(lambda: freeze_campaigns(shop), once=True),
        crowd.add(lambda: bring_in_files(company), once=True),
    ]
    for thread in ends:
        thread.join(60)
    eventually(lambda: crowd.faults or all_is_read(shop), seconds=60, why="not all was sent and read")
    crowd.end()

    assert crowd.faults == []
    assert failed == []
    assert deadlocks(statistics) == before


def test_a_deadlock_is_counted(shop: Shop, statistics: psycopg.Connection, superuser_url: str) -> None:
    first, second = add_people(shop, 2)
    before = deadlocks(statistics)
    lock = "select from contacts where id = %s for update"

    with psycopg.connect(superuser_url) as one, psycopg.connect(superuser_url) as other:
        other.execute("set deadlock_timeout = '10ms'")
        one.execute(lock, (first,))
        other.execute(lock, (second,))
        waiting = threading.Thread(target=lambda: one.execute(lock, (second,)))
        waiting.start()
        eventually(lambda: statistics.execute(_WAITING).fetchone() == (1,), seconds=10)
        with pytest.raises(psycopg.errors.DeadlockDetected):
            other.execute(lock, (first,))
        other.rollback()
        waiting.join()

    assert deadlocks(statistics) == before + 1


def send(is_over: threading.Event) -> None:
    """A sender, as a process has one."""
    dispatcher = Dispatcher(width=8)
    try:
        while not is_over.is_set():
            dispatcher.run(SLICE)
    finally:
        dispatcher.close()


def freeze_campaigns(shop: Shop) -> None:
    """Campaigns to everybody who is there by then."""
    for _ in range(ROUNDS):
        campaign_id = make(shop)
        with shop.work.session() as session:
            service.start(session, campaign_id)
        while JOBS["freeze"].work():
            continue


def bring_in_files(company: Company) -> None:
    """Files that name everybody anew."""
    for number in range(ROUNDS):
        import_id = company.queue(file_of(2 * PEOPLE, number))
        while JOBS["import"].work():
            continue
        assert company.stand(import_id).status == "completed"


def file_of(rows: int, number: int) -> bytes:
    """A file of the people known and of as many others, backwards, with another name in each."""
    lines = [f"Pessoa {number}.{row};+55119{row:08d}\n" for row in reversed(range(rows))]
    return ("nome;fone\n" + "".join(lines)).encode()


def apply_words(shop: Shop, order: Any) -> None:
    """All that can be said of what is on the way, in one transaction."""
    with shop.work.session() as session:
        query = select(Message.id).where(Message.state.in_(ON_THE_WAY)).order_by(order).limit(100)
        keys = session.scalars(query).all()
    words = [
        StatusReceipt("1029", f"wamid.{key}", status, NOON, send_key=key)
        for key in keys
        for status in ("sent", "delivered", "read")
    ]
    with shop.work.session() as session:
        apply_receipts(session, shop.channel_id, words)


def follow() -> None:
    """What facts call for, and the look at campaigns that should end."""
    relay_due()
    react_due()
    JOBS["look"].work()


def all_is_read(shop: Shop) -> bool:
    with shop.work.session() as session:
        rows = session.connection().exec_driver_sql(
            "select count(*), count(*) filter (where state = 'read') from messages"
            " where not exists (select from campaigns where status <> 'completed')"
        )
        amount, read = rows.one()
        return bool(amount) and amount == read
