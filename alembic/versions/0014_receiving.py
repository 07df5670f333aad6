"""What waits to be understood stands in a narrow table, and a channel is leased whole: webhooks are written once.

A webhook was updated twice, to lease it and to say that it was applied; each time all of it was written again, with
its four index entries. That cost four times what applying its status did. Now its row stays as it came, unless it
could not be understood.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

from engine.core.rls import system_only

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(statement)


def upgrade() -> None:
    op.execute(
        """create table webhook_due (
            channel_id uuid not null, id uuid not null, due_at timestamptz not null default now(),
            tries integer not null default 0,
            constraint pk_webhook_due primary key (channel_id, id))"""
    )
    op.execute(
        """create table webhook_leases (
            channel_id uuid not null, lease_until timestamptz not null, strikes integer not null default 1,
            constraint pk_webhook_leases primary key (channel_id)) with (fillfactor = 50)"""
    )
    for table in ("webhook_due", "webhook_leases"):
        _run(system_only(table))
    op.execute(
        """insert into webhook_due (channel_id, id, due_at, tries)
           select channel_id, id, due_at, tries from webhook_journal where status = 'pending'"""
    )
    for index in ("pending", "leased", "received"):
        op.drop_index(f"ix_webhook_journal_{index}", "webhook_journal")
    op.execute("alter table webhook_journal drop constraint ck_webhook_journal_status")
    op.execute("update webhook_journal set status = 'taken' where status in ('pending', 'applied')")
    op.execute("alter table webhook_journal alter column status set default 'taken'")
    op.execute(
        """alter table webhook_journal
           add constraint ck_webhook_journal_status check (status in ('taken', 'quarantined', 'failed'))"""
    )
    for column in ("tries", "due_at", "lease_until", "applied_at"):
        op.drop_column("webhook_journal", column)
    op.execute("create index ix_webhook_journal_odd on webhook_journal (status, id) where status <> 'taken'")


def downgrade() -> None:
    op.drop_index("ix_webhook_journal_odd", "webhook_journal")
    op.execute(
        """alter table webhook_journal add column tries integer not null default 0,
             add column due_at timestamptz not null default now(), add column lease_until timestamptz,
             add column applied_at timestamptz"""
    )
    op.execute("alter table webhook_journal drop constraint ck_webhook_journal_status")
    op.execute("alter table webhook_journal alter column status set default 'pending'")
    op.execute(
        """update webhook_journal j set status = case when d.id is null then 'applied' else 'pending' end,
             tries = coalesce(d.tries, 0)
           from webhook_journal o left join webhook_due d on d.channel_id = o.channel_id and d.id = o.id
           where o.id = j.id and j.status = 'taken'"""
    )
    op.execute(
        """alter table webhook_journal add constraint ck_webhook_journal_status
           check (status in ('pending', 'applied', 'quarantined', 'failed'))"""
    )
    op.execute(
        "create index ix_webhook_journal_pending on webhook_journal (channel_id, due_at, id) where status = 'pending'"
    )
    op.execute(
        """create index ix_webhook_journal_leased on webhook_journal (channel_id, lease_until)
           where status = 'pending' and lease_until is not null"""
    )
    op.execute(
        "create index ix_webhook_journal_received on webhook_journal (received_at) where status <> 'pending'"
    )
    op.drop_table("webhook_leases")
    op.drop_table("webhook_due")
