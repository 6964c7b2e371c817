-- Tokens of the organization's language model, by day (days since 1970-01-01, UTC).
create table model_use (
    organization_id text collate "C" not null, day bigint not null, tokens bigint not null,
    primary key (organization_id, day)
);
alter table model_use enable row level security;
alter table model_use force row level security;
create policy one_organization on model_use
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
