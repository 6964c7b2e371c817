//! Signed assertions by which a program proves who it is (RFC 7523, 2.2): each is good once, and not for long.

use domain::digest::Digest;
use domain::oauth::{Client, ClientAuthentication};
use domain::time::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::client::unknown_client;
use super::{ASSERTION_SECONDS_MAX, OAuthError};
use crate::Identity;

/// What assertions may be signed with. Nothing that uses one secret on both sides.
pub const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::PS256];
/// How far the client's clock may be from this one.
const SKEW_SECONDS: i64 = 60;
/// Characters of an assertion that are looked at.
const ASSERTION_CHARS_MAX: usize = 8 * 1024;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    jti: String,
}

/// An audience, or several (RFC 7519, 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn names(&self, one: &str) -> bool {
        match self {
            OneOrMany::One(name) => name == one,
            OneOrMany::Many(names) => names.iter().any(|name| name == one),
        }
    }
}

/// Whether a text is a set of public keys with at least one that may be used.
pub(super) fn are_keys(keys: &Value) -> bool {
    let set: Result<JwkSet, _> = serde_json::from_value(keys.clone());
    let private = |key: &Value| key.get("d").is_some() || key.get("k").is_some();
    let listed = keys.get("keys").and_then(Value::as_array);
    let no_secret = listed.is_some_and(|list| !list.iter().any(private));
    no_secret && set.is_ok_and(|set| set.keys.iter().any(|key| DecodingKey::from_jwk(key).is_ok()))
}

/// Checks a signature with the keys of a set, that of the named one where the token names one.
fn signed(assertion: &str, keys: &Value) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(assertion).ok()?;
    if !ALGORITHMS.contains(&header.alg) {
        return None;
    }
    let keys: JwkSet = serde_json::from_value(keys.clone()).ok()?;
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let named = |key: &&Jwk| header.kid.is_none() || key.common.key_id == header.kid;
    keys.keys.iter().filter(named).find_map(|key| {
        let key = DecodingKey::from_jwk(key).ok()?;
        Some(jsonwebtoken::decode::<Claims>(assertion, &key, &validation).ok()?.claims)
    })
}

impl Identity {
    /// The client that has signed an assertion; `id` is the client id that came with it, if one did.
    pub(super) async fn client_by_assertion(
        &self,
        assertion: &str,
        id: Option<&str>,
    ) -> Result<Client, OAuthError> {
        if assertion.len() > ASSERTION_CHARS_MAX {
            return Err(unknown_client());
        }
        // Believed only as far as to find the keys by which it is then checked.
        let said: Claims =
            jsonwebtoken::dangerous::insecure_decode_claims(assertion).map_err(|_| unknown_client())?;
        if id.is_some_and(|id| id != said.sub) || said.iss != said.sub {
            return Err(unknown_client());
        }
        let client = self.client(&said.sub).await?;
        let (ClientAuthentication::PrivateKeyJwt, Some(keys)) = (client.authentication, &client.keys) else {
            return Err(unknown_client());
        };
        let said = signed(assertion, keys).filter(|said| said.sub == client.id).ok_or(unknown_client())?;
        let now = self.now().0.div_euclid(1_000_000);
        let lives = said.exp > now - SKEW_SECONDS
            && said.exp <= now + ASSERTION_SECONDS_MAX + SKEW_SECONDS
            && said.nbf.is_none_or(|from| from <= now + SKEW_SECONDS);
        // Clients name the server by its issuer, and older ones by the address they post to.
        let ours = said.aud.names(self.issuer()) || said.aud.names(&format!("{}/token", self.issuer()));
        if !lives || !ours || said.jti.is_empty() {
            return Err(unknown_client());
        }
        let once = Digest::of_parts(&[client.id.as_bytes(), said.jti.as_bytes()]);
        let ends = Timestamp(0).plus_seconds(said.exp + SKEW_SECONDS);
        if self.parts.store.directory().take_assertion(&once, ends).await? {
            Ok(client)
        } else {
            Err(unknown_client())
        }
    }
}
