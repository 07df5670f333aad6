"""Messages and snapshots that are asked for by their key are found by their key's index and by no other.

A month that is new has no statistics. The planner then took (tenant_id, contact_id, id) to be as good as the key's own
index for `id = any(...)`, and leapt through it from contact to contact: each batch read the whole of it.

Revision ID: 0020
Revises: 0019
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("drop index ix_messages_contact")
    op.execute(
        """create index ix_messages_contact on messages (tenant_id, contact_id, id)
           where contact_id is not null"""
    )
    op.execute("drop index ix_template_snapshots_template")
    op.execute(
        """create index ix_template_snapshots_template on template_snapshots (tenant_id, template_id, id)
           where template_id is not null"""
    )


def downgrade() -> None:
    op.execute("drop index ix_messages_contact")
    op.execute("create index ix_messages_contact on messages (tenant_id, contact_id, id)")
    op.execute("drop index ix_template_snapshots_template")
    op.execute(
        "create index ix_template_snapshots_template on template_snapshots (tenant_id, template_id, id)"
    )
