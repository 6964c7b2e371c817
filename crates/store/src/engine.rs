//! The engine that was chosen at start, and what both have in common: which database a statement is for, the queue of
//! writes, and how waiting writes are put together. Nothing outside this file asks which engine it is.

use std::sync::Arc;

use domain::id::OrgId;
use tokio::sync::{mpsc, oneshot};

use crate::Committed;
use crate::changes::Changes;
use crate::fault::{CommitError, Fault};
use crate::sql::{Row, Sql, Value};
use crate::write::{Ready, Write};
use crate::{postgres, sqlite};

/// Writes that may wait per committer.
pub const QUEUE_MAX: usize = 4_096;
/// Writes that share one durable commit at most.
pub const GROUP_MAX: usize = 512;

/// What a statement is about: the directory, or the records of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Database {
    Directory,
    Organization(OrgId),
}

impl Database {
    /// Which of `count` committers it belongs to, always the same one: the random tail of an id spreads organizations.
    pub fn committer(self, count: usize) -> usize {
        let tail = match self {
            Database::Directory => 0,
            Database::Organization(id) => id.uuid().as_bytes().last().copied().unwrap_or(0),
        };
        usize::from(tail) % count.max(1)
    }
}

pub type Outcome = Result<Committed, CommitError>;

/// A write that waits, and who waits for it.
pub struct Job {
    pub database: Database,
    pub write: Ready,
    /// The write goes back with its outcome: whoever has made it takes it apart too, and nobody behind it waits for that.
    pub done: oneshot::Sender<(Outcome, Ready)>,
}

/// Everything that waits behind `first`, by database, in the order of arrival.
pub fn grouped(first: Job, queue: &mut mpsc::Receiver<Job>) -> Vec<(Database, Vec<Job>)> {
    let mut groups: Vec<(Database, Vec<Job>)> = vec![(first.database, vec![first])];
    for _ in 1..GROUP_MAX {
        let Ok(job) = queue.try_recv() else { break };
        match groups.iter_mut().find(|(database, _)| *database == job.database) {
            Some((_, group)) => group.push(job),
            None => groups.push((job.database, vec![job])),
        }
    }
    groups
}

/// Runs a slow piece of work off the threads that answer others.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Stopped)?
}

pub enum Engine {
    Sqlite(sqlite::Engine),
    Postgres(postgres::Engine),
}

impl Engine {
    /// Runs a statement outside of any write and maps its rows.
    pub async fn rows<T: Send>(
        &self,
        database: Database,
        sql: &Sql,
        params: &[Value],
        read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Vec<T>, Fault> {
        match self {
            Engine::Sqlite(engine) => engine.rows(database, sql, params, read),
            Engine::Postgres(engine) => engine.rows(database, sql, params, read).await,
        }
    }

    /// As [`Engine::rows`], for what is asked often and written seldom: the rows may be those that were read before, as long as
    /// reading again would find the same.
    pub async fn kept_rows<T: Send + Sync + 'static>(
        &self,
        database: Database,
        sql: &Sql,
        params: Vec<Value>,
        read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Arc<Vec<T>>, Fault> {
        match self {
            Engine::Sqlite(engine) => engine.kept_rows(database, sql, params, read),
            Engine::Postgres(engine) => engine.rows(database, sql, &params, read).await.map(Arc::new),
        }
    }

    /// Commits a write; returns after it is durable.
    pub async fn commit(&self, database: Database, write: Write) -> Outcome {
        match self {
            Engine::Sqlite(engine) => engine.commit(database, write).await,
            Engine::Postgres(engine) => engine.commit(database, write).await,
        }
    }

    /// Listens for changes of an organization. Must be called on a runtime.
    pub fn changes(&self, organization: OrgId) -> Changes {
        match self {
            Engine::Sqlite(engine) => engine.changes(organization),
            Engine::Postgres(engine) => engine.changes(organization),
        }
    }

    pub async fn has_organization(&self, id: OrgId) -> Result<bool, Fault> {
        match self {
            Engine::Sqlite(engine) => Ok(engine.has_organization(id)),
            Engine::Postgres(engine) => engine.has_organization(id).await,
        }
    }

    /// Makes what an organization's records need before the first of them is written.
    pub async fn prepare_organization(&self, id: OrgId) -> Result<(), Fault> {
        match self {
            Engine::Sqlite(engine) => engine.prepare_organization(id),
            Engine::Postgres(engine) => engine.prepare_organization(id).await,
        }
    }

    pub fn queue_length(&self) -> usize {
        match self {
            Engine::Sqlite(engine) => engine.queue_length(),
            Engine::Postgres(engine) => engine.queue_length(),
        }
    }

    /// What the engine itself says about the condition of its files; `None` when all is well or it is not its business.
    pub async fn damage(self: &Arc<Self>) -> Result<Option<String>, Fault> {
        let engine = Arc::clone(self);
        match &**self {
            Engine::Sqlite(_) => {
                blocking(move || match &*engine {
                    Engine::Sqlite(engine) => engine.damage(),
                    Engine::Postgres(_) => Ok(None),
                })
                .await
            }
            Engine::Postgres(_) => Ok(None),
        }
    }

    /// Waits until every queued write has been committed, and stops.
    pub async fn close(self: &Arc<Self>) {
        match &**self {
            Engine::Sqlite(_) => {
                let engine = Arc::clone(self);
                let closed = blocking(move || {
                    if let Engine::Sqlite(engine) = &*engine {
                        engine.close();
                    }
                    Ok(())
                });
                drop(closed.await);
            }
            Engine::Postgres(engine) => engine.close().await,
        }
    }
}
