//! Plans an agent: a program of the customer's with an identity of its own. It does nothing before a token is issued by
//! which it acts for a member, and then no more than both were granted.

use std::collections::BTreeMap;

use domain::agent::{Agent, AgentStatus, MutationPolicy};
use domain::effect::Effect;
use domain::id::{AgentId, TeamId};
use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{agent, limits};

/// Register an agent: a program that acts for people with rights of its own, which narrow theirs. It never approves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Unique in the organization, ignoring case.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// What it is for.
    #[schemars(length(max = 1000))]
    #[serde(default)]
    pub description: String,
    /// What it may do at most, for example mcp:access, releases:read, remediation:create.
    #[schemars(length(min = 1, max = 50))]
    pub permissions: Vec<Permission>,
    pub mutation_policy: MutationPolicy,
    /// Id, name or key of the team whose records it is limited to; absent: every team.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub team: Option<String>,
}

/// Everything the plan relies on.
pub struct Facts {
    agents: Vec<Agent>,
    team: Option<(TeamId, String)>,
}

pub struct RegisterAgent;

impl Command for RegisterAgent {
    const CARD: Card = Card {
        name: "loopiq_register_agent",
        title: "Register an agent",
        permission: Some(Permission::AgentsManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        agent::managed(cx)?;
        let team = match &input.team {
            Some(reference) => Some(agent::team(cx, reference).await?),
            None => None,
        };
        Ok(Facts { agents: cx.reader.agents().await?, team })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        if facts.agents.len() >= limits::AGENTS_MAX {
            return Err(Refusal::invalid(
                "name",
                "would be one too many: an organization has at most 500 agents",
            ));
        }
        let record = Agent {
            id: AgentId::from_uuid(new_id()),
            name: agent::free_name(&facts.agents, None, &input.name)?,
            description: agent::description(&input.description)?,
            team_id: facts.team.as_ref().map(|(id, _)| *id),
            permissions: agent::sorted(&input.permissions),
            mutation_policy: input.mutation_policy,
            status: AgentStatus::Active,
            created_by: asked.by.user_id,
            created_at: asked.now,
            version: 1,
        };
        record.check()?;
        let labels: BTreeMap<String, String> =
            facts.team.iter().map(|(id, name)| (id.to_string(), name.clone())).collect();
        Ok(Plan {
            summary: format!("New agent {}", record.name),
            labels,
            effects: vec![Effect::CreateAgent { record }],
            ..Plan::default()
        })
    }
}
