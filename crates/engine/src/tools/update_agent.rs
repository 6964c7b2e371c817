//! Plans a change of an agent. It works from the next call on; what the agent had proposed before does not run any more,
//! because its rights were others then.

use std::collections::BTreeMap;

use domain::agent::{Agent, AgentStatus, MutationPolicy};
use domain::effect::Effect;
use domain::id::TeamId;
use domain::org::Team;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::agent;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Change an agent, or make it inactive: then its tokens work no longer. What is left out stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id or name of the agent.
    #[schemars(length(min = 1, max = 200))]
    pub agent: String,
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub name: Option<String>,
    #[schemars(length(max = 1000))]
    #[serde(default)]
    pub description: Option<String>,
    /// All it may do at most, instead of what it was.
    #[schemars(length(min = 1, max = 50))]
    #[serde(default)]
    pub permissions: Option<Vec<Permission>>,
    #[serde(default)]
    pub mutation_policy: Option<MutationPolicy>,
    /// Id, name or key of the team it is limited to; * for every team.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub team: Option<String>,
    #[serde(default)]
    pub status: Option<AgentStatus>,
}

/// Everything the plan relies on.
pub struct Facts {
    agents: Vec<Agent>,
    teams: Vec<Team>,
    /// The team it is to be limited to, where that is to change.
    team: Option<TeamId>,
}

pub struct UpdateAgent;

/// Every team, where a team is asked for.
const EVERY_TEAM: &str = "*";

impl Command for UpdateAgent {
    const CARD: Card = Card {
        name: "loopiq_update_agent",
        title: "Change an agent",
        permission: Some(Permission::AgentsManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        agent::managed(cx)?;
        let team = match input.team.as_deref().map(str::trim) {
            None | Some(EVERY_TEAM) => None,
            Some(reference) => Some(agent::team(cx, reference).await?.0),
        };
        Ok(Facts { agents: cx.reader.agents().await?, teams: cx.reader.teams(None).await?, team })
    }

    fn plan(facts: &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let was = agent::named(&facts.agents, &input.agent).ok_or_else(|| Refusal::not_found("agent"))?;
        let mut record = was.clone();
        if let Some(name) = &input.name {
            record.name = agent::free_name(&facts.agents, Some(was.id), name)?;
        }
        if let Some(text) = &input.description {
            record.description = agent::description(text)?;
        }
        if let Some(permissions) = &input.permissions {
            record.permissions = agent::sorted(permissions);
        }
        record.mutation_policy = input.mutation_policy.unwrap_or(was.mutation_policy);
        if input.team.is_some() {
            record.team_id = facts.team;
        }
        record.status = input.status.unwrap_or(was.status);
        if record == *was {
            return Err(Refusal::invalid("agent", "is so already"));
        }
        record.check()?;
        record.version += 1;
        let labels: BTreeMap<String, String> =
            facts.teams.iter().map(|team| (team.id.to_string(), team.name.clone())).collect();
        Ok(Plan {
            versions: vec![VersionRead::of(RecordType::Agent, was.id, was.version)],
            labels,
            summary: format!("Change agent {}", was.name),
            effects: vec![Effect::UpdateAgent { was: Box::new(was.clone()), record }],
            ..Plan::default()
        })
    }
}
