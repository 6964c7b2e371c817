create table identity_provider (
    id text primary key,
    organization_id text not null references organization (id),
    issuer text not null,
    enabled integer not null,
    version integer not null,
    document text not null
);
create index identity_provider_organization on identity_provider (organization_id, id);
create index identity_provider_issuer on identity_provider (issuer);
-- The e-mail domains that a provider that can be used is asked for.
create table identity_provider_domain (
    domain text not null,
    provider_id text not null references identity_provider (id),
    primary key (domain, provider_id)
);
-- That a subject of an issuer is a person, in one organization.
create table identity_link (
    organization_id text not null references organization (id),
    link_key text not null,
    user_id text not null references app_user (id),
    version integer not null,
    document text not null,
    primary key (organization_id, link_key)
);
-- Sign-ins that were begun: good once, for minutes.
create table begun_sign_in (
    state text primary key,
    browser text not null,
    provider_id text not null,
    nonce text not null,
    pkce_verifier text not null,
    next text not null,
    expires_at integer not null
);
-- The provider that a session was made through; such a session works in the provider's organization alone.
alter table browser_session add column provider_id text;
