//! Plans a change of how the organization calls a member, and of what its outside directory says of them. The e-mail address is
//! the account's, in every organization, and stays.

use std::sync::Arc;

use domain::effect::Effect;
use domain::permission::{Membership, Permission};
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::{self, Told};
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::work;

/// Change the name of a member, or what an outside directory says of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// User id or e-mail of a member or former member.
    #[schemars(length(min = 1, max = 254))]
    pub member: String,
    /// The name shown in this organization; as it was when absent.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub display_name: Option<String>,
    /// Replaced as a whole; as it was when absent.
    #[serde(default)]
    pub directory: Option<Told>,
    /// The version you have read; any when absent.
    #[serde(default)]
    pub version: Option<i64>,
}

/// Everything the plan relies on.
pub struct Facts {
    member: Membership,
    members: Arc<Vec<Membership>>,
}

pub struct UpdateMember;

impl Command for UpdateMember {
    const CARD: Card = Card {
        name: "loopiq_update_member",
        title: "Change a member's name",
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
        Ok(Facts { member, members })
    }

    fn plan(facts: &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let was = &facts.member;
        access::as_read(was, input.version)?;
        let mut record = was.clone();
        if let Some(name) = &input.display_name {
            work::name("displayName", name)?.clone_into(&mut record.display_name);
        }
        if let Some(told) = &input.directory {
            let mut kept = told.kept(was.user_id, &facts.members)?;
            kept.deleted = was.deleted_by_directory();
            record.provisioned = Some(kept);
        }
        if record == *was {
            return Err(Refusal::invalid("displayName", "or directory must change something"));
        }
        record.version += 1;
        Ok(Plan {
            versions: vec![VersionRead::of(RecordType::Membership, was.user_id, was.version)],
            summary: format!("Name of {}", was.email),
            effects: vec![Effect::UpdateMembership { was: Box::new(was.clone()), record }],
            ..Plan::default()
        })
    }
}
