create table agent (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null,
    name_folded text collate "C" not null, status text collate "C" not null, document text collate "C" not null,
    primary key (organization_id, id), unique (organization_id, name_folded)
);
alter table agent enable row level security;
alter table agent force row level security;
create policy one_organization on agent
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
-- The agent that acts for the person by the token.
alter table bearer_token add column agent_id text collate "C";
