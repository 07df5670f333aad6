"""Campaigns and the people in them."""

from alembic import op

from engine.core.rls import protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TENANT = "tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid, id uuid not null,"


def upgrade() -> None:
    op.execute(
        f"""create table campaigns ({TENANT}
            name text not null, channel_id uuid not null, template_id uuid not null, audience jsonb not null,
            variables jsonb not null default '{{}}', status text not null default 'draft',
            scheduled_at timestamptz, gate_id uuid not null, snapshot_id uuid,
            freeze_after uuid, frozen_at timestamptz, lease_until timestamptz, excluded jsonb not null default '{{}}',
            recipients bigint not null default 0, replied bigint not null default 0,
            pause_reason text, started_at timestamptz, paused_at timestamptz, completed_at timestamptz,
            created_by uuid, revision bigint not null default 1, created_at timestamptz not null default now(),
            constraint pk_campaigns primary key (tenant_id, id),
            constraint ck_campaigns_status check (status in
                ('draft', 'scheduled', 'running', 'pausing', 'paused', 'completed', 'cancelled')),
            constraint fk_campaigns_channel foreign key (tenant_id, channel_id) references channels (tenant_id, id),
            constraint fk_campaigns_template foreign key (tenant_id, template_id) references templates (tenant_id, id),
            constraint fk_campaigns_gate foreign key (tenant_id, gate_id) references gates (tenant_id, id))"""
    )
    op.execute(
        "create index ix_campaigns_active on campaigns (status) where status in ('scheduled', 'running', 'pausing')"
    )
    op.execute(
        f"""create table campaign_recipients ({TENANT}
            campaign_id uuid not null, contact_id uuid, address text, message_id uuid, excluded text,
            excluded_detail text, replied_at timestamptz,
            constraint pk_campaign_recipients primary key (tenant_id, id),
            constraint fk_campaign_recipients_campaign foreign key (tenant_id, campaign_id)
                references campaigns (tenant_id, id) on delete cascade)"""
    )
    op.execute(
        """create unique index uq_campaign_recipients_contact on campaign_recipients
           (tenant_id, campaign_id, contact_id)"""
    )
    op.execute(
        """create unique index uq_campaign_recipients_address on campaign_recipients (tenant_id, campaign_id, address)
           where excluded is null"""
    )
    op.execute("create index ix_campaign_recipients_page on campaign_recipients (tenant_id, campaign_id, id)")
    op.execute(
        "create index ix_campaign_recipients_contact on campaign_recipients (tenant_id, contact_id, id)"
    )
    op.execute(
        """create table campaign_pulses (
            tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid,
            campaign_id uuid not null, at timestamptz not null, counts jsonb not null,
            constraint pk_campaign_pulses primary key (tenant_id, campaign_id, at),
            constraint fk_campaign_pulses_campaign foreign key (tenant_id, campaign_id)
                references campaigns (tenant_id, id) on delete cascade)"""
    )
    for table in ("campaigns", "campaign_recipients", "campaign_pulses"):
        for statement in protect(table):
            op.execute(statement)


def downgrade() -> None:
    op.execute("drop table campaign_pulses")
    op.execute("drop table campaign_recipients")
    op.execute("drop table campaigns")
