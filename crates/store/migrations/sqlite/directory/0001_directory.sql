create table organization (
    id text primary key,
    slug text not null unique,
    version integer not null,
    document text not null
);
create table app_user (
    id text primary key,
    email_folded text not null unique,
    status text not null,
    version integer not null,
    password_hash text,
    selected_organization_id text,
    document text not null
);
create table member (
    user_id text not null references app_user (id),
    organization_id text not null references organization (id),
    primary key (user_id, organization_id)
);
create table bearer_token (
    id text primary key,
    organization_id text not null references organization (id),
    user_id text not null references app_user (id),
    hash text not null unique,
    label text not null,
    scopes text not null,
    created_at integer not null,
    expires_at integer not null,
    revoked_at integer,
    last_used_at integer
);
create index bearer_token_organization on bearer_token (organization_id, id);
create table browser_session (
    id text primary key,
    hash text not null unique,
    user_id text not null references app_user (id),
    organization_id text references organization (id),
    csrf text not null,
    created_at integer not null,
    last_seen_at integer not null,
    expires_at integer not null
);
create index browser_session_user on browser_session (user_id);
create table lease (
    name text primary key,
    holder text not null,
    held_until integer not null
);
create table secret (
    name text primary key,
    value blob not null
);
