//! Passkeys (WebAuthn Level 3) by which people sign their approvals: the public key, what is signed, and the check of a
//! signature that needs nothing but the record of it. How a browser and an authenticator are spoken to is the business of
//! `identity`.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{ActionId, UserId};
use crate::note::Verify;
use crate::time::Timestamp;

/// The public side of a passkey, as a JSON Web Key (RFC 7517). Numbers are base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    /// ES256: ECDSA over P-256 with SHA-256. Each coordinate has 32 bytes.
    #[serde(rename = "EC")]
    Ec { crv: Curve, x: String, y: String },
    /// RS256: RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

/// The curve of an ES256 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    #[serde(rename = "P-256")]
    P256,
}

impl PublicKey {
    /// The thumbprint of the key (RFC 7638), by which it is called everywhere: SHA-256 over its members in order.
    ///
    /// # Errors
    /// Only if a value cannot be written as JSON, which is a bug.
    pub fn thumbprint(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }
}

/// A passkey by which one person signs approvals in one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Passkey {
    /// The thumbprint of its key.
    pub id: Digest,
    pub user_id: UserId,
    pub email: String,
    /// What the person calls it.
    pub name: String,
    pub key: PublicKey,
    /// What the library that speaks WebAuthn keeps of it. No secret: the private key never leaves the authenticator.
    pub credential: serde_json::Value,
    pub created_at: Timestamp,
    pub version: i64,
}

/// What an authenticator signs to approve an action: SHA-256 over the action's id and digest, a line each. The digest says
/// what will be written; the id keeps a signature from counting for another proposal of the same.
pub fn challenge(action: ActionId, digest: &Digest) -> Digest {
    Digest::of(format!("loopiq approval\n{action}\n{digest}\n").as_bytes())
}

/// An approval as an authenticator signed it: a WebAuthn assertion, with the key that made it. All but the key is
/// base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assertion {
    pub key: PublicKey,
    pub authenticator_data: String,
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: String,
    pub signature: String,
}

/// What a browser says it was asked to sign.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
}

/// Bytes of authenticator data up to its counter (WebAuthn Level 3, 6.1).
const AUTHENTICATOR_DATA_BYTES_MIN: usize = 37;
/// The person was there, and was recognised by the authenticator (6.1, flags).
const PRESENT_AND_VERIFIED: u8 = 0b101;

impl Assertion {
    /// Checks that the key signed `challenge` in the hands of a person whom the authenticator had recognised, on a page
    /// of the host the signature names (WebAuthn Level 3, 7.2, steps 10 to 20, without the counter).
    ///
    /// # Errors
    /// What is wrong, readable after "its signature".
    pub fn check(&self, challenge: &Digest, with: &dyn Verify) -> Result<(), &'static str> {
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| "cannot be read");
        let (data, client) = (decode(&self.authenticator_data)?, decode(&self.client_data_json)?);
        let signature = decode(&self.signature)?;
        let said: ClientData = serde_json::from_slice(&client).map_err(|_| "cannot be read")?;
        if said.kind != "webauthn.get" || said.challenge != BASE64URL_NOPAD.encode(&challenge.0) {
            return Err("is of something else");
        }
        if data.len() < AUTHENTICATOR_DATA_BYTES_MIN {
            return Err("cannot be read");
        }
        let (place, rest) = data.split_at(32);
        let host = said.origin.split_once("://").map_or("", |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        if place != Digest::of(host.as_bytes()).0 {
            return Err("was made for another host than its page");
        }
        if rest.first().is_none_or(|flags| flags & PRESENT_AND_VERIFIED != PRESENT_AND_VERIFIED) {
            return Err("was made without recognising the person");
        }
        let signed = [data.as_slice(), &Digest::of(&client).0].concat();
        if with.verify_passkey(&self.key, &signed, &signature) { Ok(()) } else { Err("is wrong") }
    }
}
