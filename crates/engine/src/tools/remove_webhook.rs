//! Plans that a webhook goes, with its signing secret and everything that was still to be delivered to it. For
//! administrators over the HTTP API and on the command line; never offered over MCP.

use domain::effect::Effect;
use domain::id::WebhookId;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::webhook::Webhook;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Remove a webhook. What was still to be delivered to it is not delivered any more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    pub webhook_id: WebhookId,
}

pub struct RemoveWebhook;

impl Command for RemoveWebhook {
    const CARD: Card = Card {
        name: "loopiq_remove_webhook",
        title: "Remove webhook",
        permission: Some(Permission::IntegrationsManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Webhook;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Webhook, Stop> {
        access::everywhere(cx.rights, Permission::IntegrationsManage)?;
        Ok(cx.reader.webhook(input.webhook_id).await?.ok_or_else(|| Refusal::not_found("webhook"))?)
    }

    fn plan(was: &Webhook, _: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        Ok(Plan {
            effects: vec![Effect::RemoveWebhook { was: Box::new(was.clone()) }],
            versions: vec![VersionRead::of(RecordType::Webhook, was.id, was.version)],
            summary: format!("Remove webhook {}", was.id),
            ..Plan::default()
        })
    }
}
