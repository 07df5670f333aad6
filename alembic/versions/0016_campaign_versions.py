"""A campaign under way may be changed: which version it is, and how far what waits has been written anew.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "alter table campaigns add column version integer not null default 1, add column change_after uuid"
    )


def downgrade() -> None:
    op.execute("alter table campaigns drop column change_after, drop column version")
