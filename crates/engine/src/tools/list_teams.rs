//! Teams the caller may see.

use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page;
use crate::view::TeamView;

/// List the teams of the organization that you may see.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only teams whose name contains this.
    #[schemars(length(max = 100))]
    pub query: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<TeamView>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("teams", &self.items, self.total, false, |t| format!("{} ({})", t.name, t.id))
    }
    fn returned(&self) -> u32 {
        self.total
    }
}

pub struct ListTeams;

impl Query for ListTeams {
    const CARD: Card = Card {
        name: "loopiq_list_teams",
        title: "List teams",
        permission: Some(Permission::TeamsRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let visible = cx.rights.teams_with(Permission::TeamsRead);
        let wanted = input.query.map(|q| q.to_lowercase());
        let items: Vec<TeamView> = cx
            .reader
            .teams(visible.as_deref())
            .await?
            .into_iter()
            .filter(|t| wanted.as_ref().is_none_or(|q| t.name.to_lowercase().contains(q)))
            .map(|t| TeamView {
                url: cx.links.team(t.id),
                id: t.id,
                name: t.name,
                key: t.key,
                version: t.version,
            })
            .collect();
        Ok(Out { total: items.len() as u32, items })
    }
}
