"""People, their identities, tags, consent and imports."""

from alembic import op

from engine.core.rls import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TENANT = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid, id uuid not null,"
OWNER = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid,"


# What a person types and what is stored are folded alike (engine/contacts/searching.py does it for the words): no
# accents, no capitals. The text begins with a space, so that a pattern '% jo%' means "a word that begins with jo".
SEARCHABLE = r"""
create function contact_searchable(name text, phone text, fields jsonb) returns text
language sql immutable parallel safe
return ' ' || left(lower(regexp_replace(normalize(
    name || ' ' || coalesce(substr(phone, 2), '') || case when fields = '{}' then '' else
        (select ' ' || string_agg(value, ' ') from jsonb_each_text(fields)) end, nfkd), '[\u0300-\u036f]', '', 'g')), 1000)
"""

# LIKE is not leakproof: under a policy it may use neither an index nor the statistics. Hence two functions that filter
# by the session's tenant themselves and answer with ids and a number only: the caller reads the rows under the policy.
FOUND = """
    from public.contacts c
    where c.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
      and (c.searchable like word or c.searchable like other_spelling)
      and c.searchable like all (more)
      and (tagged is null or exists (
           select 1 from public.contact_tags t
           where t.tenant_id = c.tenant_id and t.tag = tagged and t.contact_id = c.id))
"""
DEFINER = """language sql stable security definer
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan"""

FIND_CONTACTS = f"""
create function find_contacts(word text, other_spelling text, more text[], tagged text, before uuid, most integer)
returns setof uuid {DEFINER}
begin atomic
    select c.id {FOUND} and (before is null or c.id < before) order by c.id desc limit most;
end
"""
COUNT_CONTACTS = f"""
create function count_contacts(word text, other_spelling text, more text[], tagged text, most integer)
returns bigint {DEFINER}
begin atomic
    select count(*) from (select 1 {FOUND} limit most) found;
end
"""

# The system role owns them, so that no policy stands between them and the index (bootstrap lets the owner hand them
# over); to take a function a role must be allowed to create in its schema, for that moment.
BEHIND_THE_POLICY = (
    "grant create on schema public to masteria_system",
    "alter function find_contacts owner to masteria_system",
    "alter function count_contacts owner to masteria_system",
    "revoke create on schema public from masteria_system",
)


def upgrade() -> None:
    op.execute(SEARCHABLE)
    op.execute(
        f"""create table contacts ({TENANT}
            name text not null default '', phone text, fields jsonb not null default '{{}}',
            searchable text not null generated always as (contact_searchable(name, phone, fields)) stored,
            marketing_consent text not null default 'none',
            last_inbound_at timestamptz, revision bigint not null default 1,
            created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
            constraint pk_contacts primary key (tenant_id, id),
            constraint ck_contacts_marketing_consent check (marketing_consent in ('none', 'granted', 'withdrawn')))"""
    )
    op.execute(
        "create index ix_contacts_searchable on contacts using gin (tenant_id, searchable gin_trgm_ops)"
    )
    op.execute(
        f"""create table contact_identities ({TENANT}
            contact_id uuid not null, kind text not null, scope text not null default '', value text not null,
            alias text, created_at timestamptz not null default now(),
            constraint pk_contact_identities primary key (tenant_id, id),
            constraint uq_contact_identities_value unique (tenant_id, kind, scope, value),
            constraint ck_contact_identities_kind check (kind in ('phone', 'bsuid', 'lid', 'username')),
            constraint fk_contact_identities_contact foreign key (tenant_id, contact_id)
                references contacts (tenant_id, id) on delete cascade)"""
    )
    op.execute("create index ix_contact_identities_contact on contact_identities (tenant_id, contact_id)")
    # Tags stand in a narrow table: an array's operators are not leakproof, so a GIN index on it is of no use under
    # row-level security (the policy must be checked first), while equality on these columns is.
    op.execute(
        f"""create table contact_tags ({OWNER}
            tag text not null, contact_id uuid not null,
            constraint pk_contact_tags primary key (tenant_id, tag, contact_id),
            constraint fk_contact_tags_contact foreign key (tenant_id, contact_id)
                references contacts (tenant_id, id) on delete cascade)"""
    )
    op.execute("create index ix_contact_tags_contact on contact_tags (tenant_id, contact_id)")
    # The names of the fields in use, so that listing them reads no contact.
    op.execute(
        f"""create table contact_fields ({OWNER}
            field text not null, constraint pk_contact_fields primary key (tenant_id, field))"""
    )
    op.execute(
        f"""create table consents ({TENANT}
            contact_id uuid not null, purpose text not null, state text not null, source text not null,
            recorded_by uuid, recorded_at timestamptz not null default now(),
            constraint pk_consents primary key (tenant_id, id),
            constraint ck_consents_state check (state in ('granted', 'withdrawn')),
            constraint fk_consents_contact foreign key (tenant_id, contact_id)
                references contacts (tenant_id, id) on delete cascade)"""
    )
    op.execute("create index ix_consents_contact on consents (tenant_id, contact_id)")
    op.execute(
        f"""create table suppressions ({TENANT}
            purpose text not null, identity_hash bytea not null, source text not null,
            created_at timestamptz not null default now(),
            constraint pk_suppressions primary key (tenant_id, id),
            constraint uq_suppressions_identity unique (tenant_id, purpose, identity_hash))"""
    )
    op.execute(
        f"""create table contact_imports ({TENANT}
            filename text not null, path text not null, status text not null default 'queued',
            region text not null default 'BR', layout jsonb,
            mapping jsonb not null default '{{}}', tags jsonb not null default '[]', consent jsonb,
            total bigint not null default 0, created bigint not null default 0, updated bigint not null default 0,
            rejected bigint not null default 0, bytes_total bigint not null default 0, bytes_read bigint not null default 0,
            line bigint not null default 0, error jsonb, lease_until timestamptz, epoch integer not null default 0,
            revision bigint not null default 1, created_by uuid, created_at timestamptz not null default now(),
            finished_at timestamptz,
            constraint pk_contact_imports primary key (tenant_id, id),
            constraint ck_contact_imports_status check (status in ('queued', 'running', 'completed', 'failed')))"""
    )
    op.execute(
        f"""create table import_rejects ({TENANT}
            import_id uuid not null, line bigint not null, cells jsonb not null, reason jsonb not null,
            constraint pk_import_rejects primary key (tenant_id, id),
            constraint fk_import_rejects_import foreign key (tenant_id, import_id)
                references contact_imports (tenant_id, id) on delete cascade)"""
    )
    op.execute("create index ix_import_rejects_import on import_rejects (tenant_id, import_id, id)")
    op.execute(
        f"""create table import_contacts ({OWNER}
            import_id uuid not null, contact_id uuid not null,
            constraint pk_import_contacts primary key (tenant_id, import_id, contact_id),
            constraint fk_import_contacts_import foreign key (tenant_id, import_id)
                references contact_imports (tenant_id, id) on delete cascade,
            constraint fk_import_contacts_contact foreign key (tenant_id, contact_id)
                references contacts (tenant_id, id) on delete cascade)"""
    )
    op.execute("create index ix_import_contacts_contact on import_contacts (tenant_id, contact_id)")
    op.execute(
        "create index ix_contact_imports_unfinished on contact_imports (created_at) where finished_at is null"
    )
    for table in (
        "contacts", "contact_identities", "contact_tags", "contact_fields", "suppressions", "contact_imports",
        "import_rejects", "import_contacts",
    ):  # fmt: skip
        for statement in protect(table):
            op.execute(statement)
    # The consent log is append-only for the application (deleting a contact takes its rows along by the foreign key).
    for statement in protect("consents", app="select, insert"):
        op.execute(statement)
    for statement in (FIND_CONTACTS, COUNT_CONTACTS):
        op.execute(statement)
    for function in ("find_contacts", "count_contacts"):
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to masteria_app")
    for statement in BEHIND_THE_POLICY:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop function find_contacts, count_contacts")
    for table in (
        "import_contacts", "import_rejects", "contact_imports", "suppressions", "consents", "contact_fields",
        "contact_tags", "contact_identities", "contacts",
    ):  # fmt: skip
        op.execute(f"drop table {table}")
    op.execute("drop function contact_searchable")
