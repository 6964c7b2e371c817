//! Evidence items with their results and freshness.

use domain::certification::{EvidenceType, Freshness};
use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::EvidenceFilter;

use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page::{self, Wanted};
use crate::view::EvidenceView;

/// List evidence of a release: what was collected, by which tool, with which result, and whether it is still fresh.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only of this release (id or name).
    pub release: Option<String>,
    /// Only for this control (id or code).
    pub control: Option<String>,
    /// Only these types.
    #[serde(rename = "type")]
    pub types: Vec<EvidenceType>,
    /// Only fresh or only stale.
    pub freshness: Option<Freshness>,
    /// Also evidence that newer evidence has replaced.
    pub include_superseded: bool,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<EvidenceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("pieces of evidence", &self.items, self.total, self.next_cursor.is_some(), |e| {
            format!("{} ({}): {}, {}", e.title, e.id, e.status, e.freshness)
        })
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

pub struct ListEvidence;

impl Query for ListEvidence {
    const CARD: Card = Card {
        name: "loopiq_list_evidence",
        title: "List evidence",
        permission: Some(Permission::EvidenceRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    const LEFT_OUT: &'static [&'static str] =
        &["source", "format", "metrics", "notes", "collectedAt", "sha256", "sizeBytes", "supersededBy"];
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters =
            (&input.release, &input.control, &input.types, input.freshness, input.include_superseded);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let release = match &input.release {
            Some(reference) => Some(resolve::release(cx, reference, Permission::EvidenceRead).await?.id),
            None => None,
        };
        let control = match &input.control {
            Some(reference) => Some(resolve::control(cx, reference).await?.id),
            None => None,
        };
        let visible = cx.rights.teams_with(Permission::EvidenceRead);
        let filter = EvidenceFilter {
            teams: visible.as_deref(),
            release,
            control,
            types: &input.types,
            current_only: !input.include_superseded,
            fresh_at: input.freshness.map(|f| (f, cx.now)),
            ..EvidenceFilter::default()
        };
        let found = cx.reader.evidence_page(filter, wanted.page()).await?;
        let names = Names::teams(cx).await?.with_controls(cx).await?;
        let names = names.with_releases(cx, found.items.iter().map(|e| e.release_id)).await?;
        Ok(Out {
            items: found
                .items
                .iter()
                .map(|e| {
                    let control = e.control_id.map(|id| names.control(id));
                    EvidenceView::new(cx, e, control, names.release(e.release_id))
                })
                .collect(),
            next_cursor: wanted.next(cx, found.next),
            total: found.total,
        })
    }
}
