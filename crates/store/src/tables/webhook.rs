//! Webhooks, and the outbox: which event is still on its way to which of them. Events are put into the outbox by the very
//! write that they speak of, for those webhooks that there are at that moment, so that no transition can be told of
//! without having happened, or happen without being told.

use domain::action::Action;
use domain::id::{EventId, WebhookId};
use domain::record::RecordType;
use domain::time::Timestamp;
use domain::webhook::{Delivery, DeliveryFailure, DeliveryStatus, Webhook, events};

use super::{document, read_document, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Row, Sql, Value, maybe, text};
use crate::write::{Miss, Write};

statements! {
    GUARD = "select 1 from webhook where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT = "insert into webhook (organization_id, id, version, enabled, kinds, document) values (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE = "update webhook set version = ?3, enabled = ?4, kinds = ?5, document = ?6
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    DELETE = "delete from webhook where organization_id = ?1 and id = ?2 and version = ?3";
    FORGET = "delete from outbox where organization_id = ?1 and webhook_id = ?2";
    ONE = "select document from webhook where organization_id = ?1 and id = ?2";
    ALL_OF = "select document from webhook where organization_id = ?1 order by id";
    TELL = "insert into outbox (organization_id, webhook_id, event_id, kind, status, due_at, attempts, document)
        select w.organization_id, w.id, cast(?2 as text), cast(?3 as text), 'pending', cast(?4 as bigint), 0,
            cast(?5 as text)
        from webhook w where w.organization_id = ?1 and w.enabled = 1
        and (w.kinds = '' or w.kinds like '%,' || cast(?3 as text) || ',%')";
    WAITED_FOR = "select w.document from webhook w where w.organization_id = ?1 and w.enabled = 1
        and exists (select 1 from outbox o where o.organization_id = w.organization_id and o.webhook_id = w.id
            and o.status = 'pending' and o.due_at <= ?2) order by w.id";
    DUE = "select document, webhook_id, status, due_at, attempts, failure, delivered_at from outbox
        where organization_id = ?1 and webhook_id = ?2 and status = 'pending' and due_at <= ?3
        order by due_at, event_id limit ?4";
    ONE_DELIVERY = "select document, webhook_id, status, due_at, attempts, failure, delivered_at from outbox
        where organization_id = ?1 and webhook_id = ?2 and event_id = ?3";
    WITH_STATUS = "select document, webhook_id, status, due_at, attempts, failure, delivered_at from outbox
        where organization_id = ?1 and status = ?2 order by due_at desc, event_id limit ?3";
    SETTLE = "update outbox set status = ?4, due_at = ?5, attempts = ?6, failure = ?7, delivered_at = ?8
        where organization_id = ?1 and webhook_id = ?2 and event_id = ?3 and status = 'pending' and attempts + 1 = ?6";
    RETRY = "update outbox set status = 'pending', due_at = ?4, attempts = 0, failure = null
        where organization_id = ?1 and webhook_id = ?2 and event_id = ?3 and status = 'dead'";
    CLEAR = "delete from outbox where organization_id = ?1 and status in ('delivered', 'dead') and due_at < ?2";
}

fn put(write: &mut Write, sql: &'static Sql, w: &Webhook) {
    let kinds = if w.events.is_empty() { Value::from("") } else { crate::sql::list(&w.events) };
    let params = vec![text(w.id), Value::Int(w.version), Value::from(w.enabled), kinds, document(w)];
    write.one(sql, params, Miss::Moved(RecordType::Webhook, w.id.to_string()));
}

pub fn create(write: &mut Write, w: &Webhook) {
    put(write, &INSERT, w);
}

pub fn update(write: &mut Write, w: &Webhook) {
    put(write, &UPDATE, w);
}

pub fn remove(write: &mut Write, w: &Webhook) {
    write.any(&FORGET, vec![text(w.id)]);
    let miss = Miss::Moved(RecordType::Webhook, w.id.to_string());
    write.one(&DELETE, vec![text(w.id), Value::Int(w.version)], miss);
}

pub fn retry(write: &mut Write, webhook: WebhookId, event: EventId, at: Timestamp) {
    let miss = Miss::Moved(RecordType::Delivery, event.to_string());
    write.one(&RETRY, vec![text(webhook), text(event), Value::Int(at.0)], miss);
}

/// Tells the webhooks there are what the step from `before` to `next` means.
pub fn tell(write: &mut Write, before: Option<&Action>, next: &Action) {
    for event in events(before, next) {
        let params = vec![text(event.id), text(event.kind), Value::Int(event.at.0), document(&event)];
        write.unseen(&TELL, params);
    }
}

fn delivery(row: &dyn Row) -> Result<Delivery, Fault> {
    let failure = row.maybe_text(5).map(|word| DeliveryFailure::parse(&word));
    Ok(Delivery {
        event: read_document(row, 0)?,
        webhook_id: row.text(1).parse().map_err(|_| Fault::Bug("a stored id is one"))?,
        status: DeliveryStatus::parse(&row.text(2)).ok_or(Fault::Bug("a stored status is one"))?,
        due_at: Timestamp(row.int(3)),
        attempts: u32::try_from(row.int(4)).unwrap_or(u32::MAX),
        failure: failure.flatten(),
        delivered_at: row.maybe_int(6).map(Timestamp),
    })
}

impl Write {
    /// Notes what became of a try. Nothing happens when somebody has settled the delivery meanwhile.
    pub fn settle_delivery(&mut self, d: &Delivery) {
        let params = vec![
            text(d.webhook_id),
            text(d.event.id),
            text(d.status),
            Value::Int(d.due_at.0),
            Value::Int(i64::from(d.attempts)),
            maybe(d.failure),
            Value::from(d.delivered_at.map(|at| at.0)),
        ];
        self.unseen(&SETTLE, params);
    }

    /// Takes away deliveries that were settled before `at`.
    pub fn clear_deliveries(&mut self, at: Timestamp) {
        self.unseen(&CLEAR, vec![Value::Int(at.0)]);
    }
}

impl Reader {
    pub async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>, Fault> {
        self.document(&ONE, vec![text(id)]).await
    }
    /// All of them, oldest first.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, Fault> {
        self.documents(&ALL_OF, Vec::new()).await
    }
    /// The webhooks in use for which something is due.
    pub async fn webhooks_waited_for(&self, now: Timestamp) -> Result<Vec<Webhook>, Fault> {
        self.documents(&WAITED_FOR, vec![Value::Int(now.0)]).await
    }
    /// What is due for one webhook, the longest due first.
    pub async fn due_deliveries(
        &self,
        to: WebhookId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Fault> {
        self.rows(&DUE, vec![text(to), Value::Int(now.0), Value::Int(i64::from(limit))], delivery).await
    }
    pub async fn delivery(&self, to: WebhookId, event: EventId) -> Result<Option<Delivery>, Fault> {
        Ok(self.rows(&ONE_DELIVERY, vec![text(to), text(event)], delivery).await?.into_iter().next())
    }
    /// Deliveries that stand so, the latest first.
    pub async fn deliveries(&self, status: DeliveryStatus, limit: u32) -> Result<Vec<Delivery>, Fault> {
        self.rows(&WITH_STATUS, vec![text(status), Value::Int(i64::from(limit))], delivery).await
    }
}
