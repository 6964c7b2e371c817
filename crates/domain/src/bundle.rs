//! The proof bundle: a piece of an organization's log in one file, with everything that is needed to verify it without
//! the server. JSON lines: a [`Header`] with keys, signed heads and the hashes around the piece; then a line for each
//! record, and after each full tile one with its root. A line holds entry and body byte for byte as they were hashed. In an
//! evidence pack ([`crate::pack`]) a line may also be a [`Part`]: it stands for records that are not shown.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::id::OrgId;
use crate::time::Timestamp;

/// What the first line begins with.
pub const FORMAT: &str = "loopiq-audit-bundle";
/// Version of the format.
pub const VERSION: u32 = 1;
/// Bytes of one line: an entry has at most 65,535, a body what a call may carry.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub format: String,
    pub version: u32,
    pub organization: Organization,
    /// Name of the log, which its checkpoints begin with.
    pub origin: String,
    /// First record of the piece.
    pub from: u64,
    /// One more than its last record.
    pub to: u64,
    /// Records of the log that the last checkpoint signs; `to` at least.
    pub size: u64,
    /// Keys the log has signed with, the oldest first.
    pub keys: Vec<String>,
    /// Signed heads by size: the first one of each key, cosigned ones, and last the one the piece is proven under.
    pub checkpoints: Vec<String>,
    /// Roots of the complete subtrees before the piece, from left to right.
    pub before: Vec<Part>,
    /// Roots of the complete subtrees after the piece, up to `size`.
    pub after: Vec<Part>,
    pub exported_at: Timestamp,
}

/// Whose log it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    pub id: OrgId,
    pub slug: String,
    pub name: String,
}

/// Root of a complete subtree of `2^level` records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub level: u32,
    pub hash: Digest,
}

/// Any other line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Line<'a> {
    #[serde(default)]
    pub sequence: Option<u64>,
    #[serde(default, borrow)]
    pub leaf_hash: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub entry: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub salt: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub body: Option<&'a RawValue>,
    /// Position of a full tile, whose root `hash` is.
    #[serde(default)]
    pub tile: Option<u64>,
    #[serde(default, borrow)]
    pub hash: Option<Cow<'a, str>>,
    /// Of records that are not shown: there are `2^level` of them, and `hash` is the root of their subtree.
    #[serde(default)]
    pub level: Option<u32>,
}

/// The line of a record as it is stored. What is not one line of JSON, because somebody changed the storage, becomes a
/// text, which the leaf hash will not be over.
pub fn record_line(sequence: i64, leaf_hash: &str, entry: &str, body: Option<(&[u8], &str)>) -> String {
    let leaf_hash = if Digest::parse(leaf_hash).is_some() { leaf_hash } else { "" };
    let mut line = format!(r#"{{"sequence":{sequence},"leafHash":"{leaf_hash}","entry":{}"#, inside(entry));
    if let Some((salt, body)) = body {
        line.push_str(&format!(r#","salt":"{}","body":{}"#, HEXLOWER.encode(salt), inside(body)));
    }
    line.push('}');
    line
}

/// The line of a full tile.
pub fn tile_line(position: u64, root: Digest) -> String {
    format!(r#"{{"tile":{position},"hash":"{root}"}}"#)
}

/// The line that stands for records that are not shown.
pub fn hidden_line(part: Part) -> String {
    format!(r#"{{"level":{},"hash":"{}"}}"#, part.level, part.hash)
}

fn inside(json: &str) -> Cow<'_, str> {
    let fits = !json.contains(['\n', '\r']) && serde_json::from_str::<&RawValue>(json).is_ok();
    if fits { Cow::Borrowed(json) } else { Cow::Owned(serde_json::Value::from(json).to_string()) }
}
