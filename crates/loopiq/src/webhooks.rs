//! Posts messages to webhooks. The receiver's address comes from people of an organization, so what it may lead to is
//! decided here, when it is connected to: names are looked up by this file's own resolver, no proxy is asked, no redirection
//! is followed, the body of an answer is not read.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::webhook::{DeliveryFailure, check_url, is_public};
use engine::limits::DELIVERY_SECONDS_MAX;
use engine::webhooks::{Message, Post, Posting};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};

/// Posts by HTTP.
pub struct HttpPost {
    client: Client,
    /// Whether addresses that are not public may be called, and http.
    anywhere: bool,
}

impl HttpPost {
    /// # Errors
    /// When the platform gives no client.
    pub fn new(anywhere: bool) -> anyhow::Result<HttpPost> {
        let limit = Duration::from_secs(DELIVERY_SECONDS_MAX);
        let client = Client::builder()
            .user_agent(concat!("loopiq/", env!("CARGO_PKG_VERSION")))
            .timeout(limit)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(!anywhere)
            .dns_resolver(Arc::new(Guarded { anywhere }))
            .build()
            .context("the HTTP client cannot start")?;
        Ok(HttpPost { client, anywhere })
    }
}

impl Post for HttpPost {
    fn post(&self, message: Message) -> Posting {
        let (client, anywhere) = (self.client.clone(), self.anywhere);
        Box::pin(async move {
            let url = target(&message.url, anywhere)?;
            let headers = headers(&message.headers).ok_or(DeliveryFailure::BadUrl)?;
            let answer = client.post(url).headers(headers).body(message.body).send().await;
            answer.map(|answer| answer.status().as_u16()).map_err(|error| failure(&error))
        })
    }
}

/// Where a URL leads. An address in numbers is looked at here, in whatever spelling, because no name is looked up for it.
fn target(url: &str, anywhere: bool) -> Result<Url, DeliveryFailure> {
    let url = Url::parse(url).map_err(|_| DeliveryFailure::BadUrl)?;
    let host = url.host_str().ok_or(DeliveryFailure::BadUrl)?;
    let number: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    if !anywhere && number.is_ok_and(|address| !is_public(address)) {
        return Err(DeliveryFailure::PrivateAddress);
    }
    // The setting may have changed since the webhook was made.
    check_url(url.as_str(), anywhere).map_err(|_| DeliveryFailure::BadUrl)?;
    Ok(url)
}

fn headers(given: &[(&'static str, String)]) -> Option<HeaderMap> {
    let one = |(name, value): &(&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
    };
    given.iter().map(one).collect()
}

/// Why nothing came back.
fn failure(error: &reqwest::Error) -> DeliveryFailure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<NotPublic>() {
            return DeliveryFailure::PrivateAddress;
        }
        cause = inner.source();
    }
    if error.is_timeout() { DeliveryFailure::Timeout } else { DeliveryFailure::Unreachable }
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
    use super::*;

    fn message(url: &str) -> Message {
        Message { url: url.into(), headers: Vec::new(), body: "{}".into() }
    }

    #[tokio::test]
    async fn an_address_inside_is_not_called_however_it_is_written() {
        let post = HttpPost::new(false).unwrap();
        for url in [
            "https://localhost/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
        ] {
            assert_eq!(post.post(message(url)).await, Err(DeliveryFailure::PrivateAddress), "{url}");
        }
        for url in ["http://1.1.1.1/", "https://", "file:///etc/passwd", "nonsense"] {
            assert_eq!(post.post(message(url)).await, Err(DeliveryFailure::BadUrl), "{url}");
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_is_unreachable() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        drop(listener);
        let post = HttpPost::new(true).unwrap();
        assert_eq!(post.post(message(&url)).await, Err(DeliveryFailure::Unreachable));
    }
}
