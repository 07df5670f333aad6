"""What is only ever looked up by its key is analysed when it has doubled, not each time that a campaign has added to it.

Provider ids and a campaign's recipients are written once for each message. At a fifth of the rows each large campaign had
both sampled anew, which cost as much processor time as the leases of all its messages together.

Revision ID: 0022
Revises: 0021
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = ("provider_messages", "campaign_recipients")
SELDOM = "autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 1"


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"alter table {table} set ({SELDOM})")


def downgrade() -> None:
    for table in TABLES:
        op.execute(
            f"alter table {table} reset (autovacuum_analyze_threshold, autovacuum_analyze_scale_factor)"
        )
