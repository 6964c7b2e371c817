//! Releases: what is certified; their checks, the gates these open, and the decision to roll back. Which status may
//! follow which is said here, for all of them.

use serde::{Deserialize, Serialize};

use crate::id::{CheckId, ComponentId, GateId, ReleaseId, RollbackId, TeamId, UserId};
use crate::refusal::Refusal;
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

crate::words! {
    /// Whether a closed gate holds the release or only warns.
    GateMode { Blocking = "blocking", Advisory = "advisory" }
}
crate::words! { GateStatus { Open = "open", Closed = "closed" } }

impl ReleaseStatus {
    /// The legal moves: on by one, back when validation finds something, given up before it is released, rolled back
    /// after.
    pub const fn may_become(self, next: ReleaseStatus) -> bool {
        use ReleaseStatus as S;
        matches!(
            (self, next),
            (S::Planned, S::InProgress | S::Cancelled)
                | (S::InProgress, S::Planned | S::InValidation | S::Cancelled)
                | (S::InValidation, S::InProgress | S::Ready | S::Cancelled)
                | (S::Ready, S::InValidation | S::Released | S::Cancelled)
                | (S::Released, S::RolledBack)
        )
    }
    /// Whether closed blocking gates keep a release from this status.
    pub const fn needs_open_gates(self) -> bool {
        matches!(self, ReleaseStatus::Ready | ReleaseStatus::Released)
    }
}

impl CheckStatus {
    /// The legal moves: a check may be done again at any time; what was waived only goes back to `pending`.
    pub const fn may_become(self, next: CheckStatus) -> bool {
        use CheckStatus as S;
        match self {
            S::Waived => matches!(next, S::Pending),
            S::Pending => !matches!(next, S::Pending),
            S::Passed => matches!(next, S::Pending | S::Failed | S::Blocked),
            S::Failed => matches!(next, S::Pending | S::Passed | S::Blocked | S::Waived),
            S::Blocked => matches!(next, S::Pending | S::Passed | S::Failed | S::Waived),
        }
    }
    /// Whether it opens its gates.
    pub const fn is_met(self) -> bool {
        matches!(self, CheckStatus::Passed | CheckStatus::Waived)
    }
}

impl RollbackStatus {
    pub const fn may_become(self, next: RollbackStatus) -> bool {
        use RollbackStatus as S;
        matches!(
            (self, next),
            (S::Proposed, S::DecidedRollback | S::DecidedProceed)
                | (S::DecidedRollback | S::DecidedProceed, S::Finalized)
        )
    }
}

impl ExecutionState {
    /// The legal moves; a failed execution may be begun again.
    pub const fn may_become(self, next: ExecutionState) -> bool {
        use ExecutionState as S;
        matches!(
            (self, next),
            (S::NotStarted | S::Failed, S::InProgress) | (S::InProgress, S::Completed | S::Failed)
        )
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
    pub created_at: Timestamp,
    pub created_by: Option<UserId>,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// A checkpoint of a release, with the documented fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseCheck {
    pub id: CheckId,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    pub label: String,
    pub severity: Severity,
    pub status: CheckStatus,
    pub due_at: Option<Timestamp>,
    /// The record the check came from, as `type:id`.
    pub source_entity: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// Several checks of a release that open or close together. Its name is unique in the release, ignoring case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    pub id: GateId,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    pub name: String,
    pub mode: GateMode,
    pub check_ids: Vec<CheckId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

impl Gate {
    /// Computed: open when all its checks are passed or waived (domain reference, section 2.3).
    pub fn status(&self, checks: &[ReleaseCheck]) -> GateStatus {
        let met = |id: &CheckId| checks.iter().any(|c| c.id == *id && c.status.is_met());
        if self.check_ids.iter().all(met) { GateStatus::Open } else { GateStatus::Closed }
    }
    /// Whether it holds the release back.
    pub fn holds(&self, checks: &[ReleaseCheck]) -> bool {
        self.mode == GateMode::Blocking && self.status(checks) == GateStatus::Closed
    }
}

/// The optional decision to roll a release back, with the documented fields. One for each release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackDecision {
    pub id: RollbackId,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    pub status: RollbackStatus,
    pub reason: String,
    pub due_at: Option<Timestamp>,
    pub rollback_plan: String,
    pub execution_state: ExecutionState,
    /// Who asked for the last change; who approved it is in its action.
    pub recorded_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

impl RollbackDecision {
    /// Whether this may be what follows `was` (`None`: the first record of the release). A decision may be recorded as
    /// it was taken, without a proposal before it; only a rollback that was decided is carried out, and it is finalized
    /// when that has come to an end; what is finalized stays.
    ///
    /// # Errors
    /// `validation_failed` naming `status`, `executionState` or `rollbackPlan`.
    pub fn may_follow(&self, was: Option<&RollbackDecision>) -> Result<(), Refusal> {
        use {ExecutionState as E, RollbackStatus as S};
        let from = was.map(|w| w.status);
        match from {
            None if self.status == S::Finalized => {
                return Err(Refusal::invalid("status", "cannot be finalized before something was decided"));
            }
            Some(S::Finalized) => {
                return Err(Refusal::invalid("status", "is finalized; nothing about it changes any more"));
            }
            Some(from) if from != self.status && !from.may_become(self.status) => {
                return Err(Refusal::invalid(
                    "status",
                    format!("may not go from {from} to that; proposed, then a decision, then finalized"),
                ));
            }
            _ => {}
        }
        let began = was.map_or(E::NotStarted, |w| w.execution_state);
        if began != self.execution_state && !began.may_become(self.execution_state) {
            return Err(Refusal::invalid(
                "executionState",
                format!("may not go from {began} to that; in_progress, then completed or failed"),
            ));
        }
        let rolls_back = self.status == S::DecidedRollback
            || (self.status == S::Finalized && from == Some(S::DecidedRollback));
        if !rolls_back && self.execution_state != E::NotStarted {
            return Err(Refusal::invalid(
                "executionState",
                "must be not_started unless a rollback was decided",
            ));
        }
        if rolls_back && self.rollback_plan.is_empty() {
            return Err(Refusal::invalid("rollbackPlan", "must say how, once a rollback is decided"));
        }
        let ended = matches!(self.execution_state, E::Completed | E::Failed);
        if self.status == S::Finalized && rolls_back && !ended {
            return Err(Refusal::invalid(
                "status",
                "cannot be finalized before the rollback is completed or has failed",
            ));
        }
        Ok(())
    }

    /// Whether it says that the release was taken back.
    pub fn took_back(&self) -> bool {
        self.status == RollbackStatus::Finalized && self.execution_state == ExecutionState::Completed
    }
}
