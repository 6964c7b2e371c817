//! Sign-in through an identity provider (OpenID Connect Core 1.0, authorization code flow with PKCE, `state` and `nonce`). The
//! library speaks the protocol; decided here are what is kept of a sign-in on its way, what an answer must fit, and what is
//! believed of it. Every refusal is one that a person can do something about, and none leads back to the provider by itself.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use domain::digest::Digest;
use domain::id::IdentityProviderId;
use domain::identity_provider::{
    BegunSignIn, IdentityLink, IdentityProvider, SIGN_IN_SECONDS_MAX, email_domain,
};
use domain::org::{OrgStatus, Organization};
use domain::refusal::{Code, Refusal};
use domain::time::MICROS_PER_SECOND;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenVerifier,
    CoreJsonWebKeySet, CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::http::StatusCode;
use openidconnect::http::header::AUTHORIZATION;
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    HttpRequest, HttpResponse, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, TokenResponse as _,
};
use serde_json::{Map, Value};
use store::ProviderLookup;
use subtle::ConstantTimeEq as _;

use crate::bearer::{SKEW_SECONDS, texts};
use crate::fetch::{Fetch, FetchFailure, Outgoing};
use crate::issuer::{IssuerFailure, Published};
use crate::outside::Subject;
use crate::session::Way;
use crate::{AuthError, Browser, Identity, NewSession};

/// Sign-ins begun from one network address in a quarter of an hour, which may be a proxy with many people behind it; each is a
/// row until it ends.
pub(crate) const BEGUN_PER_ADDRESS_MAX: u32 = 2_000;
/// Bytes of what a provider answers to a code, and of what it says about a person.
const ANSWER_BYTES_MAX: usize = 262_144;
/// Characters of a `code` or a `state` that is looked at.
const PARAMETER_CHARS_MAX: usize = 4_096;
/// Groups of one person that are looked at.
const GROUPS_MAX: usize = 5_000;
/// What is asked for. Groups come with a scope of their own at some providers, or by the provider's settings.
const SCOPES: [&str; 3] = ["email", "profile", "groups"];
/// Signatures that count: by private keys. Never `none`, never a shared secret.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 5] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// A provider as it is offered to somebody who wants to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    pub id: IdentityProviderId,
    pub name: String,
    pub organization: String,
    /// The host of the issuer: what the browser will show next.
    pub host: String,
}

/// A sign-in that was begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Where the browser goes.
    pub address: String,
    /// What the browser keeps, so that only it can bring the answer. A secret.
    pub browser: String,
    pub seconds: i64,
}

/// What a browser brings back from a provider (RFC 6749, section 4.1.2, and RFC 9207).
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct Returned {
    pub code: Option<String>,
    pub state: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
}

fn refused(code: Code, message: impl Into<String>, remedy: &str) -> AuthError {
    AuthError::Refused(Refusal::new(code, message, remedy))
}

fn stale(message: &str) -> AuthError {
    refused(Code::Unauthorized, message, "Go back to the sign-in page and begin again, in the same browser.")
}

fn unfit(message: &str) -> AuthError {
    refused(
        Code::Unauthorized,
        message,
        "Begin again from the sign-in page. If it happens again, tell your administrator: the identity provider's settings \
         here and there do not fit.",
    )
}

fn unavailable(failure: IssuerFailure) -> AuthError {
    let remedy = match failure {
        IssuerFailure::Fetch(FetchFailure::PrivateAddress | FetchFailure::BadUrl) => {
            "Tell the operator of this server: identity providers inside a private network, or without https, need the \
             setting identity_addresses = \"any\"."
        }
        IssuerFailure::Fetch(_) => "Try again in a minute. Signing in by password works meanwhile.",
        IssuerFailure::Unreadable | IssuerFailure::AnotherIssuer => {
            "Tell your administrator: the issuer of the identity provider must be written exactly as the provider writes it."
        }
    };
    refused(Code::ProviderUnavailable, format!("the identity provider cannot be used: {failure}"), remedy)
}

/// The host of an issuer.
fn host(issuer: &str) -> String {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// A provider's metadata with its keys, in the library's words.
fn metadata(published: &Published) -> Result<(CoreProviderMetadata, CoreJsonWebKeySet), AuthError> {
    let read = || {
        let metadata: CoreProviderMetadata = serde_json::from_value(published.metadata.clone()).ok()?;
        let keys: CoreJsonWebKeySet = serde_json::from_value(published.key_set.clone()).ok()?;
        Some((metadata.set_jwks(keys.clone()), keys))
    };
    read().ok_or_else(|| unavailable(IssuerFailure::Unreadable))
}

/// How the library asks: by the same guarded way as everything else.
async fn ask(fetch: Arc<dyn Fetch>, request: HttpRequest) -> Result<HttpResponse, FetchFailure> {
    let authorization = request.headers().get(AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let outgoing = Outgoing {
        url: request.uri().to_string(),
        authorization,
        form: Some(String::from_utf8(request.into_body()).map_err(|_| FetchFailure::BadUrl)?),
        bytes_max: ANSWER_BYTES_MAX,
    };
    let answer = fetch.fetch(outgoing).await?;
    let mut response = HttpResponse::new(answer.body);
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| FetchFailure::NotJson)?;
    Ok(response)
}

impl Identity {
    /// Whether anybody can sign in through an identity provider.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn has_identity_providers(&self) -> Result<bool, AuthError> {
        Ok(self.parts.store.directory().has_identity_providers().await?)
    }

    /// The providers that may speak for an e-mail address. Says nothing about whether there is such a person.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn identity_providers_for(&self, email: &str) -> Result<Vec<Offered>, AuthError> {
        let Some(domain) = email_domain(email) else { return Ok(Vec::new()) };
        let found = self.parts.store.directory().identity_providers_for(&domain).await?;
        let active = found.into_iter().filter(|found| found.organization.status == OrgStatus::Active);
        Ok(active
            .map(|ProviderLookup { provider, organization }| Offered {
                id: provider.id,
                host: host(&provider.issuer),
                name: provider.name,
                organization: organization.name,
            })
            .collect())
    }

    async fn usable(&self, id: IdentityProviderId) -> Result<(IdentityProvider, Organization), AuthError> {
        let found = self.parts.store.directory().identity_provider(id).await?;
        let found = found.filter(|f| f.provider.is_usable() && f.organization.status == OrgStatus::Active);
        let Some(ProviderLookup { provider, organization }) = found else {
            return Err(refused(
                Code::NotFound,
                "there is no such identity provider, or it is switched off",
                "Go back to the sign-in page; your administrator can say how you sign in.",
            ));
        };
        Ok((provider, organization))
    }

    /// Where a provider sends people back to. Each has its own, so that an answer of one cannot pass for another's (RFC 9700, section 4.4).
    pub fn redirect_address(&self, id: IdentityProviderId) -> String {
        format!("{}/app/login/oidc/{id}/callback", self.parts.settings.public_url)
    }

    fn redirect_url(&self, id: IdentityProviderId) -> Result<RedirectUrl, AuthError> {
        RedirectUrl::new(self.redirect_address(id))
            .map_err(|_| store::Fault::Bug("the public address is a URL").into())
    }

    /// Counts a sign-in that is begun from an address.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn may_begin(&self, address: Option<IpAddr>) -> Result<(), AuthError> {
        let Some(address) = address else { return Ok(()) };
        let counted = self.parts.begun_by_address.attempt(&address.to_string(), self.now());
        counted.map_err(|full| {
            let mut refusal =
                Refusal::new(Code::RateLimited, "too many sign-ins were begun", "Wait and try again.");
            refusal.retry_after_seconds = Some(full.seconds.max(1));
            AuthError::Refused(refusal)
        })
    }

    /// Begins a sign-in through a provider, which leads to `next` in the console.
    ///
    /// # Errors
    /// `not_found`; `rate_limited`; `provider_unavailable` when the provider does not answer as one does.
    pub async fn begin_sign_in(
        &self,
        id: IdentityProviderId,
        next: &str,
        address: Option<IpAddr>,
    ) -> Result<Begun, AuthError> {
        let now = self.now();
        self.may_begin(address)?;
        let (provider, _) = self.usable(id).await?;
        let published = self.published(&provider.issuer).await.map_err(unavailable)?;
        let (metadata, _) = metadata(&published)?;
        let secret = || BASE64URL_NOPAD.encode(&self.random::<32>());
        let (state, nonce, browser) = (secret(), secret(), secret());
        let verifier = PkceCodeVerifier::new(secret());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let client =
            CoreClient::from_provider_metadata(metadata, ClientId::new(provider.client_id.clone()), None)
                .set_redirect_uri(self.redirect_url(id)?);
        let supported = texts_of(&published.metadata, "scopes_supported");
        let (csrf, nonce_sent) = (state.clone(), nonce.clone());
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(csrf),
                move || Nonce::new(nonce_sent),
            )
            .set_pkce_challenge(challenge);
        // Not every provider knows every scope, and some refuse what they do not know.
        for scope in SCOPES.iter().filter(|scope| supported.iter().any(|known| known == *scope)) {
            request = request.add_scope(Scope::new((*scope).to_owned()));
        }
        let (address, _, _) = request.url();
        let begun = BegunSignIn {
            state: Digest::of(state.as_bytes()),
            browser: Digest::of(browser.as_bytes()),
            provider_id: id,
            nonce,
            pkce_verifier: verifier.into_secret(),
            next: next.to_owned(),
            expires_at: now.plus_seconds(SIGN_IN_SECONDS_MAX),
        };
        self.parts.store.directory().begin_sign_in(&begun).await?;
        Ok(Begun { address: address.into(), browser, seconds: SIGN_IN_SECONDS_MAX })
    }

    /// Ends a sign-in with what the browser brought back; the session works in the provider's organization alone. `browser`
    /// is the one it came with, and `kept` what that one kept. With the session, where to go in the console.
    ///
    /// # Errors
    /// Refusals with what can be done about them; a fault of storage.
    pub async fn finish_sign_in(
        &self,
        id: IdentityProviderId,
        returned: Returned,
        browser: Browser<'_>,
        kept: Option<&str>,
    ) -> Result<(NewSession, String), AuthError> {
        let begun = self.taken(id, &returned, kept).await?;
        let (provider, organization) = self.usable(id).await?;
        let published = self.published(&provider.issuer).await.map_err(unavailable)?;
        check_sender(&provider, &published, &returned)?;
        if returned.error.is_some() {
            return Err(refused(
                Code::Unauthorized,
                "the identity provider did not sign you in",
                "Begin again from the sign-in page. If you were told that you have no access, ask whoever runs the \
                 identity provider to let you use LoopIQ.",
            ));
        }
        let code = returned.code.filter(|code| code.len() <= PARAMETER_CHARS_MAX);
        let code = code.ok_or_else(|| unfit("the answer of the identity provider has no code"))?;
        let claims = self.claims(&provider, &published, &begun, code).await?;
        let subject = subject(&provider, &claims)?;
        let user = self.recognise(&provider, &organization, subject).await?;
        let session = self.open_session(user, browser.user_agent, Way::Provider(&provider)).await?;
        self.end_earlier(browser.earlier).await?;
        Ok((session, begun.next))
    }

    /// The sign-in that an answer belongs to. It is good once, so it is gone whatever comes of it.
    async fn taken(
        &self,
        id: IdentityProviderId,
        returned: &Returned,
        browser: Option<&str>,
    ) -> Result<BegunSignIn, AuthError> {
        let state = returned.state.as_deref().filter(|state| state.len() <= PARAMETER_CHARS_MAX);
        let state = state.ok_or_else(|| stale("the answer belongs to no sign-in"))?;
        let begun = self.parts.store.directory().take_sign_in(&Digest::of(state.as_bytes())).await?;
        let begun = begun.filter(|begun| self.now() < begun.expires_at);
        let begun = begun.ok_or_else(|| stale("the sign-in was used already, or has taken too long"))?;
        let kept = browser.map(|browser| Digest::of(browser.as_bytes()));
        if !kept.is_some_and(|kept| bool::from(kept.0.ct_eq(&begun.browser.0))) {
            return Err(stale("the sign-in was begun in another browser"));
        }
        if begun.provider_id != id {
            return Err(stale("the answer comes from another identity provider than was asked"));
        }
        Ok(begun)
    }

    /// The verified claims about a person: those of the ID token, and what only the provider's user information has.
    async fn claims(
        &self,
        provider: &IdentityProvider,
        published: &Arc<Published>,
        begun: &BegunSignIn,
        code: String,
    ) -> Result<Map<String, Value>, AuthError> {
        let secret = self.parts.store.directory().client_secret(provider).await?;
        let (metadata, _) = metadata(published)?;
        let methods = metadata.token_endpoint_auth_methods_supported().cloned().unwrap_or_default();
        let by_body = methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic);
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(provider.client_id.clone()),
            secret.map(ClientSecret::new),
        )
        .set_auth_type(if by_body { AuthType::RequestBody } else { AuthType::BasicAuth })
        .set_redirect_uri(self.redirect_url(provider.id)?);
        let fetch = Arc::clone(&self.parts.fetch);
        let http = move |request| ask(Arc::clone(&fetch), request);
        let exchange = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| unavailable(IssuerFailure::Unreadable))?
            .set_pkce_verifier(PkceCodeVerifier::new(begun.pkce_verifier.clone()));
        let answer = exchange.request_async(&http).await.map_err(|error| match error {
            RequestTokenError::Request(failure) => unavailable(IssuerFailure::Fetch(failure)),
            RequestTokenError::ServerResponse(_) => {
                unfit("the identity provider does not take the code or the client secret")
            }
            _ => unfit("the identity provider's answer to the code cannot be read"),
        })?;
        let id_token = answer.id_token().ok_or_else(|| unfit("the identity provider gave no ID token"))?;
        let mut claims = self
            .verified(provider, published, id_token, &begun.nonce, |header, key| {
                AccessTokenHash::from_token(answer.access_token(), header, key).ok()
            })
            .await?;
        let endpoint = published.metadata.get("userinfo_endpoint").and_then(Value::as_str);
        let complete = claims.contains_key("email") && claims.contains_key(&provider.groups_claim);
        if let Some(endpoint) = endpoint.filter(|_| !complete) {
            let told = self.user_information(endpoint, answer.access_token().secret()).await?;
            // Only of the same person (OpenID Connect Core, section 5.3.2).
            if told.get("sub") != claims.get("sub") {
                return Err(unfit("the identity provider speaks of two people at once"));
            }
            for (name, value) in told {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(claims)
    }

    async fn user_information(&self, endpoint: &str, token: &str) -> Result<Map<String, Value>, AuthError> {
        let outgoing = Outgoing {
            authorization: Some(format!("Bearer {token}")),
            bytes_max: ANSWER_BYTES_MAX,
            ..Outgoing::get(endpoint)
        };
        let failed = |failure| unavailable(IssuerFailure::Fetch(failure));
        let answer = self.parts.fetch.fetch(outgoing).await.map_err(failed)?;
        let told = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200);
        told.ok_or_else(|| unfit("the identity provider's user information cannot be read"))
    }

    /// The claims of an ID token (OpenID Connect Core, section 3.1.3.7). A key that is not known yet is looked for once.
    async fn verified(
        &self,
        provider: &IdentityProvider,
        published: &Arc<Published>,
        token: &CoreIdToken,
        nonce: &str,
        hash: impl Fn(&CoreJwsSigningAlgorithm, &openidconnect::core::CoreJsonWebKey) -> Option<AccessTokenHash>,
    ) -> Result<Map<String, Value>, AuthError> {
        let mut published = Arc::clone(published);
        for last in [false, true] {
            let (metadata, keys) = metadata(&published)?;
            let skewed = self.now().0 / MICROS_PER_SECOND;
            let at = move |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
            let verifier = CoreIdTokenVerifier::new_public_client(
                ClientId::new(provider.client_id.clone()),
                metadata.issuer().clone(),
                keys,
            )
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || at(skewed - SKEW_SECONDS))
            .set_issue_time_verifier_fn(move |issued| {
                if issued <= at(skewed + SKEW_SECONDS) { Ok(()) } else { Err("in the future".into()) }
            });
            match token.claims(&verifier, &Nonce::new(nonce.to_owned())) {
                Ok(claims) => {
                    if let Some(said) = claims.access_token_hash() {
                        let header = token.signing_alg().ok();
                        let key = token.signing_key(&verifier).ok();
                        let fits = header.zip(key).and_then(|(header, key)| hash(header, key));
                        if fits.as_ref() != Some(said) {
                            return Err(unfit("the identity provider's two tokens do not belong together"));
                        }
                    }
                    return self.payload(token);
                }
                Err(ClaimsVerificationError::SignatureVerification(
                    SignatureVerificationError::NoMatchingKey,
                )) if !last => {
                    published =
                        self.published_later(&provider.issuer, &published).await.map_err(unavailable)?;
                }
                Err(error) => return Err(disbelieved(&error)),
            }
        }
        Err(unfit("the ID token is signed by a key the identity provider does not publish"))
    }

    /// What a verified token says, as it is written.
    fn payload(&self, token: &CoreIdToken) -> Result<Map<String, Value>, AuthError> {
        let text = token.to_string();
        let part = text.split('.').nth(1).and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
        let claims: Option<Map<String, Value>> = part.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let claims = claims.ok_or_else(|| unfit("the ID token cannot be read"))?;
        // The library does not look at it: not all ID tokens have one.
        let now = self.now().0 / MICROS_PER_SECOND;
        let begins = claims.get("nbf").and_then(Value::as_i64);
        if begins.is_some_and(|at| at > now + SKEW_SECONDS) {
            return Err(unfit("the ID token is not valid yet"));
        }
        Ok(claims)
    }
}

/// Whether the answer comes from whom was asked (RFC 9207): always where it says so, and it must say so where the provider
/// announces that it does.
fn check_sender(
    provider: &IdentityProvider,
    published: &Published,
    returned: &Returned,
) -> Result<(), AuthError> {
    let announced = published.metadata.get("authorization_response_iss_parameter_supported");
    let fits = match &returned.iss {
        Some(issuer) => *issuer == provider.issuer,
        None => announced != Some(&Value::Bool(true)),
    };
    if fits { Ok(()) } else { Err(stale("the answer comes from another issuer than was asked")) }
}

/// Why an ID token is not believed, in words that say nothing of what it holds.
fn disbelieved(error: &ClaimsVerificationError) -> AuthError {
    use ClaimsVerificationError as E;
    unfit(match error {
        // The library says the same of one that was issued in the future.
        E::Expired(_) => "the ID token has expired, or is not valid yet",
        E::InvalidAudience(_) => "the ID token is for somebody else",
        E::InvalidIssuer(_) => "the ID token is of another issuer",
        E::InvalidNonce(_) => "the ID token belongs to another sign-in",
        E::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            "the ID token is signed by a key the identity provider does not publish"
        }
        E::SignatureVerification(
            SignatureVerificationError::DisallowedAlg(_)
            | SignatureVerificationError::UnsupportedAlg(_)
            | SignatureVerificationError::NoSignature,
        ) => "the ID token is signed in a way that is not accepted",
        E::SignatureVerification(_) => "the signature of the ID token is wrong",
        _ => "the ID token is not valid",
    })
}

fn texts_of(metadata: &Value, name: &str) -> Vec<String> {
    metadata.as_object().map(|members| texts(members, name)).unwrap_or_default()
}

/// Whom verified claims are about, as far as it matters here.
pub(crate) fn subject(
    provider: &IdentityProvider,
    claims: &Map<String, Value>,
) -> Result<Subject, AuthError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let subject = text("sub").ok_or_else(|| unfit("the ID token names nobody"))?;
    // Some providers write it as a text (Amazon Cognito); anything else is no.
    let verified = match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(verified)) => verified == "true",
        _ => false,
    };
    let mut groups = texts(claims, &provider.groups_claim);
    groups.truncate(GROUPS_MAX);
    Ok(Subject {
        key: IdentityLink::key(&provider.issuer, subject),
        email: text("email").filter(|_| verified).map(|email| email.trim().to_lowercase()),
        name: text("name").map(str::to_owned),
        groups,
    })
}
