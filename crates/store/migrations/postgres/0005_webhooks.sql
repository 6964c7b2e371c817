-- Who is told of events, and what is on its way to them: written in the commit that it speaks of.
create table webhook (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, enabled bigint not null,
    kinds text collate "C" not null, document text collate "C" not null, primary key (organization_id, id)
);
create table outbox (
    organization_id text collate "C" not null, webhook_id text collate "C" not null, event_id text collate "C" not null,
    kind text collate "C" not null, status text collate "C" not null, due_at bigint not null, attempts bigint not null,
    failure text collate "C", delivered_at bigint, document text collate "C" not null,
    primary key (organization_id, webhook_id, event_id),
    foreign key (organization_id, webhook_id) references webhook (organization_id, id)
);
create index outbox_due on outbox (organization_id, webhook_id, status, due_at);
alter table webhook enable row level security;
alter table webhook force row level security;
create policy one_organization on webhook
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table outbox enable row level security;
alter table outbox force row level security;
create policy one_organization on outbox
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
