//! What became of a governed action: by its id, its approval's id, or an idempotency key the caller used.

use domain::id::{ActionId, ApprovalId};
use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::card::{may_see, view};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::view::{ActionView, TeamRef};

/// What became of a governed write: by actionId, approvalId, or the idempotencyKey you sent. Give exactly one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    pub action_id: Option<ActionId>,
    pub approval_id: Option<ApprovalId>,
    #[schemars(length(min = 8, max = 128))]
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Out {
    pub action: ActionView,
}

impl Say for Out {
    fn say(&self) -> String {
        let a = &self.action;
        let mut text = format!("Action {} is {}: {}. {}", a.id, a.status, a.title, a.url);
        for link in a.created.iter().take(10) {
            text.push_str(&format!("\n- created {} {}: {}", link.record_type, link.id, link.url));
        }
        if let Some(failure) = &a.failure {
            text.push_str(&format!("\n{}: {}. {}", failure.code, failure.message, failure.remedy));
        }
        text
    }
    fn team(&self) -> Option<TeamRef> {
        self.action.card.team.clone()
    }
}

pub struct GetAction;

impl Query for GetAction {
    const CARD: Card = Card {
        name: "loopiq_get_action",
        title: "Get a governed action",
        permission: Some(Permission::ReleasesRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let found = match (input.action_id, input.approval_id, input.idempotency_key) {
            (Some(id), None, None) => cx.reader.action(id).await?,
            (None, Some(id), None) => cx.reader.action_by_approval(id).await?,
            (None, None, Some(key)) => {
                cx.reader.actions_with_key(cx.actor.user_id, &key).await?.into_iter().next()
            }
            _ => {
                return Err(Refusal::invalid(
                    "actionId",
                    "give exactly one of actionId, approvalId and idempotencyKey",
                )
                .into());
            }
        };
        let found =
            found.filter(|stored| may_see(cx, &stored.action)).ok_or_else(|| Refusal::not_found("action"))?;
        Ok(Out { action: view(cx, &found).await? })
    }
}
