"""What the live catalogue promises after migration: who owns, who sees, and what keeps companies apart.

Whoever adds a table, a function or an index meets this file: a table belongs to a tenant or is listed here.
"""

# ruff: noqa: S608 - every statement is a literal of ours

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql

import engine
from engine.core.bootstrap import APP_ROLE, OWNER_ROLE, SYSTEM_ROLE, DatabaseUrls
from engine.core.db import TENANT_DEFAULT, Base, connect_engine

# Who works where, what nobody owns yet, and what PostgreSQL and Alembic need: these have no tenant's rows.
OF_NO_TENANT = {"alembic_version", "companies", "passwords", "periodic_slots", "users"}
# Names its tenant once it is understood; a batch of several tenants' rows commits at once.
SYSTEM_ONLY = {"webhook_journal", "webhook_due", "webhook_leases", "passwords", "periodic_slots"}
# Of no tenant, yet fenced: a company sees itself and the people who work there.
FENCED = {"companies", "users"}
# What the app role may do less than everything with.
READ_ONLY_OR_LESS = {
    "alembic_version": {"SELECT"},
    "companies": {"SELECT"},
    "consents": {"SELECT", "INSERT"},
    "erasure_ledger": {"SELECT", "INSERT"},
    "users": {"SELECT"},
}
EVERYTHING = {"SELECT", "INSERT", "UPDATE", "DELETE"}
# The channel's id is ours and random: one number leads to one tenant, whoever asks.
UNIQUE_ACROSS_TENANTS = {"pk_channel_routes"}
# Who enters by a definer's rights, and whom it serves.
DEFINERS = {
    "count_contacts": (SYSTEM_ROLE, {APP_ROLE}),
    "drop_message_partition": (OWNER_ROLE, {SYSTEM_ROLE}),
    "ensure_message_partition": (OWNER_ROLE, {SYSTEM_ROLE}),
    "find_contacts": (SYSTEM_ROLE, {APP_ROLE}),
}
# What a mark, a settle or a receipt writes: an index on one of these, and no update of a message is heap-only.
CHANGED_BY_SENDS = {
    "accepted_at", "attempt", "billable", "called_at", "counted", "delivered_at", "failed_at", "price_category",
    "price_type", "provider_id", "read_at", "reason", "reason_code", "sent_at", "state", "work_id",
}  # fmt: skip

TENANT_DEFAULT_AS_KEPT = "(NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid"

OURS = """c.relnamespace = 'public'::regnamespace and not exists (
          select 1 from pg_depend d where d.objid = c.oid and d.deptype = 'e')"""


@pytest.fixture
def catalogue(migrated: tuple[str, ...], superuser_url: str) -> Iterator[psycopg.Connection]:
    """A connection that sees all; what a test changes is rolled back."""
    with psycopg.connect(superuser_url) as connection:
        yield connection
        connection.rollback()


def ask(catalogue: psycopg.Connection, question: str) -> list[tuple[object, ...]]:
    """The rows of a question about the catalogue."""
    return catalogue.execute(sql.SQL(question)).fetchall()


def tables(catalogue: psycopg.Connection) -> set[str]:
    """Every table that is not a partition."""
    rows = ask(
        catalogue,
        f"select c.relname from pg_class c where {OURS} and c.relkind in ('r', 'p') and not c.relispartition",
    )
    return {str(name) for (name,) in rows}


def tenant_tables(catalogue: psycopg.Connection) -> set[str]:
    """Every table that holds rows of tenants for them to see."""
    return tables(catalogue) - OF_NO_TENANT - SYSTEM_ONLY


def without_a_fence(catalogue: psycopg.Connection) -> list[str]:
    """Tables that are nobody's by the lists above, and whose row-level security is not as it must be."""
    rows = ask(
        catalogue,
        f"""select c.relname from pg_class c
             where {OURS} and c.relkind in ('r', 'p') and not c.relispartition and not (
               c.relrowsecurity and c.relforcerowsecurity
               and (select count(*) = 1 and bool_and(
                      p.polpermissive and p.polcmd = '*' and p.polwithcheck is null
                      and pg_get_expr(p.polqual, p.polrelid) ~ '^\\(tenant_id = .*app\\.tenant_id')
                    from pg_policy p where p.polrelid = c.oid)
               and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id'
                             and a.attnotnull))
             order by 1""",
    )
    return [str(name) for (name,) in rows if name not in OF_NO_TENANT | SYSTEM_ONLY]


def test_every_table_is_a_tenants_and_fenced_or_listed_as_nobodys(catalogue: psycopg.Connection) -> None:
    assert without_a_fence(catalogue) == []
    assert tables(catalogue) >= OF_NO_TENANT | SYSTEM_ONLY | {"messages", "contacts", "channel_routes"}


@pytest.mark.parametrize(
    "slip",
    [
        "create table planted (tenant_id uuid not null, id uuid)",
        "alter table contacts disable row level security",
        "alter table contacts no force row level security",
        "create policy wide on contacts using (true)",
        "drop policy tenant on contacts",
    ],
)
def test_a_table_that_lost_its_fence_is_caught(catalogue: psycopg.Connection, slip: str) -> None:
    catalogue.execute(sql.SQL(slip))

    assert without_a_fence(catalogue) == ["planted" if "planted" in slip else "contacts"]


def test_the_tables_of_people_and_companies_are_fenced_for_the_app(catalogue: psycopg.Connection) -> None:
    rows = ask(
        catalogue,
        """select c.relname, c.relrowsecurity and c.relforcerowsecurity, p.polroles::regrole[]::text[]
             from pg_policy p join pg_class c on c.oid = p.polrelid
            where not exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')""",
    )

    assert sorted(rows) == [(name, True, [APP_ROLE]) for name in sorted(FENCED)]


def test_the_app_role_has_no_power_and_owns_nothing(catalogue: psycopg.Connection) -> None:
    """But for temporary tables: an import makes one, and it lives as long as its pooled connection."""
    powers = ask(
        catalogue,
        f"""select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
                   (select count(*) from pg_auth_members where member = r.oid),
                   (select count(*) from pg_shdepend d where refobjid = r.oid and deptype = 'o' and not exists
                      (select from pg_class c where c.oid = d.objid and c.relpersistence = 't'))
              from pg_roles r where rolname = '{APP_ROLE}'""",
    )

    assert powers == [(False, False, False, False, False, 0, 0)]


def test_the_app_role_has_only_the_grants_that_it_needs(catalogue: psycopg.Connection) -> None:
    rows = ask(
        catalogue,
        f"""select c.relname, array_agg(a.privilege_type) from pg_class c, aclexplode(c.relacl) a
             where {OURS} and c.relkind in ('r', 'p') and not c.relispartition and a.grantee = '{APP_ROLE}'::regrole
             group by 1""",
    )
    granted = {str(name): set(rights) for name, rights in rows}  # type: ignore[call-overload]

    assert granted == {
        table: READ_ONLY_OR_LESS.get(table, EVERYTHING) for table in tables(catalogue) - SYSTEM_ONLY
    }


def test_nothing_is_granted_to_everybody(catalogue: psycopg.Connection) -> None:
    rows = ask(
        catalogue,
        f"select c.relname, a.privilege_type from pg_class c, aclexplode(c.relacl) a where {OURS} and a.grantee = 0",
    )

    assert rows == []


def test_no_role_reads_a_partition_by_its_own_name(catalogue: psycopg.Connection) -> None:
    partitions = ask(
        catalogue,
        f"""select c.relname, has_table_privilege('{APP_ROLE}', c.oid, 'select, insert, update, delete')
              from pg_class c where {OURS} and c.relispartition and c.relkind = 'r'""",
    )

    assert len(partitions) >= 8
    assert [name for name, open_ in partitions if open_] == []


def test_uniqueness_never_reaches_across_tenants(catalogue: psycopg.Connection) -> None:
    """Else whether an insert fails tells one company what another one has."""
    rows = ask(
        catalogue,
        f"""select i.indexrelid::regclass::text, t.relname from pg_index i join pg_class t on t.oid = i.indrelid
              join pg_class c on c.oid = i.indexrelid
              left join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
             where {OURS} and i.indisunique and not t.relispartition and a.attname is distinct from 'tenant_id'""",
    )

    assert {index for index, table in rows if table in tenant_tables(catalogue)} == UNIQUE_ACROSS_TENANTS


def test_foreign_keys_between_tenants_tables_name_the_tenant(catalogue: psycopg.Connection) -> None:
    """Foreign keys are checked past the policies: without the tenant they would lead into another company."""
    rows = ask(
        catalogue,
        """select k.conname, k.conrelid::regclass::text, k.confrelid::regclass::text, pg_get_constraintdef(k.oid),
                  exists (select 1 from unnest(k.conkey, k.confkey) pair(mine, theirs)
                    join pg_attribute m on m.attrelid = k.conrelid and m.attnum = pair.mine
                    join pg_attribute t on t.attrelid = k.confrelid and t.attnum = pair.theirs
                    where m.attname = 'tenant_id' and t.attname = 'tenant_id')
             from pg_constraint k where k.contype = 'f' and k.connamespace = 'public'::regnamespace""",
    )
    theirs = tenant_tables(catalogue)

    between = [(name, names_it) for name, table, other, _, names_it in rows if {table, other} <= theirs]
    assert len(between) > 10
    assert [name for name, names_it in between if not names_it] == []
    # SET NULL without a column list would null the tenant too.
    assert [name for name, _, _, definition, _ in rows if str(definition).endswith("SET NULL")] == []


def test_views_show_no_more_than_their_reader_may_see(catalogue: psycopg.Connection) -> None:
    views = ask(
        catalogue,
        f"""select c.relname, c.relkind, coalesce('security_invoker=true' = any(c.reloptions), false)
              from pg_class c where {OURS} and c.relkind in ('v', 'm')""",
    )

    assert [name for name, kind, as_invoker in views if kind == "m" or not as_invoker] == []


def test_functions_with_their_owners_rights_are_few_and_shut_in(catalogue: psycopg.Connection) -> None:
    rows = ask(
        catalogue,
        """select p.proname, p.proowner::regrole::text, p.proconfig[1],
                  (select array_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'))
                     from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee <> p.proowner)
             from pg_proc p where p.prosecdef and p.pronamespace = 'public'::regnamespace""",
    )

    assert {str(name): (owner, set(users)) for name, owner, _, users in rows} == DEFINERS  # type: ignore[call-overload]
    # The temporary schema comes last, or whoever calls could put a table of their own in the way.
    assert {path for _, _, path, _ in rows} == {"search_path=pg_catalog, public, pg_temp"}


def test_only_the_owner_makes_anything_in_the_schema(catalogue: psycopg.Connection) -> None:
    makers = ask(
        catalogue,
        """select rolname from pg_roles where not rolsuper and rolname !~ '^pg_'
              and has_schema_privilege(oid, 'public', 'create') order by 1""",
    )

    assert makers == [(OWNER_ROLE,)]


def is_tenant_default(change: tuple[Any, ...]) -> bool:
    """True for a column that both sides fill with the tenant: Alembic asks whether the two are equal, and both are null."""
    if change[0] != "modify_default":
        return False
    present, wanted = change[5:7]
    return present.arg.text == TENANT_DEFAULT_AS_KEPT and wanted.arg is TENANT_DEFAULT


def test_the_models_are_what_the_migrations_make(
    catalogue: psycopg.Connection, postgres: DatabaseUrls
) -> None:
    for module in pkgutil.walk_packages(engine.__path__, "engine."):
        if module.name.endswith((".models", ".counters", ".crypto", ".events", ".idempotency")):
            importlib.import_module(module.name)
    # Written by the relay's and the timetable's own SQL.
    without_model = {"alembic_version", "periodic_slots"}
    partition = re.compile(r"messages_(\d{6}|default)$")

    def is_compared(_object: object, name: str | None, kind: str, reflected: bool, _model: object) -> bool:
        return not (
            kind == "table" and name and (partition.match(name) or (reflected and name in without_model))
        )

    owner = connect_engine(postgres.owner)
    with owner.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_object": is_compared, "compare_type": True, "compare_server_default": True},
        )
        differences = [
            change
            for table in compare_metadata(context, Base.metadata)
            for change in (table if isinstance(table, list) else [table])
            if not is_tenant_default(change)
        ]
    owner.dispose()

    assert len(Base.metadata.tables) > 30
    assert differences == []


def words_of_message_indexes(catalogue: psycopg.Connection) -> set[str]:
    """Every column that an index of messages holds or names in its predicate."""
    rows = ask(
        catalogue,
        """select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class t on t.oid = i.indrelid
            where t.oid = 'messages'::regclass
               or exists (select 1 from pg_inherits h where h.inhrelid = t.oid and h.inhparent = 'messages'::regclass)""",
    )
    definitions = [str(definition).partition(" USING ")[2] for (definition,) in rows]
    return {word for definition in definitions for word in re.findall(r"\w+", definition)}


def test_no_index_of_messages_holds_or_names_what_a_send_changes(catalogue: psycopg.Connection) -> None:
    named = words_of_message_indexes(catalogue)

    assert {"tenant_id", "conversation_id"} <= named
    assert named & CHANGED_BY_SENDS == set()


def test_an_index_predicate_that_would_end_heap_only_updates_is_caught(catalogue: psycopg.Connection) -> None:
    catalogue.execute("create index planted on messages (tenant_id, id) where state = 'queued'")

    assert words_of_message_indexes(catalogue) & CHANGED_BY_SENDS == {"state"}


def test_the_columns_that_sends_change_exist(catalogue: psycopg.Connection) -> None:
    columns = ask(
        catalogue,
        """select attname from pg_attribute where attrelid = 'messages'::regclass and attnum > 0
              and not attisdropped""",
    )

    assert {str(name) for (name,) in columns} >= CHANGED_BY_SENDS


def test_rows_that_are_asked_for_by_key_have_no_index_but_the_key_to_be_found_by(
    catalogue: psycopg.Connection,
) -> None:
    # Without statistics the planner holds (tenant_id, x, id) for as good as the key, and leaps through it from x to x
    # for each batch. A condition that names x keeps it for those who ask for an x.
    others = ask(
        catalogue,
        """select i.indexrelid::regclass::text from pg_index i
             where i.indrelid in ('messages'::regclass, 'template_snapshots'::regclass)
               and not i.indisprimary and i.indpred is null""",
    )
    assert others == []
