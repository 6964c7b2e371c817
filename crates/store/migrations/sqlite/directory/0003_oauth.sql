-- Programs that people let in by OAuth 2.1, and what they have been allowed.
create table oauth_client (
    id text primary key,
    kind text not null,
    -- Of a machine's client; others belong to none.
    organization_id text references organization (id),
    created_at integer not null,
    used_at integer,
    document text not null
);
create index oauth_client_kind on oauth_client (kind, created_at);
create table oauth_grant (
    id text primary key,
    client_id text not null,
    organization_id text not null references organization (id),
    user_id text not null references app_user (id),
    created_at integer not null,
    -- When the client has redeemed its code: before, nobody holds anything.
    activated_at integer,
    expires_at integer not null,
    revoked_at integer,
    last_used_at integer,
    document text not null
);
create index oauth_grant_organization on oauth_grant (organization_id, id);
create index oauth_grant_user on oauth_grant (user_id, id);
create index oauth_grant_client on oauth_grant (client_id);
create table oauth_code (
    hash text primary key,
    grant_id text not null references oauth_grant (id) on delete cascade,
    client_id text not null,
    redirect_uri text not null,
    challenge text not null,
    expires_at integer not null,
    used_at integer
);
create index oauth_code_grant on oauth_code (grant_id);
create table oauth_refresh (
    hash text primary key,
    grant_id text not null references oauth_grant (id) on delete cascade,
    created_at integer not null,
    expires_at integer not null,
    rotated_at integer
);
create index oauth_refresh_grant on oauth_refresh (grant_id);
create table oauth_key (
    id text primary key,
    created_at integer not null
);
-- Assertions that were taken, until they would have run out.
create table oauth_assertion (
    hash text primary key,
    expires_at integer not null
);
