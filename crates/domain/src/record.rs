//! What every record shares: its type's name, and the pair (type, id) by which effects, references and audit
//! records speak of it.

use serde::{Deserialize, Serialize};

crate::words! {
    /// The kinds of record there are, as they are called everywhere.
    RecordType {
        Organization = "organization", Team = "team", User = "user", Membership = "membership", Token = "token",
        Component = "component", Release = "release", Certification = "certification", Control = "control",
        ControlResult = "control_result", Evidence = "evidence", EvidenceGap = "evidence_gap",
        ProviderBlocker = "provider_blocker", Risk = "risk", Exception = "exception", WorkItem = "work_item",
        RemediationWorkPackage = "remediation_work_package", Action = "action", ReleaseCheck = "release_check",
        Gate = "gate", RollbackDecision = "rollback_decision", PolicySet = "policy_set",
        AuditRecord = "audit_record", LogKey = "log_key", Agent = "agent", Webhook = "webhook",
        Delivery = "delivery", Passkey = "passkey", Session = "session",
        IdentityProvider = "identity_provider", IdentityLink = "identity_link",
    }
}

/// A record that was read while a write was planned, with the version it had. Execution checks that none of
/// them has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct VersionRead {
    pub record_type: RecordType,
    /// The record's identifier.
    pub id: String,
    pub version: i64,
}

impl VersionRead {
    /// What stands for all teams of an organization together, whose version is [`crate::org::teams_version`].
    pub const EVERY_TEAM: &str = "teams";

    pub fn of(record_type: RecordType, id: impl ToString, version: i64) -> VersionRead {
        VersionRead { record_type, id: id.to_string(), version }
    }
}
