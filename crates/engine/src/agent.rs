//! What the commands about agents share: finding one, the fields of one, what it is limited to.

use domain::agent::{Agent, AgentRef, AgentStatus, MutationPolicy};
use domain::id::{AgentId, TeamId};
use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Serialize;

use crate::limits;
use crate::stop::Stop;
use crate::tool::Cx;
use crate::view::TeamRef;

/// An agent as lists show it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct AgentView {
    pub id: AgentId,
    pub name: String,
    pub description: String,
    pub status: AgentStatus,
    pub mutation_policy: MutationPolicy,
    /// What it is granted; whom it acts for must hold the same.
    pub permissions: Vec<Permission>,
    /// The team it is limited to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamRef>,
    pub version: i64,
}

/// The agent that acts in a call, as the context tells it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ActingAgent {
    #[serde(flatten)]
    pub agent: AgentRef,
    pub mutation_policy: MutationPolicy,
}

impl From<&Agent> for ActingAgent {
    fn from(agent: &Agent) -> ActingAgent {
        ActingAgent { agent: AgentRef::from(agent), mutation_policy: agent.mutation_policy }
    }
}

/// Refuses everybody who does not manage agents.
///
/// # Errors
/// `forbidden`.
pub(crate) fn managed(cx: &Cx<'_>) -> Result<(), Refusal> {
    if cx.rights.allows(Permission::AgentsManage, None) {
        return Ok(());
    }
    Err(Refusal::forbidden(Permission::AgentsManage))
}

/// The team an agent is to be limited to, with its name.
///
/// # Errors
/// `not_found`.
pub(crate) async fn team(cx: &Cx<'_>, reference: &str) -> Result<(TeamId, String), Stop> {
    let team = crate::resolve::team(cx, reference).await?;
    Ok((team.id, team.name))
}

/// The agent of this id or name.
pub(crate) fn named<'a>(agents: &'a [Agent], reference: &str) -> Option<&'a Agent> {
    let reference = reference.trim();
    let (id, folded) = (reference.parse::<AgentId>().ok(), reference.to_lowercase());
    agents.iter().find(|agent| Some(agent.id) == id || agent.name.to_lowercase() == folded)
}

/// A name that no other agent has.
///
/// # Errors
/// `validation_failed`.
pub(crate) fn free_name(agents: &[Agent], of: Option<AgentId>, text: &str) -> Result<String, Refusal> {
    let name = crate::work::name("name", text)?;
    let folded = name.to_lowercase();
    if agents.iter().any(|other| Some(other.id) != of && other.name.to_lowercase() == folded) {
        return Err(Refusal::invalid("name", "is the name of another agent"));
    }
    Ok(name.to_owned())
}

/// # Errors
/// `validation_failed` when it is too long.
pub(crate) fn description(text: &str) -> Result<String, Refusal> {
    if text.chars().count() > limits::AGENT_DESCRIPTION_CHARS_MAX {
        return Err(Refusal::invalid("description", "must have at most 1,000 characters"));
    }
    Ok(text.trim().to_owned())
}

/// Each permission once, in the order of the vocabulary.
pub(crate) fn sorted(permissions: &[Permission]) -> Vec<Permission> {
    Permission::ALL.iter().copied().filter(|permission| permissions.contains(permission)).collect()
}
