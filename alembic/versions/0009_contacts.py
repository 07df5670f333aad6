"""Imports take turns, and a keyed answer is kept as the bytes that were sent."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """alter table contact_imports add column tries smallint not null default 0,
           add column waits_since timestamptz not null default now()"""
    )
    op.execute(
        """alter table idempotency_keys
           alter column answer type bytea using convert_to(answer::text, 'UTF8')"""
    )


def downgrade() -> None:
    # An answer without a body is no JSON.
    op.execute(
        """alter table idempotency_keys alter column answer type jsonb
           using coalesce(nullif(convert_from(answer, 'UTF8'), ''), '{}')::jsonb"""
    )
    op.execute("alter table contact_imports drop column tries, drop column waits_since")
