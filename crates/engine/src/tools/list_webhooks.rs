//! Webhooks of the organization, never their secrets, and what could not be delivered to them.

use domain::id::{ActionId, EventId, WebhookId};
use domain::permission::Permission;
use domain::time::Timestamp;
use domain::webhook::{DeliveryFailure, DeliveryStatus, EventKind, Webhook};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page;
use crate::{access, limits};

/// List webhooks, and the deliveries to them that were given up.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In {}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    #[serde(flatten)]
    pub webhook: Webhook,
    /// Whether anybody has taken its signing secret yet; before, it is told nothing.
    pub has_secret: bool,
}

/// A delivery that was given up; `loopiq_retry_delivery` sends it after all.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Dead {
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub kind: EventKind,
    pub action_id: ActionId,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<DeliveryFailure>,
    pub attempts: u32,
    pub given_up_at: Timestamp,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Item>,
    pub total: u32,
    /// The latest first.
    pub dead: Vec<Dead>,
}

impl Say for Out {
    fn say(&self) -> String {
        let lists = page::say("webhooks", &self.items, self.total, false, |w| {
            format!("{} {}", w.webhook.id, w.webhook.url)
        });
        format!("{lists}\n{} deliveries were given up.", self.dead.len())
    }
    fn returned(&self) -> u32 {
        self.total + self.dead.len() as u32
    }
}

pub struct ListWebhooks;

impl Query for ListWebhooks {
    const CARD: Card = Card {
        name: "loopiq_list_webhooks",
        title: "List webhooks",
        permission: Some(Permission::IntegrationsManage),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, _: In) -> Result<Out, Stop> {
        access::everywhere(cx.rights, Permission::IntegrationsManage)?;
        let mut items = Vec::new();
        for webhook in cx.reader.webhooks().await? {
            let name = crate::webhooks::secret_name(cx.organization.id, webhook.id);
            let has_secret = cx.directory.existing_secret(&name).await?.is_some();
            items.push(Item { webhook, has_secret });
        }
        let dead = cx.reader.deliveries(DeliveryStatus::Dead, limits::DEAD_DELIVERIES_MAX).await?;
        let dead = dead.into_iter().map(|dead| Dead {
            webhook_id: dead.webhook_id,
            event_id: dead.event.id,
            kind: dead.event.kind,
            action_id: dead.event.action_id,
            at: dead.event.at,
            failure: dead.failure,
            attempts: dead.attempts,
            given_up_at: dead.due_at,
        });
        Ok(Out { total: items.len() as u32, items, dead: dead.collect() })
    }
}
