//! Risks and exceptions of releases: what is known to be dangerous, and what was waived until when.

use domain::certification::{ExceptionKind, ExceptionStatus, Likelihood, RiskStatus};
use domain::id::{ExceptionId, RiskId, UserId};
use domain::permission::Permission;
use domain::severity::Severity;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{ExceptionFilter, Page, RiskFilter};

use crate::limits;
use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page::{self, Wanted};
use crate::view::{Origin, ReleaseRef};

/// List risks of a release, and its exceptions (waivers that end).
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only of this release (id or name).
    pub release: Option<String>,
    /// Only risks in these states.
    pub status: Vec<RiskStatus>,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RiskView {
    pub id: RiskId,
    pub title: String,
    pub severity: Severity,
    pub likelihood: Likelihood,
    pub status: RiskStatus,
    pub release: ReleaseRef,
    pub url: String,
    pub origins: Vec<Origin>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ExceptionView {
    pub id: ExceptionId,
    pub kind: ExceptionKind,
    pub status: ExceptionStatus,
    pub target_ids: Vec<String>,
    pub rationale: String,
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<UserId>,
    pub release: ReleaseRef,
    pub origins: Vec<Origin>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<RiskView>,
    /// Exceptions of the release; only on the first page.
    pub exceptions: Vec<ExceptionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        let mut text = page::say("risks", &self.items, self.total, self.next_cursor.is_some(), |r| {
            format!("{} ({}): severity {}, {}", r.title, r.id, r.severity.as_str(), r.status)
        });
        text.push_str(&format!("\n{} exception(s).", self.exceptions.len()));
        for e in &self.exceptions {
            text.push_str(&format!("\n- {} {}: {} until {}", e.kind, e.id, e.status, e.expires_at));
        }
        text
    }
    fn returned(&self) -> u32 {
        (self.items.len() + self.exceptions.len()) as u32
    }
}

pub struct ListRisks;

impl Query for ListRisks {
    const CARD: Card = Card {
        name: "loopiq_list_risks",
        title: "List risks and exceptions",
        permission: Some(Permission::RisksRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters = (&input.release, &input.status);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let release = match &input.release {
            Some(reference) => Some(resolve::release(cx, reference, Permission::RisksRead).await?.id),
            None => None,
        };
        let visible = cx.rights.teams_with(Permission::RisksRead);
        let teams = visible.as_deref();
        let found =
            cx.reader.risks(RiskFilter { teams, release, statuses: &input.status }, wanted.page()).await?;
        let exceptions = if input.cursor.is_none() {
            let page = Page { limit: limits::PAGE_SIZE_MAX, after: None };
            cx.reader.exceptions(ExceptionFilter { teams, release }, page).await?.items
        } else {
            Vec::new()
        };
        let releases =
            found.items.iter().map(|r| r.release_id).chain(exceptions.iter().map(|e| e.release_id));
        let names = Names::default().with_releases(cx, releases).await?;
        Ok(Out {
            items: found
                .items
                .into_iter()
                .map(|r| RiskView {
                    url: cx.links.release(r.release_id),
                    release: names.release(r.release_id),
                    id: r.id,
                    title: r.title,
                    severity: r.severity,
                    likelihood: r.likelihood,
                    status: r.status,
                    origins: vec![Origin { fields: vec!["title"], from: "user" }],
                })
                .collect(),
            exceptions: exceptions
                .into_iter()
                .map(|e| ExceptionView {
                    release: names.release(e.release_id),
                    id: e.id,
                    kind: e.kind,
                    status: e.status,
                    target_ids: e.target_ids,
                    rationale: e.rationale,
                    expires_at: e.expires_at,
                    proposed_by: e.proposed_by,
                    approved_by: e.approved_by,
                    origins: vec![Origin { fields: vec!["rationale"], from: "user" }],
                })
                .collect(),
            next_cursor: wanted.next(cx, found.next),
            total: found.total,
        })
    }
}
