//! Plans the end of a token. Everybody may end their own; those of others whoever manages people.

use std::collections::BTreeMap;

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::TokenId;
use domain::permission::{Membership, Permission};
use domain::refusal::Refusal;
use domain::token::TokenRecord;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Revoke a token; it stops working on the very next call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id of the token (tok_…), never its secret.
    pub token: TokenId,
}

/// Everything the plan relies on.
pub struct Facts {
    token: TokenRecord,
    owner: Option<Membership>,
}

pub struct RevokeToken;

impl Command for RevokeToken {
    const CARD: Card = Card {
        name: "loopiq_revoke_token",
        title: "Revoke a token",
        permission: None,
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let found = cx.directory.token(input.token).await?;
        let here = found.filter(|token| token.organization_id == cx.organization.id);
        let may = |token: &TokenRecord| {
            token.user_id == cx.actor.user_id || cx.rights.allows(Permission::UsersManage, None)
        };
        let token = here.filter(may).ok_or_else(|| Refusal::not_found("token"))?;
        let owner = cx.reader.membership(token.user_id).await?;
        Ok(Facts { token, owner })
    }

    fn plan(facts: &Facts, _: &In, asked: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let was = facts.token.clone();
        if was.revoked_at.is_some() {
            return Err(Refusal::invalid("token", "is revoked already"));
        }
        let email = facts.owner.as_ref().map(|owner| owner.email.clone()).unwrap_or_default();
        let change = DirectoryChange::RevokeToken { was, at: asked.now };
        Ok(Plan {
            summary: format!("Revoke a token of {email}"),
            labels: BTreeMap::from([(facts.token.user_id.to_string(), email)]),
            effects: vec![Effect::ChangeDirectory { change: Box::new(change) }],
            ..Plan::default()
        })
    }
}
