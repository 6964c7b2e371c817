-- Who is told of events, and what is on its way to them: written in the commit that it speaks of.
create table webhook (
    organization_id text not null, id text not null, version integer not null, enabled integer not null, kinds text not null,
    document text not null, primary key (organization_id, id)
) without rowid;
create table outbox (
    organization_id text not null, webhook_id text not null, event_id text not null, kind text not null, status text not null,
    due_at integer not null, attempts integer not null, failure text, delivered_at integer, document text not null,
    primary key (organization_id, webhook_id, event_id),
    foreign key (organization_id, webhook_id) references webhook (organization_id, id)
) without rowid;
create index outbox_due on outbox (organization_id, webhook_id, status, due_at);
