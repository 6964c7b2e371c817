//! The embedded OAuth 2.1 authorization server, without HTTP: clients (`client`), what people have allowed them (`grant`),
//! the access tokens that say so (`keys`), assertions by which programs prove who they are (`assertion`), and those by which
//! identity providers let them in (`id_jag`).

mod assertion;
mod client;
mod grant;
mod id_jag;
pub(crate) mod keys;

use domain::oauth::{Denied, ErrorCode};

pub use client::{Presented, Registered, Registration};
pub use grant::{Connected, Tokens, Wanted};

/// Why an endpoint of the protocol gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    #[error("denied: {}", .0.code)]
    Denied(Denied),
    #[error("the authorization server failed")]
    Fault(#[from] store::Fault),
}

impl OAuthError {
    pub(crate) const fn new(code: ErrorCode, description: &'static str) -> OAuthError {
        OAuthError::Denied(Denied::new(code, description))
    }
}

/// Lifetime of an authorization code (RFC 6749, 4.1.2, recommends ten minutes at most).
pub const CODE_SECONDS: i64 = 60;
/// A refresh token that has a successor already is answered with that same successor for so long: clients send one several
/// times at once, or lose the answer. Afterwards it is taken for stolen.
pub const REFRESH_GRACE_SECONDS: i64 = 120;
/// A refresh token that nobody uses runs out after so many days.
pub const REFRESH_DAYS: i64 = 30;
/// What a person has allowed ends after so many days, used or not.
pub const GRANT_DAYS: i64 = 365;
/// A client that has registered itself and that nobody has let in is forgotten after so many days.
pub const UNUSED_CLIENT_DAYS: i64 = 7;
/// Clients that may wait to be let in for the first time.
pub const UNUSED_CLIENTS_MAX: i64 = 5_000;
/// Registrations from one network address in a quarter of an hour.
pub const REGISTRATIONS_PER_ADDRESS_MAX: u32 = 100;
/// A client's document is read again after as many seconds as it says itself, but neither sooner nor later than this.
pub const DOCUMENT_SECONDS: (i64, i64) = (60, 3_600);
/// The longest lifetime of an assertion by which a client proves who it is.
pub const ASSERTION_SECONDS_MAX: i64 = 600;
/// The longest lifetime of an assertion by which an identity provider lets a client in.
pub const IDENTITY_ASSERTION_SECONDS_MAX: i64 = 3_600;
/// Machines' clients that lists show.
pub const MACHINES_MAX: usize = 1_000;
