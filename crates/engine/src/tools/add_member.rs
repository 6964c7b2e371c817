//! Plans that a person becomes a member. Where there is no account of the e-mail yet, one is made; the person cannot sign
//! in with it before they have a password. Somebody who was a member before comes back by `set_member_status`.

use std::sync::Arc;

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::UserId;
use domain::org::{Team, User, UserKind, UserStatus};
use domain::permission::{Membership, MembershipStatus, Permission, Rights};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::{self, Held, Told};
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::work;

/// Add a person to the organization, with at least one role and one direct permission.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    #[schemars(length(min = 3, max = 254))]
    pub email: String,
    /// Of somebody who has no account yet.
    #[schemars(length(min = 1, max = 200))]
    pub display_name: String,
    pub access: Held,
    /// Of somebody whom an outside directory adds.
    #[serde(default)]
    pub directory: Option<Told>,
}

/// Everything the plan relies on.
pub struct Facts {
    account: Option<User>,
    members: Arc<Vec<Membership>>,
    teams: Vec<Team>,
    /// What whoever asks holds.
    rights: Rights,
}

pub struct AddMember;

impl Command for AddMember {
    const CARD: Card = Card {
        name: "loopiq_add_member",
        title: "Add a member",
        permission: Some(Permission::UsersManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        access::managed(cx)?;
        Ok(Facts {
            account: cx.directory.user_by_email(&input.email).await?,
            members: cx.reader.memberships().await?,
            teams: cx.reader.teams(None).await?,
            rights: access::may_give(cx),
        })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        if !identity::valid_email(&input.email) {
            return Err(Refusal::invalid("email", "must be an e-mail address"));
        }
        let granted = access::found(&facts.teams, "access", &input.access)?;
        access::check_grant(&facts.rights, &granted)?;
        let new_account = facts.account.is_none();
        let account = match &facts.account {
            Some(known) => known.clone(),
            None => User {
                id: UserId::from_uuid(new_id()),
                email: input.email.trim().to_lowercase(),
                display_name: work::name("displayName", &input.display_name)?.to_owned(),
                kind: UserKind::Human,
                status: UserStatus::Active,
                created_at: asked.now,
                version: 1,
            },
        };
        if let Some(known) = facts.members.iter().find(|member| member.user_id == account.id) {
            let message = match known.status {
                MembershipStatus::Active => "is of a member; change what they hold by loopiq_change_access",
                MembershipStatus::Inactive => {
                    "is of a former member; bring them back by loopiq_set_member_status"
                }
            };
            return Err(Refusal::invalid("email", message));
        }
        let told = input.directory.as_ref();
        let provisioned = told.map(|told| told.kept(account.id, &facts.members)).transpose()?;
        let record = Membership {
            organization_id: asked.by.organization.id,
            user_id: account.id,
            email: account.email.clone(),
            display_name: match told {
                Some(_) => work::name("displayName", &input.display_name)?.to_owned(),
                None => account.display_name.clone(),
            },
            status: MembershipStatus::Active,
            roles: granted.roles,
            team_roles: granted.team_roles,
            direct_permissions: granted.permissions,
            selected_team: None,
            provisioned,
            version: 1,
        };
        record.check()?;
        let change = DirectoryChange::Member { account, new_account, membership: record.clone() };
        Ok(Plan {
            labels: access::labels(&facts.teams),
            summary: format!("New member {}", record.email),
            effects: vec![
                Effect::CreateMembership { record },
                Effect::ChangeDirectory { change: Box::new(change) },
            ],
            ..Plan::default()
        })
    }
}
