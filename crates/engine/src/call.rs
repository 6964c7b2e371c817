//! One call of one tool: arguments checked against the schema, the query answered or the command proposed, the
//! answer written once as JSON and once as a short text.

use domain::id::ApprovalId;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::action::Proposal;
use crate::remedy::unreadable;
use crate::stop::{Fault, Stop};
use crate::tool::{Answer, Card, Cx, Done, Planner, Query, Say, Seen, Tool, Work};
use crate::view::{ActionRef, ApprovalCard, Context, EffectView, OrganizationRef, TeamRef, UserRef};
use crate::{Caller, Engine, RequestIds};
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

/// The answer of a tool, with the context that every answer carries.
pub(crate) fn answer<T: Serialize + Say>(caller: Caller<'_>, out: &T) -> Result<Answer, Fault> {
    let context = serde_json::to_string(&context(caller, out.team()))?;
    Ok(Answer {
        json: beside("context", &context, &serde_json::to_string(out)?)?,
        text: out.say(),
        is_error: false,
        waits: None,
    })
}

/// The JSON object `object` with one more member in front. Put together as text: flattening would write every answer
/// member by member, and its code would be made for every type there is.
fn beside(name: &str, value: &str, object: &str) -> Result<String, Fault> {
    let members = object.strip_prefix('{').ok_or(Fault::Bug("an answer is a JSON object"))?;
    let comma = if members == "}" { "" } else { "," };
    Ok(format!("{{\"{name}\":{value}{comma}{members}"))
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
    Answer { json, text, is_error: true, waits: None }
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

/// Answers a query and notes the read, with what was asked where that is known as JSON.
pub(crate) async fn ask<Q: Query>(
    engine: &Engine,
    caller: Caller<'_>,
    input: Q::In,
    asked: Option<String>,
) -> Result<Q::Out, Stop> {
    let org = engine.parts.store.org(caller.actor.organization.id).await?;
    let directory = engine.parts.store.directory();
    let rights = caller.actor.rights_for(&Q::CARD);
    let cx = Cx { rights, ..engine.cx(caller.actor, &org, &directory) };
    let out = Q::answer(&cx, input).await?;
    engine.note_read(caller, Q::CARD.name, out.returned(), asked).await;
    Ok(out)
}

/// Calls a tool that the caller may call.
pub(crate) async fn run(engine: &Engine, caller: Caller<'_>, tool: &'static Tool, arguments: Value) -> Done {
    match &tool.work {
        Work::Read(read) => {
            tool.derived.validate(&arguments)?;
            read(engine, caller, arguments).await
        }
        Work::Write { screen, ready } => {
            // A missing title is a documented refusal of its own; it comes before the schema's general one.
            screen(&arguments)?;
            tool.derived.validate(&arguments)?;
            let Value::Object(members) = arguments else {
                return Err(Refusal::invalid("arguments", "must be a JSON object").into());
            };
            let (own, outer): (Map<_, _>, Map<_, _>) =
                members.clone().into_iter().partition(|(name, _)| !ENVELOPE.contains(&name.as_str()));
            let envelope: Envelope =
                serde_json::from_value(Value::Object(outer)).map_err(|error| unreadable(&error, &members))?;
            let planner = ready(Value::Object(own)).map_err(|error| unreadable(&error, &members))?;
            let proposed: Map<String, Value> =
                members.into_iter().filter(|(name, _)| !OUTSIDE_DIGEST.contains(&name.as_str())).collect();
            let proposal = Proposal::new(&envelope, proposed)?;
            let command = Ask { card: &tool.card, planner: planner.as_ref() };
            let out = engine.propose(caller, command, envelope, proposal).await?;
            let pending = out.action.as_ref().filter(|_| out.status == WriteStatus::PendingApproval);
            let waits = pending.map(|action| action.id);
            Ok(Answer { waits, ..answer(caller, &out)? })
        }
    }
}

/// A command that is asked for: what it is, and what plans it.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub card: &'static Card,
    pub planner: &'a dyn Planner,
}

pub(crate) async fn run_query<Q: Query>(engine: &Engine, caller: Caller<'_>, mut arguments: Value) -> Done {
    let asked = serde_json::to_string(&arguments)?;
    let concise = !Q::LEFT_OUT.is_empty() && is_concise(&mut arguments);
    let input: Q::In = serde_json::from_value(arguments).map_err(|error| read_again(&error, &asked))?;
    let out = ask::<Q>(engine, caller, input, Some(asked)).await?;
    let answer = answer(caller, &out)?;
    if concise { without(answer, Q::LEFT_OUT).map_err(Stop::from) } else { Ok(answer) }
}

/// The parameter of tools whose answers are large.
pub(crate) const DETAIL: &str = "detail";
/// Its value for short answers.
pub(crate) const CONCISE: &str = "concise";

/// Whether a short answer is asked for. The parameter is none of the tool's own and is taken out.
fn is_concise(arguments: &mut Value) -> bool {
    let detail = arguments.as_object_mut().and_then(|members| members.remove(DETAIL));
    detail.as_ref().and_then(Value::as_str) == Some(CONCISE)
}

/// An answer whose items lack these members.
fn without(answer: Answer, left_out: &[&str]) -> Result<Answer, Fault> {
    let mut whole: Value = serde_json::from_str(&answer.json)?;
    let items = whole.get_mut("items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        item.retain(|name, _| !left_out.contains(&name.as_str()));
    }
    Ok(Answer { json: whole.to_string(), ..answer })
}

/// Arguments of a read that cannot be read, which are there as text alone by now.
fn read_again(error: &serde_json::Error, asked: &str) -> Refusal {
    unreadable(error, &serde_json::from_str(asked).unwrap_or_default())
}
