"""Since when a campaign runs, the last pause ended: speed is measured from there."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table campaigns add column running_since timestamptz")


def downgrade() -> None:
    op.execute("alter table campaigns drop column running_since")
