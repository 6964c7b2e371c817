//! One line of a bundle by itself: what it is, and whether entry and body have their hashes.

use std::borrow::Cow;

use serde::Deserialize;

use super::report::Fault;
use crate::audit::{ApprovalAsked, AuditKind, body_hash};
use crate::bundle::{Line, Part};
use crate::digest::Digest;
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
    pub organization: String,
    pub event: Option<Event>,
}

/// What later records are judged by.
#[derive(Debug)]
pub(super) struct Event {
    pub at: Timestamp,
    pub kind: AuditKind,
    pub user: Option<String>,
    pub in_session: bool,
    pub action: Option<String>,
    pub digest: Option<String>,
    pub approval: Option<ApprovalAsked>,
    /// The passkey whose good signature it carries.
    pub signed_by: Option<String>,
    /// Positions it erases, or keys it adds.
    pub names: Vec<(RecordType, String)>,
    /// Records it changes.
    pub changed: Vec<(RecordType, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    organization_id: Cow<'a, str>,
    sequence: u64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    body_hash: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    at: Timestamp,
    actor: Actor,
    #[serde(default)]
    action_id: Option<String>,
    #[serde(default)]
    action_digest: Option<String>,
    #[serde(default)]
    approval: Option<ApprovalAsked>,
    #[serde(default)]
    assertion: Option<Assertion>,
    #[serde(default)]
    references: Vec<Reference>,
    #[serde(default)]
    created: Vec<Reference>,
    #[serde(default)]
    updated: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Actor {
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "type")]
    record_type: String,
    id: String,
}

/// Looks at one line after the first by itself: what it is, whether entry and body have their hashes, and whether a
/// signature by passkey is good.
pub fn check(line: &str, with: &dyn Verify) -> Checked {
    Checked(read(line, with))
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
    let mut faults = Vec::new();
    let leaf = merkle::leaf_hash(entry.get().as_bytes());
    let stated = line.leaf_hash.as_deref().and_then(Digest::parse);
    if stated != Some(leaf) {
        faults.push((Fault::AlteredRecord, "is not the one that was recorded: its leaf hash is another"));
    }
    let mut record = Record {
        sequence,
        leaf: stated.unwrap_or(leaf),
        faults,
        body: line.body.is_some(),
        organization: String::new(),
        event: None,
    };
    match serde_json::from_str::<Entry<'_>>(entry.get()) {
        Ok(read) => understand(&mut record, &line, &read, entry.get(), with),
        // An altered record need not be readable.
        Err(_) if !record.faults.is_empty() => {}
        Err(_) => record.faults.push((Fault::AlteredRecord, "cannot be read")),
    }
    Ok(Said::Record(Box::new(record)))
}

fn understand(record: &mut Record, line: &Line<'_>, entry: &Entry<'_>, bytes: &str, with: &dyn Verify) {
    if entry.sequence != record.sequence {
        record.faults.push((Fault::WrongPlace, "was written for another place in the log"));
    }
    if let Some(body) = line.body {
        let salt = line.salt.as_deref().and_then(|salt| {
            data_encoding::HEXLOWER.decode(salt.as_bytes()).ok().and_then(|salt| salt.try_into().ok())
        });
        let hash = salt.map(|salt: [u8; 16]| body_hash(&salt, body.get().as_bytes()));
        if hash.is_none() || hash != Digest::parse(&entry.body_hash) {
            record.faults.push((Fault::AlteredBody, "has another body than the one that was recorded"));
        }
    }
    record.organization = entry.organization_id.clone().into_owned();
    let Some(kind) = AuditKind::parse(&entry.kind).filter(|kind| tells(*kind)) else { return };
    let Ok(facts) = serde_json::from_str::<Facts>(bytes) else {
        record.faults.push((Fault::AlteredRecord, "cannot be read"));
        return;
    };
    let signed_by = facts.assertion.as_ref().and_then(|assertion| {
        let action = facts.action_id.as_deref()?.parse().ok()?;
        let digest = Digest::parse(facts.action_digest.as_deref()?)?;
        assertion.check(&passkey::challenge(action, &digest), with).ok()?;
        Some(assertion.key.thumbprint().ok()?.to_string())
    });
    if facts.assertion.is_some() && signed_by.is_none() {
        let message = "carries a signature that is not of this approval by this passkey";
        record.faults.push((Fault::WrongPasskey, message));
    }
    let typed = |name: Reference| Some((RecordType::parse(&name.record_type)?, name.id));
    let names = facts.references.into_iter().chain(facts.created);
    record.event = Some(Event {
        at: facts.at,
        kind,
        user: facts.actor.user_id,
        in_session: facts.actor.session_id.is_some(),
        action: facts.action_id,
        digest: facts.action_digest,
        approval: facts.approval,
        signed_by,
        names: names.filter_map(typed).collect(),
        changed: facts.updated.into_iter().filter_map(typed).collect(),
    });
}

/// Whether records of this kind are what others are judged by.
const fn tells(kind: AuditKind) -> bool {
    use AuditKind as K;
    let decides = matches!(kind, K::Proposed | K::Approved | K::BrokenGlass | K::Executed);
    let ends = matches!(kind, K::Rejected | K::Expired | K::Failed);
    decides || ends || matches!(kind, K::Administered | K::Erased)
}
