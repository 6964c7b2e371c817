//! Releases; of the caller's selected team unless another is named.

use domain::permission::Permission;
use domain::release::ReleaseStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::ReleaseFilter;

use crate::card::team_ref;
use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page::{self, Wanted};
use crate::view::{ReleaseView, TeamRef};

/// List releases of your selected team, of a named team, or of all teams.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Team (id or name) instead of the selected one.
    pub team: Option<String>,
    /// Releases of every team you may see.
    pub all_teams: bool,
    /// Only these states.
    pub status: Vec<ReleaseStatus>,
    /// Only names containing this.
    #[schemars(length(max = 100))]
    pub query: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<ReleaseView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
    #[serde(skip)]
    team: Option<TeamRef>,
}

impl Say for Out {
    fn say(&self) -> String {
        let of = self.team.as_ref().map_or_else(|| "all teams".to_owned(), |t| format!("team {}", t.name));
        page::say(&format!("releases of {of}"), &self.items, self.total, self.next_cursor.is_some(), |r| {
            format!("{} ({}): {}", r.name, r.id, r.status)
        })
    }
    fn team(&self) -> Option<TeamRef> {
        self.team.clone()
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

pub struct ListReleases;

impl Query for ListReleases {
    const CARD: Card = Card {
        name: "loopiq_list_releases",
        title: "List releases",
        permission: Some(Permission::ReleasesRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters = (&input.team, input.all_teams, &input.status, &input.query);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let team = match &input.team {
            Some(reference) => Some(resolve::team(cx, reference).await?.id),
            None if input.all_teams => None,
            None => cx.actor.membership.selected_team,
        };
        let visible = cx.rights.teams_with(Permission::ReleasesRead);
        let filter = ReleaseFilter {
            teams: visible.as_deref(),
            team,
            statuses: &input.status,
            query: input.query.as_deref(),
        };
        let found = cx.reader.releases(filter, wanted.page()).await?;
        let names = Names::teams(cx).await?;
        Ok(Out {
            items: found.items.iter().map(|r| ReleaseView::new(r, names.team(r.team_id), cx.links)).collect(),
            next_cursor: wanted.next(cx, found.next),
            total: found.total,
            team: team_ref(cx, team).await?,
        })
    }
}
