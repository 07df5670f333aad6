"""While a version is rolled out, the code before it works on the newest schema: migrations only add.

Each one since 0014 is compared with the one before it: no table, column, key or right that code may rest on is gone,
and nothing new refuses a row that is written without knowing of it. Only then may the next version take away.
"""

# ruff: noqa: S608 - every statement is a literal of ours

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, LiteralString

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql

from engine.core.bootstrap import APP_ROLE, SYSTEM_ROLE
from engine.core.settings import DATABASE_VARIABLES, project_root, settings
from engine.embedded import RunningPostgres, bootstrap_embedded

CONFIG = Config(str(project_root() / "alembic.ini"))
FIRST = "0014"  # took columns away, when nobody ran the code before it yet

_OURS = """c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  and c.relname <> 'alembic_version'"""
_COLUMNS: LiteralString = f"""
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef,
       a.attgenerated <> ''
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped where {_OURS}
"""
# What refuses rows, or what `on conflict` names: constraints, unique indexes, triggers, policies.
_RULES: LiteralString = f"""
select c.relname, k.contype::text, pg_get_constraintdef(k.oid),
       array(select attname::text from pg_attribute where attrelid = c.oid and attnum = any(k.conkey))
from pg_class c join pg_constraint k on k.conrelid = c.oid and k.contype <> 'n' where {_OURS}
union all
select c.relname, 'unique', substring(pg_get_indexdef(i.indexrelid) from ' USING (.*)$'),
       array(select attname::text from pg_attribute where attrelid = c.oid and attnum = any(i.indkey))
from pg_class c join pg_index i on i.indrelid = c.oid and i.indisunique where {_OURS}
union all
select c.relname, 'trigger', pg_get_triggerdef(t.oid), '{{}}'
from pg_class c join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal where {_OURS}
union all
select c.relname, 'policy', p.polcmd::text || coalesce(pg_get_expr(p.polqual, c.oid), '')
         || coalesce(pg_get_expr(p.polwithcheck, c.oid), ''), '{{}}'
from pg_class c join pg_policy p on p.polrelid = c.oid where {_OURS}
"""
_RIGHTS: LiteralString = f"""
select c.relname || ' ' || r.rolname || ' ' || a.privilege_type
from pg_class c, aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee where {_OURS}
  and r.rolname in ('{APP_ROLE}', '{SYSTEM_ROLE}')
union all
select p.oid::regprocedure::text || ' ' || r.rolname
from pg_proc p join pg_roles r on has_function_privilege(r.oid, p.oid, 'execute')
where p.pronamespace = 'public'::regnamespace and r.rolname in ('{APP_ROLE}', '{SYSTEM_ROLE}')
  and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
"""


@dataclass(frozen=True, slots=True)
class Column:
    """What a statement has to know of a column."""

    type: str
    is_required: bool
    has_default: bool
    is_computed: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """What may refuse a row of a table, or what an upsert names; `columns` are those that it is about."""

    table: str
    kind: str
    text: str
    columns: frozenset[str] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Schema:
    """All that the statements of a version rest on."""

    columns: dict[tuple[str, str], Column]
    rules: frozenset[Rule]
    rights: frozenset[str]

    @property
    def tables(self) -> set[str]:
        """Their names."""
        return {table for table, _ in self.columns}


def read(connection: psycopg.Connection[Any]) -> Schema:
    """The schema as it stands."""
    return Schema(
        {(table, name): Column(*about) for table, name, *about in connection.execute(_COLUMNS).fetchall()},
        frozenset(
            Rule(table, kind, text, frozenset(columns))
            for table, kind, text, columns in connection.execute(_RULES).fetchall()
        ),
        frozenset(right for (right,) in connection.execute(_RIGHTS).fetchall()),
    )


def in_the_way(before: Schema, after: Schema) -> list[str]:
    """What the code that was written for the schema before stumbles over."""
    found = [f"{right} is gone" for right in before.rights - after.rights]
    for (table, name), column in before.columns.items():
        now = after.columns.get((table, name))
        if now is None or now.type != column.type:
            found.append(f"{table}.{name} is gone or another")
        elif (now.is_required and not column.is_required) or (column.has_default and not now.has_default):
            found.append(f"{table}.{name} asks for more")
    for table, name in after.columns.keys() - before.columns.keys():
        fresh = after.columns[table, name]
        if table in before.tables and fresh.is_required and not fresh.has_default:
            found.append(f"{table}.{name} is new, and must be given")
    found += [
        f"{rule.table}: {rule.text} is gone"
        for rule in before.rules - after.rules
        if rule.kind in ("p", "u", "unique", "policy")
    ]
    found += [
        f"{rule.table}: {rule.text} is new"
        for rule in after.rules - before.rules
        if rule.table in before.tables and knows_of(rule, before)
    ]
    return sorted(found)


def knows_of(rule: Rule, before: Schema) -> bool:
    """Whether a new rule concerns rows in which nothing new stands."""
    return not rule.columns or any(
        (rule.table, name) in before.columns for name in rule.columns - {"tenant_id"}
    )


@pytest.fixture(scope="module")
def url(running_postgres: RunningPostgres, home: Any) -> Iterator[str]:
    """A database of its own at the first revision; the settings name it while this lasts. Its superuser's address."""
    urls = bootstrap_embedded(home, running_postgres.server, database="expanding")
    with pytest.MonkeyPatch.context() as patch:
        for name, role_url in zip(DATABASE_VARIABLES, (urls.app, urls.system, urls.owner), strict=True):
            patch.setenv(name, role_url)
        settings.cache_clear()
        command.upgrade(CONFIG, FIRST)
        yield running_postgres.server.url.removesuffix("/postgres") + "/expanding"
    settings.cache_clear()
    with psycopg.connect(running_postgres.server.url, autocommit=True) as connection:
        connection.execute("drop database expanding with (force)")


@pytest.fixture(scope="module")
def schemas(url: str) -> dict[str, Schema]:
    """The schema at each revision, oldest first; the database is at the newest one from then on."""
    script = ScriptDirectory.from_config(CONFIG)
    found = {}
    for revision in reversed(
        [one.revision for one in script.iterate_revisions("head", FIRST, inclusive=True)]
    ):
        command.upgrade(CONFIG, revision)
        with psycopg.connect(url) as connection:
            found[revision] = read(connection)
    return found


def test_no_migration_is_in_the_way_of_the_code_before_it(schemas: dict[str, Schema]) -> None:
    revisions = list(schemas)
    found = {after: in_the_way(schemas[before], schemas[after]) for before, after in pairwise(revisions)}

    assert len(found) >= 4
    assert {revision: problems for revision, problems in found.items() if problems} == {}


def test_the_statements_of_the_oldest_code_are_taken_by_the_newest_schema(
    url: str, schemas: dict[str, Schema]
) -> None:
    """Each table read and written by all columns that it had, as the role that does; of no row, which needs no plan."""
    old, taken = schemas[FIRST], 0
    with psycopg.connect(url) as connection:
        for table in sorted(old.tables):
            columns = [
                name
                for (owner, name), about in old.columns.items()
                if owner == table and not about.is_computed
            ]
            for role in (APP_ROLE, SYSTEM_ROLE):
                connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
                for right, write in STATEMENTS.items():
                    if f"{table} {role} {right}" in old.rights:
                        connection.execute(write(table, columns))
                        taken += 1
                connection.execute("reset role")

    assert taken > 200


def _insert(table: str, columns: list[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("insert into {0} ({1}) select {1} from {0} where false").format(
        sql.Identifier(table), names
    )


def _update(table: str, columns: list[str]) -> sql.Composed:
    sets = sql.SQL(", ").join(sql.SQL("{0} = {0}").format(sql.Identifier(name)) for name in columns)
    return sql.SQL("update {} set {} where false").format(sql.Identifier(table), sets)


def _select(table: str, columns: list[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("select {} from {} where false").format(names, sql.Identifier(table))


def _delete(table: str, _columns: list[str]) -> sql.Composed:
    return sql.SQL("delete from {} where false").format(sql.Identifier(table))


STATEMENTS: dict[str, Callable[[str, list[str]], sql.Composed]] = {
    "INSERT": _insert, "UPDATE": _update, "SELECT": _select, "DELETE": _delete,
}  # fmt: skip


@pytest.mark.parametrize(
    "slip",
    [
        "alter table campaigns drop column version",
        "alter table contacts rename column name to called",
        "alter table campaigns alter column name type varchar(80)",
        "alter table contacts alter column phone set not null",
        "alter table messages add column shard smallint not null",
        "alter table messages alter column tries drop default",
        "alter table contacts add check (name <> '')",
        "create unique index planted on contacts (tenant_id, name)",
        "alter table provider_messages drop constraint pk_provider_messages",
        "drop table reached_people",
        "revoke insert on messages from masteria_app",
        "drop function ensure_message_partition(date)",
        "create policy narrow on contacts as restrictive using (name <> '')",
    ],
)
def test_a_migration_that_takes_something_away_is_caught(
    url: str, schemas: dict[str, Schema], slip: LiteralString
) -> None:
    newest = list(schemas.values())[-1]
    with psycopg.connect(url) as connection:
        connection.execute(slip)
        found = in_the_way(newest, read(connection))
        connection.rollback()

    assert found


def test_what_only_adds_is_let_through(url: str, schemas: dict[str, Schema]) -> None:
    newest = list(schemas.values())[-1]
    with psycopg.connect(url) as connection:
        connection.execute("alter table contacts add column shoe_size smallint check (shoe_size > 0)")
        connection.execute("alter table contacts add column tries smallint not null default 0")
        connection.execute("create index planted on contacts (tenant_id, shoe_size)")
        connection.execute("create table sown (tenant_id uuid not null, id uuid primary key)")
        found = in_the_way(newest, read(connection))
        connection.rollback()

    assert found == []
