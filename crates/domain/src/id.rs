//! Typed identifiers. Inside they are UUID v7 (sortable by creation); outside they are a short prefix that
//! names the kind and 26 characters of lower-case base32 that keep the order: `rel_01j…`. A `ReleaseId` cannot
//! be passed where a `FindingId` is meant. Ids are made only through [`Ids`], so that a test can repeat a run.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_DNSSEC;
use uuid::Uuid;

/// A text that is not an id of the expected kind. Deliberately says nothing about the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {prefix}… identifier")]
pub struct IdError {
    pub prefix: &'static str,
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, IdError> {
    let body = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
    let bytes = body.and_then(|body| bytes(body.as_bytes().try_into().ok()?));
    bytes.map(Uuid::from_bytes).ok_or(IdError { prefix })
}

/// What an id says after its prefix; nothing where no id is spelled so.
pub(crate) fn bytes(body: &[u8; BODY_BYTES]) -> Option<[u8; 16]> {
    // One spelling per id, so that ids can be compared as text.
    let upper = body.iter().any(u8::is_ascii_uppercase);
    let mut bytes = [0; 16];
    (!upper && BASE32_DNSSEC.decode_mut(body, &mut bytes).is_ok()).then_some(bytes)
}

/// How an id is spelled after its prefix.
pub(crate) fn body(bytes: &[u8; 16]) -> [u8; BODY_BYTES] {
    let mut body = [0; BODY_BYTES];
    BASE32_DNSSEC.encode_mut(bytes, &mut body);
    body
}

/// Characters of an id after its prefix and the underscore.
const BODY_BYTES: usize = 26;
/// Bytes of the longest id.
const TEXT_BYTES_MAX: usize = 32;

/// The text of an id, written into a buffer of the caller's.
fn spelled<'a>(prefix: &str, id: Uuid, buffer: &'a mut [u8; TEXT_BYTES_MAX]) -> &'a str {
    let (whole, body) = (prefix.len() + 1 + BODY_BYTES, prefix.len() + 1);
    if let Some(head) = buffer.get_mut(..prefix.len()) {
        head.copy_from_slice(prefix.as_bytes());
    }
    if let Some(line) = buffer.get_mut(prefix.len()) {
        *line = b'_';
    }
    if let Some(place) = buffer.get_mut(body..whole) {
        BASE32_DNSSEC.encode_mut(id.as_bytes(), place);
    }
    buffer.get(..whole).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;
            pub const fn from_uuid(id: Uuid) -> Self { Self(id) }
            pub const fn uuid(self) -> Uuid { self.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(spelled($prefix, self.0, &mut [0; TEXT_BYTES_MAX]))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> { parse($prefix, text).map(Self) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(spelled($prefix, self.0, &mut [0; TEXT_BYTES_MAX]))
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                crate::as_text::read(d, |text| text.parse::<Self>())
            }
        }
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool { true }
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }
    )*};
}

ids! {
    /// An organization: the tenant.
    OrgId = "org";
    TeamId = "team";
    UserId = "usr";
    /// A customer's program, registered to act for people.
    AgentId = "agt";
    ComponentId = "cmp";
    ReleaseId = "rel";
    CertificationId = "cert";
    ControlId = "ctl";
    EvidenceId = "ev";
    GapId = "gap";
    /// A provider finding, and the blocker it becomes: one record, one id.
    FindingId = "blk";
    RiskId = "risk";
    ExceptionId = "exc";
    WorkItemId = "wi";
    PackageId = "rwp";
    ActionId = "act";
    ApprovalId = "apr";
    /// A LoopIQ-issued bearer token's record (never the secret).
    TokenId = "tok";
    SessionId = "ses";
    CheckId = "chk";
    GateId = "gate";
    RollbackId = "rbd";
    WebhookId = "whk";
    /// An outside service that says who somebody is.
    IdentityProviderId = "idp";
    /// What a person and the assistant have said to each other.
    ConversationId = "conv";
    /// Something that happened, as receivers of webhooks are told of it.
    EventId = "evt";
}

/// Where new ids come from. The binary makes UUID v7 from clock and randomness; tests count.
pub trait Ids: Send + Sync {
    fn next(&self) -> Uuid;
}
