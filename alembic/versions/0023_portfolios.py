"""A channel keeps which portfolio owns its account: the limit of people a day is the portfolio's.

Revision ID: 0023
Revises: 0022
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table channels add column business text")


def downgrade() -> None:
    op.execute("alter table channels drop column business")
