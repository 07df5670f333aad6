"""What the ground floor keeps: facts on their way, reactions, data keys, idempotency keys, periodic slots."""

from alembic import op

from engine.core.rls import protect, system_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TENANT = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid, id uuid not null,"


def upgrade() -> None:
    op.execute("grant usage on schema public to masteria_app, masteria_system")
    op.execute(
        f"""create table outbox ({TENANT}
            kind text not null, payload jsonb not null, created_at timestamptz not null default now(),
            constraint pk_outbox primary key (tenant_id, id))"""
    )
    op.execute("create index ix_outbox_id on outbox (id)")
    op.execute(
        f"""create table reactions ({TENANT}
            reaction text not null, kind text not null, payload jsonb not null,
            due_at timestamptz not null default now(), attempts integer not null default 0, last_error text,
            constraint pk_reactions primary key (tenant_id, id))"""
    )
    op.execute("create index ix_reactions_due_at on reactions (due_at)")
    op.execute(
        f"""create table data_keys ({TENANT}
            master_key_id text not null, wrapped bytea not null, uses bigint not null default 0,
            created_at timestamptz not null default now(), retired_at timestamptz,
            constraint pk_data_keys primary key (tenant_id, id))"""
    )
    op.execute(
        f"""create table idempotency_keys ({TENANT}
            user_id text not null, route text not null, key text not null, body_sha256 bytea not null,
            status integer, answer jsonb, created_at timestamptz not null default now(),
            constraint pk_idempotency_keys primary key (tenant_id, id),
            constraint uq_idempotency_keys_request unique (tenant_id, user_id, route, key))"""
    )
    op.execute("create index ix_idempotency_keys_created_at on idempotency_keys (created_at)")
    op.execute(
        """create table periodic_slots (
            job text not null, slot timestamptz not null, ran_at timestamptz not null default now(),
            constraint pk_periodic_slots primary key (job, slot))"""
    )
    for table in ("outbox", "reactions", "data_keys", "idempotency_keys"):
        for statement in protect(table):
            op.execute(statement)
    for statement in system_only("periodic_slots"):
        op.execute(statement)


def downgrade() -> None:
    for table in ("periodic_slots", "idempotency_keys", "data_keys", "reactions", "outbox"):
        op.execute(f"drop table {table}")
