//! Enterprise-managed authorization: an identity provider has decided which client may act for which of its people, and says so by
//! an Identity Assertion JWT Authorization Grant (draft-ietf-oauth-identity-assertion-authz-grant); nobody is asked in a browser.
//! Only providers that an organization has switched to it are believed, and only as far as who, which client, for what and how
//! long. What the person may do is read here at each call, and ends there too.

use domain::audit::AuditReference;
use domain::id::{IdentityProviderId, TokenId};
use domain::oauth::{Client, ClientAuthentication, ErrorCode, Grant, Resource, Scope, scopes_of};
use domain::org::{OrgStatus, User, UserStatus};
use domain::permission::MembershipStatus;
use domain::record::RecordType;
use serde_json::Value;
use store::ProviderLookup;

use super::{IDENTITY_ASSERTION_SECONDS_MAX, OAuthError, Tokens};
use crate::bearer::{Claims, SKEW_SECONDS, claimed_issuer, seconds, speaks_of, texts};
use crate::outside::Subject;
use crate::{AuthError, Identity, oidc};

/// Media types of such an assertion (RFC 8725, 3.11). No other token of a provider passes for one.
const TYPES: [&str; 2] = ["oauth-id-jag+jwt", "application/oauth-id-jag+jwt"];

const fn disbelieved() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidGrant,
        "the assertion is not one for this client by an identity provider that is trusted with that, or was used already",
    )
}

const fn not_ours() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidTarget,
        "the resource is none of this server's, or not the one of the assertion",
    )
}

fn lifted(error: AuthError) -> OAuthError {
    match error {
        AuthError::Fault(fault) => fault.into(),
        _ => disbelieved(),
    }
}

/// Whom an assertion is about in one organization.
struct Vouched {
    found: ProviderLookup,
    user: User,
    /// Whether that was known before.
    linked: bool,
}

impl Identity {
    /// Gives a client tokens for what an identity provider has decided. There is no refresh token: the provider is asked again.
    ///
    /// # Errors
    /// `unauthorized_client`, `invalid_grant`, `invalid_target`, `invalid_scope`.
    pub async fn admit_by_provider(
        &self,
        client: &Client,
        assertion: &str,
        scope: Option<&str>,
        resource: Option<&str>,
    ) -> Result<Tokens, OAuthError> {
        // The draft, 8.1; and what an agent narrows is not to be had without it.
        if client.authentication == ClientAuthentication::None || client.machine.is_some() {
            return Err(OAuthError::new(
                ErrorCode::UnauthorizedClient,
                "only a client that people let in and that proves who it is may bring an assertion",
            ));
        }
        let issuer = claimed_issuer(assertion).ok_or(disbelieved())?;
        let mut trusted = self.parts.store.directory().identity_providers_by(&issuer).await?;
        trusted.retain(|found| {
            found.provider.accept_identity_assertions && found.organization.status == OrgStatus::Active
        });
        if trusted.is_empty() {
            return Err(disbelieved());
        }
        let typed = |typ: Option<&str>| typ.is_some_and(|typ| TYPES.contains(&typ));
        let claims = self.signed_claims(assertion, &issuer, typed).await.map_err(lifted)?;
        let once = self.assertion_for(client, &issuer, &claims)?;
        let target = self.target(&claims, resource)?;
        trusted.retain(|found| {
            let named = match &target {
                Resource::Organization(slug) => found.organization.slug == *slug,
                Resource::Main | Resource::Readonly => true,
            };
            named && speaks_of(&claims, found)
        });
        let scopes = granted(&claims, scope, &target)?;
        let vouched = self.vouched(trusted, &claims).await?;
        if !vouched.linked {
            let key = oidc::subject(&vouched.found.provider, &claims).map_err(lifted)?.key;
            let ProviderLookup { provider, organization } = &vouched.found;
            self.link_member(provider, organization, &vouched.user, key).await.map_err(lifted)?;
        }
        let (name, ends) = once;
        if !self.parts.store.directory().take_assertion(&name, ends).await? {
            return Err(disbelieved());
        }
        self.admit_vouched(client, vouched, scopes, &target).await
    }

    /// Checks when and for whom it is; the name under which it is good once, and until when.
    fn assertion_for(
        &self,
        client: &Client,
        issuer: &str,
        claims: &Claims,
    ) -> Result<(domain::digest::Digest, domain::time::Timestamp), OAuthError> {
        self.check_times(claims).map_err(lifted)?;
        let now = self.now().0.div_euclid(domain::time::MICROS_PER_SECOND);
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(ends), Some(_), Some(jti)) = (seconds(claims, "exp"), seconds(claims, "iat"), text("jti"))
        else {
            return Err(disbelieved());
        };
        let short = ends <= now + IDENTITY_ASSERTION_SECONDS_MAX + SKEW_SECONDS;
        let ours = texts(claims, "aud") == [self.issuer()];
        // One that is bound to a key is not for whoever brings it.
        if !short || !ours || text("client_id") != Some(client.id.as_str()) || claims.contains_key("cnf") {
            return Err(disbelieved());
        }
        let parts: [&[u8]; 5] = [b"identity assertion\n", issuer.as_bytes(), b"\n", jti.as_bytes(), b"\n"];
        let until = domain::time::Timestamp(0).plus_seconds(ends.saturating_add(SKEW_SECONDS));
        Ok((domain::digest::Digest::of_parts(&parts), until))
    }

    /// What the token is to be for: what the assertion says; where it is silent, what the client asks.
    fn target(&self, claims: &Claims, asked: Option<&str>) -> Result<Resource, OAuthError> {
        let parsed = |text: &str| Resource::parse(self.issuer(), text).ok_or(not_ours());
        let asked = asked.map(parsed).transpose()?;
        let said = match (claims.contains_key("resource"), texts(claims, "resource").as_slice()) {
            (false, _) => None,
            (true, [one]) => Some(parsed(one)?),
            (true, _) => return Err(not_ours()),
        };
        match (said, asked) {
            (Some(said), Some(asked)) if said != asked => Err(not_ours()),
            (Some(one), _) | (None, Some(one)) => Ok(one),
            (None, None) => Ok(Resource::Main),
        }
    }

    /// The one organization in which the assertion is about a member.
    async fn vouched(&self, trusted: Vec<ProviderLookup>, claims: &Claims) -> Result<Vouched, OAuthError> {
        let mut all = Vec::new();
        for found in trusted {
            let subject = oidc::subject(&found.provider, claims).map_err(lifted)?;
            all.extend(self.vouched_in(found, subject).await?);
        }
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(OAuthError::new(
                ErrorCode::InvalidTarget,
                "the person is a member of several organizations; name the resource of one, /t/{organization}/mcp",
            )),
            (None, _) => Err(OAuthError::new(
                ErrorCode::InvalidGrant,
                "the assertion is about nobody who is a member of an organization that trusts its issuer; it knows members by an \
                 earlier sign-in through it, or by a verified e-mail address of its domains",
            )),
        }
    }

    /// The active member whom a subject is: by the link of an earlier time, else by the e-mail address that the provider has
    /// verified and may speak for.
    async fn vouched_in(
        &self,
        found: ProviderLookup,
        subject: Subject,
    ) -> Result<Option<Vouched>, store::Fault> {
        let directory = self.parts.store.directory();
        let link = directory.identity_link(found.organization.id, &subject.key).await?;
        let linked = link.is_some();
        let user = match (link, subject.email) {
            (Some((_, user)), _) => Some(user),
            (None, Some(email)) => directory.user_by_email(&email).await?,
            (None, None) => None,
        };
        let may = |user: &User| user.status == UserStatus::Active && found.provider.speaks_for(&user.email);
        let Some(user) = user.filter(may) else { return Ok(None) };
        let org = self.parts.store.org(found.organization.id).await?;
        let membership = org.reader().membership(user.id).await?;
        let active = membership.is_some_and(|held| held.status == MembershipStatus::Active);
        Ok(active.then_some(Vouched { found, user, linked }))
    }

    async fn admit_vouched(
        &self,
        client: &Client,
        vouched: Vouched,
        scopes: Vec<Scope>,
        target: &Resource,
    ) -> Result<Tokens, OAuthError> {
        let now = self.now();
        let (provider, organization) = (vouched.found.provider.id, vouched.found.organization.id);
        let grant = Grant {
            id: TokenId::from_uuid(self.parts.ids.next()),
            client_id: client.id.clone(),
            client_name: client.name.clone(),
            organization_id: organization,
            user_id: vouched.user.id,
            agent_id: None,
            provider_id: Some(provider),
            team_id: None,
            scopes,
            audiences: target.audiences(self.issuer()),
            redirect_uri: String::new(),
            refreshes: false,
            created_at: now,
            expires_at: now.plus_seconds(self.parts.settings.access_token_seconds),
        };
        let mut draft = self.administered(Some(vouched.user.id), "allow_client_by_provider");
        draft.actor.provider_id = Some(provider);
        let named = |record_type, id: String| AuditReference { record_type, id };
        draft.references.push(named(RecordType::Token, grant.id.to_string()));
        draft.references.push(named(RecordType::IdentityProvider, provider.to_string()));
        self.commit(organization, &[], &[], draft).await.map_err(lifted)?;
        self.parts.store.directory().insert_active_grant(&grant).await?;
        self.tokens(&grant, &grant.scopes, None).await
    }

    /// Whether the provider by whose word a client was let in may still say so of its person. True of any other grant.
    pub(super) async fn is_vouched_for(
        &self,
        provider: Option<IdentityProviderId>,
        user: &User,
    ) -> Result<bool, store::Fault> {
        let Some(provider) = provider else { return Ok(true) };
        let found = self.parts.store.directory().identity_provider(provider).await?;
        Ok(found.is_some_and(|ProviderLookup { provider, .. }| {
            provider.is_usable() && provider.accept_identity_assertions && provider.speaks_for(&user.email)
        }))
    }
}

/// What the client gets of what it asks and the provider has said; silence of either is no narrowing.
fn granted(claims: &Claims, asked: Option<&str>, target: &Resource) -> Result<Vec<Scope>, OAuthError> {
    let mut scopes = vec![Scope::Read, Scope::Write];
    if claims.contains_key("scope") {
        let said = scopes_of(&texts(claims, "scope").join(" "));
        scopes.retain(|scope| said.contains(scope));
    }
    if let Some(asked) = asked.map(scopes_of) {
        scopes.retain(|scope| asked.contains(scope));
    }
    if *target == Resource::Readonly {
        scopes.retain(|scope| *scope != Scope::Write);
    }
    if scopes.is_empty() {
        return Err(OAuthError::new(ErrorCode::InvalidScope, "the assertion allows none of the scopes"));
    }
    Ok(scopes)
}
