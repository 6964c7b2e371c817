create table passkey (
    organization_id text not null, id text not null, version integer not null, user_id text not null,
    document text not null,
    primary key (organization_id, id)
) without rowid;
create index passkey_of_user on passkey (organization_id, user_id);
