//! The audit record: what is kept of every decision. A record has two parts. The *entry* is the leaf of the
//! organization's RFC 9162 log: canonical JSON of facts without free text, and a salted hash of the *body*. The
//! body (reason, payload, messages) is stored beside the log, so that it can be erased without breaking it. The
//! store gives sequence and time inside the commit, so an entry exists exactly when its write does.

use serde::{Deserialize, Serialize};

use crate::action::{Action, Channel};
use crate::digest::Digest;
use crate::id::{ActionId, AgentId, ApprovalId, IdentityProviderId, OrgId, SessionId, TokenId, UserId};
use crate::merkle;
use crate::passkey::Assertion;
use crate::record::RecordType;
use crate::refusal::Code;
use crate::tile::ENTRY_BYTES_MAX;
use crate::time::Timestamp;

crate::words! {
    /// What happened.
    AuditKind {
        Read = "read", Preview = "preview", Proposed = "proposed", Approved = "approved", Rejected = "rejected",
        Executed = "executed", Failed = "failed", Expired = "expired", Denied = "denied", Replayed = "replayed",
        SignedIn = "signed_in", SignInFailed = "sign_in_failed", SignedOut = "signed_out",
        Administered = "administered", BrokenGlass = "broken_glass", Reviewed = "reviewed", Erased = "erased",
        Warned = "warned",
    }
}

crate::words! {
    /// How an action was approved without the people its requirement asks for.
    Waived {
        /// The policy approved it because nobody decided in its time.
        Rule = "rule",
        /// One person approved past the rules.
        BrokenGlass = "broken_glass",
    }
}

/// What was asked before an action could run, as far as the log alone can prove that it was met: by counting the people
/// of the `approved` records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalAsked {
    /// Seconds after which the policy approves by itself what nobody has decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_approve_after_seconds: Option<i64>,
    /// Different people who must approve at least.
    pub minimum_approvers: u32,
    /// How many of them must be others than the requester.
    pub minimum_others: u32,
    /// How many of them must have signed with a passkey.
    #[serde(default, skip_serializing_if = "is_none_asked")]
    pub minimum_signed: u32,
    pub requester_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_none_asked(count: &u32) -> bool {
    *count == 0
}

impl ApprovalAsked {
    pub fn of(action: &Action) -> ApprovalAsked {
        let others = action.requirement.rules.iter().filter(|rule| !rule.requester_may_approve);
        let signed = action.requirement.rules.iter().filter(|rule| rule.passkey);
        let waived = match (&action.broken_glass, action.approved_by_rule) {
            (Some(_), _) => Some(Waived::BrokenGlass),
            (None, true) => Some(Waived::Rule),
            (None, false) => None,
        };
        ApprovalAsked {
            requester_id: action.requester_id,
            minimum_approvers: action.requirement.minimum_approvers,
            minimum_others: others.map(|rule| rule.minimum_approvers).max().unwrap_or(0),
            minimum_signed: signed.map(|rule| rule.minimum_approvers).max().unwrap_or(0),
            auto_approve_after_seconds: action.requirement.auto_approve_after_seconds(),
            waived,
        }
    }

    /// Whether both ask for the same, however it was met.
    pub fn asks_as(&self, other: &ApprovalAsked) -> bool {
        let unmet = |asked: &ApprovalAsked| ApprovalAsked { waived: None, ..asked.clone() };
        unmet(self) == unmet(other)
    }
}

/// Who did it, and how surely that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditActor {
    /// The agent that acted for the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The identity provider by whose word the person is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<IdentityProviderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

/// A record named in an audit record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct AuditReference {
    pub id: String,
    #[serde(rename = "type")]
    pub record_type: RecordType,
}

/// What the caller of the store supplies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDraft {
    pub at: Timestamp,
    pub kind: AuditKind,
    pub actor: AuditActor,
    pub channel: Channel,
    pub tool: Option<String>,
    pub action_id: Option<ActionId>,
    pub approval_id: Option<ApprovalId>,
    /// The action's digest, which approvals and execution are bound to.
    pub action_digest: Option<Digest>,
    pub approval: Option<ApprovalAsked>,
    /// The signature of an approval that was given with a passkey.
    pub assertion: Option<Assertion>,
    pub references: Vec<AuditReference>,
    pub created: Vec<AuditReference>,
    pub updated: Vec<AuditReference>,
    pub code: Option<Code>,
    /// Records a read returned.
    pub returned: Option<u32>,
    pub request_id: String,
    pub trace_id: String,
    pub body: AuditBody,
}

/// The erasable part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The records that the entry would have named, had they not been too many for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Named>,
    /// Canonical JSON text of what was asked, secrets removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
}

/// Records that a record of the log is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<AuditReference>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<AuditReference>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub updated: Vec<AuditReference>,
}

impl Named {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &AuditReference> {
        self.references.iter().chain(&self.created).chain(&self.updated)
    }
}

/// The leaf of the log. Its field names are fixed by `version`; the bytes are its canonical JSON. Fields are declared here, and in
/// what it is made of, in the order in which they are written, so that nothing has to be put in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<ActionId>,
    pub actor: AuditActor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalAsked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
    /// The signature of an approval that was given with a passkey; part of the leaf, so that no erasure takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
    pub at: Timestamp,
    /// SHA-256 over the record's 16-byte salt and the canonical JSON of its body.
    pub body_hash: Digest,
    pub channel: Channel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<AuditReference>,
    pub kind: AuditKind,
    /// How many records are named by the body instead, because an entry has at most 65,535 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_in_body: Option<u32>,
    pub organization_id: OrgId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<AuditReference>,
    pub request_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<u32>,
    pub sequence: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    pub trace_id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub updated: Vec<AuditReference>,
    pub version: u32,
}

/// Version of the entry format.
pub const ENTRY_VERSION: u32 = 1;

/// A record that lacks nothing but its place in the log. Whoever gives out the places does so one after the other; what can be
/// done before is done in [`AuditDraft::prepare`].
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The sequence in it has no meaning yet.
    pub entry: AuditEntry,
    /// The leaf as it is without a place.
    text: String,
    /// Where in it the sequence stands.
    place: usize,
    pub salt: [u8; 16],
    pub body: String,
    /// The records that the body names instead of the entry.
    named_in_body: Option<Named>,
}

/// Everything the store writes for one record.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub entry: AuditEntry,
    /// The leaf, as text; its bytes are UTF-8.
    pub entry_text: String,
    /// RFC 9162 leaf hash of `entry_text`.
    pub leaf_hash: Digest,
    pub salt: [u8; 16],
    pub body: String,
}

/// Hash of a body under its salt.
pub fn body_hash(salt: &[u8; 16], body_bytes: &[u8]) -> Digest {
    Digest::of_parts(&[salt, body_bytes])
}

/// The member of the leaf that is not known before the record has its place, up to its value.
const SEQUENCE: &str = "\"sequence\":";
/// The value it has until then.
const UNPLACED: &str = "0";
/// Digits of a sequence at most.
const SEQUENCE_DIGITS_MAX: usize = 19;

fn canonical_text<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    String::from_utf8(crate::digest::canonical_json(value)?).map_err(serde::ser::Error::custom)
}

/// The leaf's text without a place, and where its sequence stands.
fn unplaced(entry: &AuditEntry) -> Result<(String, usize), serde_json::Error> {
    let text = canonical_text(entry)?;
    // A quotation mark inside of a text is escaped, and nothing within an entry has a member of this name but itself.
    let Some(member) = text.find(SEQUENCE) else {
        return Err(serde::ser::Error::custom("an entry has its sequence"));
    };
    Ok((text, member + SEQUENCE.len()))
}

impl AuditDraft {
    /// Makes everything of the record that does not depend on its place in the log.
    ///
    /// # Errors
    /// Only if a value cannot be written as JSON, which is a bug.
    pub fn prepare(self, organization_id: OrgId, salt: [u8; 16]) -> Result<Prepared, serde_json::Error> {
        let mut record_body = self.body;
        let mut body = canonical_text(&record_body)?;
        let mut entry = AuditEntry {
            version: ENTRY_VERSION,
            organization_id,
            sequence: 0,
            at: self.at,
            kind: self.kind,
            actor: self.actor,
            channel: self.channel,
            tool: self.tool,
            action_id: self.action_id,
            approval_id: self.approval_id,
            action_digest: self.action_digest,
            approval: self.approval,
            assertion: self.assertion,
            references: self.references,
            created: self.created,
            updated: self.updated,
            named_in_body: None,
            code: self.code,
            returned: self.returned,
            request_id: self.request_id,
            trace_id: self.trace_id,
            body_hash: body_hash(&salt, body.as_bytes()),
        };
        let (mut text, mut place) = unplaced(&entry)?;
        if text.len() + SEQUENCE_DIGITS_MAX > ENTRY_BYTES_MAX {
            // What an upload found may be thousands of records. Their names then lie in the body, under its hash.
            let named = Named {
                references: std::mem::take(&mut entry.references),
                created: std::mem::take(&mut entry.created),
                updated: std::mem::take(&mut entry.updated),
            };
            entry.named_in_body = Some(named.iter().count() as u32);
            record_body.named = Some(named);
            body = canonical_text(&record_body)?;
            entry.body_hash = body_hash(&salt, body.as_bytes());
            (text, place) = unplaced(&entry)?;
        }
        Ok(Prepared { entry, text, place, salt, body, named_in_body: record_body.named })
    }

    /// [`AuditDraft::prepare`] and [`Prepared::seal`] in one.
    ///
    /// # Errors
    /// As [`AuditDraft::prepare`].
    pub fn seal(
        self,
        organization_id: OrgId,
        sequence: i64,
        salt: [u8; 16],
    ) -> Result<Sealed, serde_json::Error> {
        Ok(self.prepare(organization_id, salt)?.seal(sequence))
    }
}

impl Prepared {
    /// The leaf's text up to its sequence, and after it.
    pub fn around_sequence(&self) -> (&str, &str) {
        let (before, after) = self.text.split_at_checked(self.place).unwrap_or_default();
        (before, after.strip_prefix(UNPLACED).unwrap_or_default())
    }

    /// The records it names, whether entry or body does.
    pub fn named(&self) -> impl Iterator<Item = &AuditReference> {
        let AuditEntry { references, created, updated, .. } = &self.entry;
        let in_body = self.named_in_body.iter().flat_map(Named::iter);
        references.iter().chain(created).chain(updated).chain(in_body)
    }

    /// RFC 9162 leaf hash of the leaf at this place.
    pub fn leaf_hash(&self, sequence: i64) -> Digest {
        let (before, after) = self.around_sequence();
        merkle::leaf_hash_of([before, &sequence.to_string(), after].map(str::as_bytes))
    }

    /// Gives it its place.
    pub fn seal(mut self, sequence: i64) -> Sealed {
        let (before, after) = self.around_sequence();
        let entry_text = format!("{before}{sequence}{after}");
        let leaf_hash = merkle::leaf_hash(entry_text.as_bytes());
        self.entry.sequence = sequence;
        Sealed { entry: self.entry, entry_text, leaf_hash, salt: self.salt, body: self.body }
    }
}
