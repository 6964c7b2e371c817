//! Text search over the records the caller may see. The query is never repeated in the answer.

use domain::permission::Permission;
use domain::record::RecordType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::SearchFilter;

use crate::resolve;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page;
use crate::view::Origin;

domain::words! {
    /// Kinds of record that can be searched.
    Searchable {
        Release = "release", Certification = "certification", Evidence = "evidence",
        ProviderBlocker = "provider_blocker", WorkItem = "work_item", Risk = "risk",
    }
}

impl Searchable {
    const fn record_type(self) -> RecordType {
        match self {
            Searchable::Release => RecordType::Release,
            Searchable::Certification => RecordType::Certification,
            Searchable::Evidence => RecordType::Evidence,
            Searchable::ProviderBlocker => RecordType::ProviderBlocker,
            Searchable::WorkItem => RecordType::WorkItem,
            Searchable::Risk => RecordType::Risk,
        }
    }
    const fn permission(self) -> Permission {
        match self {
            Searchable::Release => Permission::ReleasesRead,
            Searchable::Certification => Permission::CertificationsRead,
            Searchable::Evidence | Searchable::ProviderBlocker => Permission::EvidenceRead,
            Searchable::WorkItem => Permission::WorkItemsRead,
            Searchable::Risk => Permission::RisksRead,
        }
    }
}

/// Find releases, certifications, evidence, blockers, work items and risks by words in their names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Words to find; the beginning of a word is enough.
    #[schemars(length(min = 1, max = 200))]
    pub query: String,
    /// Only these kinds.
    #[serde(default)]
    pub types: Vec<Searchable>,
    /// Only this team (id or name).
    #[serde(default)]
    pub team: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Hit {
    #[serde(rename = "type")]
    pub record_type: RecordType,
    pub id: String,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    pub url: String,
    pub origins: Vec<Origin>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Hit>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("matches", &self.items, self.total, false, |h| {
            format!("{} {}: {}", h.record_type, h.id, h.title)
        })
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

pub struct Search;

impl Query for Search {
    const CARD: Card = Card {
        name: "loopiq_search",
        title: "Search records",
        permission: Some(Permission::ReleasesRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let limit = input.limit.unwrap_or(cx.settings.page_size_default).clamp(1, cx.settings.page_size_max);
        let wanted = if input.types.is_empty() { Searchable::ALL } else { &input.types };
        let team = match &input.team {
            Some(reference) => Some(resolve::team(cx, reference).await?.id),
            None => None,
        };
        let mut items = Vec::new();
        // Each kind has its own permission, so each is searched under its own teams.
        for kind in wanted {
            let visible = match (cx.rights.teams_with(kind.permission()), team) {
                (None, None) => None,
                (None, Some(team)) => Some(vec![team]),
                (Some(teams), None) => Some(teams),
                (Some(teams), Some(team)) => Some(teams.into_iter().filter(|t| *t == team).collect()),
            };
            let filter =
                SearchFilter { teams: visible.as_deref(), types: &[kind.record_type()], query: &input.query };
            for hit in cx.reader.search(filter, limit).await? {
                items.push(Hit {
                    url: cx.links.record(hit.record_type, &hit.id),
                    record_type: hit.record_type,
                    id: hit.id,
                    title: hit.title,
                    status: hit.status,
                    origins: vec![Origin { fields: vec!["title"], from: "provider" }],
                });
            }
        }
        items.truncate(limit as usize);
        Ok(Out { total: items.len() as u32, items })
    }
}
