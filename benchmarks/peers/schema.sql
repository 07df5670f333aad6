-- What the peers keep: people with what is sent to them, and ranges of them for the port of our design.
drop table if exists recipients, ranges, contacts, templates;
create table contacts (id bigint primary key, marketing_consent text not null default 'granted');
create table templates (id bigint primary key, category text not null);
insert into templates values (1, 'MARKETING');
create table recipients (
  id bigint generated always as identity primary key,
  campaign_id int not null,
  contact_id bigint not null,
  template_id bigint not null default 1,
  phone text not null,
  params jsonb not null,
  state smallint not null default 0, -- 0 queued, 1 marked, 2 sent, 3 skipped
  attempt smallint not null default 0,
  provider_id text,
  called_at timestamptz,
  sent_at timestamptz
) with (fillfactor = 80);
create index recipients_queue on recipients (campaign_id, id) where state < 2;
-- A receipt that does not name our key is found by it, and none may stand for two.
create unique index recipients_provider on recipients (provider_id) where provider_id is not null;
create table ranges (id bigint generated always as identity primary key, campaign_id int not null,
  first_id bigint not null, last_id bigint not null, lease_until timestamptz);
drop table if exists webhook_events;
create table webhook_events (
  id bigint generated always as identity primary key,
  event_key text not null unique,
  kind smallint not null,
  account text not null,
  payload jsonb not null,
  received_at timestamptz not null default now()
);
