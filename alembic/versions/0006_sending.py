"""Tries of a message, apart from the marks that fence its answers; the pair limit lives with the other rates in Redis."""

from alembic import op

from engine.core.rls import protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table messages add column tries smallint not null default 0")
    op.execute("drop table pair_limits")


def downgrade() -> None:
    op.execute("alter table messages drop column tries")
    op.execute(
        """create table pair_limits (
            tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid,
            channel_id uuid not null, address text not null, free_at timestamptz not null,
            constraint pk_pair_limits primary key (tenant_id, channel_id, address))"""
    )
    for statement in protect("pair_limits"):
        op.execute(statement)
