//! Work items, and the remediation work package that ties a story and its tasks to what they remedy.

use serde::{Deserialize, Serialize};

use crate::id::{CertificationId, PackageId, ReleaseId, TeamId, UserId, WorkItemId};
use crate::time::Timestamp;

crate::words! { WorkItemType { Epic = "epic", Story = "story", Task = "task", Issue = "issue" } }
crate::words! { Priority { Critical = "critical", High = "high", Medium = "medium", Low = "low" } }
crate::words! {
    WorkItemStatus {
        Backlog = "backlog", Todo = "todo", InProgress = "in_progress", InReview = "in_review",
        Blocked = "blocked", Done = "done", Cancelled = "cancelled",
    }
}
crate::words! {
    /// What a remediation task may point at.
    ReferenceKind { EvidenceGap = "evidence_gap", ProviderBlocker = "provider_blocker", Control = "control" }
}

/// A reference from work to what it remedies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct FindingRef {
    /// What the id names.
    pub kind: ReferenceKind,
    /// Id of the gap (`gap_…`), blocker (`blk_…`) or control (`ctl_…`).
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkItem {
    pub id: WorkItemId,
    pub item_type: WorkItemType,
    pub title: String,
    pub description: String,
    pub team_id: TeamId,
    pub parent_id: Option<WorkItemId>,
    pub release_id: Option<ReleaseId>,
    pub certification_id: Option<CertificationId>,
    pub package_id: Option<PackageId>,
    pub assignee_id: Option<UserId>,
    pub reporter_id: UserId,
    pub priority: Priority,
    pub status: WorkItemStatus,
    pub labels: Vec<String>,
    pub finding_refs: Vec<FindingRef>,
    pub due_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// One story with its tasks, made in one approved transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemediationWorkPackage {
    pub id: PackageId,
    pub release_id: ReleaseId,
    pub certification_id: CertificationId,
    pub team_id: TeamId,
    pub story_id: WorkItemId,
    pub task_ids: Vec<WorkItemId>,
    pub finding_refs: Vec<FindingRef>,
    pub created_at: Timestamp,
    pub created_by: UserId,
    pub version: i64,
}
