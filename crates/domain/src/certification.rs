//! Release certifications, control results, evidence, gaps, findings (blockers), risks and exceptions: the
//! records; what may be concluded from them is in [`crate::evaluation`].

use serde::{Deserialize, Serialize};

use crate::id::{
    CertificationId, ComponentId, ControlId, EvidenceId, ExceptionId, FindingId, GapId, ReleaseId, RiskId,
    TeamId, UserId, WorkItemId,
};
use crate::severity::Severity;
use crate::time::Timestamp;

crate::words! {
    CertificationStatus {
        Draft = "draft", CollectingEvidence = "collecting_evidence", InReview = "in_review", Blocked = "blocked",
        Certified = "certified", CertifiedWithExceptions = "certified_with_exceptions", Rejected = "rejected",
        Revoked = "revoked",
    }
}
crate::words! { Verdict { Ready = "ready", ReadyWithExceptions = "ready_with_exceptions", NotReady = "not_ready" } }
crate::words! {
    ControlOutcome { Passed = "passed", Failed = "failed", NotEvaluated = "not_evaluated", Waived = "waived" }
}
crate::words! { GapReason { Missing = "missing", Stale = "stale", Failed = "failed", Unverified = "unverified" } }
crate::words! {
    /// Life of a gap or blocker. Only new evidence resolves; finished work never does.
    GapStatus { Open = "open", InRemediation = "in_remediation", Resolved = "resolved", Excepted = "excepted" }
}
crate::words! {
    EvidenceType {
        WorkItemLink = "work_item_link", CodeReview = "code_review", Build = "build", TestRun = "test_run",
        SecurityScan = "security_scan", CodeQuality = "code_quality", Sbom = "sbom", Monitoring = "monitoring",
        Approval = "approval", ChangeRequest = "change_request", Deployment = "deployment", Incident = "incident",
        Manual = "manual",
    }
}
crate::words! { EvidenceResult { Pass = "pass", Fail = "fail", Informational = "informational" } }
crate::words! { Freshness { Fresh = "fresh", Stale = "stale" } }
crate::words! { RiskStatus { Open = "open", Mitigated = "mitigated", Accepted = "accepted", Closed = "closed" } }
crate::words! { Likelihood { Low = "low", Medium = "medium", High = "high" } }
crate::words! { ExceptionKind { Exception = "exception", Deviation = "deviation", AcceptedRisk = "accepted_risk" } }
crate::words! {
    ExceptionStatus { Proposed = "proposed", Approved = "approved", Rejected = "rejected", Expired = "expired" }
}

/// How ready a release is. The verdict decides, the score only informs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Readiness {
    /// 0–100: weight of satisfied required controls over the weight of all of them, rounded down.
    pub score: u8,
    pub verdict: Verdict,
}

/// The certification of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certification {
    pub id: CertificationId,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    pub title: String,
    /// Name of the control set, for example `release-baseline`.
    pub framework: String,
    pub status: CertificationStatus,
    pub readiness: Readiness,
    pub open_gap_count: u32,
    pub open_blocker_count: u32,
    pub accepted_risk_count: u32,
    pub reviewers: Vec<UserId>,
    pub decision: Option<Decision>,
    pub evidence_refreshed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub created_by: Option<UserId>,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// Who decided a certification, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Decision {
    pub by: UserId,
    pub at: Timestamp,
    pub outcome: CertificationStatus,
    pub rationale: String,
}

/// How one control of a certification stands. Recomputed with every evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlResult {
    pub certification_id: CertificationId,
    pub control_id: ControlId,
    pub outcome: ControlOutcome,
    /// Fixed sentence that explains the outcome.
    pub explanation: String,
    pub evidence_ids: Vec<EvidenceId>,
}

/// One piece of evidence. Append-only: a newer one supersedes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    pub id: EvidenceId,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    pub control_id: Option<ControlId>,
    pub evidence_type: EvidenceType,
    pub title: String,
    /// Provider or tool, for example `cargo-nextest`; untrusted text.
    pub source: String,
    /// `junit`, `sarif`, `cyclonedx`, …; `None` for manual evidence.
    pub format: Option<String>,
    pub tool_version: Option<String>,
    pub result: EvidenceResult,
    pub metrics: std::collections::BTreeMap<String, i64>,
    pub notes: Vec<String>,
    pub collected_at: Timestamp,
    pub valid_until: Timestamp,
    /// SHA-256 of the stored content, lower-case hexadecimal.
    pub sha256: String,
    pub size_bytes: u64,
    pub file_name: String,
    pub superseded_by: Option<EvidenceId>,
    pub component_id: Option<ComponentId>,
    pub created_at: Timestamp,
    pub created_by: Option<UserId>,
    pub version: i64,
}

impl Evidence {
    /// Whether a person gave it in words, and no tool made it.
    pub fn is_by_hand(&self) -> bool {
        self.format.is_none()
    }
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        if now <= self.valid_until { Freshness::Fresh } else { Freshness::Stale }
    }
}

/// A control that lacks the evidence it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceGap {
    pub id: GapId,
    pub certification_id: CertificationId,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    pub control_id: ControlId,
    pub reason: GapReason,
    pub severity: Severity,
    pub blocking: bool,
    pub status: GapStatus,
    pub work_item_ids: Vec<WorkItemId>,
    pub exception_id: Option<ExceptionId>,
    pub detected_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// A finding of a provider for one release; a blocker when `blocking`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub id: FindingId,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    pub evidence_id: EvidenceId,
    pub provider: String,
    /// Unique with provider and release. Untrusted text.
    pub external_id: String,
    pub rule: String,
    pub title: String,
    pub severity: Severity,
    pub location: Option<String>,
    pub component_id: Option<ComponentId>,
    pub component: Option<String>,
    pub blocking: bool,
    pub status: GapStatus,
    pub work_item_ids: Vec<WorkItemId>,
    pub exception_id: Option<ExceptionId>,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// A risk kept with a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Risk {
    pub id: RiskId,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    pub title: String,
    pub severity: Severity,
    pub likelihood: Likelihood,
    pub status: RiskStatus,
    pub owner_id: Option<UserId>,
    pub created_at: Timestamp,
    pub version: i64,
}

/// A waiver that ends: exception, deviation or accepted risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exception {
    pub id: ExceptionId,
    pub kind: ExceptionKind,
    pub release_id: ReleaseId,
    pub team_id: TeamId,
    /// Gap or blocker ids it covers.
    pub target_ids: Vec<String>,
    pub rationale: String,
    #[serde(default)]
    pub proposed_by: Option<UserId>,
    /// Filled in when it is carried out.
    pub approved_by: Option<UserId>,
    pub expires_at: Timestamp,
    pub status: ExceptionStatus,
    pub created_at: Timestamp,
    pub version: i64,
}
