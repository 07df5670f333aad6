"""Whom an account has begun to write to within a day, and how many that were in each ten minutes.

A person is a hash of their address: enough to know them again, and nothing to forget when they are deleted.

Revision ID: 0017
Revises: 0016
"""

from alembic import op

from engine.core.rls import protect

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_OWN = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    op.execute(
        f"""create table reached_people (
            {_OWN}, portfolio text not null, person bigint not null, at timestamptz not null default now(),
            constraint pk_reached_people primary key (tenant_id, portfolio, person)) with (fillfactor = 80)"""
    )
    op.execute(
        f"""create table reach_slots (
            {_OWN}, portfolio text not null, slot timestamptz not null, n integer not null,
            constraint pk_reach_slots primary key (tenant_id, portfolio, slot)) with (fillfactor = 50)"""
    )
    for table in ("reached_people", "reach_slots"):
        for statement in protect(table):
            op.execute(statement)


def downgrade() -> None:
    op.execute("drop table reach_slots")
    op.execute("drop table reached_people")
