//! Committing: groups of one organization in one transaction, in one flight when nothing misses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Object;
use domain::id::OrgId;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::batch::Batch;
use super::notices::Outbox;
use super::{Bound, Link, Trouble, begin, flight, is_transient};
use crate::Committed;
use crate::crash::{self, Watch};
use crate::engine::{Database, Job, Outcome, grouped};
use crate::fault::{Fault, chain};
use crate::sql::Value;
use crate::tables::audit::{self as log, Placed};
use crate::write::{Ready, Step};

/// How often a group is tried again when the server goes away before its commit was sent, with a pause that doubles from
/// [`PAUSE`]: together about twelve seconds, in which another server can take over.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(50);

/// One committing task.
pub struct Committer {
    pub link: Arc<Link>,
    pub queued: Arc<AtomicUsize>,
    pub outbox: Arc<Outbox>,
}

/// Why an attempt at a group ended without a commit.
enum Ended {
    /// The connection or the server failed before the commit was sent: nothing was written.
    Lost(Trouble),
    /// The commit was sent and its answer did not arrive.
    Unknown(Trouble),
    Broken(Fault),
    /// Something missed, so that each write needs a savepoint of its own.
    Missed,
}

impl From<Trouble> for Ended {
    fn from(trouble: Trouble) -> Ended {
        Ended::Lost(trouble)
    }
}

impl From<Result<Trouble, Fault>> for Ended {
    fn from(broken: Result<Trouble, Fault>) -> Ended {
        broken.map_or_else(Ended::Broken, Ended::Lost)
    }
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Ended {
        Ended::Broken(fault)
    }
}

impl Committer {
    pub async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.recv().await {
            for (database, group) in grouped(first, &mut jobs) {
                self.queued.fetch_sub(group.len(), Ordering::Relaxed);
                match database {
                    Database::Organization(_) => self.group(database, group).await,
                    // The directory has no log whose order would matter, and its writes are few.
                    Database::Directory => {
                        for job in group {
                            self.group(database, vec![job]).await;
                        }
                    }
                }
            }
        }
    }

    async fn group(&self, database: Database, jobs: Vec<Job>) {
        let mut waiting: Vec<oneshot::Sender<(Outcome, Ready)>> = Vec::with_capacity(jobs.len());
        // They stay, because a second try gives their records other places in the log.
        let mut writes = Vec::with_capacity(jobs.len());
        let watch = Watch::group(jobs.iter().map(|job| &job.write));
        watch.pass(crash::RECEIVED);
        let changes = jobs.iter().any(|job| job.write.changes_records());
        for job in jobs {
            writes.push(job.write);
            waiting.push(job.done);
        }
        let outcomes = self.attempts(database, &writes).await;
        // Also after a fault: a commit whose answer was lost may have happened.
        if let (Database::Organization(id), true) = (database, changes) {
            self.outbox.add(id);
        }
        // Acknowledged only here, after the durable commit. A caller that has gone away does not matter.
        for ((done, write), outcome) in waiting.into_iter().zip(writes).zip(outcomes) {
            drop(done.send((outcome, write)));
        }
        watch.pass(crash::TOLD);
    }

    async fn attempts(&self, database: Database, writes: &[Ready]) -> Vec<Outcome> {
        let all = |message: String| -> Vec<Outcome> {
            writes.iter().map(|_| Err(Fault::Commit(message.clone()).into())).collect()
        };
        let mut pause = PAUSE;
        let mut tries = 0;
        let mut careful = false;
        loop {
            match self.attempt(database, writes, careful).await {
                Ok(outcomes) => return outcomes,
                Err(Ended::Missed) => careful = true,
                Err(Ended::Lost(trouble)) if is_transient(&trouble) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(Ended::Lost(trouble)) => return all(chain(&trouble)),
                Err(Ended::Unknown(trouble)) => {
                    let why = chain(&trouble);
                    return all(format!(
                        "the server went away during the commit ({why}); it may or may not have happened"
                    ));
                }
                Err(Ended::Broken(fault)) => return all(chain(&fault)),
            }
        }
    }

    /// One transaction. Dropped connections roll back by themselves.
    async fn attempt(
        &self,
        database: Database,
        writes: &[Ready],
        careful: bool,
    ) -> Result<Vec<Outcome>, Ended> {
        let connection = self.link.connection().await?;
        let result = self.transaction(&connection, database, writes, careful).await;
        if result.is_err() {
            // Also when it was the connection that failed; then the pool notices by itself.
            drop(connection.batch_execute("rollback").await);
        }
        result
    }

    async fn transaction(
        &self,
        connection: &Object,
        database: Database,
        writes: &[Ready],
        careful: bool,
    ) -> Result<Vec<Outcome>, Ended> {
        let mut size = self.begin(connection, database).await?;
        let watch = Watch::group(writes.iter());
        watch.pass(crash::BEGUN);
        let size_before = size;
        let mut outcomes = Vec::with_capacity(writes.len());
        if careful {
            for write in writes {
                outcomes.push(self.one_with_savepoint(connection, write, &mut size).await?);
            }
            if let Some(params) = head(database, size_before, size) {
                let mut batch = Batch::one_by_one();
                batch.add(&self.link, connection, &log::SET_HEAD, &params).await?;
                for request in batch.requests(connection) {
                    request.await?;
                }
            }
        } else {
            let placed: Vec<_> = writes.iter().map(|write| write.place(&mut size)).collect();
            let head = head(database, size_before, size);
            let mut batch = Batch::gathering();
            for (write, placed) in writes.iter().zip(&placed) {
                self.gather(connection, write, placed, &mut batch).await?;
            }
            if let Some(params) = &head {
                batch.add(&self.link, connection, &log::SET_HEAD, params).await?;
            }
            batch.finish(&self.link, connection).await?;
            let answers = flight(batch.requests(connection)).await;
            let mut both = answers.iter().zip(batch.sent());
            if answers.len() != batch.sent().len() || both.any(|(answer, sent)| !sent.is_hit(answer)) {
                let lost = answers.into_iter().find_map(|a| a.err().filter(is_transient));
                return Err(lost.map_or(Ended::Missed, Ended::Lost));
            }
            outcomes.extend(placed.into_iter().map(|placed| Ok(committed(placed))));
        }
        watch.pass(crash::APPLIED);
        connection.batch_execute("commit").await.map_err(|e| Ended::Unknown(e.into()))?;
        watch.pass(crash::COMMITTED);
        Ok(outcomes)
    }

    /// Begins; for an organization, locks the head of its log and answers how long the log is.
    async fn begin(&self, connection: &Object, database: Database) -> Result<i64, Ended> {
        let text = begin(database, "begin");
        let Database::Organization(id) = database else {
            connection.batch_execute(&text).await.map_err(Trouble::from)?;
            return Ok(0);
        };
        let statement = self.link.prepared(connection, &log::LOCK_HEAD).await?;
        let id = id.to_string();
        let mut size = None;
        let answers = flight(vec![
            Box::pin(async { Ok(connection.batch_execute(&text).await.map(|()| 0)?) }),
            Box::pin(async {
                let row = connection.query_opt(&statement, &[&id]).await?;
                size = row.map(|row| row.try_get::<_, i64>(0)).transpose()?;
                Ok(0)
            }),
        ])
        .await;
        for answer in answers {
            answer?;
        }
        size.ok_or(Ended::Broken(Fault::NoOrganization))
    }

    /// Adds the statements of one write.
    async fn gather<'a>(
        &self,
        connection: &Object,
        write: &'a Ready,
        placed: &'a [Placed],
        batch: &mut Batch<'a>,
    ) -> Result<(), Trouble> {
        for step in write.statements() {
            batch.step(&self.link, connection, step, placed).await?;
        }
        Ok(())
    }

    /// One write of a group in which something misses: what it did is put back when it is the one.
    async fn one_with_savepoint(
        &self,
        connection: &Object,
        write: &Ready,
        size: &mut i64,
    ) -> Result<Outcome, Ended> {
        let before = *size;
        let placed = write.place(size);
        let mut batch = Batch::one_by_one();
        self.gather(connection, write, &placed, &mut batch).await?;
        connection.batch_execute("savepoint one").await.map_err(Trouble::from)?;
        let answers = flight(batch.requests(connection)).await;
        let mut failed = None;
        for (answer, sent) in answers.into_iter().zip(batch.sent()) {
            if !sent.is_hit(&answer) {
                failed = Some(sent.failure(answer).map_err(Ended::from)?);
                break; // what follows was skipped by the server
            }
        }
        let Some(error) = failed else {
            connection.batch_execute("release savepoint one").await.map_err(Trouble::from)?;
            return Ok(Ok(committed(placed)));
        };
        *size = before;
        let back = "rollback to savepoint one; release savepoint one";
        connection.batch_execute(back).await.map_err(Trouble::from)?;
        Ok(Err(error))
    }
}

fn committed(placed: Vec<Placed>) -> Committed {
    Committed { receipts: placed.into_iter().map(|placed| placed.receipt).collect() }
}

/// The parameters that set the length of a log that has grown.
fn head(database: Database, before: i64, size: i64) -> Option<Vec<Value>> {
    let Database::Organization(id) = database else { return None };
    (size != before).then(|| vec![Value::Text(id.to_string()), Value::Int(size)])
}

/// Commits the first write of an organization, which has no head to lock yet.
pub async fn open(link: &Link, id: OrgId, steps: &[Step]) -> Result<(), Fault> {
    let run = async {
        let connection = link.connection().await?;
        connection.batch_execute(&begin(Database::Organization(id), "begin")).await?;
        for step in steps {
            let statement = link.prepared(&connection, step.sql).await?;
            connection.execute_raw(&statement, step.params.iter().map(|value| Bound(value, &[]))).await?;
        }
        connection.batch_execute("commit").await?;
        Ok::<(), Trouble>(())
    };
    run.await.map_err(|trouble| Fault::Commit(chain(&trouble)))
}
