//! Plans the end of a person's access to the organization, or their return with what they held. Their tokens and sessions
//! there stop working with the next call.

use std::sync::Arc;

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::org::{Team, User};
use domain::permission::{Access, Membership, MembershipStatus, Permission, Rights};
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Deactivate a member, or bring a former one back with what they held.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// User id or e-mail of a member or former member.
    #[schemars(length(min = 1, max = 254))]
    pub member: String,
    pub status: MembershipStatus,
    /// The version you have read; any when absent.
    #[serde(default)]
    pub version: Option<i64>,
    /// With inactive: the outside directory has deleted them, and sees them no more until it adds them again.
    #[serde(default)]
    pub deleted_by_directory: bool,
}

/// Everything the plan relies on.
pub struct Facts {
    member: Membership,
    account: User,
    members: Arc<Vec<Membership>>,
    teams: Vec<Team>,
    /// What whoever asks holds.
    rights: Rights,
}

pub struct SetMemberStatus;

impl Command for SetMemberStatus {
    const CARD: Card = Card {
        name: "loopiq_set_member_status",
        title: "Deactivate or bring back a member",
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
        let member = access::anybody(&members, &input.member)?.clone();
        let account = cx.directory.user(member.user_id).await?.ok_or_else(|| Refusal::not_found("member"))?;
        Ok(Facts {
            member,
            account,
            members,
            teams: cx.reader.teams(None).await?,
            rights: access::may_give(cx),
        })
    }

    fn plan(facts: &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let was = &facts.member;
        access::as_read(was, input.version)?;
        let deleted = input.deleted_by_directory;
        if deleted && input.status == MembershipStatus::Active {
            return Err(Refusal::invalid("deletedByDirectory", "goes with inactive"));
        }
        if was.status == input.status && was.deleted_by_directory() >= deleted {
            return Err(Refusal::invalid("status", "is so already"));
        }
        let mut record = Membership { status: input.status, version: was.version + 1, ..was.clone() };
        if was.deleted_by_directory() != deleted {
            record.provisioned.get_or_insert_default().deleted = deleted;
        }
        record.check()?;
        let mut versions = vec![VersionRead::of(RecordType::Membership, was.user_id, was.version)];
        match record.status {
            MembershipStatus::Active => {
                let back = Access {
                    roles: record.roles.clone(),
                    team_roles: record.team_roles.clone(),
                    permissions: record.direct_permissions.clone(),
                };
                access::check_grant(&facts.rights, &back)?;
            }
            MembershipStatus::Inactive if was.administers() => {
                let other = access::another_administrator(&facts.members, was.user_id)?;
                versions.push(VersionRead::of(RecordType::Membership, other.user_id, other.version));
            }
            MembershipStatus::Inactive => {}
        }
        let verb = if record.status == MembershipStatus::Active { "Bring back" } else { "Deactivate" };
        let change = DirectoryChange::Member {
            account: facts.account.clone(),
            new_account: false,
            membership: record.clone(),
        };
        Ok(Plan {
            versions,
            labels: access::labels(&facts.teams),
            summary: format!("{verb} {}", was.email),
            effects: vec![
                Effect::UpdateMembership { was: Box::new(was.clone()), record },
                Effect::ChangeDirectory { change: Box::new(change) },
            ],
            ..Plan::default()
        })
    }
}
