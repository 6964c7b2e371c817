-- Changes of the directory, written down in the commit of the action they are part of; applied: carried over.
create table directory_change (
    organization_id text not null, record_type text not null, record_id text not null, version integer not null,
    applied integer not null, document text not null,
    primary key (organization_id, record_type, record_id, version)
) without rowid;
create index directory_change_pending on directory_change (organization_id, applied);
