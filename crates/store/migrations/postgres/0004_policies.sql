create table policy_set (
    organization_id text collate "C" not null, version bigint not null, document text collate "C" not null,
    primary key (organization_id, version)
);
alter table policy_set enable row level security;
alter table policy_set force row level security;
create policy one_organization on policy_set
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
