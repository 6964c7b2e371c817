alter table exception_record add column status text collate "C" not null default '';
alter table exception_record add column expires_at bigint not null default 0;
create index exception_record_end on exception_record (organization_id, status, expires_at);
create table release_check (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    team_id text collate "C" not null, status text collate "C" not null, document text collate "C" not null, primary key (organization_id, id),
    foreign key (organization_id, release_id) references release (organization_id, id)
);
create index release_check_release on release_check (organization_id, release_id, id);
create table gate (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    name_folded text collate "C" not null, document text collate "C" not null, primary key (organization_id, id),
    foreign key (organization_id, release_id) references release (organization_id, id)
);
create unique index gate_name on gate (organization_id, release_id, name_folded);
create table rollback_decision (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    status text collate "C" not null, document text collate "C" not null, primary key (organization_id, id),
    foreign key (organization_id, release_id) references release (organization_id, id)
);
create unique index rollback_decision_release on rollback_decision (organization_id, release_id);
alter table release_check enable row level security;
alter table release_check force row level security;
create policy one_organization on release_check
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table gate enable row level security;
alter table gate force row level security;
create policy one_organization on gate
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table rollback_decision enable row level security;
alter table rollback_decision force row level security;
create policy one_organization on rollback_decision
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
