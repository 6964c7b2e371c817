//! For pages that stay true while they are open: hearing that the caller's organization has changed. Nothing of what
//! changed is told. Whoever hears of it looks again by the ordinary door, with the ordinary rights.

use identity::Actor;
pub use store::Changes;

use crate::Engine;
use crate::stop::Fault;

impl Engine {
    /// Listens for changes of the organization the caller works in. Must be called on a runtime.
    pub fn changes(&self, actor: &Actor) -> Changes {
        self.parts.store.changes(actor.organization.id)
    }

    /// Records in the organization's audit log: a number that grows with every change, so that what was read after one
    /// length may be out of date when the log is longer. It also grows with what changes nothing.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn log_length(&self, actor: &Actor) -> Result<i64, Fault> {
        Ok(self.parts.store.org(actor.organization.id).await?.reader().audit_size().await?)
    }
}
