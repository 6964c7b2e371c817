//! Plans that a passkey goes: one's own, or anybody's for those who manage people. What it signed stays signed; approvals it
//! signed that have not run yet no longer count. Never offered over MCP.

use domain::digest::Digest;
use domain::effect::Effect;
use domain::passkey::Passkey;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Remove a passkey, for example of a device that was lost. Approvals it signed that have not run yet no longer count.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// The thumbprint of its key, as loopiq_list_passkeys shows it.
    #[schemars(length(min = 64, max = 64))]
    pub passkey_id: String,
}

pub struct RemovePasskey;

impl Command for RemovePasskey {
    const CARD: Card = Card {
        name: "loopiq_remove_passkey",
        title: "Remove a passkey",
        permission: None,
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Passkey;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Passkey, Stop> {
        let id = Digest::parse(&input.passkey_id).ok_or_else(|| Refusal::not_found("passkey"))?;
        let manages = cx.rights.allows(Permission::UsersManage, None);
        let found = cx.reader.passkey(id).await?;
        let own = |passkey: &Passkey| cx.actor.credential.is_person() && passkey.user_id == cx.actor.user_id;
        let found = found.filter(|passkey| manages || own(passkey));
        Ok(found.ok_or_else(|| Refusal::not_found("passkey"))?)
    }

    fn plan(was: &Passkey, _: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        Ok(Plan {
            effects: vec![Effect::RemovePasskey { was: Box::new(was.clone()) }],
            versions: vec![VersionRead::of(RecordType::Passkey, was.id, was.version)],
            summary: format!("Remove a passkey of {}", was.email),
            ..Plan::default()
        })
    }
}
