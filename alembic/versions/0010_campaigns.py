"""Campaigns have no lease: who writes their pages holds a lock for as long as a page takes."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table campaigns drop column lease_until")


def downgrade() -> None:
    op.execute("alter table campaigns add column lease_until timestamptz")
