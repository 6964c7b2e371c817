//! Evidence gaps: controls that lack the evidence they need, and why.

use domain::certification::GapStatus;
use domain::id::CertificationId;
use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::GapFilter;

use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page::{self, Wanted};
use crate::view::GapView;

/// List evidence gaps of a release or certification: missing, stale, failed or unverified evidence. Without status:
/// those not yet resolved.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only of this release (id or name).
    pub release: Option<String>,
    /// Only of this certification.
    pub certification_id: Option<CertificationId>,
    /// Only these states.
    pub status: Vec<GapStatus>,
    /// Only blocking (true) or not blocking (false).
    pub blocking: Option<bool>,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<GapView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("evidence gaps", &self.items, self.total, self.next_cursor.is_some(), |g| {
            let blocking = if g.blocking { "blocking" } else { "not blocking" };
            format!(
                "{} ({}) of {}: {} evidence for {}, severity {}, {blocking}, {}",
                g.control.code,
                g.id,
                g.release.name,
                g.reason,
                g.control.title,
                g.severity.as_str(),
                g.status
            )
        })
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

/// States of gaps and blockers that still matter.
pub(crate) const UNRESOLVED: [GapStatus; 3] =
    [GapStatus::Open, GapStatus::InRemediation, GapStatus::Excepted];

pub struct ListEvidenceGaps;

impl Query for ListEvidenceGaps {
    const CARD: Card = Card {
        name: "loopiq_list_evidence_gaps",
        title: "List evidence gaps",
        permission: Some(Permission::EvidenceRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    const LEFT_OUT: &'static [&'static str] =
        &["release", "certificationId", "remediationWorkItemIds", "detectedAt"];
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters = (&input.release, input.certification_id, &input.status, input.blocking);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let (release, certification) = match (&input.release, input.certification_id) {
            (None, None) => (None, None),
            (Some(reference), None) => {
                (Some(resolve::release(cx, reference, Permission::EvidenceRead).await?.id), None)
            }
            (reference, Some(id)) => {
                (None, Some(resolve::certification(cx, Some(id), reference.as_deref()).await?.0.id))
            }
        };
        let visible = cx.rights.teams_with(Permission::EvidenceRead);
        let statuses = if input.status.is_empty() { &UNRESOLVED[..] } else { &input.status };
        let filter = GapFilter {
            teams: visible.as_deref(),
            release,
            certification,
            statuses,
            blocking: input.blocking,
            ..GapFilter::default()
        };
        let found = cx.reader.gaps(filter, wanted.page()).await?;
        let names = Names::teams(cx).await?.with_controls(cx).await?;
        let names = names.with_releases(cx, found.items.iter().map(|g| g.release_id)).await?;
        Ok(Out {
            items: found
                .items
                .iter()
                .map(|g| GapView::new(g, names.control(g.control_id), names.release(g.release_id), cx.links))
                .collect(),
            next_cursor: wanted.next(cx, found.next),
            total: found.total,
        })
    }
}
