//! The policies of an organization as a record: one text, published whole, never changed. What a text means is the
//! gate's business.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::UserId;
use crate::time::Timestamp;

/// One published version. The highest version is in force; version 0 is the default that comes with the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct PolicySet {
    pub version: i64,
    /// In Cedar, with rules of approval as annotations.
    pub text: String,
    /// SHA-256 of the text.
    pub digest: Digest,
    pub published_by: UserId,
    pub published_by_email: String,
    pub published_at: Timestamp,
    /// Why it was published.
    pub reason: String,
    /// The earlier version whose text this is, when it was rolled back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<i64>,
}
