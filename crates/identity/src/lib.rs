//! Who is calling, and how surely: passwords and browser sessions for people, LoopIQ-issued bearer tokens for clients,
//! the active organization, and the administration of all of these. Knows no HTTP. The embedded OAuth server
//! (clients, grants, tokens, keys, outside issuers) will live here too, beside `token.rs`.

mod account;
mod actor;
pub mod admin;
mod session;
mod tenancy;
mod throttle;
mod token;

use std::sync::{Arc, Mutex};

use domain::id::{Ids, SessionId, TokenId};
use domain::refusal::Refusal;
use domain::time::{Clock, Timestamp};
use store::{Entropy, Store};

pub use actor::{Actor, Credential};
pub use session::{NewSession, SessionActor};
pub use token::{IssuedToken, TOKEN_PREFIX, TokenRequest};

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
    /// Failed sign-ins per e-mail and per address in a quarter of an hour.
    pub sign_in_failures_max: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            session_idle_seconds: 8 * 3_600,
            session_absolute_seconds: 7 * 86_400,
            token_days_default: 90,
            token_days_max: 365,
            sign_in_failures_max: 10,
        }
    }
}

/// What identity is made of.
pub struct Parts {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub entropy: Arc<dyn Entropy>,
    pub settings: Settings,
}

/// Why somebody could not be recognised.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There is no such credential, or it does not fit its owner (any more). Deliberately one case.
    #[error("the credential is not valid")]
    Invalid,
    #[error("the credential has expired")]
    Expired,
    #[error("the credential was revoked")]
    Revoked,
    #[error(transparent)]
    Refused(Refusal),
    #[error("identity could not be checked")]
    Fault(#[from] store::Fault),
}

/// Recognises callers and administers who may call. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    parts: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    hashing: tokio::sync::Semaphore,
    throttle: throttle::Throttle,
    used: Mutex<Used>,
}

/// When credentials were last used, written in batches.
#[derive(Default)]
struct Used {
    tokens: std::collections::HashMap<TokenId, Timestamp>,
    sessions: std::collections::HashMap<SessionId, Timestamp>,
}

/// Passwords hashed at the same time; each takes 19 MiB.
const HASHES_AT_ONCE: usize = 2;

impl Identity {
    pub fn new(parts: Parts) -> Identity {
        let throttle = throttle::Throttle::new(parts.settings.sign_in_failures_max);
        Identity {
            parts: Arc::new(Inner {
                store: parts.store,
                clock: parts.clock,
                ids: parts.ids,
                entropy: parts.entropy,
                settings: parts.settings,
                hashing: tokio::sync::Semaphore::new(HASHES_AT_ONCE),
                throttle,
                used: Mutex::default(),
            }),
        }
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

    /// Writes when credentials were last used, and forgets ended sessions. Called on a timer and at shutdown.
    ///
    /// # Errors
    /// A fault of storage; what was not written is lost, and only costs precision.
    pub async fn flush(&self) -> Result<(), store::Fault> {
        let Used { tokens, sessions } = std::mem::take(&mut *self.used());
        let directory = self.parts.store.directory();
        if !tokens.is_empty() {
            directory.touch_tokens(&tokens.into_iter().collect::<Vec<_>>()).await?;
        }
        if !sessions.is_empty() {
            directory.touch_sessions(&sessions.into_iter().collect::<Vec<_>>()).await?;
        }
        directory.delete_expired_sessions(self.now()).await
    }
}
