//! Browser sessions of the organization's people, as far as they work in it: when opened, last used, from which kind of browser.
//! A person's own, in whatever organization, are on their page in the console.

use domain::id::{SessionId, UserId};
use domain::permission::Permission;
use domain::time::Timestamp;
use identity::Credential;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page;

/// List the open browser sessions that work in this organization.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only sessions of this member.
    pub user_id: Option<UserId>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    pub id: SessionId,
    pub user_id: UserId,
    pub email: String,
    /// The kind of browser it was opened from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// Whether it is the one this is asked from.
    pub current: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Item>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("sessions", &self.items, self.total, false, |s| format!("{} of {}", s.id, s.email))
    }
    fn returned(&self) -> u32 {
        self.total
    }
}

pub struct ListSessions;

impl Query for ListSessions {
    const CARD: Card = Card {
        name: "loopiq_list_sessions",
        title: "List sessions",
        permission: Some(Permission::UsersManage),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        access::managed(cx)?;
        let members = cx.reader.memberships().await?;
        let sessions = cx.identity.sessions_in(cx.organization.id).await?.into_iter();
        let items: Vec<Item> = sessions
            .filter(|session| input.user_id.is_none_or(|wanted| session.user_id == wanted))
            .filter_map(|session| {
                let person = members.iter().find(|member| member.user_id == session.user_id)?;
                Some(Item {
                    id: session.id,
                    user_id: session.user_id,
                    email: person.email.clone(),
                    browser: session.browser,
                    created_at: session.created_at,
                    last_seen_at: session.last_seen_at,
                    current: cx.actor.credential == Credential::Session { id: session.id },
                })
            })
            .collect();
        Ok(Out { total: items.len() as u32, items })
    }
}
