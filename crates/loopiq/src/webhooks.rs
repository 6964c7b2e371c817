//! Posts messages to webhooks. Their addresses come from people of an organization, so they are called by the guarded client;
//! the body of an answer is not read.

use std::time::Duration;

use domain::webhook::DeliveryFailure;
use engine::limits::DELIVERY_SECONDS_MAX;
use engine::webhooks::{Message, Post, Posting};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Addresses;
use crate::outbound::{NoAnswer, Outbound};

/// Posts by HTTP.
pub struct HttpPost(Outbound);

impl HttpPost {
    /// # Errors
    /// When the platform gives no client.
    pub fn new(addresses: Addresses) -> anyhow::Result<HttpPost> {
        Ok(HttpPost(Outbound::new(addresses, Duration::from_secs(DELIVERY_SECONDS_MAX))?))
    }
}

impl Post for HttpPost {
    fn post(&self, message: Message) -> Posting {
        let outbound = self.0.clone();
        Box::pin(async move {
            let url = outbound.target(&message.url).map_err(failure)?;
            let headers = headers(&message.headers).ok_or(DeliveryFailure::BadUrl)?;
            let answer = outbound.client().post(url).headers(headers).body(message.body).send().await;
            answer.map(|answer| answer.status().as_u16()).map_err(|error| failure(NoAnswer::from(&error)))
        })
    }
}

fn headers(given: &[(&'static str, String)]) -> Option<HeaderMap> {
    let one = |(name, value): &(&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
    };
    given.iter().map(one).collect()
}

const fn failure(why: NoAnswer) -> DeliveryFailure {
    match why {
        NoAnswer::BadUrl => DeliveryFailure::BadUrl,
        NoAnswer::PrivateAddress => DeliveryFailure::PrivateAddress,
        NoAnswer::Timeout => DeliveryFailure::Timeout,
        NoAnswer::Unreachable => DeliveryFailure::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(url: &str) -> Message {
        Message { url: url.into(), headers: Vec::new(), body: "{}".into() }
    }

    #[tokio::test]
    async fn an_address_inside_is_not_called() {
        let post = HttpPost::new(Addresses::Public).unwrap();
        for url in ["https://localhost/", "https://169.254.169.254/latest/meta-data/"] {
            assert_eq!(post.post(message(url)).await, Err(DeliveryFailure::PrivateAddress), "{url}");
        }
        assert_eq!(post.post(message("http://1.1.1.1/")).await, Err(DeliveryFailure::BadUrl));
    }

    #[tokio::test]
    async fn where_nobody_listens_is_unreachable() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        drop(listener);
        let post = HttpPost::new(Addresses::Any).unwrap();
        assert_eq!(post.post(message(&url)).await, Err(DeliveryFailure::Unreachable));
    }
}
