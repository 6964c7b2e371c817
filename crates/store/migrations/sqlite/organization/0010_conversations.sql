-- What people and the assistant have said to each other: each person's own.
create table conversation (
    organization_id text not null, id text not null, user_id text not null, title text not null, turns integer not null,
    created_at integer not null, updated_at integer not null,
    primary key (organization_id, id)
) without rowid;
create index conversation_of_user on conversation (organization_id, user_id, updated_at);
create table conversation_turn (
    organization_id text not null, conversation_id text not null, position integer not null, document text not null,
    primary key (organization_id, conversation_id, position),
    foreign key (organization_id, conversation_id) references conversation (organization_id, id)
) without rowid;
