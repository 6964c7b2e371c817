-- Changes of the directory, written down in the commit of the action they are part of; applied: carried over.
create table directory_change (
    organization_id text collate "C" not null, record_type text collate "C" not null, record_id text collate "C" not null,
    version bigint not null, applied bigint not null, document text collate "C" not null,
    primary key (organization_id, record_type, record_id, version)
);
create index directory_change_pending on directory_change (organization_id, applied);
alter table directory_change enable row level security;
alter table directory_change force row level security;
create policy one_organization on directory_change
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
