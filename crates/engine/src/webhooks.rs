//! Delivering what lies in the outbox, by the Standard Webhooks scheme (standardwebhooks.com, specification 1.0): what is
//! due, under which signature, and what comes of a try. How a message travels is the business of a [`Post`]. Delivery is at
//! least once; a repeat has the same `webhook-id`.

use std::pin::Pin;
use std::sync::Arc;

use data_encoding::BASE64;
use domain::action::Action;
use domain::audit::{AuditKind, AuditReference};
use domain::effect::Effect;
use domain::id::{OrgId, WebhookId};
use domain::org::Organization;
use domain::permission::Permission;
use domain::record::RecordType;
use domain::refusal::Refusal;
use domain::time::{MICROS_PER_SECOND, Timestamp};
use domain::webhook::{Delivery, DeliveryFailure, Event, Webhook};
use serde::Serialize;
use store::{CommitError, Org, Write};
use tokio::task::JoinSet;

use crate::signing::{LogSigner, hmac_sha256};
use crate::stop::{Fault, Stop};
use crate::tool::Command as _;
use crate::tools::set_webhook::SetWebhook;
use crate::{Caller, Engine, access, ledger, limits};

/// A message to be posted once.
#[derive(Debug, Clone)]
pub struct Message {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// The status of the answer, or why there is none.
pub type Posting = Pin<Box<dyn Future<Output = Result<u16, DeliveryFailure>> + Send>>;

/// Posts a message: once, in at most [`limits::DELIVERY_SECONDS_MAX`], to the address it names and to no other that is not
/// allowed, without reading what is answered.
pub trait Post: Send + Sync {
    fn post(&self, message: Message) -> Posting;
}

/// As audit records call a new signing secret.
const NEW_SECRET: &str = "new_webhook_secret";

/// Name of the lease under which one process delivers.
const LEASE: &str = "webhooks";

/// The name under which the directory keeps the signing secret of a webhook.
pub(crate) fn secret_name(organization: OrgId, webhook: WebhookId) -> String {
    format!("webhook/{organization}/{webhook}")
}

/// What receivers are told.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    organization: &'a str,
    url: String,
    #[serde(flatten)]
    event: serde_json::Value,
}

/// The event as JSON without what the message says elsewhere.
fn data(event: &Event) -> Result<serde_json::Value, serde_json::Error> {
    let mut value = serde_json::to_value(event)?;
    if let Some(members) = value.as_object_mut() {
        for said in ["id", "kind", "at"] {
            members.remove(said);
        }
    }
    Ok(value)
}

/// One try that is due.
struct Due {
    org: Org,
    organization: Arc<Organization>,
    webhook: Arc<Webhook>,
    secret: [u8; 32],
    delivery: Delivery,
}

impl Engine {
    /// One round of deliveries, while this process holds the lease on them.
    ///
    /// # Errors
    /// The first fault of storage; what was not settled is tried again by the next round.
    pub async fn deliver_once(&self, post: &Arc<dyn Post>) -> Result<(), Fault> {
        if !self.may_deliver().await? {
            return Ok(());
        }
        let mut due = self.due().await?;
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(limits::DELIVERIES_AT_ONCE));
            let mut tries = JoinSet::new();
            for one in due {
                let (engine, post) = (self.clone(), Arc::clone(post));
                tries.spawn(async move { engine.attempt(&*post, one).await });
            }
            while let Some(tried) = tries.join_next().await {
                tried.map_err(|_| Fault::Cancelled)??;
            }
            if rest.is_empty() || !self.may_deliver().await? {
                return Ok(());
            }
            due = rest;
        }
        Ok(())
    }

    /// Lets another process deliver at once instead of after the lease has run out.
    ///
    /// # Errors
    /// A fault of storage, which leaves the lease to run out.
    pub async fn leave_deliveries(&self) -> Result<(), Fault> {
        Ok(self.parts.store.directory().end_lease(LEASE, &self.parts.node).await?)
    }

    async fn may_deliver(&self) -> Result<bool, Fault> {
        let now = self.parts.clock.now();
        let until = Timestamp(now.0 + limits::LEASE_MICROSECONDS);
        Ok(self.parts.store.directory().take_lease(LEASE, &self.parts.node, now, until).await?)
    }

    /// What is due now, over all organizations. A webhook whose secret nobody has taken yet is not told anything: its
    /// receiver could not know that it is us.
    async fn due(&self) -> Result<Vec<Due>, Fault> {
        let now = self.parts.clock.now();
        let directory = self.parts.store.directory();
        let mut due = Vec::new();
        for organization in directory.organizations().await? {
            let org = self.parts.store.org(organization.id).await?;
            let organization = Arc::new(organization);
            for webhook in org.reader().webhooks_waited_for(now).await? {
                let name = secret_name(organization.id, webhook.id);
                let Some(secret) = directory.existing_secret(&name).await? else { continue };
                let found =
                    org.reader().due_deliveries(webhook.id, now, limits::DELIVERIES_PER_WEBHOOK).await?;
                let webhook = Arc::new(webhook);
                due.extend(found.into_iter().map(|delivery| Due {
                    org: org.clone(),
                    organization: Arc::clone(&organization),
                    webhook: Arc::clone(&webhook),
                    secret,
                    delivery,
                }));
            }
        }
        Ok(due)
    }

    fn message(&self, due: &Due, now: Timestamp) -> Result<Message, Fault> {
        let event = &due.delivery.event;
        let body = serde_json::to_string(&Told {
            kind: event.kind.as_str(),
            timestamp: event.at,
            data: Data {
                organization: &due.organization.slug,
                url: self.parts.links.action(event.action_id),
                event: data(event)?,
            },
        })?;
        let (id, at) = (event.id.to_string(), (now.0 / MICROS_PER_SECOND).to_string());
        let parts = [id.as_bytes(), b".", at.as_bytes(), b".", body.as_bytes()];
        let signature = format!("v1,{}", BASE64.encode(&hmac_sha256(&due.secret, &parts)));
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id),
            ("webhook-timestamp", at),
            ("webhook-signature", signature),
        ];
        Ok(Message { url: due.webhook.url.clone(), headers, body })
    }

    async fn attempt(&self, post: &dyn Post, due: Due) -> Result<(), Fault> {
        let message = self.message(&due, self.parts.clock.now())?;
        let outcome = match post.post(message).await {
            Ok(status) => DeliveryFailure::of_status(status),
            Err(failure) => Some(failure),
        };
        let now = self.parts.clock.now();
        let chance = self.parts.ids.next().as_u128() as u64;
        let waits = &self.parts.settings.webhook_retry_seconds;
        let settled = due.delivery.tried(outcome, now, waits, chance);
        if outcome == Some(DeliveryFailure::Gone) && self.switch_off(&due, &settled, now).await? {
            return Ok(());
        }
        self.settle_delivery(&due.org, settled_in(Write::new(), &settled, now)).await?;
        Ok(())
    }

    /// Switches a webhook off whose receiver says that it is gone, together with noting the delivery. False when somebody
    /// has changed the webhook meanwhile.
    async fn switch_off(&self, due: &Due, settled: &Delivery, now: Timestamp) -> Result<bool, Fault> {
        let was = (*due.webhook).clone();
        let record = Webhook { enabled: false, version: was.version + 1, ..was.clone() };
        let mut draft = ledger::automatic(now, AuditKind::Administered, self.parts.ids.next().to_string());
        draft.tool = Some("switch_off_webhook".into());
        draft.body.message = Some("its receiver answered 410 Gone".into());
        let effect = Effect::UpdateWebhook { was: Box::new(was), record };
        ledger::name_effects(&mut draft, std::slice::from_ref(&effect));
        let mut write = settled_in(Write::new(), settled, now);
        write.audit(draft);
        write.effect(&effect);
        self.settle_delivery(&due.org, write).await
    }

    async fn settle_delivery(&self, org: &Org, write: Write) -> Result<bool, Fault> {
        match org.commit(write).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    /// Makes a new signing secret for a webhook, which is told this once; an earlier one is good for nothing from then on.
    ///
    /// # Errors
    /// `forbidden` for somebody who may not set webhooks, `not_found`.
    pub async fn new_webhook_secret(&self, caller: Caller<'_>, id: WebhookId) -> Result<String, Refusal> {
        match self.replace_secret(caller, id).await {
            Ok(secret) => Ok(secret),
            Err(stop) => Err(self.refuse(caller, NEW_SECRET, stop).await),
        }
    }

    async fn replace_secret(&self, caller: Caller<'_>, id: WebhookId) -> Result<String, Stop> {
        if !caller.actor.permits(&SetWebhook::CARD) {
            return Err(caller.actor.refusal(&SetWebhook::CARD).into());
        }
        access::everywhere(&caller.actor.rights, Permission::IntegrationsManage)?;
        let organization = caller.actor.organization.id;
        let org = self.parts.store.org(organization).await?;
        if org.reader().webhook(id).await?.is_none() {
            return Err(Refusal::not_found("webhook").into());
        }
        let now = self.parts.clock.now();
        let mut draft = ledger::draft(caller, now, AuditKind::Administered, Some(NEW_SECRET));
        draft.updated = vec![AuditReference { record_type: RecordType::Webhook, id: id.to_string() }];
        self.record(organization, draft).await?;
        let (directory, name) = (self.parts.store.directory(), secret_name(organization, id));
        directory.delete_secret(&name).await?;
        let secret = directory.secret(&name, LogSigner::fresh_secret()?).await?;
        Ok(format!("whsec_{}", BASE64.encode(&secret)))
    }

    /// Takes away the secrets of webhooks that an action has removed. A failure is logged: the secret of a webhook that is
    /// not there signs nothing.
    pub(crate) async fn forget_secrets(&self, organization: OrgId, executed: &Action) {
        for effect in &executed.effects {
            let Effect::RemoveWebhook { was } = effect else { continue };
            let name = secret_name(organization, was.id);
            if let Err(fault) = self.parts.store.directory().delete_secret(&name).await {
                tracing::error!(%organization, webhook = %was.id, "its secret was not taken away: {fault}");
            }
        }
    }
}

/// Adds to a write what became of a try, and takes away what has been settled for long.
fn settled_in(mut write: Write, settled: &Delivery, now: Timestamp) -> Write {
    write.settle_delivery(settled);
    write.clear_deliveries(now.plus_seconds(-limits::DELIVERIES_KEPT_SECONDS));
    write
}
