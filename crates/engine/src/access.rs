//! What the commands about members share: roles and permissions as arguments, the rule that nobody gives what they do not
//! hold, and the one that somebody administers the organization.

use std::collections::BTreeMap;

use domain::agent::NEVER_GRANTED;
use domain::id::{TeamId, UserId};
use domain::org::{Organization, Team};
use domain::permission::{Access, Membership, Permission, Permissions, Provisioned, Rights, Role, TeamRole};
use domain::refusal::{Code, Refusal};
use domain::scim;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Surface;
use crate::stop::{Fault, Stop};
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

/// Refuses everybody who does not hold a permission in the whole organization; in one team is not enough.
///
/// # Errors
/// `forbidden` naming it.
pub fn everywhere(rights: &Rights, permission: Permission) -> Result<(), Refusal> {
    if rights.allows(permission, None) { Ok(()) } else { Err(Refusal::forbidden(permission)) }
}

/// The organization as it is stored now, for whoever may change it.
///
/// # Errors
/// `forbidden` naming the permission, or a fault of storage.
pub async fn organization(cx: &Cx<'_>, permission: Permission) -> Result<Organization, Stop> {
    everywhere(cx.rights, permission)?;
    let found = cx.directory.organization(cx.organization.id).await?;
    Ok(found.ok_or(Fault::Bug("an organization that is called is there"))?)
}

/// Refuses everybody who does not manage people.
///
/// # Errors
/// `forbidden`.
pub(crate) fn managed(cx: &Cx<'_>) -> Result<(), Refusal> {
    everywhere(cx.rights, Permission::UsersManage)
}

/// What whoever asks may give: what they hold. A directory also gives what everybody whom it adds holds at first, if its
/// person holds that, whatever its token is narrowed to; and what only people use, so that policy keeps it from every
/// program, if its token names it: to give a role that decides is not to decide.
pub(crate) fn may_give(cx: &Cx<'_>) -> Rights {
    let mut rights = cx.rights.clone();
    if cx.actor.surface == Surface::Scim {
        let first = scim::FIRST_ROLE.permissions().union(Permissions::of(&[scim::FIRST_PERMISSION]));
        let person = Rights::new(&cx.actor.membership, Permissions::EVERY).organization;
        let deciding = cx.actor.held().organization.intersection(NEVER_GRANTED);
        rights.organization = rights.organization.union(first.intersection(person)).union(deciding);
    }
    rights
}

/// Refuses a change that speaks of another version than the one there is.
///
/// # Errors
/// `version_conflict`.
pub(crate) fn as_read(was: &Membership, version: Option<i64>) -> Result<(), Refusal> {
    if version.is_some_and(|version| version != was.version) {
        return Err(Refusal::changed_meanwhile("loopiq_list_members"));
    }
    Ok(())
}

/// What an outside directory says of a person.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Told {
    /// The directory's own id of the person; of one member of the organization.
    #[schemars(length(min = 1, max = 256))]
    pub external_id: Option<String>,
    #[schemars(length(min = 1, max = 200))]
    pub given_name: Option<String>,
    #[schemars(length(min = 1, max = 200))]
    pub family_name: Option<String>,
}

impl Told {
    /// As it is kept with the membership of `person`.
    ///
    /// # Errors
    /// `validation_failed` when the directory's id is another member's.
    pub(crate) fn kept(&self, person: UserId, members: &[Membership]) -> Result<Provisioned, Refusal> {
        let taken = |other: &&Membership| {
            let known = other.provisioned.as_ref().filter(|known| !known.deleted);
            let theirs = known.and_then(|known| known.external_id.as_ref());
            other.user_id != person && theirs.is_some() && theirs == self.external_id.as_ref()
        };
        if members.iter().find(taken).is_some() {
            return Err(Refusal::invalid("directory.externalId", "is another member's"));
        }
        Ok(Provisioned {
            external_id: self.external_id.clone(),
            given_name: self.given_name.clone(),
            family_name: self.family_name.clone(),
            deleted: false,
        })
    }
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

/// The team of an id, name or key.
pub(crate) fn team(teams: &[Team], reference: &str) -> Option<TeamId> {
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

/// A member or former member, by user id or e-mail.
///
/// # Errors
/// `not_found`.
pub(crate) fn anybody<'a>(members: &'a [Membership], reference: &str) -> Result<&'a Membership, Refusal> {
    let reference = reference.trim();
    let id = reference.parse::<UserId>().ok();
    let named = |m: &&Membership| Some(m.user_id) == id || m.email.eq_ignore_ascii_case(reference);
    members.iter().find(named).ok_or_else(|| Refusal::not_found("member"))
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
