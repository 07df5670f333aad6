"""Two companies in one database, by plain SQL under the app's role: every table, made from the catalogue.

What the API adds on top is walked in tests/api; here nothing but PostgreSQL stands between the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, text

from engine.core.bootstrap import DatabaseUrls
from engine.core.db import connect_engine, tenant_session, transaction_on
from engine.core.ids import uuid7
from tests.api.planted import plant, rows_of

# No company may touch these at all.
CLOSED = ("webhook_journal", "webhook_due", "webhook_leases", "passwords", "periodic_slots")
OPEN_TO_NOBODY = frozenset(CLOSED)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two companies with one row in every table, and a connection for each side of the fence."""

    ours: UUID
    theirs: UUID
    tables: list[str]
    app: psycopg.Connection
    superuser: psycopg.Connection

    def enter(self, tenant_id: UUID | None) -> None:
        """Begin a transaction as a company, or as nobody."""
        self.app.rollback()
        if tenant_id is not None:
            self.app.execute("select set_config('app.tenant_id', %s, true)", (str(tenant_id),))

    def refusal_of(self, statement: str, table: str, *values: object) -> str | None:
        """The SQLSTATE that a statement ends with, or None when it was let through; `{}` is the table."""
        try:
            with self.app.transaction():
                self.app.execute(_with(statement, table), values)
        except psycopg.Error as error:
            return error.sqlstate
        return None

    def touched(self, statement: str, table: str, *values: object) -> int:
        """How many rows a statement met; none when the role may not ask at all."""
        try:
            with self.app.transaction():
                return self.app.execute(_with(statement, table), values).rowcount
        except psycopg.errors.InsufficientPrivilege:
            return 0

    def row(self, tenant_id: UUID, table: str) -> tuple[sql.Composed, str]:
        """The names of a table's columns, and a company's row in it as JSON."""
        names = self.superuser.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
            " and not attisdropped and attgenerated = ''",
            (table,),
        ).fetchall()
        [(row,)] = self.superuser.execute(
            _with("select to_jsonb(t)::text from {} t where tenant_id = %s", table), (tenant_id,)
        ).fetchall()
        return sql.SQL(", ").join(sql.Identifier(name) for (name,) in names), row

    def insert_refusal(self, table: str, row_of: UUID) -> str | None:
        """The SQLSTATE that inserting a copy of a company's row ends with."""
        names, row = self.row(row_of, table)
        copy = sql.SQL("insert into {0} ({1}) select {1} from jsonb_populate_record(null::{0}, %s)").format(
            sql.Identifier(table), names
        )
        return self.refusal_of(copy.as_string(), table, row)


def _with(statement: str, table: str) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(table))


@pytest.fixture
def pair(database: DatabaseUrls, superuser_url: str) -> Iterator[Pair]:
    ours, theirs = uuid4(), uuid4()
    with (
        psycopg.connect(superuser_url, autocommit=True) as superuser,
        psycopg.connect(database.app) as app,
    ):
        tables = plant(superuser, ours, uuid7())
        plant(superuser, theirs, uuid7())
        yield Pair(ours, theirs, sorted(tables - OPEN_TO_NOBODY), app, superuser)
        app.rollback()


def test_without_a_tenant_there_is_nothing_to_see(pair: Pair) -> None:
    pair.enter(None)

    seen = {table: pair.touched("select from {}", table) for table in pair.tables}

    assert len(seen) > 25
    assert {table: rows for table, rows in seen.items() if rows} == {}


def test_without_a_tenant_nothing_can_be_written(pair: Pair) -> None:
    pair.enter(None)

    refused = {table: pair.insert_refusal(table, pair.theirs) for table in pair.tables}
    nobodys = {
        table: pair.refusal_of("insert into {} default values", table) is not None for table in pair.tables
    }

    assert {table: state for table, state in refused.items() if state != "42501"} == {}
    assert all(nobodys.values())


def test_a_company_sees_its_own_row_and_no_other(pair: Pair) -> None:
    pair.enter(pair.ours)

    seen = {table: pair.touched("select from {}", table) for table in pair.tables}
    asked_by_name = {
        table: pair.touched("select from {} where tenant_id = %s", table, pair.theirs)
        for table in pair.tables
    }

    assert {table: rows for table, rows in seen.items() if rows != 1} == {}
    assert {table: rows for table, rows in asked_by_name.items() if rows} == {}


@pytest.mark.parametrize("verb", ["update {} set tenant_id = tenant_id", "delete from {}"])
def test_a_company_changes_and_deletes_nothing_of_another(pair: Pair, verb: str) -> None:
    before = rows_of(pair.superuser, pair.theirs, set(pair.tables))

    touched = {}
    for table in pair.tables:
        pair.enter(pair.ours)
        touched[table] = pair.touched(f"{verb} where tenant_id = %s", table, pair.theirs)
        pair.refusal_of(verb, table)
        pair.app.commit()

    assert {table: rows for table, rows in touched.items() if rows} == {}
    assert rows_of(pair.superuser, pair.theirs, set(pair.tables)) == before


def test_a_company_puts_no_row_into_another(pair: Pair) -> None:
    pair.enter(pair.ours)

    inserted = {table: pair.insert_refusal(table, pair.theirs) for table in pair.tables}
    moved = {
        table: pair.refusal_of("update {} set tenant_id = %s", table, pair.theirs) for table in pair.tables
    }

    assert {table: state for table, state in inserted.items() if state != "42501"} == {}
    assert {table: state for table, state in moved.items() if state != "42501"} == {}


@pytest.mark.parametrize("table", CLOSED)
def test_what_is_the_systems_is_closed_to_companies(pair: Pair, table: str) -> None:
    pair.enter(pair.ours)

    statements = ("select from {}", "delete from {}", "insert into {} default values")
    assert [pair.refusal_of(statement, table) for statement in statements] == ["42501"] * 3


@pytest.mark.parametrize(
    "way_round",
    [
        "select from messages_default",
        "set role masteria_system",
        "set role masteria_owner",
        "set session_replication_role = replica",
        "alter table contacts disable row level security",
        "select ensure_message_partition('2020-01-01')",
        "copy contacts to program 'cat'",
    ],
)
def test_no_way_round_the_policies_is_open_to_the_app(pair: Pair, way_round: str) -> None:
    pair.enter(pair.ours)

    assert pair.refusal_of(way_round, "contacts") == "42501"


def test_switching_row_security_off_ends_in_an_error_and_not_in_rows(pair: Pair) -> None:
    pair.enter(pair.ours)
    pair.app.execute("set local row_security = off")

    assert {table for table in pair.tables if pair.refusal_of("select from {}", table) != "42501"} == set()


def test_a_company_reads_of_companies_and_users_only_its_own(pair: Pair) -> None:
    people = {pair.ours: uuid4(), pair.theirs: uuid4()}
    for tenant_id, user_id in people.items():
        pair.superuser.execute(
            "insert into companies (id, name, slug) values (%s, 'x', %s)", (tenant_id, str(tenant_id))
        )
        pair.superuser.execute(
            "insert into users (id, email) values (%s, %s)", (user_id, f"{user_id}@x.example")
        )
        pair.superuser.execute(
            "insert into memberships (tenant_id, id, user_id, role) values (%s, %s, %s, 'owner')",
            (tenant_id, uuid7(), user_id),
        )

    pair.enter(pair.ours)
    companies = pair.app.execute("select id from companies").fetchall()
    users = pair.app.execute("select id from users").fetchall()
    renamed = pair.touched("update users set name = 'mine' where id = %s", "users", people[pair.theirs])
    pair.enter(None)
    strangers = (pair.touched("select from companies", "x"), pair.touched("select from users", "x"))

    assert (companies, users) == ([(pair.ours,)], [(people[pair.ours],)])
    assert (renamed, strangers) == (0, (0, 0))


def test_the_search_behind_the_policy_answers_with_the_companys_own(pair: Pair) -> None:
    found = "select find_contacts('%', '%', '{}', null, null, 10), count_contacts('%', '%', '{}', null, 10)"
    searching = {}
    for tenant_id in (pair.ours, pair.theirs, None):
        pair.enter(tenant_id)
        searching[tenant_id] = pair.app.execute(found).fetchall()

    ids = {tenant_id: [row[0] for row in rows] for tenant_id, rows in searching.items()}
    assert len(ids[pair.ours]) == len(ids[pair.theirs]) == 1
    assert ids[pair.ours] != ids[pair.theirs]
    assert ids[None] == []


@pytest.fixture
def one_connection(database: DatabaseUrls) -> Iterator[Engine]:
    """A pool that has one connection to give, to whoever comes."""
    engine = connect_engine(database.app, pool_size=1)
    yield engine
    engine.dispose()


def use_it(engine: Engine, tenant_id: UUID, ending: str) -> int:
    """Read as a company and end the transaction in one of its ways; answers with the server process that served."""
    served: list[int] = []
    try:
        with transaction_on(engine, tenant_id) as session:
            assert session.scalar(text("select count(*) from contacts")) == 1
            served.append(session.execute(text("select pg_backend_pid()")).scalar_one())
            if ending == "rollback":
                session.rollback()
            elif ending == "our error":
                UUID(ending)  # our own code breaks
            elif ending == "statement error":
                session.execute(text("select 1 / 0"))
    except Exception as error:
        if ending not in {"our error", "statement error"}:
            raise AssertionError(ending) from error
    return served[0]


@pytest.mark.parametrize("ending", ["commit", "rollback", "our error", "statement error"])
def test_a_connection_carries_no_company_over_to_the_next(
    pair: Pair, one_connection: Engine, ending: str
) -> None:
    served = use_it(one_connection, pair.ours, ending)

    with transaction_on(one_connection, None) as session:
        nobody = session.execute(
            text(
                "select pg_backend_pid(), current_setting('app.tenant_id', true), (select count(*) from contacts)"
            )
        ).one()
    with transaction_on(one_connection, pair.theirs) as session:
        seen = session.scalars(text("select tenant_id from contacts")).all()

    assert tuple(nobody) == (served, "", 0), "the same connection, and nobody's"
    assert seen == [pair.theirs]


def test_a_session_that_begins_again_is_still_its_companys(pair: Pair) -> None:
    with tenant_session(pair.ours) as session:
        with session.begin_nested():
            inside = session.scalars(text("select tenant_id from contacts")).all()
        after = session.scalars(text("select tenant_id from contacts")).all()

    assert inside == after == [pair.ours]
