//! A governed write as a state machine (product contract, section 7). States and the only legal moves:
//!
//! `pending_approval → approved → executed | failed`, `pending_approval → rejected | expired`,
//! `approved → expired`. Everything else is refused here, whoever asks.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::agent::AgentRef;
use crate::approval::{Approval, Requirement};
use crate::digest::Digest;
use crate::effect::Effect;
use crate::id::{ActionId, AgentId, ApprovalId, CertificationId, OrgId, ReleaseId, TeamId, TokenId, UserId};
use crate::permission::{Membership, Role};
use crate::record::{RecordType, VersionRead};
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;

crate::words! {
    ActionState {
        PendingApproval = "pending_approval", Approved = "approved", Executed = "executed", Failed = "failed",
        Rejected = "rejected", Expired = "expired",
    }
}
crate::words! {
    /// By which door a call came.
    Channel { Mcp = "mcp", Helix = "helix", Api = "api", Automation = "automation", Cli = "cli",
    Scim = "scim" }
}

impl ActionState {
    /// The legal moves.
    pub const fn may_become(self, next: ActionState) -> bool {
        use ActionState as S;
        matches!(
            (self, next),
            (S::PendingApproval, S::Approved | S::Rejected | S::Expired)
                | (S::Approved, S::Executed | S::Failed | S::Expired)
        )
    }
    pub const fn is_final(self) -> bool {
        !matches!(self, ActionState::PendingApproval | ActionState::Approved)
    }
}

/// A record an action made or changed, as results name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RecordLink {
    #[serde(rename = "type")]
    pub record_type: RecordType,
    pub id: String,
    pub title: String,
    /// Link into the console.
    pub url: String,
}

/// Proof that a decision was recorded: position and leaf hash in the organization's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct AuditReceipt {
    /// Position in the organization's log, from 0.
    pub sequence: i64,
    /// RFC 9162 leaf hash of the record, hexadecimal.
    pub leaf_hash: Digest,
    pub recorded_at: Timestamp,
}

crate::words! {
    /// What a note is about, for programs.
    NoteCode { Changed = "changed", Unchanged = "unchanged", ProviderUnavailable = "provider_unavailable" }
}

/// What is to be known about an action besides its effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Note {
    /// Who or what it is about, in words from outside: data, never instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    pub code: NoteCode,
    /// Whole sentences of this program.
    pub text: String,
}

/// Why an action failed or was refused, as kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub code: Code,
    pub message: String,
    pub remedy: String,
}

/// One governed write, from proposal to end. Stored as one document; `version` guards every move.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    pub id: ActionId,
    pub approval_id: ApprovalId,
    pub organization_id: OrgId,
    pub tool: String,
    pub tool_version: u32,
    pub state: ActionState,
    pub requester_id: UserId,
    pub requester_email: String,
    pub token_id: Option<TokenId>,
    /// The agent that acts for the requester, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    pub channel: Channel,
    /// Canonical JSON of the arguments without `dryRun`, `idempotencyKey`, `requestId`, `traceId`.
    pub arguments: Box<RawValue>,
    pub arguments_digest: Digest,
    pub idempotency_key: String,
    /// Whether the key was derived by the server from the arguments.
    pub key_derived: bool,
    pub effects: Vec<Effect>,
    pub versions: Vec<VersionRead>,
    /// Human names of records the effects mention only by id, for the card.
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
    /// What else is to be known about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    pub policy_version: String,
    pub requirement: Requirement,
    /// What an approval is bound to; see [`digest`].
    pub digest: Digest,
    pub summary: String,
    pub reason: String,
    pub workflow: Option<String>,
    pub request_id: String,
    pub trace_id: String,
    pub team_id: Option<TeamId>,
    pub release_id: Option<ReleaseId>,
    pub certification_id: Option<CertificationId>,
    pub created_at: Timestamp,
    pub approval_expires_at: Timestamp,
    pub approvals: Vec<Approval>,
    pub approved_at: Option<Timestamp>,
    pub execution_expires_at: Option<Timestamp>,
    pub rejected_by: Option<Approval>,
    pub rejection_reason: Option<String>,
    /// Whether the rejection is its requester's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// Whether the policy approved it because nobody decided in its time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approved_by_rule: bool,
    /// Set when one person approved past the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_glass: Option<BrokenGlass>,
    /// When a record that the preview relies on was seen to have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outdated_at: Option<Timestamp>,
    /// Set when nobody had decided by the time a rule names for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned: Option<Warning>,
    pub finished_at: Option<Timestamp>,
    pub failure: Option<Failure>,
    pub version: i64,
}

/// One person's approval past the rules, and whether somebody else has looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct BrokenGlass {
    pub by: Approval,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Approval>,
}

/// That nobody decided in time, and who should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Warning {
    pub at: Timestamp,
    /// Roles in the organization whose holders the rules name.
    pub escalate_to: Vec<Role>,
}

/// The digest an approval is bound to (product contract 7.3): SHA-256 over the canonical JSON of organization,
/// requester and the agent acting for them, tool and schema version, arguments, effects, versions read, policy.
pub fn digest(action: &Action) -> Result<Digest, serde_json::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Bound<'a> {
        version: u32,
        organization_id: OrgId,
        requester_id: UserId,
        token_id: Option<TokenId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        agent_id: Option<AgentId>,
        tool: &'a str,
        tool_version: u32,
        arguments: &'a serde_json::Value,
        effects: &'a [Effect],
        versions: &'a [VersionRead],
        policy_version: &'a str,
        requirement: &'a Requirement,
    }
    // The raw arguments are re-read as a value: canonical JSON cannot be had of raw text, and member order must not
    // depend on how they were stored.
    let arguments: serde_json::Value = serde_json::from_str(action.arguments.get())?;
    Digest::of_json(&Bound {
        version: 1,
        organization_id: action.organization_id,
        requester_id: action.requester_id,
        token_id: action.token_id,
        agent_id: action.agent.as_ref().map(|agent| agent.id),
        tool: &action.tool,
        tool_version: action.tool_version,
        arguments: &arguments,
        effects: &action.effects,
        versions: &action.versions,
        policy_version: &action.policy_version,
        requirement: &action.requirement,
    })
}

impl Action {
    fn move_to(&self, next: ActionState) -> Result<Action, Refusal> {
        if !self.state.may_become(next) {
            return Err(wrong_state(self.state));
        }
        let mut moved = self.clone();
        moved.state = next;
        moved.version += 1;
        Ok(moved)
    }

    /// Whether one of the two clocks has run out at `now`.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        match self.state {
            ActionState::PendingApproval => now >= self.approval_expires_at,
            ActionState::Approved => self.execution_expires_at.is_some_and(|end| now >= end),
            _ => false,
        }
    }

    /// One person's approval, signed with a passkey or not. The action becomes `approved` when every rule is met, and stays pending with one more
    /// approval otherwise. `standing` are the memberships, as they are now, of those earlier approvers who still may
    /// approve; the approvals of others no longer count.
    ///
    /// # Errors
    /// `approval_not_granted` for a person who does not count or has approved already, `approval_expired` after the
    /// clock, `approval_already_used` in a final state.
    pub fn approve(
        &self,
        person: &Membership,
        at: Timestamp,
        passkey: Option<Digest>,
        standing: &[Membership],
        execution_expiry_seconds: i64,
    ) -> Result<Action, Refusal> {
        self.check_pending(at)?;
        let counts = |who: &Membership, signed: bool| {
            self.requirement.counts(who, self.requester_id, self.team_id, signed)
        };
        let counts_for = counts(person, passkey.is_some());
        if counts_for.is_empty() && !counts(person, true).is_empty() {
            return Err(Refusal::new(
                Code::ApprovalNotGranted,
                "the policy counts only approvals that are signed with a passkey",
                "Register a passkey in the console under Passkeys, and approve on the card, which asks for it.",
            ));
        }
        if counts_for.is_empty() {
            let own = person.user_id == self.requester_id && !self.requirement.requester_may_approve;
            return Err(Refusal::new(
                Code::ApprovalNotGranted,
                if own {
                    "the requester's own approval does not count for this action"
                } else {
                    "the policy asks for other approvers"
                },
                "Ask one of the people whom the card names to open it and decide.",
            ));
        }
        if self.approvals.iter().any(|a| a.by == person.user_id) {
            return Err(Refusal::new(
                Code::ApprovalNotGranted,
                "this person has approved already",
                "Another person must give the remaining approval.",
            ));
        }
        let mut next = self.clone();
        next.approvals.retain_mut(|earlier| {
            let now = standing.iter().find(|m| m.user_id == earlier.by);
            earlier.counts_for = now.map(|who| counts(who, earlier.passkey.is_some())).unwrap_or_default();
            !earlier.counts_for.is_empty()
        });
        let email = person.email.clone();
        next.approvals.push(Approval { by: person.user_id, email, at, passkey, counts_for });
        if !self.requirement.is_met(&next.approvals) {
            next.version += 1;
            return Ok(next);
        }
        next.granted(at, execution_expiry_seconds)
    }

    /// The policy's own approval, once nobody has decided for as long as every rule allows.
    ///
    /// # Errors
    /// As for [`Action::approve`]; `approval_not_granted` before the time, or where a rule has none.
    pub fn approve_by_rule(&self, at: Timestamp, execution_expiry_seconds: i64) -> Result<Action, Refusal> {
        self.check_pending(at)?;
        let due = self.auto_approves_at().is_some_and(|due| at >= due);
        if !due {
            return Err(wrong_state(self.state));
        }
        let mut next = self.clone();
        next.approved_by_rule = true;
        next.granted(at, execution_expiry_seconds)
    }

    /// When the policy approves by itself if nobody decides.
    pub fn auto_approves_at(&self) -> Option<Timestamp> {
        let after = self.requirement.auto_approve_after_seconds()?;
        Some(self.created_at.plus_seconds(after))
    }

    /// When something happens to it by itself next: the rules approve it, somebody is told that nobody has decided, one of
    /// the two clocks runs out.
    pub fn due_at(&self) -> Timestamp {
        if self.state != ActionState::PendingApproval {
            return self.execution_expires_at.unwrap_or(self.approval_expires_at);
        }
        let warns = self.requirement.warn_after_seconds().filter(|_| self.warned.is_none());
        let warns = warns.map(|after| self.created_at.plus_seconds(after));
        warns.into_iter().chain(self.auto_approves_at()).fold(self.approval_expires_at, Timestamp::min)
    }

    /// One person alone, past the rules, for a reason that others will review.
    ///
    /// # Errors
    /// As for [`Action::approve`]; `validation_failed` without a reason.
    pub fn break_glass(
        &self,
        person: &Membership,
        reason: &str,
        at: Timestamp,
        execution_expiry_seconds: i64,
    ) -> Result<Action, Refusal> {
        self.check_pending(at)?;
        if reason.trim().is_empty() {
            return Err(Refusal::invalid("reason", "must say why the rules cannot be waited for"));
        }
        let by = Approval::plain(person.user_id, &person.email, at);
        let mut next = self.clone();
        next.broken_glass = Some(BrokenGlass { by, reason: reason.trim().to_owned(), review: None });
        next.granted(at, execution_expiry_seconds)
    }

    /// Notes that somebody else has looked at a broken glass.
    ///
    /// # Errors
    /// `validation_failed` for an action without one, one that has been reviewed, or by the person who broke it.
    pub fn review(&self, by: Approval) -> Result<Action, Refusal> {
        let mut next = self.clone();
        match &mut next.broken_glass {
            Some(glass) if glass.review.is_none() && glass.by.by != by.by => glass.review = Some(by),
            Some(glass) if glass.review.is_some() => {
                return Err(Refusal::invalid("action", "has been reviewed already"));
            }
            Some(_) => return Err(Refusal::invalid("action", "must be reviewed by somebody else")),
            None => return Err(Refusal::invalid("action", "was approved in the ordinary way")),
        }
        next.version += 1;
        Ok(next)
    }

    fn check_pending(&self, at: Timestamp) -> Result<(), Refusal> {
        if self.state != ActionState::PendingApproval {
            return Err(wrong_state(self.state));
        }
        if self.is_overdue(at) {
            return Err(expired());
        }
        Ok(())
    }

    fn granted(&self, at: Timestamp, execution_expiry_seconds: i64) -> Result<Action, Refusal> {
        let mut next = self.move_to(ActionState::Approved)?;
        next.approved_at = Some(at);
        next.execution_expires_at = Some(at.plus_seconds(execution_expiry_seconds));
        Ok(next)
    }

    /// The requester takes the proposal back.
    ///
    /// # Errors
    /// As for [`Action::reject`]; `approval_not_granted` for anybody else.
    pub fn withdraw(&self, by: Approval, reason: &str) -> Result<Action, Refusal> {
        if by.by != self.requester_id {
            return Err(Refusal::new(
                Code::ApprovalNotGranted,
                "only its requester can withdraw an action",
                "Reject it on its card, which needs approvals:decide.",
            ));
        }
        let mut next = self.reject(by, reason)?;
        next.withdrawn = true;
        Ok(next)
    }

    /// Notes that something the preview was based on has changed since.
    ///
    /// # Errors
    /// A refusal in a final state.
    pub fn outdated(&self, at: Timestamp) -> Result<Action, Refusal> {
        if self.state.is_final() {
            return Err(wrong_state(self.state));
        }
        let mut next = self.clone();
        next.outdated_at = Some(self.outdated_at.unwrap_or(at));
        next.version += 1;
        Ok(next)
    }

    /// Notes, once, that nobody has decided by the time that a rule names.
    ///
    /// # Errors
    /// A refusal before that time, in a later state, or when it was noted before.
    pub fn warn(&self, at: Timestamp) -> Result<Action, Refusal> {
        self.check_pending(at)?;
        let escalate_to = self.requirement.escalates_to(at.seconds_since(self.created_at));
        if self.warned.is_some() || escalate_to.is_empty() {
            return Err(wrong_state(self.state));
        }
        let mut next = self.clone();
        next.warned = Some(Warning { at, escalate_to });
        next.version += 1;
        Ok(next)
    }

    /// One rejection ends it.
    ///
    /// # Errors
    /// As for [`Action::approve`]; a reason is required.
    pub fn reject(&self, by: Approval, reason: &str) -> Result<Action, Refusal> {
        if reason.trim().is_empty() {
            return Err(Refusal::invalid("reason", "must say why, in 1 to 2,000 characters"));
        }
        if self.state == ActionState::PendingApproval && self.is_overdue(by.at) {
            return Err(expired());
        }
        let mut next = self.move_to(ActionState::Rejected)?;
        next.finished_at = Some(by.at);
        next.rejected_by = Some(by);
        next.rejection_reason = Some(reason.trim().to_owned());
        Ok(next)
    }

    pub fn expire(&self, now: Timestamp) -> Result<Action, Refusal> {
        if !self.is_overdue(now) {
            return Err(wrong_state(self.state));
        }
        let mut next = self.move_to(ActionState::Expired)?;
        next.finished_at = Some(now);
        Ok(next)
    }

    pub fn execute(&self, now: Timestamp) -> Result<Action, Refusal> {
        if self.is_overdue(now) {
            return Err(expired());
        }
        let mut next = self.move_to(ActionState::Executed)?;
        next.finished_at = Some(now);
        Ok(next)
    }

    pub fn fail(&self, now: Timestamp, failure: Failure) -> Result<Action, Refusal> {
        let mut next = self.move_to(ActionState::Failed)?;
        next.finished_at = Some(now);
        next.failure = Some(failure);
        Ok(next)
    }
}

fn expired() -> Refusal {
    Refusal::new(
        Code::ApprovalExpired,
        "the time for this action has run out",
        "Propose it again; a new proposal needs a new idempotency key.",
    )
}

fn wrong_state(state: ActionState) -> Refusal {
    let (code, message) = match state {
        ActionState::PendingApproval => (Code::ApprovalNotGranted, "the action waits for its approval"),
        ActionState::Approved => (Code::InProgress, "the action is approved and about to run"),
        ActionState::Executed => (Code::ApprovalAlreadyUsed, "the action has run already"),
        ActionState::Failed => (Code::ApprovalAlreadyUsed, "the action has failed already"),
        ActionState::Rejected => (Code::ApprovalNotGranted, "the action was rejected"),
        ActionState::Expired => (Code::ApprovalExpired, "the action has expired"),
    };
    Refusal::new(code, message, "Look at the action with loopiq_get_action; propose anew with a new key.")
}
