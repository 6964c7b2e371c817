//! The governed write: propose, decide, execute, exactly once. The effects that were previewed are stored with the
//! action; approval binds its digest; execution applies exactly them, in one commit with the consumption of the
//! approval, the new state, the idempotent result and the audit records. There is no other path to a write by a
//! tool.

use domain::action::{Action, ActionState, Failure, digest};
use domain::approval::Approval;
use domain::audit::AuditKind;
use domain::digest::Digest;
use domain::effect::Effect;
use domain::id::{ActionId, ApprovalId};
use domain::permission::{Permission, Rights};
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::time::Timestamp;
use serde_json::{Map, Value};
use store::{CommitError, Conflict, Org, StoredAction, Write};

use crate::call::{ApprovalRef, Envelope, PreviewRef, WriteOut, WriteStatus};
use crate::card::{card, failure_view, team_ref, view, visible};
use crate::stop::{Fault, Stop};
use crate::tool::{Asked, Command, Cx, Plan};
use crate::view::{ActionRef, ActionView};
use crate::{Caller, Engine, gate, ledger, limits, render};

/// What is proposed, canonical: the part of the arguments that the idempotency key and the approval speak of.
pub(crate) struct Proposal {
    canonical: String,
    digest: Digest,
}

impl Proposal {
    /// # Errors
    /// `validation_failed` for a blank reason or a key that is not 8–128 printable ASCII characters.
    pub fn new(envelope: &Envelope, proposed: Map<String, Value>) -> Result<Proposal, Stop> {
        if envelope.reason.trim().is_empty() {
            return Err(Refusal::invalid("reason", "must say why the write is wanted").into());
        }
        if let Some(key) = &envelope.idempotency_key {
            check_key(key)?;
        }
        let bytes = domain::digest::canonical_json(&Value::Object(proposed))?;
        let digest = Digest::of(&bytes);
        let canonical = String::from_utf8(bytes).map_err(|_| Fault::Bug("canonical JSON is UTF-8"))?;
        Ok(Proposal { canonical, digest })
    }
}

/// # Errors
/// `validation_failed` unless the key is 8–128 printable ASCII characters.
pub(crate) fn check_key(key: &str) -> Result<(), Refusal> {
    let fits = (limits::KEY_CHARS_MIN..=limits::KEY_CHARS_MAX).contains(&key.len())
        && key.bytes().all(|b| (0x21..=0x7e).contains(&b))
        && !key.starts_with(DERIVED_PREFIX);
    if fits {
        return Ok(());
    }
    Err(Refusal::invalid(
        "idempotencyKey",
        "must be 8 to 128 printable ASCII characters and not start with auto-",
    ))
}

/// Keys made by the server start so; callers cannot use it.
const DERIVED_PREFIX: &str = "auto-";

/// The key a call speaks under, and the action it has already, if any.
struct Claim {
    key: String,
    derived: bool,
    existing: Option<StoredAction>,
}

impl Engine {
    /// Previews or proposes a command, or finds what became of the same call before.
    pub(crate) async fn propose<C: Command>(
        &self,
        caller: Caller<'_>,
        input: C::In,
        envelope: Envelope,
        proposal: Proposal,
    ) -> Result<WriteOut, Stop> {
        let org = self.parts.store.org(caller.actor.organization.id).await?;
        let directory = self.parts.store.directory();
        let cx = self.cx(caller.actor, &org, &directory);
        if !envelope.dry_run {
            let claim = claim(&cx, C::CARD.name, &envelope, &proposal).await?;
            if let Some(existing) = claim.existing {
                return self.replay(caller, &org, &cx, existing, &proposal).await;
            }
            if let Some(approval) = envelope.approval_id {
                return Err(unmatched_approval(&cx, approval).await?);
            }
            let plan = self.plan::<C>(&cx, &input, &envelope).await?;
            let action =
                self.new_action::<C>(caller, &cx, &envelope, &proposal, plan, claim.key, claim.derived)?;
            self.check_requirement(&cx, &action).await?;
            return self.submit(caller, &org, &cx, action, &proposal).await;
        }
        let plan = self.plan::<C>(&cx, &input, &envelope).await?;
        let action =
            self.new_action::<C>(caller, &cx, &envelope, &proposal, plan, "preview".into(), false)?;
        self.check_requirement(&cx, &action).await?;
        let mut draft = ledger::action_draft(caller, cx.now, AuditKind::Preview, &action);
        draft.action_id = None;
        draft.approval_id = None;
        draft.body.idempotency_key = None;
        let receipt = self.record(caller.actor.organization.id, draft).await?;
        Ok(WriteOut {
            status: WriteStatus::Preview,
            replayed: false,
            next: "Nothing was changed. To propose it, call again with the same arguments and dryRun false."
                .into(),
            action: None,
            approval: None,
            notes: action.notes.clone(),
            preview: Some(PreviewRef {
                digest: action.digest,
                approvers: action.requirement.sentence(),
                requirement: action.requirement.clone(),
                versions: action.versions.clone(),
            }),
            effects: render::effects(&action.effects, &action.labels),
            created: Vec::new(),
            updated: Vec::new(),
            failure: None,
            audit: Some(receipt),
            team: team_ref(&cx, action.team_id).await?,
        })
    }

    async fn plan<C: Command>(&self, cx: &Cx<'_>, input: &C::In, envelope: &Envelope) -> Result<Plan, Stop> {
        let facts = C::facts(cx, input).await?;
        let asked = Asked { by: cx.actor, now: cx.now, reason: envelope.reason.trim() };
        Ok(C::plan(&facts, input, asked, &mut || self.parts.ids.next())?)
    }

    #[expect(clippy::too_many_arguments, reason = "one call site per mode; a struct would only rename them")]
    fn new_action<C: Command>(
        &self,
        caller: Caller<'_>,
        cx: &Cx<'_>,
        envelope: &Envelope,
        proposal: &Proposal,
        plan: Plan,
        key: String,
        key_derived: bool,
    ) -> Result<Action, Stop> {
        let settings = &cx.organization.settings;
        let token_id = match caller.actor.credential {
            identity::Credential::Token(id) => Some(id),
            _ => None,
        };
        let mut action = Action {
            id: ActionId::from_uuid(self.parts.ids.next()),
            approval_id: ApprovalId::from_uuid(self.parts.ids.next()),
            organization_id: cx.organization.id,
            tool: C::CARD.name.to_owned(),
            tool_version: C::CARD.version,
            state: ActionState::PendingApproval,
            requester_id: caller.actor.user_id,
            requester_email: caller.actor.email.clone(),
            token_id,
            channel: caller.channel,
            arguments: serde_json::value::RawValue::from_string(proposal.canonical.clone())?,
            arguments_digest: proposal.digest,
            idempotency_key: key,
            key_derived,
            effects: plan.effects,
            versions: plan.versions,
            labels: plan.labels,
            notes: plan.notes,
            policy_version: gate::POLICY_VERSION.to_owned(),
            requirement: gate::requirement(&C::CARD),
            digest: proposal.digest,
            summary: plan.summary,
            reason: envelope.reason.trim().to_owned(),
            workflow: envelope.workflow.clone(),
            request_id: envelope.request_id.clone().unwrap_or_else(|| caller.ids.request_id.clone()),
            trace_id: envelope.trace_id.clone().unwrap_or_else(|| caller.ids.trace_id.clone()),
            team_id: plan.team_id,
            release_id: plan.release_id,
            certification_id: plan.certification_id,
            created_at: cx.now,
            approval_expires_at: cx.now.plus_seconds(settings.approval_expiry_seconds),
            approvals: Vec::new(),
            approved_at: None,
            execution_expires_at: None,
            rejected_by: None,
            rejection_reason: None,
            finished_at: None,
            failure: None,
            version: 1,
        };
        action.digest = digest(&action)?;
        Ok(action)
    }

    async fn check_requirement(&self, cx: &Cx<'_>, action: &Action) -> Result<(), Stop> {
        if action.requirement.minimum_approvers > 0 {
            let members = cx.reader.memberships().await?;
            gate::satisfiable(&action.requirement, &members, cx.actor, action.team_id)?;
        }
        Ok(())
    }

    /// Commits a new action: pending, or executed at once where policy asks for no approval.
    async fn submit(
        &self,
        caller: Caller<'_>,
        org: &Org,
        cx: &Cx<'_>,
        action: Action,
        proposal: &Proposal,
    ) -> Result<WriteOut, Stop> {
        let (stored, write) = if action.requirement.minimum_approvers == 0 {
            let mut approved = action.clone();
            approved.state = ActionState::Approved;
            let mut executed = approved.execute(cx.now)?;
            executed.version = 1;
            let mut write = Write::new();
            let receipt = write.audit(ledger::action_draft(caller, cx.now, AuditKind::Executed, &executed));
            apply(&mut write, &executed, &[(caller.actor.user_id, caller.actor.membership.version)]);
            write.claim_action(&executed, Some(receipt));
            (executed, write)
        } else {
            let mut write = Write::new();
            let receipt = write.audit(ledger::action_draft(caller, cx.now, AuditKind::Proposed, &action));
            write.claim_action(&action, Some(receipt));
            (action, write)
        };
        keep_contents(org, &stored).await?;
        match org.commit(write).await {
            Ok(done) => {
                let stored = StoredAction { action: stored, receipt: done.receipts.first().copied() };
                self.outcome(cx, &stored, false).await
            }
            // Somebody claimed the key between look-up and commit: theirs is the action, this is a repeat.
            Err(CommitError::Conflict(Conflict::DuplicateKey)) => {
                let found = cx
                    .reader
                    .action_by_key(stored.requester_id, &stored.tool, &stored.idempotency_key)
                    .await?
                    .ok_or(Fault::Bug("a claimed key has an action"))?;
                self.replay(caller, org, cx, found, proposal).await
            }
            Err(CommitError::Conflict(_)) => Err(Refusal::new(
                Code::VersionConflict,
                "a record this write relies on changed at the same moment",
                "Read the records again and repeat the call.",
            )
            .into()),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    /// The stored outcome of an earlier identical call, after authorizing the caller anew (the gate and the
    /// credential have been checked on the way here).
    async fn replay(
        &self,
        caller: Caller<'_>,
        org: &Org,
        cx: &Cx<'_>,
        found: StoredAction,
        proposal: &Proposal,
    ) -> Result<WriteOut, Stop> {
        if found.action.arguments_digest != proposal.digest {
            return Err(Refusal::new(
                Code::IdempotencyConflict,
                "this idempotency key was used for other arguments",
                "Use a new key for a new write. loopiq_get_action with this key tells what became of the first.",
            )
            .into());
        }
        if !cx.rights.allows(tool_permission(&found.action.tool), found.action.team_id) {
            return Err(Refusal::forbidden(tool_permission(&found.action.tool)).into());
        }
        let found = self.settle(caller, org, found).await?;
        let draft = ledger::action_draft(caller, cx.now, AuditKind::Replayed, &found.action);
        self.record(caller.actor.organization.id, draft).await?;
        self.outcome(cx, &found, true).await
    }

    /// Ends an action whose clock has run out, whoever notices first.
    pub(crate) async fn settle(
        &self,
        caller: Caller<'_>,
        org: &Org,
        found: StoredAction,
    ) -> Result<StoredAction, Stop> {
        let now = self.parts.clock.now();
        if !found.action.is_overdue(now) {
            return Ok(found);
        }
        let expired = found.action.expire(now)?;
        let mut write = Write::new();
        let receipt = write.audit(ledger::action_draft(caller, now, AuditKind::Expired, &expired));
        write.move_action(&expired, Some(receipt));
        match org.commit(write).await {
            Ok(done) => Ok(StoredAction { action: expired, receipt: done.receipts.first().copied() }),
            Err(CommitError::Conflict(_)) => Ok(reload(org, found.action.id).await?),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    /// How a write stands, as the tool answers it. A pure function of the stored action, so that a replay is the
    /// same answer.
    async fn outcome(&self, cx: &Cx<'_>, stored: &StoredAction, replayed: bool) -> Result<WriteOut, Stop> {
        let action = &stored.action;
        let (status, next) = match action.state {
            ActionState::PendingApproval => (
                WriteStatus::PendingApproval,
                format!(
                    "Nothing was changed yet. Give the approval link to a person: {}. {} Then call again with the \
                     same arguments, or loopiq_get_action with the action's id.",
                    cx.links.action(action.id),
                    action.requirement.sentence()
                ),
            ),
            ActionState::Approved => {
                (WriteStatus::Approved, "It is approved and about to run; ask loopiq_get_action.".to_owned())
            }
            ActionState::Executed => {
                (WriteStatus::Executed, "Done, once. The created and updated records are linked.".to_owned())
            }
            ActionState::Rejected => (
                WriteStatus::Rejected,
                "A person rejected it; nothing was changed. A new proposal needs a new idempotencyKey.".to_owned(),
            ),
            ActionState::Expired => (
                WriteStatus::Expired,
                "Nobody decided in time; nothing was changed. A new proposal needs a new idempotencyKey.".to_owned(),
            ),
            ActionState::Failed => (
                WriteStatus::Failed,
                "It could not run; nothing was changed. Preview again with dryRun true, then propose with a new \
                 idempotencyKey."
                    .to_owned(),
            ),
        };
        let executed = action.state == ActionState::Executed;
        let (created, updated) = if executed {
            (render::links(action, true, cx.links), render::links(action, false, cx.links))
        } else {
            (Vec::new(), Vec::new())
        };
        let approval = if action.requirement.minimum_approvers > 0 {
            Some(ApprovalRef {
                id: action.approval_id,
                url: cx.links.action(action.id),
                requirement: action.requirement.clone(),
                card: card(cx, action).await?,
            })
        } else {
            None
        };
        Ok(WriteOut {
            status,
            replayed,
            next,
            action: Some(ActionRef {
                id: action.id,
                state: action.state,
                digest: action.digest,
                idempotency_key: action.idempotency_key.clone(),
                expires_at: action.execution_expires_at.unwrap_or(action.approval_expires_at),
            }),
            approval,
            notes: action.notes.clone(),
            preview: None,
            effects: render::effects(&action.effects, &action.labels),
            created,
            updated,
            failure: failure_view(action),
            audit: stored.receipt,
            team: team_ref(cx, action.team_id).await?,
        })
    }

    /// One action with its card, for its requester and for everybody who may read approvals of its team.
    ///
    /// # Errors
    /// `not_found` for absent, foreign and invisible actions alike.
    pub async fn action(&self, caller: Caller<'_>, id: ActionId) -> Result<ActionView, Refusal> {
        match self.action_view(caller, id).await {
            Ok(view) => {
                self.note_read(caller, "loopiq_get_action", 1, None).await;
                Ok(view)
            }
            Err(stop) => Err(self.refuse(caller, "loopiq_get_action", stop).await),
        }
    }

    async fn action_view(&self, caller: Caller<'_>, id: ActionId) -> Result<ActionView, Stop> {
        let org = self.parts.store.org(caller.actor.organization.id).await?;
        let directory = self.parts.store.directory();
        let cx = self.cx(caller.actor, &org, &directory);
        let found = visible(&cx, id).await?;
        let found = self.settle(caller, &org, found).await?;
        view(&cx, &found).await
    }

    /// `Approve and run`: counts this person's approval and, when the requirement is met, executes the stored
    /// effects in the same commit.
    ///
    /// # Errors
    /// `approval_not_granted` without a browser session or for a person who does not count, `forbidden` without
    /// `approvals:decide`, `approval_expired`, `approval_already_used`, `not_found`.
    pub async fn approve(&self, caller: Caller<'_>, id: ActionId) -> Result<ActionView, Refusal> {
        match self.decide(caller, id, None).await {
            Ok(view) => Ok(view),
            Err(stop) => Err(self.refuse(caller, "approve_action", stop).await),
        }
    }

    /// `Reject`, with a reason. One rejection ends the action.
    ///
    /// # Errors
    /// As for [`Engine::approve`].
    pub async fn reject(
        &self,
        caller: Caller<'_>,
        id: ActionId,
        reason: &str,
    ) -> Result<ActionView, Refusal> {
        match self.decide(caller, id, Some(reason)).await {
            Ok(view) => Ok(view),
            Err(stop) => Err(self.refuse(caller, "reject_action", stop).await),
        }
    }

    async fn decide(
        &self,
        caller: Caller<'_>,
        id: ActionId,
        rejection: Option<&str>,
    ) -> Result<ActionView, Stop> {
        let org = self.parts.store.org(caller.actor.organization.id).await?;
        let directory = self.parts.store.directory();
        let cx = self.cx(caller.actor, &org, &directory);
        let found = visible(&cx, id).await?;
        if !caller.actor.credential.is_person() {
            return Err(Refusal::new(
                Code::ApprovalNotGranted,
                "deciding needs a person's browser session",
                "Open the approval link in a browser, sign in, and decide there.",
            )
            .into());
        }
        if !cx.rights.allows(Permission::ApprovalsDecide, found.action.team_id) {
            return Err(Refusal::forbidden(Permission::ApprovalsDecide).into());
        }
        let found = self.settle(caller, &org, found).await?;
        let person = Approval { by: caller.actor.user_id, email: caller.actor.email.clone(), at: cx.now };
        let decided = match rejection {
            Some(reason) => self.commit_rejection(caller, &org, &found.action, person, reason).await?,
            None => self.commit_approval(caller, &org, &cx, &found.action, person).await?,
        };
        view(&cx, &decided).await
    }

    async fn commit_rejection(
        &self,
        caller: Caller<'_>,
        org: &Org,
        action: &Action,
        person: Approval,
        reason: &str,
    ) -> Result<StoredAction, Stop> {
        let at = person.at;
        if reason.chars().count() > limits::TEXT_CHARS_MAX {
            return Err(Refusal::invalid("reason", "must have at most 4000 characters").into());
        }
        let rejected = action.reject(person, reason)?;
        let mut write = Write::new();
        let mut draft = ledger::action_draft(caller, at, AuditKind::Rejected, &rejected);
        draft.body.reason.clone_from(&rejected.rejection_reason);
        let receipt = write.audit(draft);
        write.guard(&membership_guard(caller.actor.user_id, caller.actor.membership.version));
        write.move_action(&rejected, Some(receipt));
        finish(org, write, rejected, receipt).await
    }

    async fn commit_approval(
        &self,
        caller: Caller<'_>,
        org: &Org,
        cx: &Cx<'_>,
        action: &Action,
        person: Approval,
    ) -> Result<StoredAction, Stop> {
        let at = person.at;
        let approved = action.approve(person, cx.organization.settings.execution_expiry_seconds)?;
        let mut write = Write::new();
        let first = write.audit(ledger::action_draft(caller, at, AuditKind::Approved, &approved));
        let decider = (caller.actor.user_id, caller.actor.membership.version);
        if approved.state == ActionState::PendingApproval {
            write.guard(&membership_guard(decider.0, decider.1));
            write.move_action(&approved, Some(first));
            return finish(org, write, approved, first).await;
        }
        // The requester's right is checked again, and guarded inside the commit by their membership's version.
        let requester = cx.reader.membership(action.requester_id).await?;
        let permission = tool_permission(&action.tool);
        let still = requester.as_ref().filter(|m| {
            Rights::new(m, domain::permission::Permissions::EVERY).allows(permission, action.team_id)
        });
        let Some(requester) = still else {
            let refusal = Refusal::forbidden(permission);
            return self.commit_failure(caller, org, &approved, at, &refusal).await;
        };
        let mut executed = approved.execute(at)?;
        executed.version = action.version + 1;
        let last = write.audit(ledger::action_draft(caller, at, AuditKind::Executed, &executed));
        apply(&mut write, &executed, &[decider, (requester.user_id, requester.version)]);
        write.move_action(&executed, Some(last));
        keep_contents(org, &executed).await?;
        match org.commit(write).await {
            Ok(done) => Ok(StoredAction { action: executed, receipt: done.receipts.get(last).copied() }),
            Err(CommitError::Conflict(Conflict::Moved { .. })) => {
                self.commit_failure(caller, org, &approved, at, &stale()).await
            }
            Err(CommitError::Conflict(_)) => Err(decided_meanwhile().into()),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    /// The approval counted, the execution could not: both are recorded, nothing else is written.
    async fn commit_failure(
        &self,
        caller: Caller<'_>,
        org: &Org,
        approved: &Action,
        at: Timestamp,
        refusal: &Refusal,
    ) -> Result<StoredAction, Stop> {
        let mut failed = approved.fail(
            at,
            Failure { code: refusal.code, message: refusal.message.clone(), remedy: refusal.remedy.clone() },
        )?;
        failed.version = approved.version;
        let mut write = Write::new();
        write.audit(ledger::action_draft(caller, at, AuditKind::Approved, approved));
        let mut draft = ledger::action_draft(caller, at, AuditKind::Failed, &failed);
        draft.code = Some(refusal.code);
        draft.body.message = Some(refusal.message.clone());
        let receipt = write.audit(draft);
        write.move_action(&failed, Some(receipt));
        finish(org, write, failed, receipt).await
    }
}

/// Commits a decision that changes nothing but the action.
async fn finish(org: &Org, write: Write, action: Action, receipt: usize) -> Result<StoredAction, Stop> {
    match org.commit(write).await {
        Ok(done) => Ok(StoredAction { action, receipt: done.receipts.get(receipt).copied() }),
        Err(CommitError::Conflict(_)) => Err(decided_meanwhile().into()),
        Err(CommitError::Fault(fault)) => Err(fault.into()),
    }
}

/// Adds to a write everything that executes an action: guards on all that was read, guards on the people whose
/// rights it rests on, and the stored effects.
fn apply(write: &mut Write, action: &Action, people: &[(domain::id::UserId, i64)]) {
    for version in &action.versions {
        write.guard(version);
    }
    let mut guarded: Vec<domain::id::UserId> = Vec::new();
    for (person, version) in people {
        if !guarded.contains(person) {
            write.guard(&membership_guard(*person, *version));
            guarded.push(*person);
        }
    }
    let approver = action.approvals.last().map(|a| a.by);
    for effect in &action.effects {
        write.effect(&effect.approved_by(approver));
    }
}

/// Keeps the bytes that the effects of an executed action carry, before the records that name them: whoever finds such
/// a record finds its bytes. Kept by their digest, they do no harm when the commit then fails.
async fn keep_contents(org: &Org, action: &Action) -> Result<(), Stop> {
    for effect in action.effects.iter().filter(|_| action.state == ActionState::Executed) {
        if let Effect::AttachEvidence { record, content } = effect {
            let kept = org.blobs().put(content.as_bytes()).await?;
            if kept.to_string() != record.sha256 {
                return Err(Fault::Bug("a blob's name is its digest").into());
            }
        }
    }
    Ok(())
}

fn membership_guard(user: domain::id::UserId, version: i64) -> VersionRead {
    VersionRead { record_type: RecordType::Membership, id: user.to_string(), version }
}

/// The permission a stored action's tool needs. An action of a tool that no longer exists can never run.
fn tool_permission(tool: &str) -> Permission {
    crate::tools::find(tool).and_then(|t| t.card.permission).unwrap_or(Permission::OrganizationManage)
}

/// Finds the key a call speaks under. A key derived from the arguments is good for 24 hours; after that the same
/// arguments mean a new write, under a key derived from the old action.
async fn claim(cx: &Cx<'_>, tool: &str, envelope: &Envelope, proposal: &Proposal) -> Result<Claim, Stop> {
    if let Some(key) = &envelope.idempotency_key {
        let existing = cx.reader.action_by_key(cx.actor.user_id, tool, key).await?;
        return Ok(Claim { key: key.clone(), derived: false, existing });
    }
    if cx.organization.settings.idempotency_key_required {
        return Err(Refusal::invalid("idempotencyKey", "is required by this organization").into());
    }
    let mut key = format!("{DERIVED_PREFIX}{}", proposal.digest);
    loop {
        match cx.reader.action_by_key(cx.actor.user_id, tool, &key).await? {
            Some(old) if cx.now.seconds_since(old.action.created_at) >= limits::DERIVED_KEY_SECONDS => {
                let next = Digest::of_parts(&[key.as_bytes(), old.action.id.uuid().as_bytes()]);
                key = format!("{DERIVED_PREFIX}{next}");
            }
            existing => return Ok(Claim { key, derived: true, existing }),
        }
    }
}

/// An approval id came with arguments that have no action under this key: it belongs to another payload, or to
/// nothing the caller may see.
async fn unmatched_approval(cx: &Cx<'_>, approval: ApprovalId) -> Result<Stop, Stop> {
    let found = cx.reader.action_by_approval(approval).await?;
    Ok(match found.filter(|a| a.action.requester_id == cx.actor.user_id) {
        Some(_) => Refusal::new(
            Code::PayloadMismatch,
            "the approval was given for other arguments",
            "Repeat exactly the arguments that were approved, or propose the new ones without approvalId.",
        )
        .into(),
        None => Refusal::not_found("approval").into(),
    })
}

fn stale() -> Refusal {
    Refusal::new(
        Code::StalePreview,
        "a record the preview was based on has changed since",
        "Preview again with dryRun true, then propose with a new idempotencyKey.",
    )
}

fn decided_meanwhile() -> Refusal {
    Refusal::new(
        Code::ApprovalAlreadyUsed,
        "somebody decided this action at the same moment",
        "Look at the action again; its state tells the outcome.",
    )
}

async fn reload(org: &Org, id: ActionId) -> Result<StoredAction, Stop> {
    Ok(org.reader().action(id).await?.ok_or(Fault::Bug("actions are never deleted"))?)
}
