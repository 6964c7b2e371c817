//! What the commands about members share: roles and permissions as arguments, the rule that nobody gives what they do not
//! hold, and the one that somebody administers the organization.

use std::collections::BTreeMap;

use domain::id::{TeamId, UserId};
use domain::org::Team;
use domain::permission::{Access, Membership, Permission, Permissions, Rights, Role, TeamRole};
use domain::refusal::{Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::tool::Cx;

/// Roles and permissions as they are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Held {
    /// Held in the whole organization.
    #[schemars(length(max = 20))]
    pub roles: Vec<Role>,
    #[schemars(length(max = 100))]
    pub team_roles: Vec<HeldInTeam>,
    /// Direct permissions, meant for exceptions.
    #[schemars(length(max = 50))]
    pub permissions: Vec<Permission>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct HeldInTeam {
    /// Team id, name or key.
    #[schemars(length(min = 1, max = 200))]
    pub team: String,
    pub role: Role,
}

/// Refuses everybody who does not manage people.
///
/// # Errors
/// `forbidden`.
pub(crate) fn managed(cx: &Cx<'_>) -> Result<(), Refusal> {
    if cx.rights.allows(Permission::UsersManage, None) {
        return Ok(());
    }
    Err(Refusal::forbidden(Permission::UsersManage))
}

/// What was asked for, with the teams found.
///
/// # Errors
/// `validation_failed` for a team that is not there.
pub(crate) fn found(teams: &[Team], field: &str, held: &Held) -> Result<Access, Refusal> {
    let team_roles = held.team_roles.iter().enumerate().map(|(index, held)| {
        let team = team(teams, &held.team).ok_or_else(|| {
            let field = format!("{field}.teamRoles[{index}].team");
            Refusal::invalid(field, "must be a team of the organization")
        })?;
        Ok(TeamRole { team_id: team, role: held.role })
    });
    Ok(Access {
        roles: held.roles.clone(),
        team_roles: team_roles.collect::<Result<_, Refusal>>()?,
        permissions: held.permissions.clone(),
    })
}

fn team(teams: &[Team], reference: &str) -> Option<TeamId> {
    let reference = reference.trim();
    let (id, folded) = (reference.parse().ok(), reference.to_lowercase());
    let is = |team: &&Team| {
        Some(team.id) == id || team.name.to_lowercase() == folded || team.key.to_lowercase() == folded
    };
    teams.iter().find(is).map(|team| team.id)
}

/// Nobody gives what they do not hold: who manages people could otherwise make themselves anything.
///
/// # Errors
/// `forbidden` naming what is missing.
pub(crate) fn check_grant(rights: &Rights, granted: &Access) -> Result<(), Refusal> {
    let mut everywhere: Permissions = granted.permissions.iter().copied().collect();
    for role in &granted.roles {
        everywhere = everywhere.union(role.permissions());
    }
    let lacks = everywhere.iter().find(|p| !rights.allows(*p, None)).or_else(|| {
        granted.team_roles.iter().find_map(|held| {
            let mut gives = held.role.permissions().iter();
            gives.find(|p| !rights.allows(*p, Some(held.team_id)))
        })
    });
    match lacks {
        None => Ok(()),
        Some(permission) => Err(Refusal::new(
            Code::Forbidden,
            format!("nobody grants what they do not hold; {permission} is missing"),
            "Ask somebody who holds it, for example an organization administrator.",
        )),
    }
}

/// Somebody else who administers the organization, when `leaving` stops doing so.
///
/// # Errors
/// `validation_failed` when there is nobody.
pub(crate) fn another_administrator(members: &[Membership], leaving: UserId) -> Result<&Membership, Refusal> {
    let mut others = members.iter().filter(|other| other.user_id != leaving);
    others.find(|other| other.administers()).ok_or_else(|| {
        Refusal::new(
            Code::ValidationFailed,
            "nobody else administers the organization",
            "Give somebody else the role organization_admin first, then repeat this.",
        )
    })
}

/// Names of teams by their ids, for previews.
pub(crate) fn labels(teams: &[Team]) -> BTreeMap<String, String> {
    teams.iter().map(|team| (team.id.to_string(), team.name.clone())).collect()
}
