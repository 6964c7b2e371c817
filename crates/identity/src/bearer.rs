//! Access tokens of issuers that an administrator has approved (RFC 9068, and what comes near it): whose they are and in which
//! organization. The token proves who somebody is and nothing more; what they may do is read here, afresh for each call.

use std::sync::Arc;

use domain::identity_provider::{IdentityLink, IdentityProvider};
use domain::org::{OrgStatus, Organization, User, UserStatus};
use domain::permission::{Permission, Permissions};
use domain::refusal::{Code, Refusal};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use store::{ProviderLookup, Standing};

use crate::issuer::{IssuerFailure, Published};
use crate::{Actor, AuthError, Credential, Identity, tenancy};

/// Bytes of a token that is looked at.
const TOKEN_BYTES_MAX: usize = 16_384;
/// Seconds by which the clocks of an issuer and of this server may differ.
pub(crate) const SKEW_SECONDS: i64 = 60;
/// Signatures that count: by private keys, over SHA-256 or better. Never `none`, never a shared secret.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
/// Kinds of tokens that access tokens may be: their own (RFC 9068, section 2.1), or the general one that most issuers write.
const TYPES: [&str; 3] = ["at+jwt", "application/at+jwt", "jwt"];

/// Claims by name; which ones matter depends on who approved the issuer.
pub(crate) type Claims = Map<String, Value>;

/// The issuer that a token says it is of, whether or not it is; nothing for what is no JWT.
pub(crate) fn claimed_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issued {
        iss: String,
    }
    let plain = token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if token.len() > TOKEN_BYTES_MAX || !plain || token.split('.').count() != 3 {
        return None;
    }
    jsonwebtoken::dangerous::insecure_decode_claims::<Issued>(token).ok().map(|issued| issued.iss)
}

/// The texts of a claim that is one text or a list of them.
pub(crate) fn texts(claims: &Claims, name: &str) -> Vec<String> {
    match claims.get(name) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// A moment in seconds since 1970 (RFC 7519, section 2).
pub(crate) fn seconds(claims: &Claims, name: &str) -> Option<i64> {
    claims.get(name).and_then(|at| at.as_i64().or_else(|| at.as_f64().map(|at| at as i64)))
}

/// The permissions among the scopes; without any, the token is not narrowed.
fn scopes(claims: &Claims) -> Permissions {
    let mut named = Permissions::NONE;
    for text in texts(claims, "scope").into_iter().chain(texts(claims, "scp")) {
        named = named.union(text.split(' ').filter_map(Permission::parse).collect());
    }
    if named.is_empty() { Permissions::EVERY } else { named }
}

/// An organization in which the token is good for something.
struct Choice {
    provider: IdentityProvider,
    organization: Organization,
    user: User,
    standing: Standing,
}

impl Identity {
    /// Recognises the bearer of an access token of an issuer that organizations have approved. `header` and `path` are what
    /// the request says about the organization.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] for anything that is not a usable token of an active member of an organization that approved its
    /// issuer; `Expired`; `tenant_required` when it is good in several organizations and none of them is named;
    /// `tenant_mismatch` when another is; `provider_unavailable` when the issuer's keys cannot be had.
    pub async fn outside_bearer(
        &self,
        token: &str,
        header: Option<&str>,
        path: Option<&str>,
    ) -> Result<Actor, AuthError> {
        let issuer = claimed_issuer(token).ok_or(AuthError::Invalid)?;
        let mut approved = self.parts.store.directory().identity_providers_by(&issuer).await?;
        approved.retain(|found| {
            found.provider.accept_access_tokens && found.organization.status == OrgStatus::Active
        });
        if approved.is_empty() {
            return Err(AuthError::Invalid);
        }
        let typed =
            |typ: Option<&str>| typ.is_none_or(|typ| TYPES.contains(&typ.to_ascii_lowercase().as_str()));
        let claims = self.signed_claims(token, &issuer, typed).await?;
        self.check_times(&claims)?;
        // A token bound to a key (RFC 7800) is not for whoever bears it.
        if claims.contains_key("cnf") {
            return Err(AuthError::Invalid);
        }
        let audiences = texts(&claims, "aud");
        approved.retain(|found| self.is_for_us(&audiences, &found.provider) && speaks_of(&claims, found));
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(AuthError::Invalid)?;
        let key = IdentityLink::key(&issuer, subject);
        let mut choices = Vec::new();
        for found in approved {
            choices.extend(self.choice(found, &key).await?);
        }
        let Choice { provider, organization, user, standing } = chosen(choices, header, path)?;
        let credential = Credential::Outside(provider.id);
        Ok(Actor::new(user, Arc::new(organization), standing, scopes(&claims), credential))
    }

    /// The claims of a token that the issuer signed; `typed` says which types of tokens it may have.
    pub(crate) async fn signed_claims(
        &self,
        token: &str,
        issuer: &str,
        typed: fn(Option<&str>) -> bool,
    ) -> Result<Claims, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Invalid)?;
        if !ALGORITHMS.contains(&header.alg) || !typed(header.typ.as_deref()) || header.crit.is_some() {
            return Err(AuthError::Invalid);
        }
        let mut published = self.published(issuer).await.map_err(unavailable)?;
        if published.key(header.kid.as_deref()).is_none() {
            published = self.published_later(issuer, &published).await.map_err(unavailable)?;
        }
        verify(token, &header, issuer, &published).ok_or(AuthError::Invalid)
    }

    pub(crate) fn check_times(&self, claims: &Claims) -> Result<(), AuthError> {
        let now = self.now().0 / domain::time::MICROS_PER_SECOND;
        let ends = seconds(claims, "exp").ok_or(AuthError::Invalid)?;
        if now >= ends.saturating_add(SKEW_SECONDS) {
            return Err(AuthError::Expired);
        }
        let begun = |name| seconds(claims, name).is_none_or(|at| at <= now.saturating_add(SKEW_SECONDS));
        if begun("nbf") && begun("iat") { Ok(()) } else { Err(AuthError::Invalid) }
    }

    /// Whether a token is meant for this server, or for the audience the organization has named.
    fn is_for_us(&self, audiences: &[String], provider: &IdentityProvider) -> bool {
        let base = &self.parts.settings.public_url;
        let ours = |audience: &String| {
            let rest = audience.strip_prefix(base.as_str());
            rest.is_some_and(|rest| matches!(rest, "" | "/" | "/mcp" | "/mcp/"))
                || Some(audience) == provider.access_token_audience.as_ref()
        };
        audiences.iter().any(ours)
    }

    async fn choice(
        &self,
        found: ProviderLookup,
        key: &domain::digest::Digest,
    ) -> Result<Option<Choice>, AuthError> {
        let ProviderLookup { provider, organization } = found;
        let linked = self.parts.store.directory().identity_link(organization.id, key).await?;
        let Some((_, user)) =
            linked.filter(|(_, user)| user.status == UserStatus::Active && provider.speaks_for(&user.email))
        else {
            return Ok(None);
        };
        let org = self.parts.store.org(organization.id).await?;
        let standing = org.reader().standing(user.id).await?;
        let standing = standing.filter(Standing::is_active);
        Ok(standing.map(|standing| Choice { provider, organization, user, standing }))
    }
}

/// Whether a token speaks of the organization of a provider: by the claim that was named for it, if one was.
pub(crate) fn speaks_of(claims: &Claims, found: &ProviderLookup) -> bool {
    let Some(claim) = &found.provider.tenant_claim else { return true };
    texts(claims, claim).iter().any(|name| tenancy::names(&found.organization, name))
}

fn verify(token: &str, header: &Header, issuer: &str, published: &Published) -> Option<Claims> {
    let key = published.key(header.kid.as_deref())?;
    // A key that says what it is for is used for nothing else.
    if key.common.key_algorithm.is_some_and(|alg| alg != header.alg.into()) {
        return None;
    }
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    // Times are checked by the clock that everything else is checked by, audiences by each organization's word.
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(key).ok()?;
    jsonwebtoken::decode::<Claims>(token, &key, &validation).ok().map(|token| token.claims)
}

fn unavailable(_: IssuerFailure) -> AuthError {
    AuthError::Refused(Refusal::new(
        Code::ProviderUnavailable,
        "the issuer of the token does not publish its keys at the moment",
        "Try again in a minute; an administrator can look at the identity provider in the console.",
    ))
}

/// The one organization in which the call is made.
fn chosen(mut choices: Vec<Choice>, header: Option<&str>, path: Option<&str>) -> Result<Choice, AuthError> {
    let slugs: Vec<String> = choices.iter().map(|choice| choice.organization.slug.clone()).collect();
    choices.retain(|choice| tenancy::agree(&choice.organization, header, path).is_ok());
    let several = choices.len() > 1;
    match choices.pop() {
        Some(choice) if !several => Ok(choice),
        Some(_) => Err(AuthError::Refused(Refusal::new(
            Code::TenantRequired,
            "the token is good in several organizations",
            format!("Name one of them in the LoopIQ-Organization header: {}.", slugs.join(", ")),
        ))),
        None if slugs.is_empty() => Err(AuthError::Invalid),
        None => Err(AuthError::Refused(tenancy::mismatch())),
    }
}
