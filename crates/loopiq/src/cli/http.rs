//! The one HTTP client of the command line, and where a server is: `--url` or LOOPIQ_URL.

use std::time::Duration;

use anyhow::Context as _;

use super::Failure;
use crate::system;

/// Time to reach a server at all.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Time for a whole exchange; an evidence upload may be long.
const EXCHANGE_WAIT: Duration = Duration::from_mins(10);

/// The client.
///
/// # Errors
/// When the platform gives no client.
pub fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("loopiq/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WAIT)
        .timeout(EXCHANGE_WAIT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the HTTP client cannot start")
}

/// A server's base URL, without a trailing slash.
///
/// # Errors
/// Wrong usage when none is given, or it is not one.
pub fn base_url(flag: Option<&str>) -> anyhow::Result<reqwest::Url> {
    let (text, origin) = match flag {
        Some(text) => (text.to_owned(), "--url"),
        None => (system::environment("LOOPIQ_URL").unwrap_or_default(), "LOOPIQ_URL"),
    };
    let remedy = "Give the base URL of the server, for example http://127.0.0.1:8484.";
    if text.is_empty() {
        return Err(Failure::usage("no server is named: LOOPIQ_URL is not set", remedy).into());
    }
    let url = reqwest::Url::parse(text.trim_end_matches('/')).ok();
    url.filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
        .ok_or_else(|| Failure::usage(format!("{origin} is not a URL of http or https"), remedy).into())
}

/// The token of LOOPIQ_TOKEN.
///
/// # Errors
/// Wrong usage when it is not set; `remedy` says whose token it must be.
pub fn token(remedy: &str) -> anyhow::Result<String> {
    let token = system::environment("LOOPIQ_TOKEN").filter(|token| !token.is_empty());
    token.ok_or_else(|| Failure::usage("LOOPIQ_TOKEN is not set", remedy).into())
}

/// What is said of a server that did not answer.
pub fn unreached(error: reqwest::Error) -> Failure {
    let message = format!("the server cannot be reached: {}", error.without_url());
    Failure::new(message, "Check LOOPIQ_URL; `loopiq doctor` walks the path.")
}

/// An address below a base URL, each segment encoded.
pub fn below(base: &reqwest::Url, segments: &[&str]) -> reqwest::Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_encoded_and_joined() {
        let base = super::base_url(Some("http://a.example/loopiq/")).unwrap();
        let url = super::below(&base, &["api", "v1", "releases", "a/b c", "evidence"]);
        assert_eq!(url.as_str(), "http://a.example/loopiq/api/v1/releases/a%2Fb%20c/evidence");
        for wrong in ["", "127.0.0.1:8484", "ftp://a", "nonsense"] {
            assert!(super::base_url(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
