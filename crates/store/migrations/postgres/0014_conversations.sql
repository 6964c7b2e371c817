-- What people and the assistant have said to each other: each person's own.
create table conversation (
    organization_id text collate "C" not null, id text collate "C" not null, user_id text collate "C" not null,
    title text collate "C" not null, turns bigint not null, created_at bigint not null, updated_at bigint not null,
    primary key (organization_id, id)
);
create index conversation_of_user on conversation (organization_id, user_id, updated_at);
create table conversation_turn (
    organization_id text collate "C" not null, conversation_id text collate "C" not null, position bigint not null,
    document text collate "C" not null,
    primary key (organization_id, conversation_id, position),
    foreign key (organization_id, conversation_id) references conversation (organization_id, id)
);
alter table conversation enable row level security;
alter table conversation force row level security;
create policy one_organization on conversation
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table conversation_turn enable row level security;
alter table conversation_turn force row level security;
create policy one_organization on conversation_turn
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
