//! Ed25519 (RFC 8032) for the notes of the log, ES256 and RS256 for what passkeys signed, HMAC-SHA256 (RFC 2104) for
//! messages to webhooks. Knows neither where keys are kept nor what is signed.

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
