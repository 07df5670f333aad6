"""Campaigns with pages to write are marked, hold their channel, and know how far a retry has come; files to forget."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

FENCED = ("campaigns", "gates", "message_tallies")


def upgrade() -> None:
    op.execute("alter table gates add column holds_channel_id uuid")
    op.execute("alter table campaigns add column unfinished boolean not null default false")
    op.execute("alter table campaigns add column retry_after uuid")
    _mark_what_is_there()
    op.execute("create index ix_campaigns_unfinished on campaigns (tenant_id, id) where unfinished")
    op.execute(
        "create index ix_media_files_forgotten on media_files (id) where status = 'failed' and path is not null"
    )


def _mark_what_is_there() -> None:
    """The owner is bound by row-level security as well, but for the length of this."""
    for table in FENCED:
        op.execute(f"alter table {table} no force row level security")
    op.execute(
        """update gates g set holds_channel_id = c.channel_id from campaigns c
           where c.tenant_id = g.tenant_id and c.gate_id = g.id and c.status in ('running', 'pausing', 'paused')"""
    )
    op.execute(
        """update campaigns c set unfinished = true
           where (c.status in ('running', 'pausing', 'paused') and c.frozen_at is null and c.snapshot_id is not null)
              or (c.status = 'cancelled' and exists (
                    select from message_tallies t where t.tenant_id = c.tenant_id and t.gate_id = c.gate_id
                      and t.state = 'queued' and t.n > 0))"""
    )
    for table in FENCED:
        op.execute(f"alter table {table} force row level security")


def downgrade() -> None:
    op.execute("drop index ix_media_files_forgotten")
    op.execute("drop index ix_campaigns_unfinished")
    op.execute("alter table campaigns drop column retry_after")
    op.execute("alter table campaigns drop column unfinished")
    op.execute("alter table gates drop column holds_channel_id")
