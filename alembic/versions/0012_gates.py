"""A campaign under way holds its template as it holds its channel."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

FENCED = ("campaigns", "gates")


def upgrade() -> None:
    op.execute("alter table gates add column holds_template_id uuid")
    # The owner is bound by row-level security as well, but for the length of this.
    for table in FENCED:
        op.execute(f"alter table {table} no force row level security")
    op.execute(
        """update gates g set holds_template_id = c.template_id from campaigns c
           where c.tenant_id = g.tenant_id and c.gate_id = g.id and c.status in ('running', 'pausing', 'paused')"""
    )
    for table in FENCED:
        op.execute(f"alter table {table} force row level security")


def downgrade() -> None:
    op.execute("alter table gates drop column holds_template_id")
