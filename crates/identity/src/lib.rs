//! Who is calling, and how surely: passwords and browser sessions for people, LoopIQ-issued bearer tokens for clients,
//! the active organization, and the administration of all of these. Knows no HTTP.
//!
//! Rights are never kept: each request reads the credential (one statement of the directory) and the membership (one
//! of the organization), so that whatever is revoked works no longer on the very next call.
//!
//! The embedded OAuth 2.1 server is here too, without HTTP: `oauth`. Its access tokens come in by [`Identity::bearer`], which
//! tells them from `liq_` tokens by their form. Outside of it stand identity providers: `oidc.rs` and `outside.rs` (sign-in
//! through one, and who somebody is by it), `bearer.rs` (access tokens of one), `issuer.rs` (what one publishes), `fetch.rs`
//! (how it is asked). Passkeys are in `passkey.rs`, signing in with one in `by_passkey.rs`.

mod account;
mod actor;
pub mod admin;
mod base62;
mod bearer;
mod by_passkey;
pub mod fetch;
mod issuer;
pub mod member;
pub mod oauth;
pub mod oidc;
mod outside;
pub mod passkey;
mod session;
mod tenancy;
mod throttle;
mod token;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use domain::digest::Digest;
use domain::id::{Ids, SessionId, TokenId};
use domain::refusal::Refusal;
use domain::time::{Clock, Timestamp};
use quick_cache::sync::Cache;
use store::{Entropy, Store};

pub use actor::{Actor, Credential};
pub use by_passkey::PasskeyAsked;
pub use domain::permission::Access;
pub use member::{NewMember, check_new_member, valid_email};
pub use session::{Browser, NewSession, OpenSession, SessionActor};
pub use token::{AGENT_TOKEN_PREFIX, IssuedToken, TOKEN_PREFIX, TokenRequest};

/// Bounds and lifetimes of identity, each a setting.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A browser session ends after so long without a request.
    pub session_idle_seconds: i64,
    /// A browser session ends after so long whatever happens.
    pub session_absolute_seconds: i64,
    /// Lifetime of a bearer token when none is asked for.
    pub token_days_default: i64,
    /// The longest lifetime of a bearer token.
    pub token_days_max: i64,
    /// Failed sign-ins per e-mail in a quarter of an hour; 0 for no limit.
    pub sign_in_failures_max: u32,
    /// Failed sign-ins per network address in a quarter of an hour; more, because many people may share one (a
    /// proxy, an office); 0 for no limit.
    pub sign_in_failures_per_address_max: u32,
    /// The address people and programs know this server by, without a slash at the end: the issuer of its tokens.
    pub public_url: String,
    /// Lifetime of an access token of a connected client.
    pub access_token_seconds: i64,
    /// What a new organization starts with; each can be changed per organization.
    pub new_organization: domain::org::OrgSettings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            session_idle_seconds: 8 * 3_600,
            session_absolute_seconds: 7 * 86_400,
            token_days_default: 90,
            token_days_max: 365,
            sign_in_failures_max: 10,
            sign_in_failures_per_address_max: 50,
            public_url: "http://127.0.0.1:8484".into(),
            access_token_seconds: 3_600,
            new_organization: domain::org::OrgSettings::default(),
        }
    }
}

/// What identity is made of.
pub struct Parts {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub entropy: Arc<dyn Entropy>,
    /// How other servers are asked.
    pub fetch: Arc<dyn fetch::Fetch>,
    pub settings: Settings,
}

/// Why somebody could not be recognised.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The request carries no credential.
    #[error("a credential is missing")]
    Missing,
    /// There is no such credential, or it does not fit its owner (any more). Deliberately one case.
    #[error("the credential is not valid")]
    Invalid,
    #[error("the credential has expired")]
    Expired,
    #[error("the credential was revoked")]
    Revoked,
    /// A good token, but for something else than what was asked.
    #[error("the credential is for another resource")]
    Audience,
    #[error(transparent)]
    Refused(Refusal),
    #[error("identity could not be checked")]
    Fault(#[from] store::Fault),
}

/// Recognises callers, and is how the operator administers who may call: whoever holds the storage. Members administer
/// their organization by the engine's commands. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    parts: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    entropy: Arc<dyn Entropy>,
    fetch: Arc<dyn fetch::Fetch>,
    settings: Settings,
    hashing: Arc<tokio::sync::Semaphore>,
    hashes_waiting: AtomicUsize,
    by_email: throttle::Throttle,
    by_address: throttle::Throttle,
    registrations: throttle::Throttle,
    keys: oauth::keys::Keys,
    /// Access tokens whose signature was checked, by their digest.
    verified: Cache<Digest, Arc<oauth::keys::Claims>>,
    begun_by_address: throttle::Throttle,
    issuers: issuer::Issuers,
    /// None where passkeys cannot be used at the public address.
    passkeys: Option<passkey::RelyingParty>,
    used: Mutex<Used>,
}

/// When credentials were last used, written in batches.
#[derive(Default)]
struct Used {
    tokens: std::collections::HashMap<TokenId, Timestamp>,
    sessions: std::collections::HashMap<SessionId, Timestamp>,
    grants: std::collections::HashMap<TokenId, Timestamp>,
    /// E-mails whose sign-ins were slowed down, not recorded yet.
    slowed_down: Vec<(String, Timestamp)>,
}

/// Access tokens that are remembered as checked; each takes about 700 bytes.
const VERIFIED_MAX: usize = 10_000;
/// Passwords hashed at the same time; each takes 19 MiB.
const HASHES_AT_ONCE: usize = 2;
/// Password checks that may wait for their turn; more are told to come back.
const HASHES_WAITING_MAX: usize = 64;

impl Identity {
    pub fn new(parts: Parts) -> Identity {
        Identity {
            parts: Arc::new(Inner {
                store: parts.store,
                clock: parts.clock,
                ids: parts.ids,
                entropy: parts.entropy,
                fetch: parts.fetch,
                hashing: Arc::new(tokio::sync::Semaphore::new(HASHES_AT_ONCE)),
                hashes_waiting: AtomicUsize::new(0),
                by_email: throttle::Throttle::new(parts.settings.sign_in_failures_max),
                by_address: throttle::Throttle::new(parts.settings.sign_in_failures_per_address_max),
                registrations: throttle::Throttle::new(oauth::REGISTRATIONS_PER_ADDRESS_MAX),
                keys: oauth::keys::Keys::default(),
                verified: Cache::new(VERIFIED_MAX),
                begun_by_address: throttle::Throttle::new(oidc::BEGUN_PER_ADDRESS_MAX),
                issuers: issuer::Issuers::default(),
                passkeys: passkey::RelyingParty::of(&parts.settings.public_url),
                settings: parts.settings,
                used: Mutex::default(),
            }),
        }
    }

    /// This service as passkeys know it; none where they cannot be used at the public address.
    pub fn passkeys(&self) -> Option<&passkey::RelyingParty> {
        self.parts.passkeys.as_ref()
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0_u8; N];
        self.parts.entropy.fill(&mut bytes);
        bytes
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Used> {
        self.parts.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes when credentials were last used and which sign-ins were slowed down, and forgets ended sessions. Called on
    /// a timer and at shutdown.
    ///
    /// # Errors
    /// A fault of storage; what was not written is lost.
    pub async fn flush(&self) -> Result<(), AuthError> {
        let Used { tokens, sessions, grants, slowed_down } = std::mem::take(&mut *self.used());
        let directory = self.parts.store.directory();
        if !tokens.is_empty() {
            directory.touch_tokens(&tokens.into_iter().collect::<Vec<_>>()).await?;
        }
        if !sessions.is_empty() {
            directory.touch_sessions(&sessions.into_iter().collect::<Vec<_>>()).await?;
        }
        if !grants.is_empty() {
            directory.touch_grants(&grants.into_iter().collect::<Vec<_>>()).await?;
        }
        directory.delete_expired_sessions(self.now()).await?;
        self.forget_oauth().await?;
        directory.delete_expired_sign_ins(self.now()).await?;
        self.record_slowed_down(slowed_down).await
    }
}
