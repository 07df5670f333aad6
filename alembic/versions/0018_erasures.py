"""Deletions and opt-outs are noted for a ledger outside the database, which is read after a restore.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

from engine.core.rls import protect

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TENANT_ID = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(
        f"""create table erasure_ledger ({TENANT_ID}, id uuid not null,
            kind text not null, contact_id uuid not null, into_id uuid, hashes bytea[] not null,
            at timestamptz not null default clock_timestamp(),
            constraint pk_erasure_ledger primary key (tenant_id, id),
            constraint ck_erasure_ledger_kind check (kind in ('erased', 'merged', 'opted_out', 'opted_in')))"""
    )
    # Who wrote a line can't take it back: only the job that has copied it into the file deletes it.
    for statement in protect("erasure_ledger", app="select, insert"):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("erasure_ledger")
