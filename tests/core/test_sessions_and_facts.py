"""Transactions: what is stated stands or falls with them, what follows comes after, and a database that is away."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from engine.core import redis as core_redis
from engine.core.bells import CHANNEL, ring
from engine.core.bootstrap import DatabaseUrls
from engine.core.db import (
    OF_BATCHES,
    OF_REQUEST,
    Limits,
    after_commit,
    apart,
    connect_engine,
    joined_by_hash,
    quoted_array_of,
    run,
    tenant_of,
    tenant_session,
    transaction_on,
    waiting_for_locks,
)
from engine.core.errors import DatabaseAway
from engine.core.events import Fact, emit
from engine.core.settings import settings
from engine.core.system import system_session

TENANT = uuid4()

type Bells = Callable[[], list[str]]


@pytest.fixture
def bells(database: DatabaseUrls, valkey_url: str) -> Iterator[Bells]:
    """The bells heard since the last look."""
    with (
        redis.Redis.from_url(valkey_url) as client,
        client.pubsub(ignore_subscribe_messages=True) as listener,
    ):
        listener.subscribe(CHANNEL)
        listener.get_message(timeout=1)  # the word that we are subscribed

        def heard() -> list[str]:
            client.publish(CHANNEL, "end")
            names: list[str] = []
            while (message := listener.get_message(timeout=2)) is not None and message["data"] != b"end":
                names.append(message["data"].decode())
            return names

        yield heard


def stated() -> list[str]:
    with tenant_session(TENANT) as session:
        return list(session.scalars(text("select kind from outbox order by id")))


def test_a_fact_stands_with_its_transaction_and_the_bell_rings_after_it(bells: Bells) -> None:
    with tenant_session(TENANT) as session:
        emit(session, Fact("one", {}))
        emit(session, Fact("two", {"n": 1}))
        before = bells()

    assert before == []
    assert bells() == ["relay"], "once for all facts of a transaction"
    assert stated() == ["one", "two"]


def test_a_transaction_that_is_undone_states_nothing_and_rings_nothing(bells: Bells) -> None:
    def state_and_break() -> None:
        with tenant_session(TENANT) as session:
            emit(session, Fact("one", {}))
            session.execute(text("select 1 / 0"))

    with pytest.raises(DBAPIError):
        state_and_break()

    assert (stated(), bells()) == ([], [])


def test_what_follows_a_commit_comes_in_order_and_sees_it(database: DatabaseUrls) -> None:
    seen: list[object] = []

    with tenant_session(TENANT) as session:
        emit(session, Fact("one", {}))
        after_commit(session, lambda: seen.append(stated()))
        after_commit(session, lambda: seen.append("then"))

    assert seen == [["one"], "then"]


def test_nobody_rings_when_redis_is_away_and_the_fact_stands(
    database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("MASTERIA_REDIS_URL", "redis://127.0.0.1:1/0")
        settings.cache_clear()
        core_redis.client.cache_clear()
        ring("relay")
        with tenant_session(TENANT) as session:
            emit(session, Fact("one", {}))
    settings.cache_clear()
    core_redis.client.cache_clear()

    assert stated() == ["one"]


def test_a_database_that_is_not_there_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    engine = connect_engine(f"postgresql://nobody@127.0.0.1:{port}/nothing")

    with pytest.raises(DatabaseAway), transaction_on(engine, TENANT) as session:
        session.execute(text("select 1"))


@pytest.mark.parametrize(
    "ask", [lambda session: session.execute(text("select 1")), lambda session: run(session, "select 1")]
)
def test_a_database_that_ends_the_connection_is_away_and_the_next_session_is_served(
    database: DatabaseUrls, superuser_url: str, ask: Callable[[Session], object]
) -> None:
    engine = connect_engine(database.app, pool_size=1)

    def lose_the_connection() -> None:
        with transaction_on(engine, TENANT) as session, psycopg.connect(superuser_url) as superuser:
            served = session.execute(text("select pg_backend_pid()")).scalar_one()
            superuser.execute("select pg_terminate_backend(%s, 5000)", (served,))
            ask(session)

    with pytest.raises(DatabaseAway):
        lose_the_connection()
    with transaction_on(engine, TENANT) as session:
        answer = session.execute(text("select 1")).scalar_one()

    assert answer == 1
    engine.dispose()


def test_a_statement_that_is_refused_is_not_a_database_that_is_away(database: DatabaseUrls) -> None:
    def take_too_long() -> None:
        with tenant_session(TENANT) as session:
            session.execute(text("set local statement_timeout = '5ms'"))
            session.execute(text("select pg_sleep(1)"))

    with pytest.raises(DBAPIError):
        take_too_long()


@pytest.mark.parametrize("opened", [lambda limits: tenant_session(TENANT, limits), system_session])
def test_a_session_limits_how_long_a_statement_takes_and_waits(
    database: DatabaseUrls, opened: Callable[[Limits], AbstractContextManager[Session]]
) -> None:
    asked = text(
        "select current_setting('statement_timeout'), current_setting('lock_timeout'),"
        " current_setting('idle_in_transaction_session_timeout')"
    )

    with opened(OF_REQUEST) as session:
        told = [session.execute(asked).one()]
        with waiting_for_locks(session, 0.2):
            told.append(session.execute(asked).one())
        told.append(session.execute(asked).one())

    assert told == [("10s", "3s", "10s"), ("10s", "200ms", "10s"), ("10s", "3s", "10s")]


def test_who_waits_for_a_lock_too_long_is_told(database: DatabaseUrls) -> None:
    def wait_behind(other: Session) -> None:
        run(other, "select pg_advisory_xact_lock(7)")
        with tenant_session(TENANT, Limits(statement=10, lock=0.05, idle=10)) as session:
            run(session, "select pg_advisory_xact_lock(7)")

    with tenant_session(TENANT) as other, pytest.raises(OperationalError) as refusal:
        wait_behind(other)

    assert getattr(refusal.value.orig, "sqlstate", None) == "55P03"


def test_who_stands_still_in_a_transaction_holds_nobody_up_for_long(database: DatabaseUrls) -> None:
    def stand_still() -> None:
        with tenant_session(TENANT, Limits(statement=10, lock=5, idle=0.1)) as session:
            run(session, "select pg_advisory_xact_lock(7)")
            with tenant_session(TENANT) as other:
                run(other, "select pg_advisory_xact_lock(7)")  # waits for the server to end the first
            run(session, "select 1")

    with pytest.raises(DatabaseAway):
        stand_still()


def test_an_error_apart_undoes_nothing_but_itself(database: DatabaseUrls) -> None:
    def break_apart(session: Session) -> None:
        with apart(session):
            emit(session, Fact("undone", {}))
            run(session, "select 1 / 0")

    with tenant_session(TENANT) as session:
        emit(session, Fact("before", {}))
        with pytest.raises(DBAPIError):
            break_apart(session)
        with apart(session):
            emit(session, Fact("apart", {}))
        emit(session, Fact("after", {}))

    assert stated() == ["before", "apart", "after"]


def test_rows_have_their_columns_by_name_and_by_place_where_there_is_no_name(database: DatabaseUrls) -> None:
    with tenant_session(TENANT) as session:
        [row] = run(session, "select 1 as one, upper('a'), upper('b'), 2 as two")
        bare = run(session, "select from generate_series(1, 3)")
        nothing = run(session, "set local work_mem = '8MB'")

    assert (tuple(row), row.one, row.two) == ((1, "A", "B", 2), 1, 2)
    assert (len(bare), nothing) == (3, [])


@pytest.mark.parametrize("limits", [OF_BATCHES, OF_REQUEST], ids=["by key", "as usual"])
def test_rows_are_joined_by_hash_within_the_block_alone(database: DatabaseUrls, limits: Limits) -> None:
    def ways(session: Session) -> list[str]:
        [row] = run(
            session,
            "select current_setting('enable_hashjoin') as hash, current_setting('enable_nestloop') as loop",
        )
        return [row.hash, row.loop]

    with tenant_session(TENANT, limits) as session:
        before = ways(session)
        with joined_by_hash(session):
            within = ways(session)
        after = ways(session)

    assert within == ["on", "off"]
    assert before == after == ["off" if limits.by_key else "on", "on"]


def test_what_breaks_a_rule_of_the_table_says_so_as_everywhere(database: DatabaseUrls) -> None:
    def write(one: UUID) -> None:
        with tenant_session(TENANT) as session:
            run(session, "insert into outbox (id, kind, payload) values (%(id)s, 'one', '{}')", id=one)

    again = uuid4()
    write(again)

    with pytest.raises(IntegrityError):
        write(again)


def test_a_session_across_tenants_is_nobodys(database: DatabaseUrls) -> None:
    with tenant_session(TENANT) as session:
        assert tenant_of(session) == TENANT
    with system_session() as session, pytest.raises(RuntimeError):
        tenant_of(session)


@pytest.mark.parametrize(
    "words",
    [
        ["NULL", "null", "", " ", None, "a,b", "{x}", "it's"],
        ['say "hi"', "back\\slash", 'both \\" of them', "two\nlines", "tab\t", "\u00e7\u00e3o \U0001f600"],
        [None, None],
        [],
    ],
)
def test_an_array_that_we_quote_is_read_as_it_was(database: DatabaseUrls, words: list[str | None]) -> None:
    with tenant_session(TENANT) as session:
        [row] = run(session, "select %(words)s::text[] as words", words=quoted_array_of(words))

    assert row.words == (words if any(word is not None for word in words) else [])
