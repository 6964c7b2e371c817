//! Access tokens: JSON Web Tokens (RFC 9068) that this server signs for itself, by Ed25519 keys that all nodes share and that
//! are replaced in time. What a token says is not enough to be let in; see `grant.rs`.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use domain::digest::Digest;
use domain::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Fault;

use crate::{AuthError, Identity};

/// A key signs for so long; then a new one is made.
const KEY_DAYS: i64 = 90;
/// A key that signs no longer is still known for so long, far longer than a token lives.
const KEY_KEPT_DAYS: i64 = 2;
/// An unknown key id is looked for in the directory at most once in this time, however many tokens name one.
const LOOKED_FOR_SECONDS: i64 = 5;
/// How far the clocks of two nodes may differ.
const SKEW_SECONDS: i64 = 5;
/// Media type of access tokens (RFC 9068, 2.1). A token of another type is none, whoever signed it.
const TYPE: &str = "at+jwt";

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    /// The person.
    pub sub: String,
    pub aud: Vec<String>,
    pub exp: i64,
    pub iat: i64,
    pub jti: String,
    pub client_id: String,
    pub scope: String,
    /// The organization it works in.
    pub tenant: String,
    /// What the person has allowed; ends the token when it ends.
    pub grant: String,
}

/// One signing key, with what is derived from it.
struct Key {
    id: String,
    created_at: Timestamp,
    signing: EncodingKey,
    verifying: DecodingKey,
    public: [u8; 32],
}

/// The keys a process knows, the oldest first.
#[derive(Default)]
pub struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    looked_at: Timestamp,
}

fn secret_name(id: &str) -> String {
    format!("oauth-key-{id}")
}

impl Key {
    fn of(id: String, created_at: Timestamp, seed: &[u8; 32]) -> Result<Key, Fault> {
        let broken = |_| Fault::Bug("32 bytes are an Ed25519 seed");
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(broken)?;
        let public = pair.public_key().as_ref();
        let whole: aws_lc_rs::encoding::Pkcs8V1Der<'_> =
            pair.as_der().map_err(|_| Fault::Bug("an Ed25519 key can be written"))?;
        Ok(Key {
            id,
            created_at,
            signing: EncodingKey::from_ed_der(whole.as_ref()),
            verifying: DecodingKey::from_ed_der(public),
            public: public.try_into().map_err(|_| Fault::Bug("an Ed25519 public key has 32 bytes"))?,
        })
    }

    fn ends(&self, days: i64) -> Timestamp {
        self.created_at.plus_seconds(days * 86_400)
    }

    /// As others read it (RFC 8037, 2).
    fn public(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.id,
            "x": BASE64URL_NOPAD.encode(&self.public),
        })
    }
}

/// Whether a text has the form of a JSON Web Token.
pub fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|b| *b == b'.').count() == 2
}

impl Identity {
    fn known_keys(&self) -> std::sync::MutexGuard<'_, Known> {
        self.parts.keys.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the keys that are in use or have been until lately.
    async fn read_keys(&self) -> Result<Arc<Vec<Key>>, Fault> {
        let (now, directory) = (self.now(), self.parts.store.directory());
        let mut keys = Vec::new();
        for (id, created_at) in directory.signing_keys().await? {
            let Some(seed) = directory.existing_secret(&secret_name(&id)).await? else { continue };
            let key = Key::of(id, created_at, &seed)?;
            if now < key.ends(KEY_DAYS + KEY_KEPT_DAYS) {
                keys.push(key);
            } else {
                directory.delete_signing_key(&key.id).await?;
                directory.delete_secret(&secret_name(&key.id)).await?;
            }
        }
        let keys = Arc::new(keys);
        *self.known_keys() = Known { keys: Arc::clone(&keys), looked_at: now };
        Ok(keys)
    }

    /// The keys, the last of which signs; makes one where there is none or the last is old.
    async fn signing_keys(&self) -> Result<Arc<Vec<Key>>, Fault> {
        let now = self.now();
        let young = |keys: &[Key]| keys.last().is_some_and(|key| now < key.ends(KEY_DAYS));
        let known = Arc::clone(&self.known_keys().keys);
        if young(&known) {
            return Ok(known);
        }
        let read = self.read_keys().await?;
        if young(&read) {
            return Ok(read);
        }
        self.rotate_signing_key().await?;
        self.read_keys().await
    }

    /// Makes a new signing key. Tokens that the earlier ones have signed stay good.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn rotate_signing_key(&self) -> Result<String, Fault> {
        let (seed, id) = (self.random::<32>(), HEXLOWER.encode(&self.random::<8>()));
        let directory = self.parts.store.directory();
        // The secret first: whoever reads the name finds it.
        directory.secret(&secret_name(&id), seed).await?;
        directory.insert_signing_key(&id, self.now()).await?;
        self.read_keys().await?;
        Ok(id)
    }

    /// The public keys, as a JSON Web Key Set (RFC 7517, 5).
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn public_keys(&self) -> Result<Value, Fault> {
        let keys = self.signing_keys().await?;
        Ok(json!({ "keys": keys.iter().map(Key::public).collect::<Vec<_>>() }))
    }

    pub(crate) async fn sign(&self, claims: &Claims) -> Result<String, Fault> {
        let keys = self.signing_keys().await?;
        let key = keys.last().ok_or(Fault::Bug("there is a key to sign with"))?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, claims, &key.signing).map_err(|_| Fault::Bug("claims can be signed"))
    }

    /// What a token says, when one of our keys has signed it and it has not run out.
    ///
    /// # Errors
    /// [`AuthError::Invalid`], [`AuthError::Expired`].
    pub(crate) async fn claims_of(&self, token: &str) -> Result<Arc<Claims>, AuthError> {
        let digest = Digest::of(token.as_bytes());
        let claims = if let Some(known) = self.parts.verified.get(&digest) {
            known
        } else {
            let claims = Arc::new(self.verify(token).await?);
            self.parts.verified.insert(digest, Arc::clone(&claims));
            claims
        };
        let now = self.now().0.div_euclid(1_000_000);
        if claims.iss != self.issuer() || claims.iat > now + SKEW_SECONDS {
            return Err(AuthError::Invalid);
        }
        if now >= claims.exp { Err(AuthError::Expired) } else { Ok(claims) }
    }

    async fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Invalid)?;
        let (Some(id), Algorithm::EdDSA, Some(TYPE)) = (&header.kid, header.alg, header.typ.as_deref())
        else {
            return Err(AuthError::Invalid);
        };
        let (mut keys, looked_at) = {
            let known = self.known_keys();
            (Arc::clone(&known.keys), known.looked_at)
        };
        // Another node may have made it just now.
        if !keys.iter().any(|key| key.id == *id) && self.now() >= looked_at.plus_seconds(LOOKED_FOR_SECONDS) {
            keys = self.read_keys().await?;
        }
        let key = keys.iter().find(|key| key.id == *id).ok_or(AuthError::Invalid)?;
        // Times are compared with this server's own clock, audiences with the resource that is asked; see the callers.
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let read = jsonwebtoken::decode::<Claims>(token, &key.verifying, &validation);
        Ok(read.map_err(|_| AuthError::Invalid)?.claims)
    }
}
