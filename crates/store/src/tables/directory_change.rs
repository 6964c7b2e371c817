//! Changes of the directory: written down among an organization's records, in the commit of the action they are part of,
//! and carried over from there. What is carried over stays as the claim of its version.

use domain::directory::DirectoryChange;
use domain::id::OrgId;
use domain::permission::MembershipStatus;

use super::{document, read_document, statements};
use crate::fault::{CommitError, Fault};
use crate::sql::{Row, Value, text};
use crate::write::{Miss, Write};
use crate::{Org, Reader, Store};

statements! {
    INSERT = "insert into directory_change (organization_id, record_type, record_id, version, applied, document)
        values (?1, ?2, ?3, ?4, ?5, ?6)";
    PENDING = "select record_type, record_id, version, document from directory_change
        where organization_id = ?1 and applied = 0 order by record_type, record_id, version limit ?2";
    APPLIED = "update directory_change set applied = 1
        where organization_id = ?1 and record_type = ?2 and record_id = ?3 and version = ?4";
}

/// Changes carried over at once.
const BATCH: i64 = 100;

pub fn write_down(write: &mut Write, change: &DirectoryChange) {
    let (record_type, id, version) = change.claim();
    let params = vec![
        text(record_type),
        Value::from(id.as_str()),
        Value::Int(version),
        Value::Int(0),
        document(change),
    ];
    write.one(&INSERT, params, Miss::Moved(record_type, id));
}

/// A change that waits, with the key it waits under.
type Pending = (Vec<Value>, DirectoryChange);

impl Reader {
    async fn pending_changes(&self) -> Result<Vec<Pending>, Fault> {
        let read =
            |row: &dyn Row| Ok(((0..3).map(|column| row.value(column)).collect(), read_document(row, 3)?));
        self.rows(&PENDING, vec![Value::Int(BATCH)], read).await
    }
}

impl Store {
    /// Carries over what has been written down for the directory and is not there yet. Several processes may do it at once.
    ///
    /// # Errors
    /// A fault of storage; what was not carried over waits for the next time.
    pub async fn carry_over(&self, organization: OrgId) -> Result<(), Fault> {
        let org = self.org(organization).await?;
        loop {
            let pending = org.reader().pending_changes().await?;
            let last = (pending.len() as i64) < BATCH;
            for (key, change) in pending {
                self.carry(&org, &change).await?;
                let mut write = Write::new();
                write.unseen(&APPLIED, key);
                match org.commit(write).await {
                    Ok(_) => {}
                    Err(CommitError::Conflict(_)) => return Err(Fault::Bug("a mark has no guard")),
                    Err(CommitError::Fault(fault)) => return Err(fault),
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    async fn carry(&self, org: &Org, change: &DirectoryChange) -> Result<(), Fault> {
        let directory = self.directory();
        match change {
            DirectoryChange::Organization { record, .. } => match directory.update_organization(record).await
            {
                // Somebody else has carried it over, and perhaps more.
                Err(Fault::Moved) => Ok(()),
                done => done,
            },
            DirectoryChange::IssueToken { record } => match directory.insert_token(record).await {
                Err(Fault::Duplicate { .. }) => Ok(()),
                done => done,
            },
            DirectoryChange::IdentityProvider { record, .. } => directory.put_identity_provider(record).await,
            DirectoryChange::IdentityLink { record } => directory.put_identity_link(record).await,
            DirectoryChange::RevokeToken { was, at } => directory.revoke_token(was.id, *at).await,
            DirectoryChange::EndSession { session, .. } => directory.end_session_in(*session, org.id()).await,
            DirectoryChange::Member { account, .. } => {
                // What is so now counts, not what was so then; looked at again afterwards, because another process may
                // be carrying over what came next.
                loop {
                    let now = org.reader().membership(account.id).await?;
                    match now.as_ref().map(|membership| membership.status) {
                        Some(MembershipStatus::Active) => directory.add_member(account.id, org.id()).await?,
                        Some(MembershipStatus::Inactive) | None => {
                            directory.remove_member(account.id, org.id()).await?;
                        }
                    }
                    let after = org.reader().membership(account.id).await?;
                    if after.map(|membership| membership.version) == now.map(|membership| membership.version)
                    {
                        return Ok(());
                    }
                }
            }
        }
    }
}
