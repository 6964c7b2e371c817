//! Passkeys that sign approvals: one's own, and everybody's for those who manage people.

use domain::digest::Digest;
use domain::id::UserId;
use domain::permission::Permission;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::register_passkey::owner;
use crate::stop::{Fault, Stop};
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page;

/// List the passkeys that sign approvals: your own, and everybody's if you manage people.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In {}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    /// The thumbprint of its key (RFC 7638), by which the log names it.
    pub id: Digest,
    pub user_id: UserId,
    pub email: String,
    pub name: String,
    /// As a JSON Web Key.
    pub key: Value,
    pub created_at: Timestamp,
    /// Whether it is the caller's own.
    pub own: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Item>,
    pub total: u32,
    /// The origin of the pages on which passkeys work; absent where they cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What a browser is asked to make another one (PublicKeyCredentialCreationOptionsJSON of WebAuthn).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<Value>,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("passkeys", &self.items, self.total, false, |k| {
            format!("{} of {}, {}", k.name, k.email, k.id)
        })
    }
    fn returned(&self) -> u32 {
        self.total
    }
}

pub struct ListPasskeys;

impl Query for ListPasskeys {
    const CARD: Card = Card {
        name: "loopiq_list_passkeys",
        title: "List passkeys",
        permission: None,
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, _: In) -> Result<Out, Stop> {
        let me = cx.actor.user_id;
        let own = cx.reader.passkeys_of(me).await?;
        let asked = cx.passkeys.map(|party| party.registration(owner(cx), &own));
        let registration = asked.transpose().map_err(Fault::from)?;
        let manages = cx.rights.allows(Permission::UsersManage, None);
        let listed = if manages { cx.reader.passkeys().await? } else { own };
        let items = listed.into_iter().map(|passkey| Item {
            own: passkey.user_id == me,
            key: serde_json::json!(passkey.key),
            id: passkey.id,
            user_id: passkey.user_id,
            email: passkey.email,
            name: passkey.name,
            created_at: passkey.created_at,
        });
        let items: Vec<Item> = items.collect();
        let origin = cx.passkeys.map(|party| party.origin().to_owned());
        Ok(Out { total: items.len() as u32, items, origin, registration })
    }
}
