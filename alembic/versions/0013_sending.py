"""Room in each page of messages for a whole page to be marked at once; campaigns are found by their gate.

A group of messages that lie side by side is marked in one transaction, so all rows of a page get a second version
before the first can be cleaned away. With less than half of the page filled they all fit in, and no index is touched.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_PARTITION = """
create or replace function ensure_message_partition(month date) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  name text := 'messages_' || to_char(month, 'YYYYMM');
  lower_bound uuid := message_id_floor(date_trunc('month', month)::timestamp at time zone 'UTC');
  upper_bound uuid := message_id_floor((date_trunc('month', month) + interval '1 month')::timestamp at time zone 'UTC');
begin
  if to_regclass('public.' || name) is null then
    execute format(
      'create table public.%I partition of public.messages for values from (%L) to (%L) with (fillfactor = <filled>)',
      name, lower_bound, upper_bound);
  end if;
end $$
"""

_FILL = """
do $$
declare
  partition regclass;
begin
  for partition in select inhrelid from pg_inherits where inhparent = 'public.messages'::regclass loop
    execute format('alter table %s set (fillfactor = <filled>)', partition);
  end loop;
end $$
"""


def _fill(percent: int) -> None:
    op.execute(_PARTITION.replace("<filled>", str(percent)))
    op.execute(_FILL.replace("<filled>", str(percent)))


def upgrade() -> None:
    _fill(45)
    op.create_index("ix_campaigns_gate", "campaigns", ["tenant_id", "gate_id"])


def downgrade() -> None:
    op.drop_index("ix_campaigns_gate", "campaigns")
    _fill(70)
