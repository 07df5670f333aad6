"""One row of a company in every table that has a tenant, made from the catalogue alone, so that no table is forgotten.

All rows bear the same id, and every text that may be anything bears a mark: whoever sees it has seen the company.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

MARK = "seen-what-is-not-theirs"

COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, null), a.attnotnull, a.atthasdef
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and exists (select 1 from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')
     order by c.relname, a.attnum
"""
CHECKS = """
    select c.relname, pg_get_constraintdef(k.oid)
      from pg_constraint k join pg_class c on c.oid = k.conrelid
     where k.contype = 'c' and c.relnamespace = 'public'::regnamespace
"""


def plant(connection: psycopg.Connection, tenant_id: UUID, row_id: UUID) -> set[str]:
    """Insert the rows as a superuser; answers with the tables that got one."""
    choices = _choices(connection)
    tables: dict[str, dict[str, Any]] = {}
    for table, column, kind, needed, has_default in connection.execute(COLUMNS).fetchall():
        row = tables.setdefault(table, {})
        given = choices.get((table, column))
        if column == "tenant_id":
            row[column] = tenant_id
        elif kind == "uuid":
            row[column] = row_id
        elif given is not None and needed and not has_default:
            row[column] = given
        elif given is None and kind == "text" and (column == "name" or not has_default):
            row[column] = MARK
        elif needed and not has_default:
            row[column] = _value(kind)
    # Foreign keys are not asked: the rows refer to each other by the one id, in whatever order they come.
    connection.execute("set session_replication_role = replica")
    for table, row in tables.items():
        _insert(connection, table, row)
    connection.execute("set session_replication_role = origin")
    return set(tables)


def rows_of(connection: psycopg.Connection, tenant_id: UUID, tables: set[str]) -> list[tuple[str, str]]:
    """All rows of a company as (table, text), to see whether anything has changed."""
    asked = [
        sql.SQL("select {}, to_jsonb(t)::text from {} t where tenant_id = {}").format(
            sql.Literal(table), sql.Identifier(table), sql.Literal(tenant_id)
        )
        for table in sorted(tables)
    ]
    return connection.execute(sql.SQL(" union all ").join(asked)).fetchall()


def _insert(connection: psycopg.Connection, table: str, row: Mapping[str, Any]) -> None:
    statement = sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.Identifier(column) for column in row),
        sql.SQL(", ").join(sql.Placeholder() for _ in row),
    )
    connection.execute(statement, list(row.values()))


def _choices(connection: psycopg.Connection) -> dict[tuple[str, str], str]:
    """For columns that a check holds to some words: the first of them."""
    found = {}
    for table, definition in connection.execute(CHECKS).fetchall():
        match = re.search(r"\(\(?(\w+) = ANY \(ARRAY\['([^']*)'", definition)
        if match:
            found[table, match.group(1)] = match.group(2)
    return found


def _value(kind: str) -> Any:
    values: dict[str, Any] = {
        "text": MARK,
        "jsonb": json.dumps({}),
        "json": json.dumps({}),
        "bytea": b"x",
        "boolean": False,
        "timestamp with time zone": datetime.now(UTC),
        "date": datetime.now(UTC).date(),
        "text[]": [],
        "uuid[]": [],
        "bytea[]": [],
    }
    return values.get(kind, 1)  # all else is a number
