//! One call of one tool: arguments checked against the schema, the query answered or the command proposed, the
//! answer written once as JSON and once as a short text.

use domain::id::ApprovalId;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::action::Proposal;
use crate::stop::{Fault, Stop};
use crate::tool::{Answer, Command, Cx, Done, Query, Say, Seen};
use crate::view::{ActionRef, ApprovalCard, Context, EffectView, OrganizationRef, TeamRef, UserRef};
use crate::{Caller, Engine, RequestIds, tools};
use domain::action::{AuditReceipt, Note, RecordLink};
use domain::approval::Requirement;

/// Arguments that every write takes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// true: show effects, digest and who may approve; change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Why the write is wanted; approvers read it.
    #[schemars(length(min = 1, max = 2000))]
    pub reason: String,
    /// Names this one write, so that a retry cannot double it. Default: derived from the arguments for 24 hours.
    #[schemars(length(min = 8, max = 128))]
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// The approval this call continues, once a person has decided.
    #[serde(default)]
    pub approval_id: Option<ApprovalId>,
    /// Conversation or process that led here.
    #[schemars(length(max = 128))]
    #[serde(default)]
    pub workflow: Option<String>,
    /// Your request id, kept in the audit record.
    #[schemars(length(max = 128))]
    #[serde(default)]
    pub request_id: Option<String>,
    /// Your trace id, kept in the audit record.
    #[schemars(length(max = 128))]
    #[serde(default)]
    pub trace_id: Option<String>,
}

/// Members of [`Envelope`] that are not part of what is proposed.
const OUTSIDE_DIGEST: [&str; 5] = ["dryRun", "approvalId", "idempotencyKey", "requestId", "traceId"];
const ENVELOPE: [&str; 7] =
    ["dryRun", "approvalId", "idempotencyKey", "requestId", "traceId", "reason", "workflow"];

domain::words! {
    /// How a write stands.
    WriteStatus {
        Preview = "preview", PendingApproval = "pending_approval", Approved = "approved", Executed = "executed",
        Rejected = "rejected", Expired = "expired", Failed = "failed",
    }
}

/// The answer of every write.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteOut {
    pub status: WriteStatus,
    /// Whether this is the stored outcome of an earlier identical call.
    pub replayed: bool,
    /// What to do next.
    pub next: String,
    /// What else there is to know about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRef>,
    /// What a preview would be bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewRef>,
    pub effects: Vec<EffectView>,
    pub created: Vec<RecordLink>,
    pub updated: Vec<RecordLink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<crate::view::FailureView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditReceipt>,
    /// The secret of what was made: shown in this answer and never again. Good once the write has been executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(skip)]
    pub team: Option<TeamRef>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ApprovalRef {
    pub id: ApprovalId,
    /// Where a person decides.
    pub url: String,
    pub requirement: Requirement,
    pub card: ApprovalCard,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct PreviewRef {
    pub digest: domain::digest::Digest,
    pub requirement: Requirement,
    /// Who may approve, in words.
    pub approvers: String,
    pub versions: Vec<domain::record::VersionRead>,
}

impl Say for WriteOut {
    fn say(&self) -> String {
        let creates = self.effects.iter().filter(|e| e.operation == "create").count();
        let updates = self.effects.len() - creates;
        let replayed = if self.replayed { " (stored outcome of an earlier identical call)" } else { "" };
        let mut text = format!(
            "{}{replayed}: {creates} record(s) to create, {updates} to update. {}",
            self.status, self.next
        );
        for note in &self.notes {
            text.push_str(&format!("\n- {}", note.text));
        }
        for link in self.created.iter().take(10) {
            text.push_str(&format!("\n- {} {}: {}", link.record_type, link.id, link.url));
        }
        text
    }
    fn team(&self) -> Option<TeamRef> {
        self.team.clone()
    }
    fn returned(&self) -> u32 {
        self.effects.len() as u32
    }
}

/// An answer with the context every answer carries.
#[derive(Serialize)]
struct Wrapped<'a, T: Serialize> {
    context: Context,
    #[serde(flatten)]
    out: &'a T,
}

fn context(caller: Caller<'_>, team: Option<TeamRef>) -> Context {
    let actor = caller.actor;
    Context {
        organization: OrganizationRef {
            id: actor.organization.id,
            slug: actor.organization.slug.clone(),
            name: actor.organization.name.clone(),
        },
        team,
        user: UserRef { id: actor.user_id, email: actor.email.clone() },
        request_id: caller.ids.request_id.clone(),
        trace_id: caller.ids.trace_id.clone(),
    }
}

fn answer<T: Serialize + Say>(caller: Caller<'_>, out: &T) -> Result<Answer, Fault> {
    let json = serde_json::to_string(&Wrapped { context: context(caller, out.team()), out })?;
    Ok(Answer { json, text: out.say(), is_error: false })
}

/// The answer for a refusal, with everything a client needs to go on.
pub(crate) fn error_answer(refusal: &Refusal, ids: &RequestIds) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Error<'a> {
        code: &'a str,
        message: &'a str,
        remedy: &'a str,
        retryable: bool,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        details: &'a [domain::refusal::FieldDetail],
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
        request_id: &'a str,
        trace_id: &'a str,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        error: Error<'a>,
    }
    let body = Body {
        error: Error {
            code: refusal.code.as_str(),
            message: &refusal.message,
            remedy: &refusal.remedy,
            retryable: refusal.code.retryable(),
            details: &refusal.details,
            retry_after_seconds: refusal.retry_after_seconds,
            request_id: &ids.request_id,
            trace_id: &ids.trace_id,
        },
    };
    let mut text = format!("{}: {}. {}", refusal.code, refusal.message, refusal.remedy);
    for detail in &refusal.details {
        text.push_str(&format!("\n- {} {}", detail.field, detail.message));
    }
    let json = serde_json::to_string(&body).unwrap_or_else(|_| "{\"error\":{\"code\":\"internal\"}}".into());
    Answer { json, text, is_error: true }
}

impl Engine {
    /// What one call reads through.
    pub(crate) fn cx<'a>(
        &'a self,
        actor: &'a crate::gate::Admitted,
        org: &'a store::Org,
        directory: &'a store::Directory,
    ) -> Cx<'a> {
        Cx {
            reader: org.reader(),
            blobs: org.blobs(),
            directory,
            identity: &self.parts.identity,
            actor,
            rights: &actor.rights,
            organization: &actor.organization,
            now: self.parts.clock.now(),
            links: &self.parts.links,
            settings: &self.parts.settings,
            cursors: &self.parts.cursors,
            passkeys: self.parts.identity.passkeys(),
            seen: Seen::default(),
        }
    }
}

/// Answers a query and notes the read.
pub(crate) async fn ask<Q: Query>(engine: &Engine, caller: Caller<'_>, input: Q::In) -> Result<Q::Out, Stop> {
    let org = engine.parts.store.org(caller.actor.organization.id).await?;
    let directory = engine.parts.store.directory();
    let cx = engine.cx(caller.actor, &org, &directory);
    let out = Q::answer(&cx, input).await?;
    engine.note_read(caller, Q::CARD.name, out.returned(), None).await;
    Ok(out)
}

pub(crate) async fn run_query<Q: Query>(engine: &Engine, caller: Caller<'_>, arguments: Value) -> Done {
    if let Some(tool) = tools::find(Q::CARD.name) {
        tool.derived.validate(&arguments)?;
    }
    let asked = serde_json::to_string(&arguments)?;
    let input: Q::In = serde_json::from_value(arguments).map_err(|_| unreadable())?;
    let org = engine.parts.store.org(caller.actor.organization.id).await?;
    let directory = engine.parts.store.directory();
    let cx = engine.cx(caller.actor, &org, &directory);
    let out = Q::answer(&cx, input).await?;
    let answer = answer(caller, &out)?;
    engine.note_read(caller, Q::CARD.name, out.returned(), Some(asked)).await;
    Ok(answer)
}

pub(crate) async fn run_command<C: Command>(engine: &Engine, caller: Caller<'_>, arguments: Value) -> Done {
    if let Some(tool) = tools::find(C::CARD.name) {
        // A missing title is a documented refusal of its own; it comes before the schema's general one.
        C::screen(&arguments)?;
        tool.derived.validate(&arguments)?;
    }
    let Value::Object(members) = arguments else {
        return Err(Refusal::invalid("arguments", "must be a JSON object").into());
    };
    let (own, outer): (Map<_, _>, Map<_, _>) =
        members.clone().into_iter().partition(|(name, _)| !ENVELOPE.contains(&name.as_str()));
    let envelope: Envelope = serde_json::from_value(Value::Object(outer)).map_err(|_| unreadable())?;
    let input: C::In = serde_json::from_value(Value::Object(own)).map_err(|_| unreadable())?;
    let proposed: Map<String, Value> =
        members.into_iter().filter(|(name, _)| !OUTSIDE_DIGEST.contains(&name.as_str())).collect();
    let proposal = Proposal::new(&envelope, proposed)?;
    let out = engine.propose::<C>(caller, input, envelope, proposal).await?;
    Ok(answer(caller, &out)?)
}

fn unreadable() -> Refusal {
    Refusal::invalid("arguments", "do not have the form the input schema asks for")
}
