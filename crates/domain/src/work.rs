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

impl WorkItemStatus {
    /// The legal moves. Work is planned, begun, looked at and finished in that order, may be taken one step back, held
    /// up or given up, and what was finished or given up may be taken up again.
    pub const fn may_become(self, next: WorkItemStatus) -> bool {
        use WorkItemStatus as S;
        matches!(
            (self, next),
            (S::Backlog, S::Todo | S::Cancelled)
                | (S::Todo, S::Backlog | S::InProgress | S::Blocked | S::Cancelled)
                | (S::InProgress, S::Todo | S::InReview | S::Blocked | S::Done | S::Cancelled)
                | (S::InReview, S::InProgress | S::Blocked | S::Done | S::Cancelled)
                | (S::Blocked, S::Todo | S::InProgress | S::Cancelled)
                | (S::Done, S::InProgress)
                | (S::Cancelled, S::Backlog)
        )
    }
    /// Whether nothing is left to do.
    pub const fn is_closed(self) -> bool {
        matches!(self, WorkItemStatus::Done | WorkItemStatus::Cancelled)
    }
    /// Those that are not closed.
    pub const OPEN: [WorkItemStatus; 5] = [
        WorkItemStatus::Backlog,
        WorkItemStatus::Todo,
        WorkItemStatus::InProgress,
        WorkItemStatus::InReview,
        WorkItemStatus::Blocked,
    ];
}

impl WorkItemType {
    /// Whether an item of this type may hang below one of type `parent`: epic, story, task; an issue below a story.
    pub const fn may_be_under(self, parent: WorkItemType) -> bool {
        matches!(
            (self, parent),
            (WorkItemType::Story, WorkItemType::Epic)
                | (WorkItemType::Task | WorkItemType::Issue, WorkItemType::Story)
        )
    }
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
