create table passkey (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null,
    user_id text collate "C" not null, document text collate "C" not null,
    primary key (organization_id, id)
);
create index passkey_of_user on passkey (organization_id, user_id);
alter table passkey enable row level security;
alter table passkey force row level security;
create policy one_organization on passkey
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
