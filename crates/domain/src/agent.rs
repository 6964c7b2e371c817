//! Agents as identities of their own: a program that a customer runs, registered in one organization, which acts for a
//! person through a token made for both. What it may do is what was granted to it *and* to that person, never more; it
//! never approves, and the person behind it counts as the requester of what it proposes.

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, TeamId, UserId};
use crate::permission::{Permission, Permissions};
use crate::refusal::Refusal;
use crate::time::Timestamp;

crate::words! {
    /// What an agent may do about writes, whatever policies and grants say besides.
    MutationPolicy {
        /// It neither sees nor calls tools that write.
        ReadOnly = "read_only",
        /// Nothing it proposes runs before a person has approved it, also where a rule would let it run at once or after a
        /// time.
        ProposeOnly = "propose_only",
        /// The organization's rules of approval decide, as for people's own programs.
        WriteWithApproval = "write_with_approval",
    }
}
crate::words! {
    /// Whether an agent may be used.
    AgentStatus { Active = "active", Inactive = "inactive" }
}

/// Permissions that no agent is given: deciding is for people.
pub const NEVER_GRANTED: Permissions = Permissions::of(&[
    Permission::ApprovalsDecide,
    Permission::ApprovalsBreakGlass,
    Permission::CertificationsDecide,
    Permission::RisksDecide,
]);

/// An agent of one organization. Lives in the organization's own store: what it proposes is guarded by its `version`, so
/// that whatever changes about it has to be previewed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    pub id: AgentId,
    /// Unique in the organization, ignoring case.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Set: it reaches records of this team alone.
    pub team_id: Option<TeamId>,
    /// What it is granted; whom it acts for must hold the same.
    pub permissions: Vec<Permission>,
    pub mutation_policy: MutationPolicy,
    pub status: AgentStatus,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub version: i64,
}

impl Agent {
    /// Everything it is granted.
    pub fn grants(&self) -> Permissions {
        self.permissions.iter().copied().collect()
    }

    /// Whether it was granted `permission` for records of `team`; `None` means a record of no team. No policy gives an
    /// agent more.
    pub fn was_granted(&self, permission: Permission, team: Option<TeamId>) -> bool {
        self.permissions.contains(&permission) && (self.team_id.is_none() || self.team_id == team)
    }

    /// What every agent must be.
    ///
    /// # Errors
    /// `validation_failed` for an agent that may nothing, or that would decide.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.permissions.is_empty() {
            let message = "must name at least one; to end all of its access, make it inactive";
            return Err(Refusal::invalid("permissions", message));
        }
        match self.permissions.iter().find(|permission| NEVER_GRANTED.contains(**permission)) {
            None => Ok(()),
            Some(never) => {
                Err(Refusal::invalid("permissions", format!("cannot have {never}: deciding is for people")))
            }
        }
    }
}

/// An agent as an action and its card name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct AgentRef {
    pub id: AgentId,
    pub name: String,
}

impl From<&Agent> for AgentRef {
    fn from(agent: &Agent) -> AgentRef {
        AgentRef { id: agent.id, name: agent.name.clone() }
    }
}
