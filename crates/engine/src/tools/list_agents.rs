//! The agents of the organization, for whoever manages them.

use domain::agent::AgentStatus;
use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::{self, AgentView};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page;
use crate::view::TeamRef;

/// List the agents registered in the organization, with what each may do.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only agents of this status.
    pub status: Option<AgentStatus>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<AgentView>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("agents", &self.items, self.total, false, |a| {
            format!("{} ({}), {}, {}", a.name, a.id, a.status, a.mutation_policy)
        })
    }
    fn returned(&self) -> u32 {
        self.total
    }
}

pub struct ListAgents;

impl Query for ListAgents {
    const CARD: Card = Card {
        name: "loopiq_list_agents",
        title: "List agents",
        permission: Some(Permission::AgentsManage),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        agent::managed(cx)?;
        let teams = cx.reader.teams(None).await?;
        let named = |id| {
            let team = teams.iter().find(|team| team.id == id);
            TeamRef { id, name: team.map(|team| team.name.clone()).unwrap_or_default() }
        };
        let agents = cx.reader.agents().await?.into_iter();
        let items: Vec<AgentView> = agents
            .filter(|agent| input.status.is_none_or(|wanted| agent.status == wanted))
            .map(|agent| AgentView {
                id: agent.id,
                name: agent.name,
                description: agent.description,
                status: agent.status,
                mutation_policy: agent.mutation_policy,
                permissions: agent.permissions,
                team: agent.team_id.map(named),
                version: agent.version,
            })
            .collect();
        Ok(Out { total: items.len() as u32, items })
    }
}
