"""When a word on consent was said; what a message costs; revisions of counters; snapshots found by their template."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table consents add column said_at timestamptz")
    # What was recorded was said then, as far as anybody knows. An UPDATE would change nothing: the owner of a table
    # sees no tenant's rows. A new type rewrites them all.
    op.execute("alter table consents alter column said_at type timestamptz using recorded_at")
    op.execute(
        "alter table consents alter column said_at set default now(), alter column said_at set not null"
    )
    # No index: the columns come with a status, and updates of a message stay heap-only.
    op.execute(
        "alter table messages add column price_category text, add column price_type text, add column billable boolean"
    )
    op.execute("alter table activity add column revision bigint not null default 1")
    op.execute(
        "create index ix_template_snapshots_template on template_snapshots (tenant_id, template_id, id)"
    )


def downgrade() -> None:
    op.execute("drop index ix_template_snapshots_template")
    op.execute("alter table activity drop column revision")
    op.execute(
        "alter table messages drop column price_category, drop column price_type, drop column billable"
    )
    op.execute("alter table consents drop column said_at")
