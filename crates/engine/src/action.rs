//! The governed write up to its decision: propose, preview, find again. The effects that were previewed are stored with
//! the action, and approval binds their digest. What policy lets run at once runs here; everything else waits for
//! `decide.rs`.

use std::collections::BTreeSet;

use domain::action::{Action, ActionState, digest};
use domain::agent::AgentRef;
use domain::approval::Requirement;
use domain::audit::AuditKind;
use domain::digest::Digest;
use domain::id::{ActionId, ApprovalId, UserId};
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use serde_json::{Map, Value};
use store::{CommitError, Conflict, Org, Reader, StoredAction, Write};

use crate::call::{ApprovalRef, Ask, Envelope, PreviewRef, WriteOut, WriteStatus};
use crate::card::{card, failure_view, team_ref, view, visible};
use crate::decide::{apply, tool_permission};
use crate::stop::{Fault, Stop};
use crate::tool::{Asked, Card, Cx, Plan};
use crate::view::{ActionRef, ActionView};
use crate::{Caller, Engine, ledger, limits, render, tools};

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

/// Those who have passkeys.
pub(crate) async fn signers(reader: &Reader) -> Result<BTreeSet<UserId>, Fault> {
    Ok(reader.passkeys().await?.into_iter().map(|passkey| passkey.user_id).collect())
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
    pub(crate) async fn propose(
        &self,
        caller: Caller<'_>,
        command: Ask<'_>,
        envelope: Envelope,
        proposal: Proposal,
    ) -> Result<WriteOut, Stop> {
        let org = self.parts.store.org(caller.actor.organization.id).await?;
        let directory = self.parts.store.directory();
        let cx = self.cx(caller.actor, &org, &directory);
        if !envelope.dry_run {
            let claim = claim(&cx, command.card.name, &envelope, &proposal).await?;
            if let Some(existing) = claim.existing {
                return self.replay(caller, &org, &cx, existing, &proposal).await;
            }
            if let Some(approval) = envelope.approval_id {
                return Err(unmatched_approval(&cx, approval).await?);
            }
            let key = claim.key.clone();
            let done = self.propose_anew(caller, &org, &cx, (command, &envelope, &proposal), claim).await;
            if let Err(Stop::Refused(_)) = &done
                && let Some(found) =
                    cx.reader.action_by_key(cx.actor.user_id, command.card.name, &key).await?
            {
                // Refused because the very same call has been carried out at the same moment: this is its repeat.
                return self.replay(caller, &org, &cx, found, &proposal).await;
            }
            return done;
        }
        let plan = self.plan(&cx, command, &envelope).await?;
        let requirement = self.requirement(&cx, command.card, &plan).await?;
        let key = ("preview".into(), false);
        let action = self.new_action(caller, &cx, (command, &envelope, &proposal), plan, requirement, key)?;
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
            secret: None,
            team: team_ref(&cx, action.team_id).await?,
        })
    }

    /// Plans, and commits an action under a key that nobody has used.
    async fn propose_anew(
        &self,
        caller: Caller<'_>,
        org: &Org,
        cx: &Cx<'_>,
        asked: (Ask<'_>, &Envelope, &Proposal),
        claim: Claim,
    ) -> Result<WriteOut, Stop> {
        let (command, envelope, proposal) = asked;
        let mut plan = self.plan(cx, command, envelope).await?;
        let requirement = self.requirement(cx, command.card, &plan).await?;
        let (key, secret) = ((claim.key, claim.derived), plan.secret.take());
        let action = self.new_action(caller, cx, asked, plan, requirement, key)?;
        let mut out = self.submit(caller, org, cx, action, proposal).await?;
        // Of somebody else's action that was found instead, the secret is not this one.
        out.secret = secret.filter(|_| !out.replayed);
        Ok(out)
    }

    async fn plan(&self, cx: &Cx<'_>, command: Ask<'_>, envelope: &Envelope) -> Result<Plan, Stop> {
        let asked = Asked { by: cx.actor, now: cx.now, reason: envelope.reason.trim() };
        let mut plan = command.planner.plan(cx, asked, &|| self.parts.ids.next()).await?;
        // A policy may keep a tool from single teams; which one it is, only the plan knows.
        if !cx.actor.permits_for(command.card, plan.team_id) {
            return Err(cx.actor.refusal(command.card).into());
        }
        // What an agent may is asked again at execution: nothing about it may have changed until then.
        if let Some(agent) = &cx.actor.agent {
            plan.versions.push(VersionRead::of(RecordType::Agent, agent.id, agent.version));
        }
        Ok(plan)
    }

    fn new_action(
        &self,
        caller: Caller<'_>,
        cx: &Cx<'_>,
        (command, envelope, proposal): (Ask<'_>, &Envelope, &Proposal),
        plan: Plan,
        requirement: Requirement,
        (key, key_derived): (String, bool),
    ) -> Result<Action, Stop> {
        let waits = requirement.waits_seconds(cx.organization.settings.approval_expiry_seconds);
        let approval_expires_at = cx.now.plus_seconds(waits);
        let mut action = Action {
            id: ActionId::from_uuid(self.parts.ids.next()),
            approval_id: ApprovalId::from_uuid(self.parts.ids.next()),
            organization_id: cx.organization.id,
            tool: command.card.name.to_owned(),
            tool_version: command.card.version,
            state: ActionState::PendingApproval,
            requester_id: caller.actor.user_id,
            requester_email: caller.actor.email.clone(),
            token_id: caller.actor.credential.token_id(),
            agent: caller.actor.agent.as_deref().map(AgentRef::from),
            channel: caller.channel,
            arguments: serde_json::value::RawValue::from_string(proposal.canonical.clone())?,
            arguments_digest: proposal.digest,
            idempotency_key: key,
            key_derived,
            effects: plan.effects,
            versions: plan.versions,
            labels: plan.labels,
            notes: plan.notes,
            policy_version: cx.actor.policy_name().to_owned(),
            requirement,
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
            approval_expires_at,
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
        };
        action.digest = digest(&action)?;
        Ok(action)
    }

    /// What policy asks before the plan may run, if enough people can give it.
    async fn requirement(&self, cx: &Cx<'_>, card: &'static Card, plan: &Plan) -> Result<Requirement, Stop> {
        let team = cx.team_of(plan.team_id).await?;
        let team = team.as_ref().map(|(id, key)| (*id, key.as_str()));
        let release = match plan.release_id {
            Some(id) => cx.reader.release(id).await?,
            None => None,
        };
        let release =
            release.as_ref().map(|r| [r.name.as_str(), r.status.as_str(), r.target_environment.as_str()]);
        let requirement = cx.actor.requirement(card, &plan.effects, team, release)?;
        if requirement.minimum_approvers > 0 {
            let members = cx.members().await?;
            let signers = if requirement.passkey() { signers(cx.reader).await? } else { BTreeSet::new() };
            cx.actor.check_satisfiable(&requirement, &members, &signers, team)?;
        }
        Ok(requirement)
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
        self.prepare(org, &stored).await?;
        match org.commit(write).await {
            Ok(done) => {
                self.forget_secrets(org.id(), &stored).await;
                let stored = StoredAction { action: stored, receipt: done.receipts.first().copied() };
                self.carry_over(&stored.action).await;
                if stored.action.state == ActionState::Executed {
                    self.mark_outdated(org, &stored.action.effects, cx.now).await;
                }
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
        if let Some(permission) = tool_permission(&found.action.tool)
            && !cx.rights.allows(permission, found.action.team_id)
        {
            return Err(Refusal::forbidden(permission).into());
        }
        if let Some(tool) = tools::find(&found.action.tool)
            && !cx.actor.permits_for(&tool.card, found.action.team_id)
        {
            return Err(cx.actor.refusal(&tool.card).into());
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
        write.move_action(&found.action, &expired, Some(receipt));
        match org.commit(write).await {
            Ok(done) => Ok(StoredAction { action: expired, receipt: done.receipts.first().copied() }),
            Err(CommitError::Conflict(_)) => Ok(org
                .reader()
                .action(found.action.id)
                .await?
                .ok_or(Fault::Bug("actions are never deleted"))?),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    /// How a write stands, as the tool answers it. A pure function of the stored action, so that a replay is the
    /// same answer.
    pub(crate) async fn outcome(
        &self,
        cx: &Cx<'_>,
        stored: &StoredAction,
        replayed: bool,
    ) -> Result<WriteOut, Stop> {
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
            secret: None,
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
