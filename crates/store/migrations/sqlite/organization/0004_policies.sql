create table policy_set (
    organization_id text not null, version integer not null, document text not null,
    primary key (organization_id, version)
) without rowid;
