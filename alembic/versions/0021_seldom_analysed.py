"""Months of messages are analysed when they have grown, not each time that their states have moved.

A message is updated some five times in its life, and PostgreSQL counts each for a change. At a twentieth of the rows the
sampling of a busy month began anew every quarter of a minute, and cost a tenth of what sending costs the server; what
is asked of messages while they are sent is asked by key, and needs no statistics.

Revision ID: 0021
Revises: 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

FILLED = "fillfactor = 45"
SELDOM = "autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 2, autovacuum_vacuum_scale_factor = 0.2"

_PARTITIONS = """
create or replace function ensure_message_partition(month date) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  name text := 'messages_' || to_char(month, 'YYYYMM');
  lower_bound uuid := message_id_floor(date_trunc('month', month)::timestamp at time zone 'UTC');
  upper_bound uuid := message_id_floor((date_trunc('month', month) + interval '1 month')::timestamp at time zone 'UTC');
begin
  if to_regclass('public.' || name) is null then
    execute format(
      'create table public.%I partition of public.messages for values from (%L) to (%L) with (<options>)',
      name, lower_bound, upper_bound);
  end if;
end $$
"""
_EACH = """
do $$
declare partition regclass;
begin
  for partition in select inhrelid::regclass from pg_inherits where inhparent = 'messages'::regclass loop
    execute format('alter table %s <change>', partition);
  end loop;
end $$
"""
_USUAL = (
    "reset (autovacuum_analyze_threshold, autovacuum_analyze_scale_factor, autovacuum_vacuum_scale_factor)"
)


def upgrade() -> None:
    op.execute(_PARTITIONS.replace("<options>", f"{FILLED}, {SELDOM}"))
    op.execute(_EACH.replace("<change>", f"set ({SELDOM})"))


def downgrade() -> None:
    op.execute(_PARTITIONS.replace("<options>", FILLED))
    op.execute(_EACH.replace("<change>", _USUAL))
