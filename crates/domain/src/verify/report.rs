//! What verification has to say: what was looked at, what is wrong, what could not be judged.

use serde::Serialize;

use crate::digest::Digest;

crate::words! {
    /// What can be wrong.
    Fault {
        UnreadableLine = "unreadable_line", AlteredRecord = "altered_record", AlteredBody = "altered_body",
        MissingRecords = "missing_records", WrongPlace = "wrong_place", AlteredTile = "altered_tile",
        WrongRoot = "wrong_root", CutOff = "cut_off", RewrittenHistory = "rewritten_history",
        WrongSignature = "wrong_signature", UnknownKey = "unknown_key", OtherLog = "other_log",
        UnapprovedExecution = "unapproved_execution", SecondExecution = "second_execution",
        MissingBody = "missing_body", WrongPasskey = "wrong_passkey",
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub fault: Fault,
    /// The first record it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    pub message: String,
}

/// What was verified, and what was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub origin: String,
    pub organization: String,
    pub from: u64,
    pub to: u64,
    /// Records of the log at the checkpoint the piece is proven under.
    pub size: u64,
    pub root: Digest,
    pub counts: Counts,
    /// Keys that signed what was verified, and whether they were known beforehand or only come from the bundle.
    pub keys: Vec<String>,
    pub keys_were_given: bool,
    /// Everything that is wrong, up to 100 findings.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub found: u64,
    /// What could not be judged, in words.
    pub notes: Vec<String>,
}

impl Report {
    pub const fn is_good(&self) -> bool {
        self.found == 0
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub records: u64,
    pub bodies: u64,
    /// Bodies that are gone as a record of the log says.
    pub erased: u64,
    pub tiles: u64,
    pub checkpoints: u64,
    pub cosignatures: u64,
    /// Executions that had all the approvals they needed.
    pub approved_executions: u64,
    /// Approvals signed with a passkey that the log had named before as this person's.
    pub signed_approvals: u64,
    /// Executions for which policy asked for nobody.
    pub executions_without_requirement: u64,
    /// Executions approved by the time limit of a rule.
    pub approved_by_rule: u64,
    /// Executions one person approved past the rules.
    pub broken_glass: u64,
}
