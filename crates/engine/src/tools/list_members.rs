//! Members of the organization with what each holds, former ones included, for whoever manages people.

use domain::id::UserId;
use domain::permission::{MembershipStatus, Permission};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::get_context::RoleView;
use crate::tools::page;

/// List the members of the organization, with roles and direct permissions.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only members of this status.
    pub status: Option<MembershipStatus>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub status: MembershipStatus,
    pub roles: Vec<RoleView>,
    /// Direct permissions.
    pub permissions: Vec<Permission>,
    /// The outside directory's own id of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub version: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Item>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("members", &self.items, self.total, false, |m| {
            format!("{} ({}), {}", m.email, m.id, m.status)
        })
    }
    fn returned(&self) -> u32 {
        self.total
    }
}

pub struct ListMembers;

impl Query for ListMembers {
    const CARD: Card = Card {
        name: "loopiq_list_members",
        title: "List members",
        permission: Some(Permission::UsersManage),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        access::managed(cx)?;
        let teams = access::labels(&cx.reader.teams(None).await?);
        let items: Vec<Item> = cx
            .reader
            .memberships()
            .await?
            .iter()
            .filter(|member| input.status.is_none_or(|wanted| member.status == wanted))
            .cloned()
            .map(|member| {
                let in_teams = member.team_roles.iter().map(|held| RoleView {
                    role: held.role,
                    scope: teams.get(&held.team_id.to_string()).cloned().unwrap_or_default(),
                });
                let everywhere =
                    member.roles.iter().map(|role| RoleView { role: *role, scope: "organization".into() });
                Item {
                    roles: everywhere.chain(in_teams).collect(),
                    id: member.user_id,
                    email: member.email,
                    display_name: member.display_name,
                    status: member.status,
                    permissions: member.direct_permissions,
                    external_id: member.provisioned.and_then(|known| known.external_id),
                    version: member.version,
                }
            })
            .collect();
        Ok(Out { total: items.len() as u32, items })
    }
}
