//! Provider blockers: open findings of outside tools that are severe enough to block a release.

use domain::certification::GapStatus;
use domain::permission::Permission;
use domain::severity::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::FindingFilter;

use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::list_evidence_gaps::UNRESOLVED;
use crate::tools::page::{self, Wanted};
use crate::view::BlockerView;

/// List provider blockers: findings of scanners and other tools that block a release. Without status: those not yet
/// resolved.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only of this release (id or name).
    pub release: Option<String>,
    /// Only of these providers.
    #[schemars(length(max = 20))]
    pub provider: Vec<String>,
    /// Only these severities.
    pub severity: Vec<Severity>,
    /// Only these states.
    pub status: Vec<GapStatus>,
    /// Also findings too mild to block.
    pub include_non_blocking: bool,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<BlockerView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("provider blockers", &self.items, self.total, self.next_cursor.is_some(), |b| {
            format!(
                "{} ({}) of {}: {} by {}, {}",
                b.rule,
                b.id,
                b.release.name,
                b.severity.as_str(),
                b.provider,
                b.status
            )
        })
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

pub struct ListProviderBlockers;

impl Query for ListProviderBlockers {
    const CARD: Card = Card {
        name: "loopiq_list_provider_blockers",
        title: "List provider blockers",
        permission: Some(Permission::EvidenceRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    const LEFT_OUT: &'static [&'static str] = &[
        "externalId",
        "rule",
        "location",
        "evidenceId",
        "remediationWorkItemIds",
        "firstSeenAt",
        "lastSeenAt",
        "release",
    ];
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters =
            (&input.release, &input.provider, &input.severity, &input.status, input.include_non_blocking);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let release = match &input.release {
            Some(reference) => Some(resolve::release(cx, reference, Permission::EvidenceRead).await?.id),
            None => None,
        };
        let providers: Vec<&str> = input.provider.iter().map(String::as_str).collect();
        let visible = cx.rights.teams_with(Permission::EvidenceRead);
        let filter = FindingFilter {
            teams: visible.as_deref(),
            release,
            providers: &providers,
            severities: &input.severity,
            statuses: if input.status.is_empty() { &UNRESOLVED[..] } else { &input.status },
            blocking: if input.include_non_blocking { None } else { Some(true) },
        };
        let found = cx.reader.findings(filter, wanted.page()).await?;
        let names = Names::default().with_releases(cx, found.items.iter().map(|f| f.release_id)).await?;
        Ok(Out {
            items: found.items.iter().map(|f| BlockerView::new(cx, f, names.release(f.release_id))).collect(),
            next_cursor: wanted.next(cx, found.next),
            total: found.total,
        })
    }
}
