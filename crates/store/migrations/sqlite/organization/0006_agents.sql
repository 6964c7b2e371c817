create table agent (
    organization_id text not null, id text not null, version integer not null, name_folded text not null,
    status text not null, document text not null,
    primary key (organization_id, id), unique (organization_id, name_folded)
) without rowid;
