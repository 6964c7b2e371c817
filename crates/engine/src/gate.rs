//! The decision: who may see and call which tool, and what must happen before a write runs. One function answers
//! list and call, so that what is listed is what may be called. The default policy is written here in Rust; a
//! policy engine will answer the same questions behind the same functions.

use domain::approval::Requirement;
use domain::id::TeamId;
use domain::permission::{Membership, MembershipStatus, Permission, Permissions, Rights};
use domain::refusal::{Code, Refusal};
use identity::Actor;

use crate::Surface;
use crate::tool::{Card, Effects, Tool};
use crate::tools;

/// Version of the default policy; part of every approval's digest.
pub const POLICY_VERSION: &str = "builtin-1";

/// Whether `actor` sees and may call `card` on `surface`. Record-level rights are checked where the record is read.
pub fn permits(actor: &Actor, card: &Card, surface: Surface) -> bool {
    let mcp = matches!(surface, Surface::Mcp | Surface::McpReadonly);
    if mcp && (!actor.organization.mcp_enabled || !actor.rights.allows_somewhere(Permission::McpAccess)) {
        return false;
    }
    if surface == Surface::McpReadonly && card.effects != Effects::Read {
        return false;
    }
    card.permission.is_none_or(|permission| actor.rights.allows_somewhere(permission))
}

/// The tools `actor` may use on `surface`, in the catalogue's order.
pub fn listed(actor: &Actor, surface: Surface) -> Vec<&'static Tool> {
    tools::ALL.iter().filter(|tool| permits(actor, &tool.card, surface)).collect()
}

/// Why a tool that exists may not be called here.
pub fn refusal(actor: &Actor, card: &Card, surface: Surface) -> Refusal {
    let mcp = matches!(surface, Surface::Mcp | Surface::McpReadonly);
    if mcp && !actor.organization.mcp_enabled {
        return Refusal::new(
            Code::McpNotEnabled,
            "MCP is switched off for this organization",
            "Ask an organization administrator to switch MCP on.",
        );
    }
    if mcp && !actor.rights.allows_somewhere(Permission::McpAccess) {
        return Refusal::forbidden(Permission::McpAccess);
    }
    if surface == Surface::McpReadonly && card.effects != Effects::Read {
        return Refusal::new(
            Code::Forbidden,
            "this endpoint offers read tools only",
            "Use the endpoint without /readonly for tools that write.",
        );
    }
    card.permission.map_or_else(Refusal::internal, Refusal::forbidden)
}

/// What policy asks before a write of this kind runs.
pub fn requirement(card: &Card) -> Requirement {
    match card.effects {
        Effects::Read => Requirement::none(),
        Effects::Write => Requirement::one_person(),
        Effects::SecondPerson => Requirement::second_person(),
    }
}

/// Whether enough people can meet `requirement` for a record of `team`; a requirement nobody can meet is refused
/// at once instead of waiting for ever.
///
/// # Errors
/// `approval_not_granted` saying how many people are missing.
pub fn satisfiable(
    requirement: &Requirement,
    members: &[Membership],
    requester: &Actor,
    team: Option<TeamId>,
) -> Result<(), Refusal> {
    let able = members
        .iter()
        .filter(|m| m.status == MembershipStatus::Active)
        .filter(|m| requirement.accepts(m.user_id, requester.user_id))
        .filter(|m| Rights::new(m, Permissions::EVERY).allows(Permission::ApprovalsDecide, team))
        .count();
    if able >= requirement.minimum_approvers as usize {
        return Ok(());
    }
    Err(Refusal::new(
        Code::ApprovalNotGranted,
        format!(
            "this write needs {} approval(s), and {able} member(s) could give one",
            requirement.minimum_approvers
        ),
        "Ask an organization administrator to give somebody a role with approvals:decide for this team.",
    ))
}
