//! The envelope of DSSE (github.com/secure-systems-lab/dsse, version 1): a payload, what kind of thing it is, and signatures
//! over both, so that a signature of one kind of payload is good for no other.

use data_encoding::{BASE64, BASE64URL};
use serde::{Deserialize, Serialize};

use crate::note::{NoteError, Sign, VerifierKey, Verify};

/// A signed payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Base64.
    pub payload: String,
    pub payload_type: String,
    pub signatures: Vec<Signature>,
}

/// One signature over type and payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Names the key; here its verifier key.
    #[serde(default)]
    pub keyid: String,
    /// Base64 of the signature.
    pub sig: String,
}

/// What is signed: the pre-authentication encoding of a type and a payload.
pub fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Both alphabets are allowed by the specification.
fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.as_bytes()).or_else(|_| BASE64URL.decode(text.as_bytes())).ok()
}

impl Envelope {
    /// Signs a payload with a key, of which `key` is the public side.
    pub fn sign(payload_type: &str, payload: &[u8], key: &VerifierKey, with: &dyn Sign) -> Envelope {
        let signature = with.sign(&pre_authentication(payload_type, payload));
        Envelope {
            payload: BASE64.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![Signature { keyid: key.to_string(), sig: BASE64.encode(&signature) }],
        }
    }

    /// The payload; `None` when it is not base64.
    pub fn payload(&self) -> Option<Vec<u8>> {
        decoded(&self.payload)
    }

    /// The keys that the envelope itself names. Nothing vouches for them.
    pub fn named_keys(&self) -> Vec<VerifierKey> {
        self.signatures.iter().filter_map(|signature| VerifierKey::parse(&signature.keyid).ok()).collect()
    }

    /// The first of `known` that has signed. Signatures of other keys are passed over.
    ///
    /// # Errors
    /// [`NoteError::WrongSignature`] when one under a known key is not over this payload, [`NoteError::NoKnownKey`] when
    /// there is none.
    pub fn verify<'a>(
        &self,
        known: &'a [VerifierKey],
        with: &dyn Verify,
    ) -> Result<&'a VerifierKey, NoteError> {
        let message = pre_authentication(&self.payload_type, &self.payload().unwrap_or_default());
        for signature in &self.signatures {
            let Some(key) = known.iter().find(|key| key.to_string() == signature.keyid) else { continue };
            if decoded(&signature.sig).is_some_and(|signature| key.signed(&message, &signature, with)) {
                return Ok(key);
            }
            return Err(NoteError::WrongSignature { name: key.name().to_owned(), id: key.id() });
        }
        Err(NoteError::NoKnownKey)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_encoding_is_that_of_the_specification() {
        // The example of the protocol's document.
        let encoded = super::pre_authentication("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert_eq!(super::pre_authentication("", b""), b"DSSEv1 0  0 ");
    }
}
