//! One line of a bundle by itself: what it is, and whether entry and body have their hashes.

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXLOWER;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::report::Fault;
use crate::audit::{ApprovalAsked, AuditKind, body_hash};
use crate::bundle::{Line, Part};
use crate::digest::Digest;
use crate::id::{ActionId, OrgId, SessionId, UserId};
use crate::merkle;
use crate::note::Verify;
use crate::passkey::{self, Assertion};
use crate::record::RecordType;
use crate::time::Timestamp;

/// What one line says by itself.
#[derive(Debug)]
pub struct Checked(pub(super) Result<Said, String>);

#[derive(Debug)]
pub(super) enum Said {
    Record(Box<Record>),
    Tile {
        position: u64,
        root: Digest,
    },
    /// Records that are not shown.
    Hidden(Part),
}

#[derive(Debug)]
pub(super) struct Record {
    pub sequence: u64,
    pub leaf: Digest,
    /// Nothing, or what is wrong about the record by itself.
    pub faults: Vec<(Fault, &'static str)>,
    pub body: bool,
    /// Nothing where the entry cannot be read.
    pub organization: Option<OrgId>,
    pub event: Option<Event>,
}

impl Record {
    const fn new(sequence: u64, leaf: Digest, body: bool) -> Record {
        Record { sequence, leaf, faults: Vec::new(), body, organization: None, event: None }
    }
}

/// What later records are judged by.
#[derive(Debug)]
pub(super) struct Event {
    pub at: Timestamp,
    pub kind: AuditKind,
    pub user: Option<UserId>,
    pub in_session: bool,
    pub action: Option<ActionId>,
    pub digest: Option<Digest>,
    pub approval: Option<ApprovalAsked>,
    /// The passkey whose good signature it carries.
    pub signed_by: Option<String>,
    /// Positions it erases, keys and passkeys it adds.
    pub names: Vec<(RecordType, String)>,
    /// Passkeys it removes.
    pub changed: Vec<(RecordType, String)>,
}

/// What is read of an entry, in one pass. Texts stay where they lie; most records need none of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    organization_id: OrgId,
    sequence: u64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    body_hash: Digest,
    at: Timestamp,
    actor: Actor,
    #[serde(default)]
    action_id: Option<ActionId>,
    #[serde(default)]
    action_digest: Option<Digest>,
    #[serde(default)]
    approval: Option<ApprovalAsked>,
    #[serde(default)]
    assertion: Option<Assertion>,
    #[serde(default)]
    references: Names,
    #[serde(default)]
    created: Names,
    #[serde(default)]
    updated: Names,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Actor {
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    session_id: Option<SessionId>,
}

/// Of the records that an entry names, those by which others are judged.
#[derive(Default)]
struct Names(Vec<(RecordType, String)>);

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(rename = "type", borrow)]
    record_type: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Names, D::Error> {
        struct Judging;
        impl<'de> Visitor<'de> for Judging {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names of records")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element::<Reference<'_>>()? {
                    let record_type = RecordType::parse(&name.record_type);
                    let judges = [RecordType::AuditRecord, RecordType::LogKey, RecordType::Passkey];
                    if let Some(record_type) = record_type.filter(|named| judges.contains(named)) {
                        names.push((record_type, name.id.into_owned()));
                    }
                }
                Ok(Names(names))
            }
        }
        from.deserialize_seq(Judging)
    }
}

/// Looks at one line after the first by itself: what it is, whether entry and body have their hashes, and whether a
/// signature by passkey is good.
pub fn check(line: &str, with: &dyn Verify) -> Checked {
    let found =
        at_once(line).map_or_else(|| read(line, with), |(record, entry)| Ok(tell(record, entry, with)));
    Checked(found)
}

/// A record as [`crate::bundle::record_line`] writes it, read in one pass where nothing is wrong with it: its hashes say that entry and
/// body are those that were recorded. Anything else is for [`read`].
fn at_once(text: &str) -> Option<(Record, Entry<'_>)> {
    let (sequence, rest) = text.strip_prefix(r#"{"sequence":"#)?.split_once(',')?;
    let (leaf, rest) = rest.strip_prefix(r#""leafHash":""#)?.split_at_checked(2 * size_of::<Digest>())?;
    let rest = rest.strip_prefix(r#"","entry":"#)?;
    let mut entries = serde_json::Deserializer::from_str(rest).into_iter::<Entry<'_>>();
    let entry = entries.next()?.ok()?;
    let (bytes, rest) = rest.split_at_checked(entries.byte_offset())?;
    let leaf = Digest::parse(leaf).filter(|leaf| *leaf == merkle::leaf_hash(bytes.as_bytes()))?;
    let body = rest.strip_suffix('}')?;
    if !body.is_empty() {
        let (salt, body) = body.strip_prefix(r#","salt":""#)?.split_at_checked(2 * size_of::<Salt>())?;
        let body = body.strip_prefix(r#"","body":"#)?;
        // Without this, what was hashed as a body could say something else to whoever reads the line as JSON.
        let value: &RawValue = serde_json::from_str(body).ok()?;
        if value.get() != body || body_hash(&salt_of(salt)?, body.as_bytes()) != entry.body_hash {
            return None;
        }
    }
    let as_written = sequence == "0" || !sequence.starts_with(['0', '+']);
    (as_written && sequence.parse() == Ok(entry.sequence))
        .then(|| (Record::new(entry.sequence, leaf, !body.is_empty()), entry))
}

type Salt = [u8; 16];

fn salt_of(text: &str) -> Option<Salt> {
    let mut salt = Salt::default();
    let whole = text.len() == 2 * salt.len() && HEXLOWER.decode_mut(text.as_bytes(), &mut salt).is_ok();
    whole.then_some(salt)
}

fn read(text: &str, with: &dyn Verify) -> Result<Said, String> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|_| "a line is not of this format".to_owned())?;
    match (line.tile, line.level, line.hash.as_deref().and_then(Digest::parse)) {
        (Some(position), None, Some(root)) => return Ok(Said::Tile { position, root }),
        (None, Some(level), Some(hash)) => return Ok(Said::Hidden(Part { level, hash })),
        _ => {}
    }
    let (Some(sequence), Some(entry)) = (line.sequence, line.entry) else {
        return Err("a line is neither a record nor a tile".into());
    };
    let leaf = merkle::leaf_hash(entry.get().as_bytes());
    let stated = line.leaf_hash.as_deref().and_then(Digest::parse);
    let mut record = Record::new(sequence, stated.unwrap_or(leaf), line.body.is_some());
    if stated != Some(leaf) {
        let message = "is not the one that was recorded: its leaf hash is another";
        record.faults.push((Fault::AlteredRecord, message));
    }
    let Ok(entry) = serde_json::from_str::<Entry<'_>>(entry.get()) else {
        // An altered record need not be readable.
        if record.faults.is_empty() {
            record.faults.push((Fault::AlteredRecord, "cannot be read"));
        }
        return Ok(Said::Record(Box::new(record)));
    };
    if entry.sequence != record.sequence {
        record.faults.push((Fault::WrongPlace, "was written for another place in the log"));
    }
    if let Some(body) = line.body {
        let salt = line.salt.as_deref().and_then(salt_of);
        if salt.is_none_or(|salt| body_hash(&salt, body.get().as_bytes()) != entry.body_hash) {
            record.faults.push((Fault::AlteredBody, "has another body than the one that was recorded"));
        }
    }
    Ok(tell(record, entry, with))
}

/// Adds to a record what its entry tells later ones.
fn tell(mut record: Record, entry: Entry<'_>, with: &dyn Verify) -> Said {
    record.organization = Some(entry.organization_id);
    let Some(kind) = AuditKind::parse(&entry.kind).filter(|kind| tells(*kind)) else {
        return Said::Record(Box::new(record));
    };
    let signed_by = entry.assertion.as_ref().and_then(|assertion| {
        let challenge = passkey::challenge(entry.action_id?, &entry.action_digest?);
        assertion.check(&challenge, with).ok()?;
        Some(assertion.key.thumbprint().ok()?.to_string())
    });
    if entry.assertion.is_some() && signed_by.is_none() {
        let message = "carries a signature that is not of this approval by this passkey";
        record.faults.push((Fault::WrongPasskey, message));
    }
    let Names(mut names) = entry.references;
    names.extend(entry.created.0);
    record.event = Some(Event {
        at: entry.at,
        kind,
        user: entry.actor.user_id,
        in_session: entry.actor.session_id.is_some(),
        action: entry.action_id,
        digest: entry.action_digest,
        approval: entry.approval,
        signed_by,
        names,
        changed: entry.updated.0,
    });
    Said::Record(Box::new(record))
}

/// Whether records of this kind are what others are judged by.
const fn tells(kind: AuditKind) -> bool {
    use AuditKind as K;
    let decides = matches!(kind, K::Proposed | K::Approved | K::BrokenGlass | K::Executed);
    let ends = matches!(kind, K::Rejected | K::Expired | K::Failed);
    decides || ends || matches!(kind, K::Administered | K::Erased)
}
