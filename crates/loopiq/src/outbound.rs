//! The one client for addresses that come from people: webhooks, identity providers, documents of clients. What an address may
//! lead to is decided here, when it is connected to: names are looked up by this file's own resolver, no proxy is asked, no
//! redirection is followed, nothing is read past a limit.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::webhook::{check_url, is_public};
use identity::fetch::{FETCH_SECONDS_MAX, Fetch, FetchFailure, Fetching, Incoming, Outgoing};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Url};

use crate::config::Addresses;

/// A client that goes only where it may.
#[derive(Clone)]
pub struct Outbound {
    client: Client,
    /// Whether addresses that are not public may be called, and http.
    anywhere: bool,
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    BadUrl,
    PrivateAddress,
    Timeout,
    Unreachable,
}

impl Outbound {
    /// `limit` is for each request, from looking up the name to the last byte.
    ///
    /// # Errors
    /// When the platform gives no client.
    pub fn new(addresses: Addresses, limit: Duration) -> anyhow::Result<Outbound> {
        let anywhere = addresses == Addresses::Any;
        let client = Client::builder()
            .user_agent(concat!("loopiq/", env!("CARGO_PKG_VERSION")))
            .timeout(limit)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(!anywhere)
            .dns_resolver(Arc::new(Guarded { anywhere }))
            .build()
            .context("the HTTP client cannot start")?;
        Ok(Outbound { client, anywhere })
    }

    /// For what identity asks of other servers.
    ///
    /// # Errors
    /// When the platform gives no client.
    pub fn for_identity(addresses: Addresses) -> anyhow::Result<Outbound> {
        Outbound::new(addresses, Duration::from_secs(FETCH_SECONDS_MAX))
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where a URL leads. An address in numbers is looked at here, in whatever spelling, because no name is looked up for it.
    ///
    /// # Errors
    /// [`NoAnswer::BadUrl`], [`NoAnswer::PrivateAddress`].
    pub fn target(&self, url: &str) -> Result<Url, NoAnswer> {
        let url = Url::parse(url).map_err(|_| NoAnswer::BadUrl)?;
        let host = url.host_str().ok_or(NoAnswer::BadUrl)?;
        let number: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
        if !self.anywhere && number.is_ok_and(|address| !is_public(address)) {
            return Err(NoAnswer::PrivateAddress);
        }
        // The setting may have changed since the address was written down.
        check_url("url", url.as_str(), self.anywhere).map_err(|_| NoAnswer::BadUrl)?;
        Ok(url)
    }
}

impl From<&reqwest::Error> for NoAnswer {
    fn from(error: &reqwest::Error) -> NoAnswer {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(inner) = cause {
            if inner.is::<NotPublic>() {
                return NoAnswer::PrivateAddress;
            }
            cause = inner.source();
        }
        if error.is_timeout() { NoAnswer::Timeout } else { NoAnswer::Unreachable }
    }
}

impl From<NoAnswer> for FetchFailure {
    fn from(why: NoAnswer) -> FetchFailure {
        match why {
            NoAnswer::BadUrl => FetchFailure::BadUrl,
            NoAnswer::PrivateAddress => FetchFailure::PrivateAddress,
            NoAnswer::Timeout => FetchFailure::Timeout,
            NoAnswer::Unreachable => FetchFailure::Unreachable,
        }
    }
}

fn failed(error: reqwest::Error) -> FetchFailure {
    NoAnswer::from(&error).into()
}

impl Fetch for Outbound {
    fn fetch(&self, outgoing: Outgoing) -> Fetching {
        let outbound = self.clone();
        Box::pin(async move {
            let url = outbound.target(&outgoing.url)?;
            let mut request = match outgoing.form {
                None => outbound.client.get(url),
                Some(form) => outbound
                    .client
                    .post(url)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form),
            };
            if let Some(value) = outgoing.authorization {
                let mut value = HeaderValue::try_from(value).map_err(|_| FetchFailure::BadUrl)?;
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            let mut answer = request.header(ACCEPT, "application/json").send().await.map_err(failed)?;
            let status = answer.status();
            if status.is_redirection() {
                return Err(FetchFailure::Redirected);
            }
            if !is_json(answer.headers()) {
                return Err(FetchFailure::NotJson);
            }
            let fresh_seconds = fresh_seconds(answer.headers());
            let mut body = Vec::new();
            while let Some(part) = answer.chunk().await.map_err(failed)? {
                if body.len() + part.len() > outgoing.bytes_max {
                    return Err(FetchFailure::TooLarge);
                }
                body.extend_from_slice(&part);
            }
            Ok(Incoming { status: status.as_u16(), body, fresh_seconds })
        })
    }
}

/// `application/json`, or a type that is written as JSON (RFC 6839, section 3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// RFC 9111, section 5.2.2, as far as it concerns a private cache.
fn fresh_seconds(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(CACHE_CONTROL)?.to_str().ok()?.to_ascii_lowercase();
    let mut directives = text.split(',').map(str::trim);
    if directives.clone().any(|directive| matches!(directive, "no-store" | "no-cache")) {
        return Some(0);
    }
    directives.find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

/// A name that leads to no public address.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to no public address")]
struct NotPublic;

/// Looks names up and gives only the addresses that may be called. What is connected to is what was looked at.
struct Guarded {
    anywhere: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let anywhere = self.anywhere;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|at| anywhere || is_public(at.ip())).collect();
            if allowed.is_empty() {
                return Err(Box::new(NotPublic) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinSet;

    use super::*;

    fn client(addresses: Addresses) -> Outbound {
        Outbound::for_identity(addresses).unwrap()
    }

    async fn got(addresses: Addresses, url: &str) -> Result<Incoming, FetchFailure> {
        client(addresses).fetch(Outgoing { bytes_max: 20, ..Outgoing::get(url) }).await
    }

    #[tokio::test]
    async fn an_address_inside_is_not_called_however_it_is_written() {
        for url in [
            "https://localhost/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
        ] {
            assert_eq!(got(Addresses::Public, url).await, Err(FetchFailure::PrivateAddress), "{url}");
        }
        for url in ["http://1.1.1.1/", "https://", "file:///etc/passwd", "nonsense"] {
            assert_eq!(got(Addresses::Public, url).await, Err(FetchFailure::BadUrl), "{url}");
        }
    }

    /// Answers one request with these lines.
    async fn answering(answer: &'static str) -> (String, JoinSet<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let mut answering = JoinSet::new();
        answering.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        (url, answering)
    }

    #[tokio::test]
    async fn only_json_of_a_bounded_length_is_taken() {
        for (answer, got_back) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-type: application/jwk-set+json\r\ncache-control: public, max-age=60\r\n\
                 content-length: 2\r\n\r\n{}",
                Ok(Incoming { status: 200, body: b"{}".to_vec(), fresh_seconds: Some(60) }),
            ),
            (
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\ncache-control: no-store\r\n\
                 content-length: 2\r\n\r\n[]",
                Ok(Incoming { status: 400, body: b"[]".to_vec(), fresh_seconds: Some(0) }),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n\"aaaaaaaaaaaaaaaaaaa\"",
                Err(FetchFailure::TooLarge),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\n{}",
                Err(FetchFailure::NotJson),
            ),
            (
                "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
                Err(FetchFailure::Redirected),
            ),
        ] {
            let (url, _answering) = answering(answer).await;
            assert_eq!(got(Addresses::Any, &url).await, got_back, "{answer}");
        }
    }
}
