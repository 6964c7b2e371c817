//! Ed25519 (RFC 8032) for the notes of the log, ES256 and RS256 for what passkeys signed, HMAC-SHA256 (RFC 2104) for
//! messages to webhooks, AES-256-GCM (NIST SP 800-38D) for keys that are kept. Knows neither where keys are kept nor what is signed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use data_encoding::BASE64URL_NOPAD;
use domain::note::{Sign, Verify};
use domain::passkey::PublicKey;

use crate::stop::Fault;

/// A key that signs. Not `Debug`: it is a secret.
pub struct LogSigner {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl LogSigner {
    /// From the 32 bytes of a stored secret.
    ///
    /// # Errors
    /// [`Fault::Bug`] when the library does not take them.
    pub fn new(secret: &[u8; 32]) -> Result<LogSigner, Fault> {
        let pair = Ed25519KeyPair::from_seed_unchecked(secret)
            .map_err(|_| Fault::Bug("32 bytes are an Ed25519 secret"))?;
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| Fault::Bug("an Ed25519 public key has 32 bytes"))?;
        Ok(LogSigner { pair, public })
    }

    /// 32 bytes for a new key.
    ///
    /// # Errors
    /// [`Fault::Bug`] when the system gives no randomness.
    pub fn fresh_secret() -> Result<[u8; 32], Fault> {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| Fault::Bug("the system gives randomness"))?;
        Ok(secret)
    }
}

impl Sign for LogSigner {
    fn public(&self) -> [u8; 32] {
        self.public
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        // Ed25519 signatures have 64 bytes; another length would verify nowhere.
        signature.as_ref().try_into().unwrap_or([0; 64])
    }
}

/// Verifies with the same library.
#[derive(Debug, Clone, Copy)]
pub struct SignatureVerifier;

impl Verify for SignatureVerifier {
    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
    }

    fn verify_passkey(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default();
        match key {
            PublicKey::Ec { x, y, .. } => {
                // An uncompressed point (SEC 1, 2.3.3).
                let point = [&[4][..], &decode(x), &decode(y)].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
            }
            PublicKey::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n: decode(n), e: decode(e) };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
        }
    }
}

/// HMAC-SHA256 of a message in parts.
pub fn hmac_sha256(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

/// Bytes of a nonce, which comes before what was sealed with it.
const NONCE_BYTES: usize = 12;

/// Seals a text, so that it can be read only with the key, and only for what it is bound to.
///
/// # Errors
/// [`Fault::Bug`] when the library does not take the key, or the system gives no randomness.
pub fn seal(key: &[u8; 32], bound_to: &[u8], text: &[u8]) -> Result<Vec<u8>, Fault> {
    let bug = |_| Fault::Bug("32 bytes are a key of AES-256");
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(bug)?;
    let mut sealed = text.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(bound_to), &mut sealed).map_err(bug)?;
    Ok([nonce.as_ref().as_slice(), &sealed].concat())
}

/// The text that was sealed with this key for this.
pub fn open(key: &[u8; 32], bound_to: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let mut text = sealed.split_off(sealed.len().min(NONCE_BYTES));
    let nonce = Nonce::try_assume_unique_for_key(&sealed).ok()?;
    let length = key.open_in_place(nonce, Aad::from(bound_to), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_for_its_purpose_alone() {
        let sealed = seal(&[1; 32], b"here", b"sk-secret").unwrap();
        assert!(!sealed.windows(9).any(|part| part == b"sk-secret"));
        assert_ne!(sealed, seal(&[1; 32], b"here", b"sk-secret").unwrap());
        assert_eq!(open(&[1; 32], b"here", sealed.clone()).as_deref(), Some(b"sk-secret".as_slice()));
        assert_eq!(open(&[2; 32], b"here", sealed.clone()), None);
        assert_eq!(open(&[1; 32], b"there", sealed.clone()), None);
        let mut altered = sealed;
        altered[20] ^= 1;
        assert_eq!(open(&[1; 32], b"here", altered), None);
        assert_eq!(open(&[1; 32], b"here", Vec::new()), None);
    }
}
