//! The audit trail, newest first: who did, asked, decided or was refused what.

use domain::action::Channel;
use domain::audit::{AuditKind, AuditReference};
use domain::digest::Digest;
use domain::id::{ActionId, AgentId, UserId};
use domain::permission::{Membership, Permission};
use domain::refusal::Code;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{AuditFilter, AuditRecord};

use crate::field::{Field, hide};
use crate::log;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page::{self, Wanted};
use crate::view::Origin;

/// List audit records: every decision, read and refusal, with its position and leaf hash in the organization's log.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only of this action.
    pub action_id: Option<ActionId>,
    /// Only records naming this record's id.
    #[schemars(length(max = 64))]
    pub subject_id: Option<String>,
    /// Only these kinds.
    pub kind: Vec<AuditKind>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
    /// Also prove that the record at this position is in the log.
    pub proof_of: Option<u64>,
    /// Also prove that the log has only grown since a checkpoint of so many records.
    pub consistent_since: Option<u64>,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    /// Position in the log.
    pub id: String,
    pub title: String,
    pub sequence: i64,
    pub leaf_hash: Digest,
    pub recorded_at: Timestamp,
    pub kind: AuditKind,
    pub channel: Channel,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The person's e-mail, where they are or were a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The agent that acted for the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_id: Option<ActionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_digest: Option<Digest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<AuditReference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub updated: Vec<AuditReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub request_id: String,
    pub trace_id: String,
    pub url: String,
    pub origins: Vec<Origin>,
    /// Fields that a policy keeps from you.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
    /// Inclusion proof as c2sp.org/tlog-proof, with the signed checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Proof that the records under the earlier checkpoint are the beginning of what is signed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<log::Consistency>,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("audit records", &self.items, self.total, self.next_cursor.is_some(), |i| {
            format!("{} {} {}", i.sequence, i.recorded_at, i.title)
        })
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

pub struct ListAuditRecords;

impl Query for ListAuditRecords {
    const CARD: Card = Card {
        name: "loopiq_list_audit_records",
        title: "List audit records",
        permission: Some(Permission::AuditRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    const LEFT_OUT: &'static [&'static str] =
        &["leafHash", "actionDigest", "created", "updated", "returned", "requestId", "traceId", "url"];
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters = (input.action_id, &input.subject_id, &input.kind, input.from, input.to);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let filter = AuditFilter {
            action: input.action_id,
            subject: input.subject_id.as_deref(),
            kinds: &input.kind,
            from: input.from,
            to: input.to,
        };
        let found = cx.reader.audit(filter, wanted.page()).await?;
        let people = cx.reader.memberships().await?;
        let items = found.items.into_iter().map(|record| Item::of(cx, record, &people)).collect();
        let proof = match input.proof_of {
            Some(sequence) => Some(log::inclusion(cx.reader, sequence).await?.proof),
            None => None,
        };
        let consistency = match input.consistent_since {
            Some(first) => Some(log::consistency(cx.reader, first).await?),
            None => None,
        };
        Ok(Out { items, next_cursor: wanted.next(cx, found.next), total: found.total, proof, consistency })
    }
}

impl Item {
    pub(crate) fn of(cx: &Cx<'_>, record: AuditRecord, people: &[Membership]) -> Item {
        let entry = record.entry;
        let what = entry.tool.as_deref().unwrap_or("session");
        let person = entry.actor.user_id.and_then(|id| people.iter().find(|member| member.user_id == id));
        let mut item = Item {
            id: entry.sequence.to_string(),
            title: format!("{} {what}", entry.kind),
            sequence: entry.sequence,
            leaf_hash: record.leaf_hash,
            recorded_at: entry.at,
            kind: entry.kind,
            channel: entry.channel,
            user_id: entry.actor.user_id,
            email: person.map(|member| member.email.clone()),
            agent_id: entry.actor.agent_id,
            url: cx.links.audit_record(entry.sequence),
            tool: entry.tool,
            action_id: entry.action_id,
            action_digest: entry.action_digest,
            created: entry.created,
            updated: entry.updated,
            code: entry.code,
            returned: entry.returned,
            reason: record.body.and_then(|body| body.reason),
            request_id: entry.request_id,
            trace_id: entry.trace_id,
            origins: vec![Origin { fields: vec!["reason"], from: "user" }],
            hidden: Vec::new(),
        };
        let hidden = &mut item.hidden;
        hide(cx.actor.shows(Field::AuditReason, None), Field::AuditReason, &mut item.reason, hidden);
        hide(cx.actor.shows(Field::AuditEmail, None), Field::AuditEmail, &mut item.email, hidden);
        item
    }
}
