alter table exception_record add column status text not null default '';
alter table exception_record add column expires_at integer not null default 0;
create index exception_record_end on exception_record (organization_id, status, expires_at);
create table release_check (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    team_id text not null, status text not null, document text not null, primary key (organization_id, id),
    foreign key (organization_id, release_id) references release (organization_id, id)
);
create index release_check_release on release_check (organization_id, release_id, id);
create table gate (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    name_folded text not null, document text not null, primary key (organization_id, id),
    foreign key (organization_id, release_id) references release (organization_id, id)
);
create unique index gate_name on gate (organization_id, release_id, name_folded);
create table rollback_decision (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    status text not null, document text not null, primary key (organization_id, id),
    foreign key (organization_id, release_id) references release (organization_id, id)
);
create unique index rollback_decision_release on rollback_decision (organization_id, release_id);
