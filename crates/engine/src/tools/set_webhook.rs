//! Plans a webhook, new or changed: where events are told, which of them, and whether they are. For administrators over
//! the HTTP API and on the command line; never offered over MCP. The signing secret is no part of it: it is given out once,
//! by `loopiq webhook secret`, and kept apart from the records.

use domain::effect::Effect;
use domain::id::WebhookId;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::webhook::{EventKind, Webhook, check_url};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{access, limits};

/// Tell another system of what happens to actions: a new webhook, or a change of one. What is left out stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// The webhook to change; absent: a new one.
    #[serde(default)]
    pub webhook_id: Option<WebhookId>,
    /// Address that messages are posted to, of https. Needed for a new one.
    #[schemars(length(min = 1, max = 2_000))]
    #[serde(default)]
    pub url: Option<String>,
    /// What it is for, as lists show it.
    #[schemars(length(max = 200))]
    #[serde(default)]
    pub description: Option<String>,
    /// What it is told of; an empty list means everything.
    #[schemars(length(max = 20))]
    #[serde(default)]
    pub events: Option<Vec<EventKind>>,
    /// Whether it is told anything.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// Everything the plan relies on.
pub struct Facts {
    webhooks: Vec<Webhook>,
    /// Whether http is allowed, and addresses that are not public.
    anywhere: bool,
}

pub struct SetWebhook;

impl Command for SetWebhook {
    const CARD: Card = Card {
        name: "loopiq_set_webhook",
        title: "Set webhook",
        permission: Some(Permission::IntegrationsManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, _: &In) -> Result<Facts, Stop> {
        access::everywhere(cx.rights, Permission::IntegrationsManage)?;
        Ok(Facts { webhooks: cx.reader.webhooks().await?, anywhere: cx.settings.webhooks_anywhere })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        if let Some(url) = &input.url {
            check_url("url", url, facts.anywhere)?;
        }
        match input.webhook_id {
            Some(id) => {
                let was = facts.webhooks.iter().find(|webhook| webhook.id == id);
                change(was.ok_or_else(|| Refusal::not_found("webhook"))?, input)
            }
            None => create(facts, input, asked, WebhookId::from_uuid(new_id())),
        }
    }
}

/// Each kind once, in the order of the vocabulary.
fn sorted(events: &[EventKind]) -> Vec<EventKind> {
    EventKind::ALL.iter().copied().filter(|kind| events.contains(kind)).collect()
}

fn description(text: &str) -> Result<String, Refusal> {
    if text.chars().count() > limits::WEBHOOK_DESCRIPTION_CHARS_MAX {
        return Err(Refusal::invalid("description", "must have at most 200 characters"));
    }
    Ok(text.trim().to_owned())
}

fn create(facts: &Facts, input: &In, asked: Asked<'_>, id: WebhookId) -> Result<Plan, Refusal> {
    let url = input.url.clone().ok_or_else(|| Refusal::invalid("url", "is needed for a new webhook"))?;
    if facts.webhooks.len() >= limits::WEBHOOKS_MAX {
        return Err(Refusal::invalid(
            "url",
            "would be one too many: an organization has at most 20 webhooks",
        ));
    }
    let record = Webhook {
        id,
        url,
        description: description(input.description.as_deref().unwrap_or_default())?,
        events: sorted(input.events.as_deref().unwrap_or_default()),
        enabled: input.enabled.unwrap_or(true),
        created_by: asked.by.user_id,
        created_by_email: asked.by.email.clone(),
        created_at: asked.now,
        version: 1,
    };
    Ok(Plan {
        effects: vec![Effect::CreateWebhook { record }],
        summary: "New webhook".into(),
        ..Plan::default()
    })
}

fn change(was: &Webhook, input: &In) -> Result<Plan, Refusal> {
    let mut record = was.clone();
    if let Some(url) = &input.url {
        record.url.clone_from(url);
    }
    if let Some(text) = &input.description {
        record.description = description(text)?;
    }
    if let Some(events) = &input.events {
        record.events = sorted(events);
    }
    record.enabled = input.enabled.unwrap_or(was.enabled);
    if record == *was {
        return Err(Refusal::invalid("webhookId", "names a webhook that is so already"));
    }
    record.version += 1;
    Ok(Plan {
        versions: vec![VersionRead::of(RecordType::Webhook, was.id, was.version)],
        summary: format!("Change webhook {}", was.id),
        effects: vec![Effect::UpdateWebhook { was: Box::new(was.clone()), record }],
        ..Plan::default()
    })
}
