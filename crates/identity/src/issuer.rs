//! What issuers publish about themselves (OpenID Connect Discovery 1.0, section 4): metadata and keys, fetched when they are
//! needed and kept for a while. Only issuers that an administrator has named are ever asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::time::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

use crate::Identity;
use crate::fetch::{FetchFailure, Outgoing};

/// Seconds for which metadata and keys are taken as they are.
const KEPT_SECONDS: i64 = 600;
/// Seconds for which they are good when the issuer does not answer any more.
const STALE_SECONDS_MAX: i64 = 3_600;
/// Seconds between two fetches because of a key that is not known: nobody makes us ask again and again by inventing keys.
const UNKNOWN_KEY_SECONDS: i64 = 30;
/// Seconds before an issuer that did not answer is asked again.
const FAILED_SECONDS: i64 = 10;
/// Issuers that are remembered at the same time.
const ISSUERS_MAX: usize = 1_000;
/// Keys of one issuer that are looked at.
const KEYS_MAX: usize = 100;

/// Why nothing usable is known of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuerFailure {
    #[error("its metadata or keys could not be fetched: {0}")]
    Fetch(FetchFailure),
    #[error("what it publishes is not metadata of OpenID Connect")]
    Unreadable,
    #[error("its metadata is of another issuer")]
    AnotherIssuer,
}

/// What an issuer publishes.
pub(crate) struct Published {
    /// Its whole metadata.
    pub metadata: Value,
    /// Its key set as it came.
    pub key_set: Value,
    /// Keys of it that can check signatures.
    pub keys: Vec<Jwk>,
}

impl Published {
    /// The key of this id; where a signature names none, the only key there is.
    pub fn key(&self, id: Option<&str>) -> Option<&Jwk> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.iter().find(|key| key.common.key_id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// What is remembered of one issuer.
#[derive(Default)]
struct Place {
    published: Option<(Arc<Published>, Timestamp)>,
    failed: Option<(IssuerFailure, Timestamp)>,
    /// When it was last fetched because of an unknown key.
    sought_key_at: Option<Timestamp>,
}

/// What is remembered of all issuers. One fetch at a time for each; others wait for it.
#[derive(Default)]
pub(crate) struct Issuers {
    places: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Place>>>>,
}

impl Issuers {
    fn place(&self, issuer: &str) -> Arc<tokio::sync::Mutex<Place>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= ISSUERS_MAX && !places.contains_key(issuer) {
            places.clear();
        }
        Arc::clone(places.entry(issuer.to_owned()).or_default())
    }
}

/// The members of the metadata that are needed here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Identity {
    /// What the issuer publishes, as it was fetched not long ago.
    pub(crate) async fn published(&self, issuer: &str) -> Result<Arc<Published>, IssuerFailure> {
        let place = self.parts.issuers.place(issuer);
        let mut place = place.lock().await;
        let now = self.now();
        let recent = |at: Timestamp, seconds| now.seconds_since(at) < seconds;
        if let Some((published, at)) = &place.published
            && recent(*at, KEPT_SECONDS)
        {
            return Ok(Arc::clone(published));
        }
        let failed = match place.failed {
            Some((failure, at)) if recent(at, FAILED_SECONDS) => failure,
            _ => match self.fetch_published(issuer, &mut place).await {
                Ok(published) => return Ok(published),
                Err(failure) => failure,
            },
        };
        match &place.published {
            Some((published, at)) if recent(*at, STALE_SECONDS_MAX) => Ok(Arc::clone(published)),
            _ => Err(failed),
        }
    }

    /// What the issuer publishes now, because something is signed by a key that was not among those of `than`. Where that was
    /// asked only just now, what is known already.
    pub(crate) async fn published_later(
        &self,
        issuer: &str,
        than: &Arc<Published>,
    ) -> Result<Arc<Published>, IssuerFailure> {
        let place = self.parts.issuers.place(issuer);
        let mut place = place.lock().await;
        if let Some((known, _)) = &place.published
            && !Arc::ptr_eq(known, than)
        {
            return Ok(Arc::clone(known));
        }
        let now = self.now();
        if place.sought_key_at.is_some_and(|at| now.seconds_since(at) < UNKNOWN_KEY_SECONDS) {
            return Ok(Arc::clone(than));
        }
        place.sought_key_at = Some(now);
        self.fetch_published(issuer, &mut place).await
    }

    async fn fetch_published(
        &self,
        issuer: &str,
        place: &mut Place,
    ) -> Result<Arc<Published>, IssuerFailure> {
        let now = self.now();
        match self.fetch_issuer(issuer).await {
            Ok(published) => {
                let published = Arc::new(published);
                place.published = Some((Arc::clone(&published), now));
                place.failed = None;
                Ok(published)
            }
            Err(failure) => {
                place.failed = Some((failure, now));
                Err(failure)
            }
        }
    }

    async fn fetch_issuer(&self, issuer: &str) -> Result<Published, IssuerFailure> {
        let metadata = self
            .fetch_json(format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
            .await?;
        let needed: Metadata =
            serde_json::from_value(metadata.clone()).map_err(|_| IssuerFailure::Unreadable)?;
        // Exactly, or keys of one could pass for those of another (Discovery, section 4.3).
        if needed.issuer != issuer {
            return Err(IssuerFailure::AnotherIssuer);
        }
        let key_set = self.fetch_json(needed.jwks_uri).await?;
        let all = key_set.get("keys").and_then(Value::as_array).ok_or(IssuerFailure::Unreadable)?;
        // One key that nobody here understands must not make the others useless.
        let keys =
            all.iter().take(KEYS_MAX).filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let keys = keys.filter(|key| {
            let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
            signs
                && !matches!(key.algorithm, AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_))
        });
        Ok(Published { keys: keys.collect(), metadata, key_set })
    }

    async fn fetch_json(&self, url: String) -> Result<Value, IssuerFailure> {
        let answer = self.parts.fetch.fetch(Outgoing::get(url)).await.map_err(IssuerFailure::Fetch)?;
        if answer.status != 200 {
            return Err(IssuerFailure::Fetch(FetchFailure::Unreachable));
        }
        serde_json::from_slice(&answer.body).map_err(|_| IssuerFailure::Unreadable)
    }
}
