//! `loopiq webhook`: who is told of what happens to actions, and what could not be delivered.

use clap::{Args, Subcommand};
use domain::id::{EventId, WebhookId};
use domain::webhook::EventKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{By, InName, Member, key, outcome, refused};
use super::{Admin, Common, Failure, Report};
use crate::wire::World;

/// Tell other systems of what happens to actions, by signed messages.
#[derive(Subcommand)]
pub enum Webhook {
    /// Add a webhook; the secret that its messages are signed with is shown once.
    #[command(
        after_help = "Example:\n  loopiq webhook add https://hooks.example.com/loopiq --org acme --email \
                      ada@acme.example --event action.proposed --event action.warned"
    )]
    Add {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        add: Add,
    },
    /// Change a webhook; what is not named stays as it is.
    #[command(
        after_help = "Example:\n  loopiq webhook set whk_… --org acme --email ada@acme.example --enabled false"
    )]
    Set {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        set: Set,
    },
    /// List webhooks, never their secrets.
    #[command(after_help = "Example:\n  loopiq webhook list --org acme --email ada@acme.example --json")]
    List {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        list: List,
    },
    /// Make a new signing secret for a webhook, shown once; the one before is good for nothing from then on.
    #[command(after_help = "Example:\n  loopiq webhook secret whk_… --org acme --email ada@acme.example")]
    Secret {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        of: Named,
    },
    /// Remove a webhook, with its secret and everything that was still to be delivered to it.
    #[command(after_help = "Example:\n  loopiq webhook remove whk_… --org acme --email ada@acme.example")]
    Remove {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        of: Named,
    },
    /// List deliveries that were given up, the latest first; they are kept for 30 days.
    #[command(after_help = "Example:\n  loopiq webhook dead --org acme --email ada@acme.example")]
    Dead {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        list: List,
    },
    /// Deliver after all what was given up.
    #[command(
        after_help = "Example:\n  loopiq webhook retry whk_… evt_… --org acme --email ada@acme.example"
    )]
    Retry {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        of: Named,
        /// Id of the event, as `dead` lists it.
        #[arg(value_name = "EVENT", value_parser = event_id)]
        event: EventId,
    },
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Add {
    /// Address that messages are posted to.
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    by: By,
    /// What it is told of; may be repeated [default: everything].
    #[arg(long = "event", value_name = "EVENT", value_parser = kind)]
    events: Vec<EventKind>,
    /// What it is for, as lists show it.
    #[arg(long)]
    description: Option<String>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Set {
    #[command(flatten)]
    of: Named,
    /// Address that messages are posted to.
    #[arg(long)]
    url: Option<String>,
    /// What it is told of, instead of what it was; may be repeated; `all` for everything.
    #[arg(long = "event", value_name = "EVENT", value_parser = kind_or_all)]
    events: Vec<Kinds>,
    /// What it is for, as lists show it.
    #[arg(long)]
    description: Option<String>,
    /// Whether it is told anything; what is still to be delivered waits meanwhile.
    #[arg(long)]
    enabled: Option<bool>,
}

/// A webhook by its id.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Named {
    /// Id of the webhook, as the list shows it.
    #[arg(value_name = "WEBHOOK", value_parser = webhook_id)]
    id: WebhookId,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct List {
    #[command(flatten)]
    by: InName,
}

/// One kind of event, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kinds {
    All,
    One(EventKind),
}

fn webhook_id(text: &str) -> Result<WebhookId, String> {
    text.parse().map_err(|_| "must be a webhook's id (whk_…); `loopiq webhook list` shows it".to_owned())
}

fn event_id(text: &str) -> Result<EventId, String> {
    text.parse().map_err(|_| "must be an event's id (evt_…); `loopiq webhook dead` shows it".to_owned())
}

fn kind(text: &str) -> Result<EventKind, String> {
    EventKind::parse(text).ok_or_else(|| {
        let all: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("must be one of {}", all.join(", "))
    })
}

fn kind_or_all(text: &str) -> Result<Kinds, String> {
    if text == "all" { Ok(Kinds::All) } else { kind(text).map(Kinds::One) }
}

impl Webhook {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Webhook::Add { common, add } => Admin::WebhookAdd(add).administer(&common),
            Webhook::Set { common, set } => Admin::WebhookSet(set).administer(&common),
            Webhook::List { common, list } => Admin::WebhookList(list).administer(&common),
            Webhook::Secret { common, of } => Admin::WebhookSecret(of).administer(&common),
            Webhook::Remove { common, of } => Admin::WebhookRemove(of).administer(&common),
            Webhook::Dead { common, list } => Admin::WebhookDead(list).administer(&common),
            Webhook::Retry { common, of, event } => {
                Admin::WebhookRetry(Retry { of, event }).administer(&common)
            }
        }
    }
}

/// Arguments of `loopiq_set_webhook`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wanted<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<WebhookId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventKind>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    idempotency_key: String,
}

impl Add {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let wanted = Wanted {
            reason: &self.by.reason,
            url: Some(&self.url),
            description: self.description.as_deref(),
            events: Some(self.events.clone()),
            idempotency_key: key(),
            ..Wanted::default()
        };
        let told = member.call(world, "loopiq_set_webhook", &wanted).await?;
        if let Some(url) = told.waits_at() {
            let line = format!(
                "the webhook waits for approval: {url}\nthen `loopiq webhook secret` shows the secret of its messages"
            );
            return Ok(Report::one(line, json!({ "status": told.status, "approvalUrl": url })));
        }
        let id = told.created.first().and_then(|made| made.id.parse::<WebhookId>().ok());
        let id = id.ok_or_else(|| Failure::new("the answer names no webhook", "Update the program."))?;
        let secret = world.engine.new_webhook_secret(member.caller(), id).await.map_err(refused)?;
        let lines = vec![
            format!("{id} is told of events at {}", self.url),
            format!("signing secret (shown only now): {secret}"),
        ];
        let json = json!({ "id": id, "url": self.url, "secret": secret, "status": told.status });
        Ok(Report { lines, json: vec![json], failure: None })
    }
}

impl Set {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.of.by.org, &self.of.by.email).await?;
        let one = |kinds: &Kinds| match kinds {
            Kinds::One(kind) => Some(*kind),
            Kinds::All => None,
        };
        let all = self.events.contains(&Kinds::All);
        let events = if all { Vec::new() } else { self.events.iter().filter_map(one).collect() };
        let wanted = Wanted {
            reason: &self.of.by.reason,
            webhook_id: Some(self.of.id),
            url: self.url.as_deref(),
            description: self.description.as_deref(),
            events: (!self.events.is_empty()).then_some(events),
            enabled: self.enabled,
            idempotency_key: key(),
        };
        let told = member.call(world, "loopiq_set_webhook", &wanted).await?;
        let line = outcome(told.waits_at(), format!("{} is changed", self.of.id));
        Ok(Report::one(line, json!({ "id": self.of.id, "status": told.status, "audit": told.audit })))
    }
}

impl List {
    async fn listed(&self, world: &World) -> anyhow::Result<Listed> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        member.ask(world, "loopiq_list_webhooks").await
    }

    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let mut report = Report::default();
        for item in self.listed(world).await?.items {
            let webhook: domain::webhook::Webhook = serde_json::from_value(item.clone())?;
            let state = match (webhook.enabled, item.get("hasSecret") == Some(&json!(true))) {
                (false, _) => "disabled",
                (true, false) => "without secret",
                (true, true) => "enabled",
            };
            let events: Vec<&str> = webhook.events.iter().map(|kind| kind.as_str()).collect();
            let events = if events.is_empty() { "all events".to_owned() } else { events.join(", ") };
            let (id, url, text) = (webhook.id, &webhook.url, &webhook.description);
            report.lines.push(format!("{id}  {state}  {url}  {events}  {text}").trim_end().to_owned());
            report.json.push(item);
        }
        Ok(report)
    }

    /// What was given up.
    pub async fn dead(&self, world: &World) -> anyhow::Result<Report> {
        let mut report = Report::default();
        for dead in self.listed(world).await?.dead {
            let text = |member: &str| {
                dead.get(member).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
            };
            let said = |member: &str| text(member).unwrap_or_default();
            report.lines.push(format!(
                "{}  {}  {}  {}  {} after {} tries, given up {}",
                said("webhookId"),
                said("eventId"),
                said("kind"),
                said("actionId"),
                said("failure"),
                said("attempts"),
                said("givenUpAt"),
            ));
            report.json.push(dead);
        }
        if report.lines.is_empty() {
            report.lines.push("nothing was given up".into());
        }
        Ok(report)
    }
}

/// What `loopiq_list_webhooks` answers.
#[derive(Deserialize)]
struct Listed {
    items: Vec<Value>,
    dead: Vec<Value>,
}

impl Named {
    pub async fn secret(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let secret = world.engine.new_webhook_secret(member.caller(), self.id).await.map_err(refused)?;
        let line = format!("signing secret of {} (shown only now): {secret}", self.id);
        Ok(Report::one(line, json!({ "id": self.id, "secret": secret })))
    }

    pub async fn remove(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let arguments = json!({ "webhookId": self.id, "reason": self.by.reason, "idempotencyKey": key() });
        let told = member.call(world, "loopiq_remove_webhook", &arguments).await?;
        let line = outcome(told.waits_at(), format!("{} is removed", self.id));
        Ok(Report::one(line, json!({ "id": self.id, "status": told.status, "audit": told.audit })))
    }
}

/// A delivery that was given up.
#[derive(Serialize, Deserialize)]
pub struct Retry {
    of: Named,
    event: EventId,
}

impl Retry {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let (id, by) = (self.of.id, &self.of.by);
        let member = Member::of(world, &by.org, &by.email).await?;
        let arguments = json!({
            "webhookId": id, "eventId": self.event, "reason": by.reason, "idempotencyKey": key(),
        });
        let told = member.call(world, "loopiq_retry_delivery", &arguments).await?;
        let line = outcome(told.waits_at(), format!("{} is on its way to {id} again", self.event));
        let json = json!({ "webhookId": id, "eventId": self.event, "status": told.status });
        Ok(Report::one(line, json))
    }
}
