//! Reading: what waits at the same moment travels together. A few tasks, each with a connection while it works, take what
//! has arrived and send it in one flight: for each organization one transaction that can only read, names the
//! organization, and holds the statements of all who wait for it. It stays open while more arrives, so that under load a
//! statement is all that is sent; each still sees what is committed when it runs. A lone read does not wait for company.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::{Bound, Link, Request, Trouble, begin, flight};
use crate::engine::Database;
use crate::sql::Value;

/// Statements of one flight at most: what is slow among them delays the others.
const FLIGHT_MAX: usize = 16;
/// Flights of one transaction at most: while it is open, changes of the schema wait.
const FLIGHTS_MAX: u32 = 256;

/// Whatever the database's default is: each statement must see what is committed when it runs.
const BEGIN: &str = "begin isolation level read committed read only";
const AGAIN: &str = "commit; begin isolation level read committed read only";

/// One statement on its way, and who waits for its rows.
pub struct Read {
    pub database: Database,
    /// In PostgreSQL's spelling.
    pub text: Arc<str>,
    pub params: Vec<Value>,
    pub done: oneshot::Sender<Answer>,
}

pub type Answer = Result<Vec<Row>, Trouble>;

/// A connection, and what is open on it.
struct Open {
    connection: Object,
    /// Whether there is a transaction, perhaps one that has failed.
    transaction: bool,
    /// The organization it names.
    organization: Option<Database>,
    /// Flights since it was opened.
    flights: u32,
}

/// Takes what has arrived and reads it, until nobody can send any more.
pub async fn run(link: Arc<Link>, arriving: Arc<Mutex<mpsc::Receiver<Read>>>) {
    let mut reads = Vec::with_capacity(FLIGHT_MAX);
    while arriving.lock().await.recv_many(&mut reads, FLIGHT_MAX).await > 0 {
        let mut open = match link.connection().await {
            Ok(connection) => Open { connection, transaction: false, organization: None, flights: 0 },
            Err(trouble) => {
                reads.drain(..).for_each(|read| drop(read.done.send(Err(trouble.clone()))));
                continue;
            }
        };
        // While more arrives the transaction goes on: for the next of the same organization there is nothing to open.
        while !reads.is_empty() {
            open.work_off(&mut reads).await;
            if open.flights >= FLIGHTS_MAX || open.connection.is_closed() {
                break;
            }
            take(&arriving, &mut reads);
        }
        open.end("commit").await;
    }
}

/// Takes what has arrived by now, if nobody else does.
fn take(arriving: &Mutex<mpsc::Receiver<Read>>, reads: &mut Vec<Read>) {
    let Ok(mut arriving) = arriving.try_lock() else { return };
    while reads.len() < FLIGHT_MAX {
        let Ok(read) = arriving.try_recv() else { return };
        reads.push(read);
    }
}

impl Open {
    /// Reads all of it and answers.
    async fn work_off(&mut self, reads: &mut Vec<Read>) {
        // Whoever does not wait any more needs no answer.
        reads.retain(|read| !read.done.is_closed());
        for read in self.together(reads).await {
            // It was not run, only because another statement of its transaction failed.
            self.together(&mut vec![read]).await;
        }
    }

    /// Reads all of it in one flight and answers; those that must be asked again, without the one that failed.
    async fn together(&mut self, reads: &mut Vec<Read>) -> Vec<Read> {
        // Stable, so that what one caller asks in turn is answered in turn.
        reads.sort_by_key(|read| read.database);
        let mut statements = Vec::with_capacity(reads.len());
        let mut ready = Vec::with_capacity(reads.len());
        for read in reads.drain(..) {
            match self.connection.prepare_cached(&read.text).await {
                Ok(statement) => {
                    statements.push(statement);
                    ready.push(read);
                }
                Err(error) => {
                    self.end("rollback").await;
                    drop(read.done.send(Err(error.into())));
                }
            }
        }
        let answers = self.fly(&ready, &statements).await;
        if answers.iter().any(Result::is_err) {
            self.end("rollback").await;
        }
        let mut aborted = Vec::new();
        for (read, answer) in ready.into_iter().zip(answers) {
            match answer {
                Err(trouble) if trouble.is_aborted() => aborted.push(read),
                answer => drop(read.done.send(answer)),
            }
        }
        aborted
    }

    /// Sends the statements, each organization's after what opens its transaction.
    async fn fly(&mut self, reads: &[Read], statements: &[Statement]) -> Vec<Answer> {
        self.flights += 1;
        let params: Vec<Vec<Bound<'_>>> =
            reads.iter().map(|read| read.params.iter().map(|value| Bound(value, &[])).collect()).collect();
        let params: Vec<Vec<&(dyn ToSql + Sync)>> =
            params.iter().map(|list| list.iter().map(|p| p as &(dyn ToSql + Sync)).collect()).collect();
        let mut rows: Vec<Vec<Row>> = reads.iter().map(|_| Vec::new()).collect();
        let mut requests: Vec<Request<'_>> = Vec::with_capacity(reads.len() + 2);
        // For each read the place of its own answer, and of what opened its transaction in this flight.
        let mut places = Vec::with_capacity(reads.len());
        let mut opened = None;
        let connection = &self.connection;
        for (((read, statement), params), rows) in reads.iter().zip(statements).zip(&params).zip(&mut rows) {
            // The directory belongs to no organization, and can be read in the transaction of any.
            if read.database != Database::Directory && self.organization != Some(read.database) {
                opened = Some(requests.len());
                self.organization = Some(read.database);
                let how = if self.transaction { AGAIN } else { BEGIN };
                self.transaction = true;
                requests.push(simple(connection, begin(read.database, how)));
            }
            places.push((requests.len(), opened));
            requests.push(Box::pin(async move {
                *rows = connection.query(statement, params).await?;
                Ok(0)
            }));
        }
        let answers = flight(requests).await;
        let failed = |place: usize| answers.get(place).and_then(|answer| answer.as_ref().err()).cloned();
        let mut found = Vec::with_capacity(reads.len());
        for ((own, opened), rows) in places.into_iter().zip(rows) {
            // Without its organization a statement shows no rows, which is not to be taken for an answer.
            found.push(match opened.and_then(failed).or_else(|| failed(own)) {
                Some(trouble) => Err(trouble),
                None => Ok(rows),
            });
        }
        found
    }

    /// Ends the transaction, if there is one, so that the connection can serve anything.
    async fn end(&mut self, how: &str) {
        self.organization = None;
        if std::mem::take(&mut self.transaction) {
            // A connection on which not even this works is lost, and will be seen to be.
            drop(self.connection.batch_execute(how).await);
        }
    }
}

fn simple(connection: &Object, text: String) -> Request<'_> {
    Box::pin(async move { Ok(connection.batch_execute(&text).await.map(|()| 0)?) })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use domain::id::OrgId;
    use testkit::postgres::{APP, Database as Fresh, OWNER};
    use uuid::Uuid;

    use super::*;
    use crate::postgres::{PostgresConfig, migrate};

    const WHOSE: &str = "select current_setting('loopiq.organization', true)";
    const BROKEN: &str = "select cast(1 / (1 - length(cast($1 as text))) as text)";

    /// A statement about one of the organizations, or the directory, and where its answer arrives.
    fn read(about: Option<u128>, text: &str, params: Vec<Value>) -> (Read, oneshot::Receiver<Answer>) {
        let organization = |n| Database::Organization(OrgId::from_uuid(Uuid::from_u128(n)));
        let (done, answer) = oneshot::channel();
        (
            Read {
                database: about.map_or(Database::Directory, organization),
                text: text.into(),
                params,
                done,
            },
            answer,
        )
    }

    #[tokio::test]
    async fn one_that_fails_leaves_the_others_their_answers_and_each_its_organization() {
        let database = Fresh::fresh().await;
        let config = |role| PostgresConfig {
            url: database.url(role),
            password: None,
            blobs_dir: PathBuf::new(),
            bucket: None,
            committers: 1,
            connections_max: 2,
        };
        migrate(&config(OWNER), APP, false).await.unwrap();
        let link = Link::open(&config(APP)).unwrap();
        let connection = link.connection().await.unwrap();
        let mut open = Open { connection, transaction: false, organization: None, flights: 0 };
        for round in 0..2 {
            let about = [Some(2), Some(1), None, Some(1), Some(1), Some(2)];
            let (mut reads, mut answers) = (Vec::new(), Vec::new());
            for (index, about) in about.into_iter().enumerate() {
                let broken = index == 3;
                let (text, params) =
                    if broken { (BROKEN, vec![Value::Text("x".into())]) } else { (WHOSE, Vec::new()) };
                let (read, answer) = read(about, text, params);
                reads.push(read);
                answers.push((about, broken, answer));
            }
            open.work_off(&mut reads).await;
            for (about, broken, answer) in answers {
                match answer.await.unwrap() {
                    Err(trouble) => assert!(broken && trouble.state().is_some(), "{round}: {trouble:?}"),
                    Ok(rows) => {
                        let whose: Option<String> = rows[0].get(0);
                        let wanted = about.map(|n| OrgId::from_uuid(Uuid::from_u128(n)).to_string());
                        // The directory has none of its own, and does not care for which is named.
                        assert!(
                            !broken && (about.is_none() || whose == wanted),
                            "{round}: {whose:?} {wanted:?}"
                        );
                    }
                }
            }
        }
        open.end("commit").await;
        let (last, answer) = read(None, WHOSE, Vec::new());
        open.work_off(&mut vec![last]).await;
        let none: Option<String> = answer.await.unwrap().unwrap()[0].get(0);
        assert!(
            none.is_none_or(|whose| whose.is_empty()),
            "an ended transaction leaves no organization behind"
        );
    }
}
