//! Telling the nodes that an organization has changed, by the database's own `NOTIFY`.
//!
//! Not inside the transaction that changes it: a transaction with a notice holds one lock of the whole server until its
//! commit is on disk, so that all commits of all organizations stand in line. Measured with pgbench on two cores, each
//! client with an organization of its own: 10 400 commits a second without, 3 950 with a notice in each (8 clients); 2 650
//! against 2 000 (1 client); with a standby to wait for it can only be worse. So committers only remember who changed, and
//! one task of the node tells it right after the commit, in transactions of their own that write nothing, at most one in
//! [`EVERY`], however many commits there were. A node that dies in between takes the notice with it: pages on other
//! nodes then show that change with the next one, or when they are looked at again.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::id::OrgId;
use tokio::sync::{Notify, watch};
use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Link, Trouble};
use crate::changes::Listeners;
use crate::fault::chain;

/// The name under which notices go; what a notice says is the id of the organization.
const CHANNEL: &str = "loopiq";
const LISTEN: &str = "listen loopiq";
const NOTIFY: &str = "select pg_notify('loopiq', id) from unnest($1::text[]) as changed (id)";

/// The least time between two rounds of notices of one node.
const EVERY: Duration = Duration::from_millis(100);
/// Pause before the server is tried again, doubled up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// When a connection on which nothing comes is asked whether it still stands, how often, and how many answers may fail.
const QUIET_MAX: Duration = Duration::from_secs(15);
const QUIET_STEP: Duration = Duration::from_secs(5);
const QUIET_TRIES: u32 = 3;

/// Organizations that changed here and of which the nodes have not been told yet: each once, so that it cannot grow
/// beyond their number.
pub struct Outbox {
    waiting: Mutex<HashSet<OrgId>>,
    filled: Notify,
    closed: watch::Sender<bool>,
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox { waiting: Mutex::default(), filled: Notify::new(), closed: watch::Sender::new(false) }
    }
}

impl Outbox {
    pub fn add(&self, organization: OrgId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(organization);
        self.filled.notify_one();
    }

    fn take(&self) -> HashSet<OrgId> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets [`tell`] end when it has told what waits.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }
}

/// Tells the nodes, this one too, until the outbox is closed.
pub async fn tell(link: Arc<Link>, outbox: Arc<Outbox>) {
    let mut closed = outbox.closed.subscribe();
    let mut pause = PAUSE;
    loop {
        let last = tokio::select! {
            () = outbox.filled.notified() => false,
            _ = closed.wait_for(|closed| *closed) => true,
        };
        let changed = outbox.take();
        let told = link.tell(&changed).await;
        if last {
            return;
        }
        let rest = match told {
            Ok(()) => {
                pause = PAUSE;
                EVERY
            }
            Err(trouble) => {
                tracing::debug!("changes could not be told: {}", chain(&trouble));
                for organization in changed {
                    outbox.add(organization);
                }
                pause = (pause * 2).min(PAUSE_MAX);
                pause
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = closed.wait_for(|closed| *closed) => {}
        }
    }
}

impl Link {
    async fn tell(&self, changed: &HashSet<OrgId>) -> Result<(), Trouble> {
        if changed.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = changed.iter().map(OrgId::to_string).collect();
        let connection = self.connection().await?;
        let statement = connection.prepare_cached(NOTIFY).await?;
        connection.execute(&statement, &[&ids]).await?;
        Ok(())
    }
}

/// Hears what the nodes tell, on a connection of its own, and passes it on. After every outage everybody is told to look
/// again, because nobody knows what was missed. Never ends by itself.
pub async fn hear(mut settings: Config, tls: MakeRustlsConnect, listeners: Arc<Listeners>) {
    // Nothing is ever sent on this connection, so that only the system can notice that the other end has gone.
    settings.keepalives_idle(QUIET_MAX).keepalives_interval(QUIET_STEP).keepalives_retries(QUIET_TRIES);
    let mut pause = PAUSE;
    loop {
        let mut heard = false;
        let ended = hear_once(&settings, &tls, &listeners, &mut heard).await;
        if heard {
            pause = PAUSE;
            let why = ended.err().map_or_else(|| "the server hung up".to_owned(), |error| chain(&error));
            tracing::warn!("changes on other nodes are not heard until the database is back: {why}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Until the connection is lost. `heard` says whether it stood at all.
async fn hear_once(
    settings: &Config,
    tls: &MakeRustlsConnect,
    listeners: &Listeners,
    heard: &mut bool,
) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = settings.connect(tls.clone()).await?;
    let mut listen = std::pin::pin!(client.batch_execute(LISTEN));
    loop {
        tokio::select! {
            listening = listen.as_mut(), if !*heard => {
                listening?;
                *heard = true;
                listeners.tell_all();
            }
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(notice))) if notice.channel() == CHANNEL => {
                    if let Ok(organization) = notice.payload().parse() {
                        listeners.tell(organization);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
        }
    }
}
