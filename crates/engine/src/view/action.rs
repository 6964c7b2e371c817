//! Actions as they are shown: effects, the approval card, how an action stands.

use domain::action::{Action, ActionState, AuditReceipt, BrokenGlass, RecordLink};
use domain::approval::{Approval, Requirement};
use domain::digest::Digest;
use domain::id::{ActionId, ApprovalId, TeamId};
use domain::record::RecordType;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{CertificationRef, Links, OrganizationRef, ReferenceView, ReleaseRef, TeamRef, UserRef};

/// One change of a write, readable: what happens to which record.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct EffectView {
    /// `create` or `update`.
    pub operation: &'static str,
    pub record_type: RecordType,
    pub id: String,
    pub title: String,
    /// Field by field: what it is and what it becomes.
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Change {
    pub field: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    pub to: String,
}

/// The action of a write's answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ActionRef {
    pub id: ActionId,
    pub state: ActionState,
    /// What the approval is bound to: SHA-256 over tenant, requester, tool, arguments, effects, versions, policy.
    pub digest: Digest,
    pub idempotency_key: String,
    pub expires_at: Timestamp,
}

/// The approval card: everything a person needs to decide, in one object.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ApprovalCard {
    pub approval_id: ApprovalId,
    pub action_id: ActionId,
    pub state: ActionState,
    pub organization: OrganizationRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certification: Option<CertificationRef>,
    pub components: Vec<String>,
    pub tool: String,
    pub summary: String,
    pub reason: String,
    /// The exact arguments that were proposed.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub payload: Box<serde_json::value::RawValue>,
    pub payload_sha256: Digest,
    pub digest: Digest,
    pub effects: Vec<EffectView>,
    pub references: Vec<ReferenceView>,
    pub requested_by: UserRef,
    /// The agent that asked in their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<domain::agent::AgentRef>,
    pub requested_via: domain::action::Channel,
    pub request_id: String,
    pub trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    pub idempotency_key: String,
    pub policy: Requirement,
    pub policy_sentence: String,
    pub approvals: Vec<Approval>,
    /// Whether the policy approved it because nobody decided in its time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approved_by_rule: bool,
    /// One person's approval past the rules, and who has looked at it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_glass: Option<BrokenGlass>,
    /// When a record that the card rests on was seen to have changed: it will not run any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outdated_at: Option<Timestamp>,
    /// That nobody had decided by the time a rule names, and who should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warned: Option<domain::action::Warning>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub url: String,
}

/// An action in full: card, state, outcome.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ActionView {
    pub id: ActionId,
    pub title: String,
    pub status: ActionState,
    pub card: ApprovalCard,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<RecordLink>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub updated: Vec<RecordLink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_by: Option<Approval>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditReceipt>,
    pub url: String,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FailureView {
    pub code: String,
    pub message: String,
    pub remedy: String,
}

/// An action in lists.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ActionItem {
    pub id: ActionId,
    pub approval_id: ApprovalId,
    pub title: String,
    pub status: ActionState,
    pub tool: String,
    pub requested_by: UserRef,
    /// Whether it waits for the approval of the person who asks, given in their own browser session.
    pub awaits_you: bool,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub url: String,
    /// The team that it is about, for pages.
    #[serde(skip)]
    pub team_id: Option<TeamId>,
}

impl ActionItem {
    pub fn new(a: &Action, awaits_you: bool, links: &Links) -> ActionItem {
        ActionItem {
            id: a.id,
            approval_id: a.approval_id,
            title: a.summary.clone(),
            status: a.state,
            tool: a.tool.clone(),
            requested_by: UserRef { id: a.requester_id, email: a.requester_email.clone() },
            awaits_you,
            created_at: a.created_at,
            expires_at: a.execution_expires_at.unwrap_or(a.approval_expires_at),
            url: links.action(a.id),
            team_id: a.team_id,
        }
    }
}
