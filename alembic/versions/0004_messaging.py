"""Channels, templates, conversations, the send ledger and its due work, receipts, media, the webhook journal."""

from datetime import UTC, datetime

from alembic import op

from engine.core.ids import uuid7_floor
from engine.core.rls import protect, system_only

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OWNER = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid,"
TENANT = OWNER + " id uuid not null,"

STATES = (
    "'queued', 'dispatching', 'accepted', 'sent', 'delivered', 'read', 'failed', 'unknown', 'skipped', 'cancelled', "
    "'received'"
)


def upgrade() -> None:
    for build in (_channels, _templates, _conversations, _messages, _due_work, _counters, _intake):
        build()


def _channels() -> None:
    op.execute(
        f"""create table gates ({TENANT}
            is_open boolean not null default true, reason text, generation integer not null default 1,
            constraint pk_gates primary key (tenant_id, id))"""
    )
    op.execute(
        f"""create table channels ({TENANT}
            kind text not null, name text not null, environment text not null, status text not null,
            status_code text, status_detail text, account text not null, portfolio text not null default '',
            phone_number text, display_name text, quality text, messaging_limit text,
            rate_per_second integer not null default 80, gate_id uuid not null,
            credentials bytea not null, verify_token bytea not null,
            last_webhook_at timestamptz, last_sent_at timestamptz, checked_at timestamptz,
            revision bigint not null default 1, created_at timestamptz not null default now(), deleted_at timestamptz,
            constraint pk_channels primary key (tenant_id, id),
            constraint ck_channels_environment check (environment in ('live', 'sandbox')),
            constraint ck_channels_status check (status in ('connected', 'attention', 'paused')),
            constraint ck_channels_rate check (rate_per_second between 1 and 1000),
            constraint fk_channels_gate foreign key (tenant_id, gate_id) references gates (tenant_id, id))"""
    )
    op.execute(
        """create table channel_routes (
            channel_id uuid not null, tenant_id uuid not null, kind text not null, environment text not null,
            account text not null, portfolio text not null default '',
            constraint pk_channel_routes primary key (channel_id))"""
    )
    op.execute("create index ix_channel_routes_account on channel_routes (kind, account)")
    # A tenant makes and drops the routes of its own channels; intake, which has no tenant yet, reads them as system.
    for table in ("gates", "channels", "channel_routes"):
        _run(protect(table))


def _templates() -> None:
    op.execute(
        f"""create table templates ({TENANT}
            channel_id uuid not null, provider_id text, name text not null, language text not null,
            category text not null, status text not null, status_reason text, quality text,
            parameter_format text not null default 'POSITIONAL', components jsonb not null,
            revision bigint not null default 1, created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(), deleted_at timestamptz,
            constraint pk_templates primary key (tenant_id, id),
            constraint fk_templates_channel foreign key (tenant_id, channel_id) references channels (tenant_id, id))"""
    )
    op.execute(
        """create unique index uq_templates_name on templates (tenant_id, channel_id, name, language)
           where deleted_at is null"""
    )
    op.execute("create index ix_templates_provider on templates (tenant_id, provider_id)")
    op.execute(
        f"""create table template_snapshots ({TENANT}
            template_id uuid not null, channel_id uuid not null, name text not null, language text not null,
            category text not null, parameter_format text not null, components jsonb not null, variables jsonb not null,
            version integer not null default 1, created_at timestamptz not null default now(),
            constraint pk_template_snapshots primary key (tenant_id, id),
            constraint fk_template_snapshots_template foreign key (tenant_id, template_id)
                references templates (tenant_id, id))"""
    )
    for table in ("templates", "template_snapshots"):
        _run(protect(table))


def _conversations() -> None:
    op.execute(
        f"""create table conversations ({TENANT}
            channel_id uuid not null, contact_id uuid not null, status text not null default 'open',
            last_message_id uuid, last_message_at timestamptz not null default now(), last_message_text text,
            last_message_kind text, last_message_direction text, unread integer not null default 0,
            window_expires_at timestamptz, revision bigint not null default 1,
            created_at timestamptz not null default now(),
            constraint pk_conversations primary key (tenant_id, id),
            constraint uq_conversations_contact unique (tenant_id, channel_id, contact_id),
            constraint ck_conversations_status check (status in ('open', 'closed')),
            constraint fk_conversations_channel foreign key (tenant_id, channel_id) references channels (tenant_id, id),
            constraint fk_conversations_contact foreign key (tenant_id, contact_id)
                references contacts (tenant_id, id) on delete cascade)"""
    )
    op.execute(
        "create index ix_conversations_newest on conversations (tenant_id, last_message_at desc, id desc)"
    )
    _run(protect("conversations"))


def _messages() -> None:
    # fillfactor leaves room in each page for the three or four updates of a message's life, so that they stay HOT;
    # for the same reason no index holds, and no index predicate names, a column that a send or a receipt changes.
    op.execute(
        f"""create table messages ({TENANT}
            direction text not null, kind text not null, channel_id uuid not null, contact_id uuid,
            conversation_id uuid, gate_id uuid, origin text not null, origin_id uuid, snapshot_id uuid,
            address text not null, params jsonb, body text, payload jsonb, quoted_provider_id text,
            provider_id text, state text not null, counted boolean not null default true,
            work_id uuid, attempt integer not null default 0,
            reason_code text, reason jsonb,
            created_at timestamptz not null default now(), occurred_at timestamptz, called_at timestamptz,
            accepted_at timestamptz, sent_at timestamptz, delivered_at timestamptz, read_at timestamptz,
            failed_at timestamptz,
            constraint pk_messages primary key (tenant_id, id),
            constraint ck_messages_direction check (direction in ('in', 'out')),
            constraint ck_messages_state check (state in ({STATES}))
            ) partition by range (id)"""
    )
    op.execute(
        """create index ix_messages_conversation on messages (tenant_id, conversation_id, id)
           where conversation_id is not null"""
    )
    op.execute("create index ix_messages_contact on messages (tenant_id, contact_id, id)")
    _run(protect("messages"))
    op.execute(
        """create function ensure_message_partition(month date) returns void
           language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
           declare
             name text := 'messages_' || to_char(month, 'YYYYMM');
             lower_bound uuid := message_id_floor(date_trunc('month', month)::timestamp at time zone 'UTC');
             upper_bound uuid := message_id_floor((date_trunc('month', month) + interval '1 month')::timestamp at time zone 'UTC');
           begin
             if to_regclass('public.' || name) is null then
               execute format(
                 'create table public.%I partition of public.messages for values from (%L) to (%L) with (fillfactor = 70)',
                 name, lower_bound, upper_bound);
             end if;
           end $$"""
    )
    op.execute(
        """create function message_id_floor(instant timestamptz) returns uuid language sql immutable
           set search_path = pg_catalog as $$
           select (lpad(to_hex((extract(epoch from instant) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
           $$"""
    )
    op.execute("revoke execute on function ensure_message_partition(date) from public")
    op.execute("grant execute on function ensure_message_partition(date) to masteria_system")
    op.execute("create table messages_default partition of messages default with (fillfactor = 70)")
    op.execute("grant select, insert, update, delete on messages to masteria_system")
    first = datetime.now(UTC).date().replace(day=1)
    for ahead in range(-4, 4):
        month = (first.year * 12 + first.month - 1) + ahead
        op.execute(f"select ensure_message_partition('{month // 12:04d}-{month % 12 + 1:02d}-01')")
    if str(uuid7_floor(0)) != "00000000-0000-7000-8000-000000000000":
        raise RuntimeError("message_id_floor and engine.core.ids.uuid7_floor no longer agree")
    # What a partitioned table cannot promise: one row per provider id and channel, in both directions.
    op.execute(
        f"""create table provider_messages ({OWNER}
            channel_id uuid not null, provider_id text not null, message_id uuid not null,
            constraint pk_provider_messages primary key (tenant_id, channel_id, provider_id))"""
    )
    _run(protect("provider_messages"))


def _due_work() -> None:
    op.execute(
        f"""create table due_sends ({TENANT}
            channel_id uuid not null, gate_id uuid, lane smallint not null, due_at timestamptz not null default now(),
            first_id uuid not null, last_id uuid not null, amount integer not null,
            epoch integer not null default 0, lease_until timestamptz, holder text,
            constraint pk_due_sends primary key (tenant_id, id))"""
    )
    op.execute("create index ix_due_sends_due_at on due_sends (due_at)")
    op.execute("create index ix_due_sends_channel on due_sends (tenant_id, channel_id, lane, due_at, id)")
    op.execute("create index ix_due_sends_gate on due_sends (tenant_id, gate_id)")
    op.execute(
        f"""create table send_attempts ({TENANT}
            message_id uuid not null, attempt integer not null, called_at timestamptz not null,
            ended_at timestamptz not null default now(), verdict text not null, reason_code text, reason jsonb,
            constraint pk_send_attempts primary key (tenant_id, id))"""
    )
    op.execute("create index ix_send_attempts_message on send_attempts (tenant_id, message_id, id)")
    op.execute(
        f"""create table parked_receipts ({TENANT}
            channel_id uuid not null, provider_id text, send_key uuid, receipt jsonb not null,
            tries integer not null default 0, due_at timestamptz not null default now(),
            created_at timestamptz not null default now(),
            constraint pk_parked_receipts primary key (tenant_id, id))"""
    )
    op.execute(
        "create index ix_parked_receipts_provider on parked_receipts (tenant_id, channel_id, provider_id)"
    )
    op.execute("create index ix_parked_receipts_due_at on parked_receipts (due_at)")
    op.execute(
        f"""create table pair_limits ({OWNER}
            channel_id uuid not null, address text not null, free_at timestamptz not null,
            constraint pk_pair_limits primary key (tenant_id, channel_id, address))"""
    )
    for table in ("due_sends", "send_attempts", "parked_receipts", "pair_limits"):
        _run(protect(table))


def _counters() -> None:
    op.execute(
        f"""create table message_tallies ({OWNER}
            gate_id uuid not null, state text not null, n bigint not null,
            constraint pk_message_tallies primary key (tenant_id, gate_id, state)) with (fillfactor = 50)"""
    )
    op.execute(
        f"""create table activity ({OWNER}
            bucket timestamptz not null, channel_id uuid not null, measure text not null, n bigint not null,
            constraint pk_activity primary key (tenant_id, bucket, channel_id, measure)) with (fillfactor = 50)"""
    )
    for table in ("message_tallies", "activity"):
        _run(protect(table))


def _intake() -> None:
    op.execute(
        """create table webhook_journal (
            id uuid not null, channel_id uuid not null, tenant_id uuid, received_at timestamptz not null default now(),
            body bytea not null, digest bytea not null, status text not null default 'pending', tries integer not null default 0,
            due_at timestamptz not null default now(), lease_until timestamptz, error text, applied_at timestamptz,
            constraint pk_webhook_journal primary key (id),
            constraint uq_webhook_journal_body unique (channel_id, digest),
            constraint ck_webhook_journal_status check (status in ('pending', 'applied', 'quarantined', 'failed')))"""
    )
    op.execute(
        """create index ix_webhook_journal_pending on webhook_journal (channel_id, due_at, id)
           where status = 'pending'"""
    )
    op.execute(
        """create index ix_webhook_journal_leased on webhook_journal (channel_id, lease_until)
           where status = 'pending' and lease_until is not null"""
    )
    op.execute(
        """create index ix_webhook_journal_received on webhook_journal (received_at)
           where status <> 'pending'"""
    )
    _run(system_only("webhook_journal"))
    op.execute(
        f"""create table media_files ({TENANT}
            channel_id uuid not null, message_id uuid not null, provider_media_id text not null, url text,
            mime_type text, filename text, sha256 text, size bigint, path text, status text not null default 'pending',
            tries integer not null default 0, due_at timestamptz not null default now(), lease_until timestamptz,
            error text, created_at timestamptz not null default now(),
            constraint pk_media_files primary key (tenant_id, id),
            constraint ck_media_files_status check (status in ('pending', 'stored', 'failed')))"""
    )
    op.execute("create index ix_media_files_message on media_files (tenant_id, message_id)")
    op.execute("create index ix_media_files_pending on media_files (due_at) where status = 'pending'")
    _run(protect("media_files"))


def _run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "media_files", "webhook_journal", "activity", "message_tallies", "pair_limits", "parked_receipts",
        "send_attempts", "due_sends", "provider_messages", "messages", "conversations", "template_snapshots",
        "templates", "channel_routes", "channels", "gates",
    ):  # fmt: skip
        op.execute(f"drop table {table}")
    op.execute("drop function ensure_message_partition(date)")
    op.execute("drop function message_id_floor(timestamptz)")
