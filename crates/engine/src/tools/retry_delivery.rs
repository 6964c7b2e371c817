//! Plans that a delivery which had been given up is tried again, from the first try. For administrators over the HTTP API
//! and on the command line; never offered over MCP.

use domain::effect::Effect;
use domain::id::{EventId, WebhookId};
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::webhook::DeliveryStatus;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Deliver an event to a webhook after all, although it had been given up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    pub webhook_id: WebhookId,
    pub event_id: EventId,
}

pub struct RetryDelivery;

impl Command for RetryDelivery {
    const CARD: Card = Card {
        name: "loopiq_retry_delivery",
        title: "Retry delivery",
        permission: Some(Permission::IntegrationsManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = ();

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<(), Stop> {
        access::everywhere(cx.rights, Permission::IntegrationsManage)?;
        let found = cx.reader.delivery(input.webhook_id, input.event_id).await?;
        match found.ok_or_else(|| Refusal::not_found("delivery"))?.status {
            DeliveryStatus::Dead => Ok(()),
            DeliveryStatus::Pending => Err(Refusal::invalid("eventId", "is still being delivered").into()),
            DeliveryStatus::Delivered => Err(Refusal::invalid("eventId", "has been delivered").into()),
        }
    }

    fn plan((): &(), input: &In, asked: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let (event_id, webhook_id) = (input.event_id, input.webhook_id);
        Ok(Plan {
            effects: vec![Effect::RetryDelivery { event_id, webhook_id, at: asked.now }],
            summary: format!("Deliver {event_id} to webhook {webhook_id} again"),
            ..Plan::default()
        })
    }
}
