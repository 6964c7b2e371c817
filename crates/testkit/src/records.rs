//! Records of every kind, for tests and benchmarks: small, valid, and told apart by a number.

use domain::action::{Action, ActionState, Channel};
use domain::approval::Requirement;
use domain::audit::{AuditActor, AuditBody, AuditDraft, AuditKind, AuditReference};
use domain::certification::{Exception, ExceptionKind, ExceptionStatus};
use domain::digest::Digest;
use domain::id::{
    ActionId, ApprovalId, CertificationId, ExceptionId, OrgId, PackageId, ReleaseId, TeamId, UserId,
    WorkItemId,
};
use domain::org::{OrgSettings, OrgStatus, Organization, Team};
use domain::permission::{Membership, MembershipStatus, Role};
use domain::record::RecordType;
use domain::release::{Release, ReleaseStatus};
use domain::time::Timestamp;
use domain::work::{Priority, RemediationWorkPackage, WorkItem, WorkItemStatus, WorkItemType};
use uuid::Uuid;

/// A UUID that sorts by its number, as those of version 7 sort by their time.
pub fn uuid(n: u64) -> Uuid {
    Uuid::from_u128((u128::from(n) << 64) | 0x8000_0000_0000_0000)
}

pub fn organization(n: u64) -> Organization {
    Organization {
        // The number also in the tail, which is what spreads organizations over the writer threads.
        id: OrgId::from_uuid(Uuid::from_u128((u128::from(n) << 64) | u128::from(n))),
        slug: format!("org-{n}"),
        name: format!("Organization {n}"),
        status: OrgStatus::Active,
        mcp_enabled: true,
        ai_enabled: false,
        settings: OrgSettings::default(),
        model: None,
        created_at: Timestamp(1),
        version: 1,
    }
}

pub fn team(n: u64) -> Team {
    Team {
        id: TeamId::from_uuid(uuid(n)),
        key: format!("t{n}"),
        name: format!("team {n}"),
        created_at: Timestamp(1),
        version: 1,
    }
}

pub fn membership(org: OrgId, n: u64) -> Membership {
    Membership {
        organization_id: org,
        user_id: UserId::from_uuid(uuid(n)),
        email: format!("person-{n}@example.org"),
        display_name: format!("Person {n}"),
        status: MembershipStatus::Active,
        roles: vec![Role::ReleaseManager],
        team_roles: Vec::new(),
        direct_permissions: Vec::new(),
        selected_team: None,
        provisioned: None,
        version: 1,
    }
}

pub fn release(n: u64) -> Release {
    Release {
        id: ReleaseId::from_uuid(uuid(n)),
        name: format!("Release {n}"),
        release_version: format!("{n}.0"),
        team_id: TeamId::from_uuid(uuid(1)),
        component_ids: Vec::new(),
        target_environment: "production".into(),
        planned_at: None,
        released_at: None,
        status: ReleaseStatus::InValidation,
        created_at: Timestamp(1),
        created_by: None,
        updated_at: Timestamp(1),
        version: 1,
    }
}

pub fn exception(n: u64) -> Exception {
    Exception {
        id: ExceptionId::from_uuid(uuid(n)),
        kind: ExceptionKind::Exception,
        release_id: ReleaseId::from_uuid(uuid(1)),
        team_id: TeamId::from_uuid(uuid(1)),
        target_ids: vec![format!("gap {n}")],
        rationale: "accepted until the next release because the path is not reachable".into(),
        proposed_by: None,
        approved_by: None,
        expires_at: Timestamp(1_000_000),
        status: ExceptionStatus::Approved,
        created_at: Timestamp(1),
        version: 1,
    }
}

pub fn work_item(n: u64, parent: Option<WorkItemId>) -> WorkItem {
    WorkItem {
        id: WorkItemId::from_uuid(uuid(n)),
        item_type: if parent.is_some() { WorkItemType::Task } else { WorkItemType::Story },
        title: format!("Remedy finding number {n}"),
        description: "Update the component to the version without the weakness, then run the scan again."
            .into(),
        team_id: TeamId::from_uuid(uuid(1)),
        parent_id: parent,
        release_id: Some(ReleaseId::from_uuid(uuid(1))),
        certification_id: Some(CertificationId::from_uuid(uuid(1))),
        package_id: None,
        assignee_id: None,
        reporter_id: UserId::from_uuid(uuid(1)),
        priority: Priority::High,
        status: WorkItemStatus::Todo,
        labels: vec!["remediation".into()],
        finding_refs: Vec::new(),
        due_at: None,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        version: 1,
    }
}

pub fn package(n: u64, story: &WorkItem, tasks: &[WorkItem]) -> RemediationWorkPackage {
    RemediationWorkPackage {
        id: PackageId::from_uuid(uuid(n)),
        release_id: ReleaseId::from_uuid(uuid(1)),
        certification_id: CertificationId::from_uuid(uuid(1)),
        team_id: TeamId::from_uuid(uuid(1)),
        story_id: story.id,
        task_ids: tasks.iter().map(|t| t.id).collect(),
        finding_refs: Vec::new(),
        created_at: Timestamp(1),
        created_by: UserId::from_uuid(uuid(1)),
        version: 1,
    }
}

/// A pending action of requester 1 under the key `key <n>`.
pub fn action(org: OrgId, n: u64) -> Action {
    Action {
        id: ActionId::from_uuid(uuid(n)),
        approval_id: ApprovalId::from_uuid(uuid(n)),
        organization_id: org,
        tool: "loopiq_create_remediation_work_package".into(),
        tool_version: 1,
        state: ActionState::PendingApproval,
        requester_id: UserId::from_uuid(uuid(1)),
        requester_email: "person-1@example.org".into(),
        token_id: None,
        agent: None,
        channel: Channel::Mcp,
        arguments: serde_json::value::RawValue::NULL.to_owned(),
        arguments_digest: Digest::of(b"null"),
        idempotency_key: format!("key {n}"),
        key_derived: false,
        effects: Vec::new(),
        versions: Vec::new(),
        labels: std::collections::BTreeMap::default(),
        notes: Vec::new(),
        policy_version: "1".into(),
        requirement: Requirement::one_person(),
        digest: Digest::of(b"action"),
        summary: "One story with two tasks".into(),
        reason: "The release is blocked".into(),
        workflow: None,
        request_id: format!("request {n}"),
        trace_id: "trace".into(),
        team_id: Some(TeamId::from_uuid(uuid(1))),
        release_id: Some(ReleaseId::from_uuid(uuid(1))),
        certification_id: None,
        created_at: Timestamp(1),
        approval_expires_at: Timestamp(1_000),
        approvals: Vec::new(),
        approved_at: None,
        execution_expires_at: None,
        rejected_by: None,
        rejection_reason: None,
        withdrawn: false,
        approved_by_rule: false,
        broken_glass: None,
        outdated_at: None,
        warned: None,
        finished_at: None,
        failure: None,
        version: 1,
    }
}

pub fn draft(n: u64) -> AuditDraft {
    AuditDraft {
        at: Timestamp(1_000 + i64::try_from(n).unwrap_or(0)),
        kind: AuditKind::Executed,
        actor: AuditActor { user_id: Some(UserId::from_uuid(uuid(1))), ..AuditActor::default() },
        channel: Channel::Mcp,
        tool: Some("loopiq_create_remediation_work_package".into()),
        action_id: None,
        approval_id: None,
        action_digest: None,
        approval: None,
        assertion: None,
        references: Vec::new(),
        created: Vec::new(),
        updated: Vec::new(),
        code: None,
        returned: None,
        request_id: format!("request {n}"),
        trace_id: "trace".into(),
        body: AuditBody { reason: Some("The release is blocked".into()), ..AuditBody::default() },
    }
}

pub fn named(record_type: RecordType, id: impl ToString) -> AuditReference {
    AuditReference { record_type, id: id.to_string() }
}
