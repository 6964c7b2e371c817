//! Decisions about an action: approving, rejecting, withdrawing, breaking the glass and looking at it afterwards, and
//! what the rules decide by themselves. The approval that completes the requirement executes the stored effects in the
//! same commit: with the approval's consumption, the new state, the idempotent result and the audit records. There is no
//! other path to a write by a tool.

use domain::action::{Action, ActionState, Failure};
use domain::approval::Approval;
use domain::audit::{AuditDraft, AuditKind};
use domain::effect::Effect;
use domain::id::{ActionId, UserId};
use domain::org::Organization;
use domain::passkey::challenge;
use domain::permission::{Membership, Permission};
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::time::Timestamp;
use identity::passkey::{Confirmed, RelyingParty};
use serde_json::Value;
use store::{CommitError, Conflict, Org, StoredAction, Write};

use crate::card::{is_own, view, visible};
use crate::policy::Policies;
use crate::ruling::{self, Situation};
use crate::stop::{Fault, Stop};
use crate::tool::Cx;
use crate::view::ActionView;
use crate::{Caller, Engine, ledger, limits};

/// What a person does about an action.
#[derive(Debug, Clone)]
pub enum Decision {
    /// `Approve and run`: counts this person's approval and, when the requirement is met, executes. Signed where the
    /// person has signed the action with a passkey: what the browser answered to [`Engine::confirmation`].
    Approve { signed: Option<Value> },
    /// One rejection ends the action.
    Reject { reason: String },
    /// The requester takes it back; a program may do that in their name.
    Withdraw { reason: String },
    /// Approves alone, past the rules; somebody else will review it.
    BreakGlass { reason: String },
    /// Looks at a broken glass.
    Review,
}

impl Decision {
    /// As audit records call it.
    const fn name(&self) -> &'static str {
        match self {
            Decision::Approve { .. } => "approve_action",
            Decision::Reject { .. } => "reject_action",
            Decision::Withdraw { .. } => "withdraw_action",
            Decision::BreakGlass { .. } => "break_glass",
            Decision::Review => "review_broken_glass",
        }
    }

    fn permission(&self) -> Option<Permission> {
        match self {
            Decision::Approve { .. } | Decision::Reject { .. } | Decision::Review => {
                Some(Permission::ApprovalsDecide)
            }
            Decision::BreakGlass { .. } => Some(Permission::ApprovalsBreakGlass),
            Decision::Withdraw { .. } => None,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Decision::Reject { reason } | Decision::Withdraw { reason } | Decision::BreakGlass { reason } => {
                Some(reason)
            }
            Decision::Approve { .. } | Decision::Review => None,
        }
    }
}

/// A membership that a write rests on.
type Standing = (UserId, i64);

fn standing(member: &Membership) -> Standing {
    (member.user_id, member.version)
}

/// What an approved action needs to run, whoever approved it.
struct Run<'a> {
    org: &'a Org,
    judge: Judge<'a>,
    /// The action before, and approved.
    before: &'a Action,
    approved: Action,
    at: Timestamp,
    people: Vec<Standing>,
    /// Makes an audit record about the action in the name of whoever decided.
    draft: &'a (dyn Fn(AuditKind, &Action) -> AuditDraft + Sync),
    /// What the last approver signed, where they did.
    signed: Option<&'a Confirmed>,
}

/// Who is asked whether the requester may still do what they asked for: the gate that the last approver has passed, or,
/// where nobody decided, the policies in force.
enum Judge<'a> {
    Gate(&'a Cx<'a>),
    Policies(&'a Policies, &'a Organization),
}

impl Engine {
    /// Takes a person's decision about an action.
    ///
    /// # Errors
    /// `approval_not_granted` without a browser session or for a person who does not count, `forbidden` without the
    /// permission, `approval_expired`, `approval_already_used`, `validation_failed` without a reason, `not_found`.
    pub async fn decide(
        &self,
        caller: Caller<'_>,
        id: ActionId,
        decision: &Decision,
    ) -> Result<ActionView, Refusal> {
        match self.take(caller, id, decision).await {
            Ok(view) => Ok(view),
            Err(stop) => Err(self.refuse(caller, decision.name(), stop).await),
        }
    }

    /// What a browser is asked, so that the caller signs their approval of an action with a passkey of theirs. None where
    /// they have none, or where passkeys cannot be used.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn confirmation(&self, caller: Caller<'_>, id: ActionId) -> Result<Option<Value>, Refusal> {
        let asked = async {
            let org = self.parts.store.org(caller.actor.organization.id).await?;
            let directory = self.parts.store.directory();
            let cx = self.cx(caller.actor, &org, &directory);
            let action = visible(&cx, id).await?.action;
            let passkeys = cx.reader.passkeys_of(cx.actor.user_id).await?;
            let Some(party) = cx.passkeys.filter(|_| !passkeys.is_empty()) else { return Ok(None) };
            Ok(Some(party.confirmation(&challenge(action.id, &action.digest), &passkeys)?))
        };
        match asked.await {
            Ok(asked) => Ok(asked),
            Err(stop) => Err(self.refuse(caller, "confirm_approval", stop).await),
        }
    }

    /// The origin of the pages on which passkeys work.
    pub fn passkey_origin(&self) -> Option<&str> {
        self.parts.identity.passkeys().map(RelyingParty::origin)
    }

    async fn take(&self, caller: Caller<'_>, id: ActionId, decision: &Decision) -> Result<ActionView, Stop> {
        let org = self.parts.store.org(caller.actor.organization.id).await?;
        let directory = self.parts.store.directory();
        let cx = self.cx(caller.actor, &org, &directory);
        let found = visible(&cx, id).await?;
        if let Some(permission) = decision.permission() {
            if !caller.actor.credential.is_person() {
                return Err(person_needed().into());
            }
            if !cx.rights.allows(permission, found.action.team_id) {
                return Err(Refusal::forbidden(permission).into());
            }
        }
        if decision.reason().is_some_and(|reason| reason.chars().count() > limits::TEXT_CHARS_MAX) {
            return Err(Refusal::invalid("reason", "must have at most 4000 characters").into());
        }
        // An agent takes back what it proposed itself, not what the person did or another of their agents.
        if matches!(decision, Decision::Withdraw { .. })
            && caller.actor.agent.is_some()
            && !is_own(&cx, &found.action)
        {
            return Err(Refusal::not_found("action").into());
        }
        let found = self.settle(caller, &org, found).await?;
        let decided = match decision {
            Decision::Approve { signed } => {
                self.commit_approval(caller, &org, &cx, &found.action, signed.as_ref()).await?
            }
            Decision::BreakGlass { reason } => {
                self.commit_broken_glass(caller, &org, &cx, &found.action, reason).await?
            }
            Decision::Reject { reason } => {
                let rejected = found.action.reject(approval(caller, cx.now), reason)?;
                commit_end(caller, &org, &found.action, rejected, cx.now).await?
            }
            Decision::Withdraw { reason } => {
                let withdrawn = found.action.withdraw(approval(caller, cx.now), reason)?;
                commit_end(caller, &org, &found.action, withdrawn, cx.now).await?
            }
            Decision::Review => {
                let reviewed = found.action.review(approval(caller, cx.now))?;
                let mut write = Write::new();
                let receipt =
                    write.audit(ledger::action_draft(caller, cx.now, AuditKind::Reviewed, &reviewed));
                write.guard(&membership_guard(standing(&caller.actor.membership)));
                write.move_action(&found.action, &reviewed, Some(receipt));
                finish(&org, write, reviewed, receipt).await?
            }
        };
        view(&cx, &decided).await
    }

    async fn commit_approval(
        &self,
        caller: Caller<'_>,
        org: &Org,
        cx: &Cx<'_>,
        action: &Action,
        signed: Option<&Value>,
    ) -> Result<StoredAction, Stop> {
        let me = &caller.actor.membership;
        let signed = match signed {
            Some(answer) => Some(confirmed(cx, action, answer).await?),
            None => None,
        };
        let earlier = still_approving(cx, action).await?;
        let expiry = cx.organization.settings.execution_expiry_seconds;
        let passkey = signed.as_ref().map(|signed| signed.passkey.id);
        let approved = action.approve(me, cx.now, passkey, &earlier, expiry)?;
        let draft = |kind: AuditKind, action: &Action| {
            let mut draft = ledger::action_draft(caller, cx.now, kind, action);
            if kind == AuditKind::Approved {
                draft.assertion = signed.as_ref().map(|signed| signed.assertion.clone());
            }
            draft
        };
        let mut people: Vec<Standing> = vec![standing(me)];
        let counted = |m: &&Membership| approved.approvals.iter().any(|a| a.by == m.user_id);
        people.extend(earlier.iter().filter(counted).map(standing));
        if approved.state == ActionState::PendingApproval {
            let mut write = Write::new();
            let receipt = write.audit(draft(AuditKind::Approved, &approved));
            for person in people {
                write.guard(&membership_guard(person));
            }
            write.move_action(action, &approved, Some(receipt));
            if let Some(signed) = &signed {
                keep(&mut write, signed);
            }
            return finish(org, write, approved, receipt).await;
        }
        let signed = signed.as_ref();
        let judge = Judge::Gate(cx);
        let run = Run { org, judge, before: action, approved, at: cx.now, people, draft: &draft, signed };
        self.run(run).await
    }

    async fn commit_broken_glass(
        &self,
        caller: Caller<'_>,
        org: &Org,
        cx: &Cx<'_>,
        action: &Action,
        reason: &str,
    ) -> Result<StoredAction, Stop> {
        let me = &caller.actor.membership;
        let expiry = cx.organization.settings.execution_expiry_seconds;
        let approved = action.break_glass(me, reason, cx.now, expiry)?;
        let draft = |kind: AuditKind, action: &Action| {
            let mut draft = ledger::action_draft(caller, cx.now, kind, action);
            if kind == AuditKind::Approved {
                draft.kind = AuditKind::BrokenGlass;
                draft.body.reason = Some(reason.trim().to_owned());
            }
            draft
        };
        tracing::warn!(
            request_id = caller.ids.request_id,
            organization = %org.id(),
            action = %action.id,
            "the glass was broken: one person approved past the rules"
        );
        let (judge, people) = (Judge::Gate(cx), vec![standing(me)]);
        self.run(Run {
            org,
            judge,
            before: action,
            approved,
            at: cx.now,
            people,
            draft: &draft,
            signed: None,
        })
        .await
    }

    /// Executes an approved action, or ends it as failed when something it rests on has changed.
    async fn run(&self, mut run: Run<'_>) -> Result<StoredAction, Stop> {
        // The requester's right is checked again, and guarded inside the commit by their membership's version.
        let requester = match &run.judge {
            // Read for this very request.
            Judge::Gate(cx) if cx.actor.user_id == run.before.requester_id => {
                Some(cx.actor.membership.clone())
            }
            _ => run.org.reader().membership(run.before.requester_id).await?,
        };
        let still = match &requester {
            Some(member) => still_may(&run, member).await?,
            None => false,
        };
        if !still {
            return commit_failure(&run, &no_longer()).await;
        }
        run.people.extend(requester.as_ref().map(standing));
        let mut executed = run.approved.execute(run.at)?;
        executed.version = run.before.version + 1;
        let mut write = Write::new();
        write.audit((run.draft)(AuditKind::Approved, &run.approved));
        let last = write.audit((run.draft)(AuditKind::Executed, &executed));
        // Before the effects, one of which may take this very passkey away.
        if let Some(signed) = run.signed {
            keep(&mut write, signed);
        }
        apply(&mut write, &executed, &run.people);
        write.move_action(run.before, &executed, Some(last));
        self.prepare(run.org, &executed).await?;
        match run.org.commit(write).await {
            Ok(done) => {
                self.carry_over(&executed).await;
                self.mark_outdated(run.org, &executed.effects, run.at).await;
                self.forget_secrets(run.org.id(), &executed).await;
                Ok(StoredAction { action: executed, receipt: done.receipts.get(last).copied() })
            }
            Err(CommitError::Conflict(Conflict::Moved { record_type: RecordType::Passkey, id }))
                if run.signed.is_some_and(|signed| signed.passkey.id.to_string() == id) =>
            {
                Err(decided_meanwhile().into())
            }
            Err(CommitError::Conflict(Conflict::Moved { .. })) => commit_failure(&run, &stale()).await,
            Err(CommitError::Conflict(_)) => Err(decided_meanwhile().into()),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    /// Executes what the rules themselves approve because nobody has decided in their time.
    ///
    /// # Errors
    /// A fault of storage; a refusal ends the action as failed.
    pub(crate) async fn run_by_rule(
        &self,
        org: &Org,
        organization: &Organization,
        before: &Action,
        approved: Action,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let version = org.reader().policy_sets(1).await?.first().map_or(0, |set| set.version);
        let policies = self.policies(org.reader(), organization.id, version).await?;
        let request = self.parts.ids.next().to_string();
        let draft = |kind: AuditKind, action: &Action| {
            let mut draft = ledger::automatic(at, kind, request.clone());
            ledger::name_action(&mut draft, action);
            draft
        };
        let judge = Judge::Policies(&policies, organization);
        let run = Run { org, judge, before, approved, at, people: Vec::new(), draft: &draft, signed: None };
        match self.run(run).await {
            // Somebody decided it at the same moment: theirs counts.
            Ok(_) | Err(Stop::Refused(_)) => Ok(()),
            Err(Stop::Broken(fault)) => Err(fault),
        }
    }

    /// Notes on other pending actions that something they rest on has changed. Their execution would find out anyway;
    /// this tells the people who would decide. A failure is logged.
    pub(crate) async fn mark_outdated(&self, org: &Org, effects: &[Effect], at: Timestamp) {
        // Nobody can have relied on what is new.
        let touched = effects.iter().map(crate::render::touched);
        let changed: Vec<_> = touched.filter(|touched| !touched.created).collect();
        if changed.is_empty() {
            return;
        }
        let moved = |read: &VersionRead| {
            changed.iter().any(|touched| touched.record_type == read.record_type && touched.id == read.id)
        };
        let mark = async {
            let mut after = None;
            loop {
                let batch = org.reader().pending_actions(after, limits::PENDING_BATCH).await?;
                let Some(last) = batch.last() else { return Ok::<(), store::Fault>(()) };
                after = Some(last.action.id);
                for StoredAction { action, .. } in &batch {
                    if action.outdated_at.is_some() || !action.versions.iter().any(moved) {
                        continue;
                    }
                    let Ok(outdated) = action.outdated(at) else { continue };
                    let mut write = Write::new();
                    write.move_action(action, &outdated, None);
                    match org.commit(write).await {
                        Ok(_) | Err(CommitError::Conflict(_)) => {}
                        Err(CommitError::Fault(fault)) => return Err(fault),
                    }
                }
            }
        };
        if let Err(fault) = mark.await {
            tracing::error!(organization = %org.id(), "could not mark outdated actions: {fault}");
        }
    }
}

/// Whether the requester may still make the call that was proposed, by the policies of now: a right, a tool or an agent may
/// have been taken away since.
async fn still_may(run: &Run<'_>, requester: &Membership) -> Result<bool, Stop> {
    let action = run.before;
    // What a tool that no longer exists would do is nobody's right.
    let Some(tool) = crate::tools::find(&action.tool) else { return Ok(false) };
    let team = match (&run.judge, action.team_id) {
        (_, None) => None,
        (Judge::Gate(cx), Some(id)) => cx.team(id).await?,
        (Judge::Policies(..), Some(id)) => run.org.reader().team(id).await?,
    };
    let team = team.as_ref().map(|team| (team.id, team.key.as_str()));
    let agent = match &action.agent {
        Some(acted) => match run.org.reader().agent(acted.id).await? {
            Some(agent) => Some(agent),
            None => return Ok(false),
        },
        None => None,
    };
    let organization = match &run.judge {
        Judge::Gate(cx) => cx.organization,
        Judge::Policies(_, organization) => organization,
    };
    let situation = Situation::of_action(action, organization, requester, team, agent.as_ref());
    Ok(match &run.judge {
        Judge::Gate(cx) => cx.actor.still_permits(&tool.card, &situation)?,
        Judge::Policies(policies, _) => ruling::access(policies, &tool.card, &situation)?.allowed,
    })
}

/// Those who have approved and, by today's roles, policies and passkeys, still may.
async fn still_approving(cx: &Cx<'_>, action: &Action) -> Result<Vec<Membership>, Stop> {
    let mut found = Vec::new();
    for approval in &action.approvals {
        let Some(member) = cx.reader.membership(approval.by).await? else { continue };
        if let Some(passkey) = approval.passkey
            && cx.reader.passkey(passkey).await?.is_none()
        {
            continue;
        }
        let team = cx.team_of(action.team_id).await?;
        let team = team.as_ref().map(|(id, key)| (*id, key.as_str()));
        if cx.actor.may(&member, Permission::ApprovalsDecide, team)? {
            found.push(member);
        }
    }
    Ok(found)
}

/// Checks what the caller has signed.
async fn confirmed(cx: &Cx<'_>, action: &Action, answer: &Value) -> Result<Confirmed, Stop> {
    let passkeys = cx.reader.passkeys_of(cx.actor.user_id).await?;
    let party = cx.passkeys.ok_or_else(no_passkeys_here)?;
    Ok(party.confirmed(&challenge(action.id, &action.digest), &passkeys, answer)?)
}

/// A signature counts while its passkey is registered, and moves what is kept of it.
fn keep(write: &mut Write, signed: &Confirmed) {
    match &signed.now {
        Some(now) => write.use_passkey(now),
        None => {
            write.guard(&VersionRead::of(RecordType::Passkey, signed.passkey.id, signed.passkey.version));
        }
    }
}

pub(crate) fn no_passkeys_here() -> Refusal {
    Refusal::new(
        Code::ValidationFailed,
        "passkeys cannot be used at the address of this service",
        "They need a public URL with https and the name of a host; an operator sets it with --public-url.",
    )
}

fn approval(caller: Caller<'_>, at: Timestamp) -> Approval {
    Approval::plain(caller.actor.user_id, &caller.actor.email, at)
}

/// Commits a rejection.
async fn commit_end(
    caller: Caller<'_>,
    org: &Org,
    before: &Action,
    rejected: Action,
    at: Timestamp,
) -> Result<StoredAction, Stop> {
    let mut write = Write::new();
    let mut draft = ledger::action_draft(caller, at, AuditKind::Rejected, &rejected);
    draft.body.reason.clone_from(&rejected.rejection_reason);
    if rejected.withdrawn {
        draft.body.message = Some("withdrawn by its requester".into());
    }
    let receipt = write.audit(draft);
    write.guard(&membership_guard(standing(&caller.actor.membership)));
    write.move_action(before, &rejected, Some(receipt));
    finish(org, write, rejected, receipt).await
}

/// The approval counted, the execution could not: both are recorded, nothing else is written.
async fn commit_failure(run: &Run<'_>, refusal: &Refusal) -> Result<StoredAction, Stop> {
    let mut failed = run.approved.fail(
        run.at,
        Failure { code: refusal.code, message: refusal.message.clone(), remedy: refusal.remedy.clone() },
    )?;
    failed.version = run.before.version + 1;
    let mut write = Write::new();
    write.audit((run.draft)(AuditKind::Approved, &run.approved));
    let mut draft = (run.draft)(AuditKind::Failed, &failed);
    draft.code = Some(refusal.code);
    draft.body.message = Some(refusal.message.clone());
    let receipt = write.audit(draft);
    write.move_action(run.before, &failed, Some(receipt));
    finish(run.org, write, failed, receipt).await
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
pub(crate) fn apply(write: &mut Write, action: &Action, people: &[Standing]) {
    for version in &action.versions {
        write.guard(version);
    }
    let mut guarded: Vec<UserId> = Vec::new();
    for person in people {
        if !guarded.contains(&person.0) {
            write.guard(&membership_guard(*person));
            guarded.push(person.0);
        }
    }
    let glass = action.broken_glass.as_ref().map(|glass| glass.by.by);
    let approver = action.approvals.last().map(|approval| approval.by).or(glass);
    for effect in &action.effects {
        write.effect(&effect.approved_by(approver));
    }
}

fn membership_guard((user, version): Standing) -> VersionRead {
    VersionRead { record_type: RecordType::Membership, id: user.to_string(), version }
}

/// The permission a stored action's tool needs, if it needs one. What a tool that no longer exists would do is the
/// administrators' business.
pub(crate) fn tool_permission(tool: &str) -> Option<Permission> {
    crate::tools::find(tool).map_or(Some(Permission::OrganizationManage), |t| t.card.permission)
}

fn person_needed() -> Refusal {
    Refusal::new(
        Code::ApprovalNotGranted,
        "deciding needs a person's browser session",
        "Open the approval link in a browser, sign in, and decide there.",
    )
}

fn no_longer() -> Refusal {
    Refusal::new(
        Code::Forbidden,
        "its requester may no longer do this",
        "Have somebody who may propose it, or ask an organization administrator which role or policy has changed.",
    )
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
