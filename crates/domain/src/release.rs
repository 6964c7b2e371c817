//! Releases: what is certified.

use serde::{Deserialize, Serialize};

use crate::id::{CheckId, ComponentId, ReleaseId, TeamId, UserId};
use crate::severity::Severity;
use crate::time::Timestamp;

crate::words! {
    ReleaseStatus {
        Planned = "planned", InProgress = "in_progress", InValidation = "in_validation", Ready = "ready",
        Released = "released", RolledBack = "rolled_back", Cancelled = "cancelled",
    }
}
crate::words! {
    CheckStatus { Pending = "pending", Passed = "passed", Failed = "failed", Blocked = "blocked", Waived = "waived" }
}
crate::words! {
    RollbackStatus {
        Proposed = "proposed", DecidedRollback = "decided_rollback", DecidedProceed = "decided_proceed",
        Finalized = "finalized",
    }
}
crate::words! {
    ExecutionState {
        NotStarted = "not_started", InProgress = "in_progress", Completed = "completed", Failed = "failed",
    }
}

/// A release. Its name is unique in the organization, ignoring case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    pub id: ReleaseId,
    pub name: String,
    pub release_version: String,
    pub team_id: TeamId,
    pub component_ids: Vec<ComponentId>,
    pub target_environment: String,
    pub planned_at: Option<Timestamp>,
    pub released_at: Option<Timestamp>,
    pub status: ReleaseStatus,
    pub checks: Vec<ReleaseCheck>,
    pub gates: Vec<Gate>,
    pub rollback_decision: Option<RollbackDecision>,
    pub created_at: Timestamp,
    pub created_by: Option<UserId>,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// A checkpoint of a release, with the documented fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ReleaseCheck {
    pub id: CheckId,
    pub label: String,
    pub severity: Severity,
    pub status: CheckStatus,
    pub due_at: Option<Timestamp>,
    /// The record the check came from, as `type:id`.
    pub source_entity: Option<String>,
}

/// Several checks that open or close together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Gate {
    pub name: String,
    pub blocking: bool,
    pub check_ids: Vec<CheckId>,
}

impl Gate {
    /// A gate is open when all its checks are passed or waived.
    pub fn is_open(&self, checks: &[ReleaseCheck]) -> bool {
        self.check_ids.iter().all(|id| {
            checks
                .iter()
                .any(|c| c.id == *id && matches!(c.status, CheckStatus::Passed | CheckStatus::Waived))
        })
    }
}

/// The optional decision to roll a release back, with the documented fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RollbackDecision {
    pub status: RollbackStatus,
    pub reason: String,
    pub due_at: Option<Timestamp>,
    pub rollback_plan: String,
    pub execution_state: ExecutionState,
}
