-- Programs that people let in by OAuth 2.1, and what they have been allowed.
create table oauth_client (
    id text collate "C" primary key,
    kind text collate "C" not null,
    -- Of a machine's client; others belong to none.
    organization_id text collate "C" references organization (id),
    created_at bigint not null,
    used_at bigint,
    document text collate "C" not null
);
create index oauth_client_kind on oauth_client (kind, created_at);
create table oauth_grant (
    id text collate "C" primary key,
    client_id text collate "C" not null,
    organization_id text collate "C" not null references organization (id),
    user_id text collate "C" not null references app_user (id),
    created_at bigint not null,
    -- When the client has redeemed its code: before, nobody holds anything.
    activated_at bigint,
    expires_at bigint not null,
    revoked_at bigint,
    last_used_at bigint,
    document text collate "C" not null
);
create index oauth_grant_organization on oauth_grant (organization_id, id);
create index oauth_grant_user on oauth_grant (user_id, id);
create index oauth_grant_client on oauth_grant (client_id);
create table oauth_code (
    hash text collate "C" primary key,
    grant_id text collate "C" not null references oauth_grant (id) on delete cascade,
    client_id text collate "C" not null,
    redirect_uri text collate "C" not null,
    challenge text collate "C" not null,
    expires_at bigint not null,
    used_at bigint
);
create index oauth_code_grant on oauth_code (grant_id);
create table oauth_refresh (
    hash text collate "C" primary key,
    grant_id text collate "C" not null references oauth_grant (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null,
    rotated_at bigint
);
create index oauth_refresh_grant on oauth_refresh (grant_id);
create table oauth_key (
    id text collate "C" primary key,
    created_at bigint not null
);
-- Assertions that were taken, until they would have run out.
create table oauth_assertion (
    hash text collate "C" primary key,
    expires_at bigint not null
);
