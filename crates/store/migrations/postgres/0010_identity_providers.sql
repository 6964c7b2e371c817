create table identity_provider (
    id text collate "C" primary key,
    organization_id text collate "C" not null references organization (id),
    issuer text collate "C" not null,
    enabled bigint not null,
    version bigint not null,
    document text collate "C" not null
);
create index identity_provider_organization on identity_provider (organization_id, id);
create index identity_provider_issuer on identity_provider (issuer);
-- The e-mail domains that a provider that can be used is asked for.
create table identity_provider_domain (
    domain text collate "C" not null,
    provider_id text collate "C" not null references identity_provider (id),
    primary key (domain, provider_id)
);
-- That a subject of an issuer is a person, in one organization.
create table identity_link (
    organization_id text collate "C" not null references organization (id),
    link_key text collate "C" not null,
    user_id text collate "C" not null references app_user (id),
    version bigint not null,
    document text collate "C" not null,
    primary key (organization_id, link_key)
);
-- Sign-ins that were begun: good once, for minutes.
create table begun_sign_in (
    state text collate "C" primary key,
    browser text collate "C" not null,
    provider_id text collate "C" not null,
    nonce text collate "C" not null,
    pkce_verifier text collate "C" not null,
    next text collate "C" not null,
    expires_at bigint not null
);
-- The provider that a session was made through; such a session works in the provider's organization alone.
alter table browser_session add column provider_id text collate "C";
