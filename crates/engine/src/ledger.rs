//! What is recorded of every call. Decisions (proposed, approved, executed, refused, replayed, …) are audit drafts
//! inside the very write they speak of, or committed before the caller hears of them. Reads are recorded too, in
//! batches: at most the last moment before a crash is lost.

use std::collections::HashMap;
use std::sync::Mutex;

use domain::action::{Action, AuditReceipt, Channel};
use domain::audit::{ApprovalAsked, AuditActor, AuditBody, AuditDraft, AuditKind, AuditReference};
use domain::effect::Effect;
use domain::id::OrgId;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use identity::{Actor, Credential};
use store::Write;

use crate::stop::{Fault, Stop};
use crate::{Caller, Engine, limits, render};

/// Records of reads that wait to be written, by organization.
#[derive(Default)]
pub struct ReadLog {
    waiting: Mutex<HashMap<OrgId, Vec<AuditDraft>>>,
}

impl ReadLog {
    /// Adds one; returns how many wait for this organization.
    fn push(&self, organization: OrgId, draft: AuditDraft) -> usize {
        let mut waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let list = waiting.entry(organization).or_default();
        list.push(draft);
        list.len()
    }
    fn take(&self) -> HashMap<OrgId, Vec<AuditDraft>> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

fn actor_of(actor: &Actor) -> AuditActor {
    let mut by = AuditActor {
        user_id: Some(actor.user_id),
        token_id: actor.credential.token_id(),
        agent_id: actor.agent.as_ref().map(|agent| agent.id),
        ..AuditActor::default()
    };
    match actor.credential {
        Credential::Outside(id) => by.provider_id = Some(id),
        Credential::Session { id } => by.session_id = Some(id),
        Credential::Token(_) | Credential::Client(_) | Credential::Local => {}
    }
    by
}

/// A draft about a call, still without what it is about.
pub(crate) fn draft(caller: Caller<'_>, at: Timestamp, kind: AuditKind, tool: Option<&str>) -> AuditDraft {
    AuditDraft {
        at,
        kind,
        actor: actor_of(caller.actor),
        channel: caller.channel,
        tool: tool.map(str::to_owned),
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
        request_id: caller.ids.request_id.clone(),
        trace_id: caller.ids.trace_id.clone(),
        body: AuditBody::default(),
    }
}

/// A draft of a decision the server itself takes because time has passed.
pub(crate) fn automatic(at: Timestamp, kind: AuditKind, request_id: String) -> AuditDraft {
    AuditDraft {
        at,
        kind,
        actor: AuditActor::default(),
        channel: Channel::Automation,
        tool: None,
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
        trace_id: request_id.clone(),
        request_id,
        body: AuditBody::default(),
    }
}

/// A draft about an action.
pub(crate) fn action_draft(
    caller: Caller<'_>,
    at: Timestamp,
    kind: AuditKind,
    action: &Action,
) -> AuditDraft {
    let mut draft = draft(caller, at, kind, None);
    name_action(&mut draft, action);
    draft
}

/// Says in a draft which action it is about, and as much of it as its kind calls for.
pub(crate) fn name_action(draft: &mut AuditDraft, action: &Action) {
    draft.tool = Some(action.tool.clone());
    draft.action_id = Some(action.id);
    draft.approval_id = Some(action.approval_id);
    draft.action_digest = Some(action.digest);
    draft.approval = Some(ApprovalAsked::of(action));
    draft.references = action
        .versions
        .iter()
        .map(|v| AuditReference { record_type: v.record_type, id: v.id.clone() })
        .collect();
    draft.body.idempotency_key = Some(action.idempotency_key.clone());
    draft.body.workflow.clone_from(&action.workflow);
    if matches!(draft.kind, AuditKind::Proposed | AuditKind::Preview) {
        draft.body.reason = Some(action.reason.clone());
        draft.body.payload = Some(action.arguments.get().to_owned());
    }
    if draft.kind == AuditKind::Executed {
        name_effects(draft, &action.effects);
    }
}

/// The records that a list of effects makes or changes, as a command-line or administrative write names them.
pub(crate) fn name_effects(draft: &mut AuditDraft, effects: &[Effect]) {
    for effect in effects {
        let touched = render::touched(effect);
        let reference = AuditReference { record_type: touched.record_type, id: touched.id };
        if touched.created { draft.created.push(reference) } else { draft.updated.push(reference) }
    }
}

impl Engine {
    /// Notes a read; writes the batch when it is full.
    pub(crate) async fn note_read(
        &self,
        caller: Caller<'_>,
        tool: &str,
        returned: u32,
        asked: Option<String>,
    ) {
        let mut draft = draft(caller, self.parts.clock.now(), AuditKind::Read, Some(tool));
        draft.returned = Some(returned);
        draft.body.payload = asked;
        let waiting = self.parts.reads.push(caller.actor.organization.id, draft);
        if waiting >= limits::READ_LOG_MAX {
            self.flush_reads().await;
        }
    }

    /// Writes the waiting records of reads. A failure is logged; the records go back to the queue's fate of a
    /// crash: lost, which the contract allows for reads alone.
    pub async fn flush_reads(&self) {
        for (organization, drafts) in self.parts.reads.take() {
            let mut write = Write::new();
            for draft in drafts {
                write.audit(draft);
            }
            let done = match self.parts.store.org(organization).await {
                Ok(org) => org.commit(write).await.map(|_| ()).map_err(|e| e.to_string()),
                Err(fault) => Err(fault.to_string()),
            };
            if let Err(error) = done {
                tracing::error!(%organization, "could not record reads: {error}");
            }
        }
    }

    /// Commits one record that belongs to no other write, and returns its receipt.
    pub(crate) async fn record(&self, organization: OrgId, draft: AuditDraft) -> Result<AuditReceipt, Stop> {
        let org = self.parts.store.org(organization).await?;
        let mut write = Write::new();
        write.audit(draft);
        match org.commit(write).await {
            Ok(done) => {
                Ok(*done.receipts.first().ok_or(Fault::Bug("a committed audit draft has a receipt"))?)
            }
            Err(store::CommitError::Fault(fault)) => Err(fault.into()),
            Err(store::CommitError::Conflict(_)) => {
                Err(Fault::Bug("a write without guards cannot conflict").into())
            }
        }
    }

    pub(crate) async fn record_refusal(
        &self,
        caller: Caller<'_>,
        tool: &str,
        refusal: &Refusal,
    ) -> Result<(), Fault> {
        let mut draft = draft(caller, self.parts.clock.now(), AuditKind::Denied, Some(tool));
        draft.code = Some(refusal.code);
        draft.body.message = Some(refusal.message.clone());
        match self.record(caller.actor.organization.id, draft).await {
            Ok(_) => Ok(()),
            Err(Stop::Broken(fault)) => Err(fault),
            Err(Stop::Refused(_)) => Ok(()),
        }
    }
}
