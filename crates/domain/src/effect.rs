//! The closed list of typed changes a write may consist of. A tool plans effects; the preview renders them; the
//! approval is bound to them; execution applies exactly them. There is no other way to change an organization's
//! records.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::certification::{
    Certification, ControlResult, Evidence, EvidenceGap, Exception, Finding, GapReason, GapStatus, Risk,
};
use crate::control::Control;
use crate::directory::DirectoryChange;
use crate::id::{EventId, EvidenceId, FindingId, GapId, UserId, WebhookId, WorkItemId};
use crate::org::{Component, Team};
use crate::passkey::Passkey;
use crate::permission::Membership;
use crate::policy::PolicySet;
use crate::release::{Gate, Release, ReleaseCheck, RollbackDecision};
use crate::severity::Severity;
use crate::time::Timestamp;
use crate::webhook::Webhook;
use crate::work::{RemediationWorkPackage, WorkItem};

/// One change. `Create…` adds a record of version 1; `Update…`/`Put…` replace a record whose current version is
/// the `version` of the carried record minus one, and fail otherwise (`was` is what they replace, so that the preview
/// can say what each field was); `Move…` change single fields under the
/// version that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    CreateTeam {
        record: Team,
    },
    UpdateTeam {
        was: Box<Team>,
        record: Team,
    },
    CreateMembership {
        record: Membership,
    },
    UpdateMembership {
        was: Box<Membership>,
        record: Membership,
    },
    CreateComponent {
        record: Component,
    },
    CreateControl {
        record: Control,
    },
    CreateRelease {
        record: Release,
    },
    UpdateRelease {
        was: Box<Release>,
        record: Release,
    },
    CreateReleaseCheck {
        record: ReleaseCheck,
    },
    UpdateReleaseCheck {
        was: Box<ReleaseCheck>,
        record: ReleaseCheck,
    },
    CreateGate {
        record: Gate,
    },
    UpdateGate {
        was: Box<Gate>,
        record: Gate,
    },
    CreateRollbackDecision {
        record: RollbackDecision,
    },
    UpdateRollbackDecision {
        was: Box<RollbackDecision>,
        record: RollbackDecision,
    },
    CreateCertification {
        record: Certification,
    },
    UpdateCertification {
        was: Box<Certification>,
        record: Certification,
    },
    /// Replaces the result of one control of one certification.
    PutControlResult {
        record: ControlResult,
    },
    CreateEvidence {
        record: Evidence,
    },
    /// Evidence that a person gives in words: the text is kept by its SHA-256 before the record is made.
    AttachEvidence {
        record: Evidence,
        content: String,
    },
    SupersedeEvidence {
        id: EvidenceId,
        version: i64,
        by: EvidenceId,
    },
    CreateEvidenceGap {
        record: EvidenceGap,
    },
    MoveEvidenceGap {
        id: GapId,
        version: i64,
        from: GapStatus,
        to: GapStatus,
        reason: GapReason,
        severity: Severity,
        blocking: bool,
        work_item_ids: Vec<WorkItemId>,
        at: Timestamp,
    },
    CreateFinding {
        record: Finding,
    },
    MoveFinding {
        id: FindingId,
        version: i64,
        from: GapStatus,
        to: GapStatus,
        blocking: bool,
        work_item_ids: Vec<WorkItemId>,
        /// The evidence that showed it last.
        evidence_id: EvidenceId,
        last_seen_at: Timestamp,
        at: Timestamp,
    },
    CreateRisk {
        record: Risk,
    },
    CreateException {
        record: Exception,
    },
    UpdateException {
        record: Exception,
    },
    CreateWorkItem {
        record: WorkItem,
    },
    UpdateWorkItem {
        /// The record as it was read, for the preview.
        was: Box<WorkItem>,
        record: WorkItem,
    },
    CreateRemediationWorkPackage {
        record: RemediationWorkPackage,
    },
    RegisterPasskey {
        record: Passkey,
    },
    /// Takes a passkey away: what it signed stays signed.
    RemovePasskey {
        was: Box<Passkey>,
    },
    CreateAgent {
        record: Agent,
    },
    UpdateAgent {
        was: Box<Agent>,
        record: Agent,
    },
    /// Changes what is kept in the directory: written down here, carried over after the commit.
    ChangeDirectory {
        change: Box<DirectoryChange>,
    },
    /// Puts a text of policies in force.
    PublishPolicies {
        record: PolicySet,
    },
    CreateWebhook {
        record: Webhook,
    },
    UpdateWebhook {
        was: Box<Webhook>,
        record: Webhook,
    },
    /// Takes a webhook away, with everything that was still to be delivered to it.
    RemoveWebhook {
        was: Box<Webhook>,
    },
    /// Delivers again, from the first try, what had been given up.
    RetryDelivery {
        event_id: EventId,
        webhook_id: WebhookId,
        at: Timestamp,
    },
}

impl Effect {
    /// The effect as it is carried out. The one thing that nobody knows while it is planned is who will approve it;
    /// nothing else may differ from what was previewed.
    pub fn approved_by(&self, person: Option<UserId>) -> Cow<'_, Effect> {
        match self {
            Effect::CreateException { record } => Cow::Owned(Effect::CreateException {
                record: Exception { approved_by: person, ..record.clone() },
            }),
            other => Cow::Borrowed(other),
        }
    }
}
