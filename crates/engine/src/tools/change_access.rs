//! Plans a change of what a member holds: roles in the organization, roles in teams, direct permissions. Nobody gives
//! what they do not hold themselves, and somebody always administers the organization.

use std::collections::BTreeMap;

use domain::effect::Effect;
use domain::id::TeamId;
use domain::org::Team;
use domain::permission::{Access, Membership, Permission, Permissions, Rights, Role, TeamRole};
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::work;

/// Grant or revoke access of a member: roles, roles in teams, direct permissions. Works from the next call on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// User id or e-mail of an active member.
    #[schemars(length(min = 1, max = 254))]
    pub member: String,
    /// Added to what is held.
    #[serde(default)]
    pub grant: Held,
    /// Taken away; what is not held is no error.
    #[serde(default)]
    pub revoke: Held,
}

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

/// Everything the plan relies on.
pub struct Facts {
    member: Membership,
    members: Vec<Membership>,
    teams: Vec<Team>,
    /// What whoever asks holds.
    rights: Rights,
}

pub struct ChangeAccess;

impl Command for ChangeAccess {
    const CARD: Card = Card {
        name: "loopiq_change_access",
        title: "Grant or revoke access",
        permission: Some(Permission::UsersManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        if !cx.rights.allows(Permission::UsersManage, None) {
            return Err(Refusal::forbidden(Permission::UsersManage).into());
        }
        let members = cx.reader.memberships().await?;
        let member =
            work::member(&members, &input.member).cloned().ok_or_else(|| Refusal::not_found("member"))?;
        Ok(Facts { member, members, teams: cx.reader.teams(None).await?, rights: cx.rights.clone() })
    }

    fn plan(facts: &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let (granted, revoked) =
            (facts.access("grant", &input.grant)?, facts.access("revoke", &input.revoke)?);
        facts.check_grant(&granted)?;
        let was = &facts.member;
        let mut record = was.clone();
        record.revoke(&revoked);
        record.grant(&granted);
        if record == *was {
            return Err(Refusal::invalid("grant", "or revoke must change something"));
        }
        record.check()?;
        record.version += 1;
        let mut versions = vec![VersionRead::of(RecordType::Membership, was.user_id, was.version)];
        if was.administers() && !record.administers() {
            // Relied on, so that two cannot take the role from each other at the same moment.
            let other = facts.another_administrator()?;
            versions.push(VersionRead::of(RecordType::Membership, other.user_id, other.version));
        }
        let labels: BTreeMap<String, String> =
            facts.teams.iter().map(|team| (team.id.to_string(), team.name.clone())).collect();
        Ok(Plan {
            versions,
            labels,
            summary: format!("Access of {}", was.email),
            effects: vec![Effect::UpdateMembership { was: Box::new(was.clone()), record }],
            ..Plan::default()
        })
    }
}

impl Facts {
    fn access(&self, field: &str, held: &Held) -> Result<Access, Refusal> {
        let team_roles = held.team_roles.iter().enumerate().map(|(index, held)| {
            let team = self.team(&held.team).ok_or_else(|| {
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

    fn team(&self, reference: &str) -> Option<TeamId> {
        let reference = reference.trim();
        let (id, folded) = (reference.parse().ok(), reference.to_lowercase());
        let is = |team: &&Team| {
            Some(team.id) == id || team.name.to_lowercase() == folded || team.key.to_lowercase() == folded
        };
        self.teams.iter().find(is).map(|team| team.id)
    }

    /// Nobody gives what they do not hold: who manages users could otherwise make themselves anything.
    fn check_grant(&self, granted: &Access) -> Result<(), Refusal> {
        let mut everywhere: Permissions = granted.permissions.iter().copied().collect();
        for role in &granted.roles {
            everywhere = everywhere.union(role.permissions());
        }
        let lacks = everywhere.iter().find(|p| !self.rights.allows(*p, None)).or_else(|| {
            granted.team_roles.iter().find_map(|held| {
                let mut gives = held.role.permissions().iter();
                gives.find(|p| !self.rights.allows(*p, Some(held.team_id)))
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

    fn another_administrator(&self) -> Result<&Membership, Refusal> {
        let others = self.members.iter().filter(|other| other.user_id != self.member.user_id);
        others.into_iter().find(|other| other.administers()).ok_or_else(|| {
            Refusal::new(
                Code::ValidationFailed,
                "nobody else administers the organization",
                "Give somebody else the role organization_admin first, then repeat this.",
            )
        })
    }
}
