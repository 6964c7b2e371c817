//! Hearing that an organization has changed. Whoever listens is told only that it is worth looking again: not what
//! changed, and not how often. So a notice holds nothing that a reader might not be allowed to see, a slow listener holds
//! up nobody, and nothing is ever queued. How the news gets here from other nodes is the business of the engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::id::OrgId;
use tokio::sync::watch;

/// Who listens in this process, by organization. An organization to which nobody listens has no entry.
#[derive(Default)]
pub struct Listeners {
    by_organization: Mutex<HashMap<OrgId, watch::Sender<()>>>,
}

impl Listeners {
    fn all(&self) -> MutexGuard<'_, HashMap<OrgId, watch::Sender<()>>> {
        self.by_organization.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn listen(self: &Arc<Self>, organization: OrgId) -> Changes {
        let news = self.all().entry(organization).or_insert_with(|| watch::Sender::new(())).subscribe();
        Changes { listeners: Arc::clone(self), organization, news }
    }

    /// Tells those who listen to this organization. Called after each durable commit of changes: one look into a map, that
    /// is empty while no page is open.
    pub fn tell(&self, organization: OrgId) {
        if let Some(told) = self.all().get(&organization) {
            told.send_replace(());
        }
    }

    /// Tells everybody, because notices may have been missed.
    pub fn tell_all(&self) {
        for told in self.all().values() {
            told.send_replace(());
        }
    }

    /// Ends the waiting of all: nothing will change any more.
    pub fn close(&self) {
        self.all().clear();
    }
}

/// Changes of one organization, since it began to listen. Several in a row are one; it may also be told of one too many.
pub struct Changes {
    listeners: Arc<Listeners>,
    organization: OrgId,
    news: watch::Receiver<()>,
}

impl Changes {
    /// Waits until something has changed since the last time, on this node or another. False when the store was closed.
    /// May be dropped while it waits; nothing is missed by that.
    pub async fn changed(&mut self) -> bool {
        self.news.changed().await.is_ok()
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let mut all = self.listeners.all();
        // The last one, itself, still counts.
        if all.get(&self.organization).is_some_and(|told| told.receiver_count() <= 1) {
            all.remove(&self.organization);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_organization_to_which_nobody_listens_takes_no_memory() {
        let listeners = Arc::new(Listeners::default());
        let of = |n| OrgId::from_uuid(uuid::Uuid::from_u64_pair(1, n));
        for round in 0..100 {
            let (one, mut two) = (listeners.listen(of(round)), listeners.listen(of(round)));
            drop(one);
            listeners.tell(of(round));
            assert!(two.changed().await, "the other still hears");
            assert_eq!(listeners.all().len(), 1);
        }
        assert_eq!(listeners.all().len(), 0);
        let mut last = listeners.listen(of(1));
        listeners.close();
        assert!(!last.changed().await, "closed while it waits");
    }
}
