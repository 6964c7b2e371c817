//! Tokens of the organization, never their secrets: one's own, and everybody's for whoever manages people.

use domain::id::{AgentId, TokenId, UserId};
use domain::permission::Permission;
use domain::time::Timestamp;
use domain::token::TokenState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page;

/// List bearer tokens: yours, or everybody's if you manage people.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only tokens that stand so.
    pub state: Option<TokenState>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    pub id: TokenId,
    pub label: String,
    pub state: TokenState,
    pub user_id: UserId,
    pub email: String,
    /// The agent that acts for the person by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Empty: everything the owner may do.
    pub scopes: Vec<Permission>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Item>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("tokens", &self.items, self.total, false, |t| {
            format!("{} of {}, {}", t.id, t.email, t.state)
        })
    }
    fn returned(&self) -> u32 {
        self.total
    }
}

pub struct ListTokens;

impl Query for ListTokens {
    const CARD: Card = Card {
        name: "loopiq_list_tokens",
        title: "List tokens",
        permission: None,
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let all = cx.rights.allows(Permission::UsersManage, None);
        let (members, agents) = (cx.reader.memberships().await?, cx.reader.agents().await?);
        let email =
            |id| members.iter().find(|m| m.user_id == id).map(|m| m.email.clone()).unwrap_or_default();
        let tokens = cx.directory.tokens(cx.organization.id).await?.into_iter();
        let items: Vec<Item> = tokens
            .filter(|token| all || token.user_id == cx.actor.user_id)
            .map(|token| Item {
                id: token.id,
                state: token.state(cx.now),
                user_id: token.user_id,
                email: email(token.user_id),
                agent: token
                    .agent_id
                    .and_then(|id| agents.iter().find(|a| a.id == id))
                    .map(|a| a.name.clone()),
                agent_id: token.agent_id,
                label: token.label,
                scopes: token.scopes,
                created_at: token.created_at,
                expires_at: token.expires_at,
                revoked_at: token.revoked_at,
                last_used_at: token.last_used_at,
            })
            .filter(|item| input.state.is_none_or(|wanted| item.state == wanted))
            .collect();
        Ok(Out { total: items.len() as u32, items })
    }
}
