//! SHA-256 digests of bytes and of canonical JSON.

use std::fmt;

use sha2::{Digest as _, Sha256};

pub use crate::canonical::canonical_json;

/// A SHA-256 digest; lower-case hexadecimal at the edges.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }
    /// Digest over several parts, fed one after the other.
    pub fn of_parts(parts: &[&[u8]]) -> Digest {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        Digest(hash.finalize().into())
    }
    /// Digest of the canonical JSON of `value`.
    pub fn of_json<T: serde::Serialize>(value: &T) -> Result<Digest, serde_json::Error> {
        Ok(Digest::of(&canonical_json(value)?))
    }
    pub fn parse(text: &str) -> Option<Digest> {
        let mut bytes = [0; 32];
        let exact = text.len() == 2 * bytes.len();
        let read = exact && data_encoding::HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).is_ok();
        read.then_some(Digest(bytes))
    }
    /// Its text, written into a buffer of the caller's.
    fn spelled<'a>(&self, buffer: &'a mut [u8; 64]) -> &'a str {
        data_encoding::HEXLOWER.encode_mut(&self.0, buffer);
        std::str::from_utf8(buffer).unwrap_or_default()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spelled(&mut [0; 64]))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.spelled(&mut [0; 64]))
    }
}
impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::as_text::read(d, |text| Digest::parse(text).ok_or("not a SHA-256 digest"))
    }
}
impl schemars::JsonSchema for Digest {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Digest".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}
