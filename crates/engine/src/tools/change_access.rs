//! Plans a change of what a member holds: roles in the organization, roles in teams, direct permissions. Nobody gives
//! what they do not hold themselves, and somebody always administers the organization.

use std::sync::Arc;

use domain::effect::Effect;
use domain::org::Team;
use domain::permission::{Membership, Permission, Rights};
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::{self, Held};
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
    /// The version you have read; any when absent.
    #[serde(default)]
    pub version: Option<i64>,
}

/// Everything the plan relies on.
pub struct Facts {
    member: Membership,
    members: Arc<Vec<Membership>>,
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
        access::managed(cx)?;
        let members = cx.reader.memberships().await?;
        let member =
            work::member(&members, &input.member).cloned().ok_or_else(|| Refusal::not_found("member"))?;
        Ok(Facts { member, members, teams: cx.reader.teams(None).await?, rights: access::may_give(cx) })
    }

    fn plan(facts: &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let granted = access::found(&facts.teams, "grant", &input.grant)?;
        let revoked = access::found(&facts.teams, "revoke", &input.revoke)?;
        access::check_grant(&facts.rights, &granted)?;
        let was = &facts.member;
        access::as_read(was, input.version)?;
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
            let other = access::another_administrator(&facts.members, was.user_id)?;
            versions.push(VersionRead::of(RecordType::Membership, other.user_id, other.version));
        }
        Ok(Plan {
            versions,
            labels: access::labels(&facts.teams),
            summary: format!("Access of {}", was.email),
            effects: vec![Effect::UpdateMembership { was: Box::new(was.clone()), record }],
            ..Plan::default()
        })
    }
}
