//! What identity asks of other servers: documents that say who may sign, and the exchange of a code. The addresses come from
//! people and from clients, so where they may lead is decided by whoever fetches, at the moment of connecting.

use std::pin::Pin;

/// Bytes of an answer when nothing else is said.
pub const ANSWER_BYTES_MAX: usize = 65_536;
/// Seconds in which an answer must have arrived whole.
pub const FETCH_SECONDS_MAX: u64 = 10;

/// One request to another server. Not `Debug`: it may carry secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub url: String,
    /// `POST` of this form (`application/x-www-form-urlencoded`); without one, `GET`.
    pub form: Option<String>,
    /// The whole value of the `Authorization` header.
    pub authorization: Option<String>,
    /// A longer answer is none.
    pub bytes_max: usize,
}

impl Outgoing {
    /// A `GET` of JSON of at most [`ANSWER_BYTES_MAX`].
    pub fn get(url: impl Into<String>) -> Outgoing {
        Outgoing { url: url.into(), form: None, authorization: None, bytes_max: ANSWER_BYTES_MAX }
    }
}

/// What came back: always JSON by its media type, never a redirection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub status: u16,
    pub body: Vec<u8>,
    /// How long the answer may be kept, as `Cache-Control` has it: 0 for not at all, nothing where it is silent.
    pub fresh_seconds: Option<i64>,
}

/// Why nothing came back that could be used. Says nothing of what the other server wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchFailure {
    #[error("the address cannot be called")]
    BadUrl,
    #[error("the address is not a public one")]
    PrivateAddress,
    #[error("nobody answers at the address")]
    Unreachable,
    #[error("no answer came in time")]
    Timeout,
    #[error("the answer is a redirection, which is not followed")]
    Redirected,
    #[error("the answer is too long")]
    TooLarge,
    #[error("the answer is not JSON")]
    NotJson,
}

/// A request on its way.
pub type Fetching = Pin<Box<dyn Future<Output = Result<Incoming, FetchFailure>> + Send>>;

/// Asks another server: once, in at most [`FETCH_SECONDS_MAX`], at the address it was given and at none that is not allowed,
/// without following redirections, with no cookies and through no proxy.
pub trait Fetch: Send + Sync {
    fn fetch(&self, outgoing: Outgoing) -> Fetching;
}

/// For where nothing may be asked of anybody: nobody is reached.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _: Outgoing) -> Fetching {
        Box::pin(std::future::ready(Err(FetchFailure::Unreachable)))
    }
}
