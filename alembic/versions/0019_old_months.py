"""A month of messages may go: recipients keep how theirs ended, and who may see to it drops the partition.

Revision ID: 0019
Revises: 0018
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """alter table campaign_recipients
           add column ended_as text, add column ended_code text, add column ended_provider_code text"""
    )
    # Only a month's own partition, by its own name, and nothing that is still to come.
    op.execute(
        """create function drop_message_partition(month date) returns void
           language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
           declare
             name text := 'messages_' || to_char(month, 'YYYYMM');
           begin
             if date_trunc('month', month) >= date_trunc('month', now() at time zone 'UTC') - interval '1 month' then
               raise exception 'the month % is in use', to_char(month, 'YYYY-MM');
             end if;
             if exists (select from pg_inherits
                        where inhrelid = to_regclass('public.' || name) and inhparent = 'public.messages'::regclass) then
               execute format('drop table public.%I', name);
             end if;
           end $$"""
    )
    op.execute("revoke execute on function drop_message_partition(date) from public")
    op.execute("grant execute on function drop_message_partition(date) to masteria_system")


def downgrade() -> None:
    op.execute("drop function drop_message_partition(date)")
    op.execute(
        """alter table campaign_recipients
           drop column ended_provider_code, drop column ended_code, drop column ended_as"""
    )
