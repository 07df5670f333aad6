"""Whose turn it is: what a company holds is counted without looking at what waits.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index ix_due_sends_held on due_sends (tenant_id, channel_id) where holder is not null")


def downgrade() -> None:
    op.execute("drop index ix_due_sends_held")
