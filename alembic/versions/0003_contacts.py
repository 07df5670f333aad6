"""People, their identities, tags, consent and imports."""

from alembic import op

from engine.core.rls import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TENANT = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid, id uuid not null,"
OWNER = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid,"


def upgrade() -> None:
    op.execute(
        f"""create table contacts ({TENANT}
            name text not null default '', phone text, fields jsonb not null default '{{}}',
            marketing_consent text not null default 'none',
            last_inbound_at timestamptz, revision bigint not null default 1,
            created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
            constraint pk_contacts primary key (tenant_id, id),
            constraint ck_contacts_marketing_consent check (marketing_consent in ('none', 'granted', 'withdrawn')))"""
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
    for table in (
        "contacts", "contact_identities", "contact_tags", "suppressions", "contact_imports", "import_rejects",
        "import_contacts",
    ):  # fmt: skip
        for statement in protect(table):
            op.execute(statement)
    # The consent log is append-only for the application (deleting a contact takes its rows along by the foreign key).
    for statement in protect("consents", app="select, insert"):
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "import_contacts", "import_rejects", "contact_imports", "suppressions", "consents", "contact_tags",
        "contact_identities", "contacts",
    ):  # fmt: skip
        op.execute(f"drop table {table}")
