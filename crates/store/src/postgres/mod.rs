//! The engine for several nodes, and with `migrate.rs` and `tls.rs` the only place that names the library. A few
//! committers, an organization always on the same one of a node: each puts what waits for one organization into one
//! transaction, which first locks the head of that organization's log. So writes of an organization are in one order
//! over all nodes, a transaction locks one head only, and two of them cannot wait for each other. A group goes out in
//! one flight; only when something in it misses is it done again with a savepoint for each write.
//!
//! Reads that wait at the same moment travel together (`reads.rs`).
//!
//! Every transaction names its organization (`set local`), without which row-level security shows no row of any.

mod batch;
mod commit;
mod migrate;
mod notices;
mod reads;
mod tls;

use std::collections::{HashMap, HashSet};
use std::error::Error as _;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use domain::id::OrgId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_postgres::Statement;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::changes::{Changes, Listeners};
use crate::engine::{Database, Job, Outcome, QUEUE_MAX};
use crate::fault::Fault;
use crate::sql::{Row, Sql, Value};
use crate::tables::audit::{self as log, Placed};
use crate::tables::directory;
use crate::write::{Step, Write};
use crate::{Bucket, Entropy};

use reads::Read;

pub use migrate::{Migrated, migrate};

/// How long to wait for a server to take a connection, unless the URL says otherwise.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long what was sent may go unacknowledged before a connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a request waits for one of the connections to become free.
const POOL_WAIT: Duration = Duration::from_secs(10);

/// Tasks of a node that read, by the cores of its machine: few, so that what waits travels together; more than one, so
/// that a slow statement does not hold up the rest.
const READERS_MIN: usize = 4;
const READERS_MAX: usize = 16;

/// Where a PostgreSQL database is and how much of it one node uses.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgres://user@host:port/database?sslmode=…&sslrootcert=…`; several hosts may be named, of which the one
    /// that accepts writes is used.
    pub url: String,
    /// Instead of one in the URL.
    pub password: Option<String>,
    /// Folder of evidence bytes, the same for all nodes.
    pub blobs_dir: PathBuf,
    /// Where evidence bytes are instead of there.
    pub bucket: Option<Bucket>,
    /// Tasks that commit; an organization always belongs to the same one.
    pub committers: usize,
    /// Connections of this node at most, but for the one that hears of changes while anybody listens.
    pub connections_max: usize,
}

/// Not derived: the URL may hold a password.
impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig").field("blobs_dir", &self.blobs_dir).finish_non_exhaustive()
    }
}

/// Connections, committers and the folder of evidence bytes.
pub struct Engine {
    link: Arc<Link>,
    entropy: Arc<dyn Entropy>,
    committers: Mutex<Vec<mpsc::Sender<Job>>>,
    readers: Mutex<Option<mpsc::Sender<Read>>>,
    tasks: Mutex<JoinSet<()>>,
    queued: Arc<AtomicUsize>,
    /// Organizations that were seen to exist. They never cease to.
    known: RwLock<HashSet<OrgId>>,
    listeners: Arc<Listeners>,
    outbox: Arc<notices::Outbox>,
    /// How to make the connection that hears of changes, and the task that does, from the first listener on.
    way: (tokio_postgres::Config, MakeRustlsConnect),
    hearing: Mutex<JoinSet<()>>,
    telling: Mutex<JoinSet<()>>,
}

impl Engine {
    pub async fn connect(config: PostgresConfig, entropy: Arc<dyn Entropy>) -> Result<Engine, Fault> {
        let way = way(&config)?;
        let link = Arc::new(Link::open(&config)?);
        migrate::check(&link).await?;
        let queued = Arc::new(AtomicUsize::new(0));
        let mut committers = Vec::new();
        let mut tasks = JoinSet::new();
        let outbox = Arc::new(notices::Outbox::default());
        for _ in 0..config.committers.max(1) {
            let (queue, jobs) = mpsc::channel(QUEUE_MAX);
            let committer = commit::Committer {
                link: Arc::clone(&link),
                queued: Arc::clone(&queued),
                outbox: Arc::clone(&outbox),
            };
            tasks.spawn(committer.run(jobs));
            committers.push(queue);
        }
        let (readers, arriving) = mpsc::channel(QUEUE_MAX);
        let arriving = Arc::new(tokio::sync::Mutex::new(arriving));
        let parallel = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..parallel.clamp(READERS_MIN, READERS_MAX).min(config.connections_max / 2).max(1) {
            tasks.spawn(reads::run(Arc::clone(&link), Arc::clone(&arriving)));
        }
        let mut telling = JoinSet::new();
        telling.spawn(notices::tell(Arc::clone(&link), Arc::clone(&outbox)));
        Ok(Engine {
            link,
            entropy,
            committers: Mutex::new(committers),
            readers: Mutex::new(Some(readers)),
            tasks: Mutex::new(tasks),
            queued,
            known: RwLock::default(),
            listeners: Arc::default(),
            outbox,
            way,
            hearing: Mutex::default(),
            telling: Mutex::new(telling),
        })
    }

    /// Must be called on a runtime, for which the first listener starts the task that hears of changes. Whoever listens
    /// before that task does is told to look again when it does.
    pub fn changes(&self, organization: OrgId) -> Changes {
        let changes = self.listeners.listen(organization);
        let mut hearing = self.hearing.lock().unwrap_or_else(PoisonError::into_inner);
        if hearing.is_empty() {
            let (settings, tls) = self.way.clone();
            hearing.spawn(notices::hear(settings, tls, Arc::clone(&self.listeners)));
        }
        changes
    }

    pub async fn rows<T: Send>(
        &self,
        database: Database,
        sql: &Sql,
        params: &[Value],
        mut read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Vec<T>, Fault> {
        let rows = match self.read(database, sql, params).await? {
            // The server went away, or another became the primary: a read may simply be asked again.
            Err(error) if is_transient(&error) => self.read(database, sql, params).await?,
            other => other,
        };
        let rows = rows.map_err(|e| e.into_fault(sql))?;
        rows.iter().map(|row| read(&PostgresRow(row))).collect()
    }

    /// One statement, which travels with others that wait.
    async fn read(&self, database: Database, sql: &Sql, params: &[Value]) -> Result<reads::Answer, Fault> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (done, answer) = oneshot::channel();
        let read = Read { database, text: self.link.spelled(sql), params: params.to_vec(), done };
        readers.ok_or(Fault::Stopped)?.send(read).await.map_err(|_| Fault::Stopped)?;
        answer.await.map_err(|_| Fault::Stopped)
    }

    pub async fn commit(&self, database: Database, write: Write) -> Outcome {
        let queue = {
            let committers = self.committers.lock().unwrap_or_else(PoisonError::into_inner);
            committers.get(database.committer(committers.len())).ok_or(Fault::Stopped)?.clone()
        };
        let write = write.ready(database, self.entropy.as_ref(), |leaf| leaf.as_bytes().to_vec())?;
        let (done, outcome) = oneshot::channel();
        self.queued.fetch_add(1, Ordering::Relaxed);
        if queue.send(Job { database, write, done }).await.is_err() {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            return Err(Fault::Stopped.into());
        }
        outcome.await.map_err(|_| Fault::Stopped)?.0
    }

    pub async fn has_organization(&self, id: OrgId) -> Result<bool, Fault> {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(&id) {
            return Ok(true);
        }
        let params = [Value::Text(id.to_string())];
        let found = self.rows(Database::Directory, &directory::ORGANIZATION, &params, |_| Ok(())).await?;
        if !found.is_empty() {
            self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id);
        }
        Ok(!found.is_empty())
    }

    /// The head of the log, which every later write of the organization locks.
    pub async fn prepare_organization(&self, id: OrgId) -> Result<(), Fault> {
        let step = Step::unseen(&log::OPEN_HEAD, vec![Value::Text(id.to_string())]);
        commit::open(&self.link, id, &[step]).await
    }

    pub fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.entropy)
    }

    pub fn queue_length(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub async fn close(&self) {
        self.committers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(self.readers.lock().unwrap_or_else(PoisonError::into_inner).take());
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.join_all().await;
        // What the last of them changed is told before the connections end.
        self.outbox.close();
        let telling = std::mem::take(&mut *self.telling.lock().unwrap_or_else(PoisonError::into_inner));
        telling.join_all().await;
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.listeners.close();
        self.link.pool.close();
    }
}

/// Why the database did not answer a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    #[error("no connection")]
    Pool(#[source] Arc<deadpool_postgres::PoolError>),
    #[error("the database refused")]
    Database(#[source] Arc<tokio_postgres::Error>),
}

impl From<deadpool_postgres::PoolError> for Trouble {
    fn from(error: deadpool_postgres::PoolError) -> Trouble {
        Trouble::Pool(Arc::new(error))
    }
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Trouble {
        Trouble::Database(Arc::new(error))
    }
}

/// Whether a statement failed because of another row that is as unique.
pub fn is_unique_violation(source: &(dyn std::error::Error + 'static)) -> bool {
    let state = source.downcast_ref().and_then(Trouble::state);
    state == Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION)
}

impl Trouble {
    fn into_fault(self, sql: &Sql) -> Fault {
        Fault::Statement { statement: sql.name, source: Box::new(self) }
    }

    /// The server's own code, when it answered at all.
    fn state(&self) -> Option<&tokio_postgres::error::SqlState> {
        match self {
            Trouble::Database(error) => error.code(),
            Trouble::Pool(error) => match error.as_ref() {
                deadpool_postgres::PoolError::Backend(error) => error.code(),
                _ => None,
            },
        }
    }

    /// Whether the statement itself was not run, because an earlier one of its transaction failed (SQLSTATE 25P02).
    fn is_aborted(&self) -> bool {
        self.state().is_some_and(|state| state.code() == "25P02")
    }

    /// Whether a row broke a rule of its table (class 23 of the SQL standard).
    fn is_violation(&self) -> bool {
        self.state().is_some_and(|state| state.code().starts_with("23"))
    }
}

/// Whether the same request may succeed on another connection: it was lost, the server is stopping or starting, or it
/// is no longer the primary.
fn is_transient(trouble: &Trouble) -> bool {
    match (trouble, trouble.state()) {
        (_, Some(state)) => {
            ["57P01", "57P02", "57P03", "25006"].contains(&state.code()) || state.code().starts_with("08")
        }
        (Trouble::Database(error), None) => {
            error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
        }
        (Trouble::Pool(error), None) => {
            matches!(error.as_ref(), deadpool_postgres::PoolError::Backend(_))
        }
    }
}

/// How connections are made.
fn way(config: &PostgresConfig) -> Result<(tokio_postgres::Config, MakeRustlsConnect), Fault> {
    let (mut settings, tls) = tls::split(&config.url)?;
    if let Some(password) = &config.password {
        settings.password(password);
    }
    settings.application_name("loopiq").tcp_user_timeout(SILENCE_MAX);
    // Every statement finds its rows by a key, whatever the parameters are: planning it anew each time costs more than
    // running it.
    let options = [settings.get_options().unwrap_or_default(), "-c plan_cache_mode=force_generic_plan"];
    settings.options(options.join(" ").trim());
    if settings.get_connect_timeout().is_none() {
        settings.connect_timeout(CONNECT_WAIT);
    }
    Ok((settings, tls))
}

/// The connections of this node, and the statements in PostgreSQL's spelling.
pub struct Link {
    pool: Pool,
    spelled: RwLock<HashMap<&'static str, Arc<str>>>,
    /// The same for many rows, of those inserts that may be put together.
    many: RwLock<HashMap<&'static str, Arc<str>>>,
    /// What to call the database in messages; no user, no password.
    name: String,
}

/// A request on its way; sent when it is first polled.
type Request<'a> = Pin<Box<dyn Future<Output = Result<u64, Trouble>> + Send + 'a>>;

/// Sends all requests, in order, before the answer to the first is awaited; answers in the same order. The server works
/// them off one after another, and skips the rest after one that failed.
async fn flight(mut requests: Vec<Request<'_>>) -> Vec<Result<u64, Trouble>> {
    let mut answers: Vec<Option<Result<u64, Trouble>>> = requests.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (request, answer) in requests.iter_mut().zip(&mut answers) {
            if let Poll::Ready(found) = request.as_mut().poll(context) {
                *answer = Some(found);
            }
        }
        Poll::Ready(())
    })
    .await;
    let mut found = Vec::with_capacity(requests.len());
    for (request, answer) in requests.into_iter().zip(answers) {
        found.push(match answer {
            Some(answer) => answer,
            None => request.await,
        });
    }
    found
}

impl Link {
    pub fn open(config: &PostgresConfig) -> Result<Link, Fault> {
        let (settings, tls) = way(config)?;
        let name = settings.get_dbname().unwrap_or("postgres").to_owned();
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(settings, tls, manager);
        let pool = Pool::builder(manager)
            .max_size(config.connections_max.max(2))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_WAIT))
            .build()
            .map_err(|e| Fault::Open { database: name.clone(), source: Box::new(e) })?;
        Ok(Link { pool, spelled: RwLock::default(), many: RwLock::default(), name })
    }

    async fn connection(&self) -> Result<Object, Trouble> {
        Ok(self.pool.get().await?)
    }

    /// The statement with `$1` for `?1`.
    fn spelled(&self, sql: &Sql) -> Arc<str> {
        if let Some(text) = self.spelled.read().unwrap_or_else(PoisonError::into_inner).get(sql.name) {
            return Arc::clone(text);
        }
        let text: Arc<str> = sql.text.replace('?', "$").into();
        self.spelled.write().unwrap_or_else(PoisonError::into_inner).insert(sql.name, Arc::clone(&text));
        text
    }

    /// The statement for many rows, each parameter an array.
    fn spelled_for_many(&self, sql: &'static Sql, types: &[Type]) -> Arc<str> {
        if let Some(text) = self.many.read().unwrap_or_else(PoisonError::into_inner).get(sql.name) {
            return Arc::clone(text);
        }
        let text: Arc<str> = batch::for_many(sql, types).unwrap_or_default().into();
        self.many.write().unwrap_or_else(PoisonError::into_inner).insert(sql.name, Arc::clone(&text));
        text
    }

    async fn prepared(&self, connection: &Object, sql: &Sql) -> Result<Statement, Trouble> {
        Ok(connection.prepare_cached(&self.spelled(sql)).await?)
    }
}

/// The text that begins a transaction for what `database` names. The id is one of ours and needs no quoting.
fn begin(database: Database, how: &str) -> String {
    match database {
        Database::Directory => how.to_owned(),
        Database::Organization(id) => format!("{how}; set local loopiq.organization = '{id}'"),
    }
}

struct PostgresRow<'a>(&'a tokio_postgres::Row);

impl Row for PostgresRow<'_> {
    fn text(&self, column: usize) -> String {
        self.0.try_get(column).unwrap_or_default()
    }
    fn maybe_text(&self, column: usize) -> Option<String> {
        self.0.try_get(column).unwrap_or_default()
    }
    fn int(&self, column: usize) -> i64 {
        self.0.try_get(column).unwrap_or_default()
    }
    fn maybe_int(&self, column: usize) -> Option<i64> {
        self.0.try_get(column).unwrap_or_default()
    }
    fn bytes(&self, column: usize) -> Vec<u8> {
        self.0.try_get(column).unwrap_or_default()
    }
    fn value(&self, column: usize) -> Value {
        let kind = self.0.columns().get(column).map(tokio_postgres::Column::type_);
        let found = match kind {
            Some(&Type::INT8) => self.maybe_int(column).map(Value::Int),
            Some(&Type::BYTEA) => {
                self.0.try_get::<_, Option<Vec<u8>>>(column).unwrap_or_default().map(Value::Bytes)
            }
            _ => self.maybe_text(column).map(Value::Text),
        };
        found.unwrap_or(Value::Null)
    }
    fn with_text(&self, column: usize, read: &mut dyn FnMut(&str)) {
        if let Ok(text) = self.0.try_get::<_, &str>(column) {
            read(text);
        }
    }
}

/// A value, and where the audit records of its write came to lie.
#[derive(Debug)]
struct Bound<'a>(&'a Value, &'a [Placed]);

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let placed = |index: &usize| self.1.get(*index).ok_or("a receipt of a draft the write does not have");
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(number) => number.to_sql(kind, out),
            Value::Text(text) => text.as_str().to_sql(kind, out),
            Value::Bytes(bytes) => bytes.as_slice().to_sql(kind, out),
            Value::ReceiptSequence(n) => placed(n)?.receipt.sequence.to_sql(kind, out),
            Value::ReceiptLeaf(n) => placed(n)?.leaf.to_sql(kind, out),
            Value::ReceiptTime(n) => placed(n)?.receipt.recorded_at.0.to_sql(kind, out),
            Value::ReceiptEntry(n) => std::str::from_utf8(&placed(n)?.entry)?.to_sql(kind, out),
        }
    }

    /// Statements are prepared by a test, which sees to it that every parameter is text, an integer of 64 bits or bytes.
    fn accepts(kind: &Type) -> bool {
        [Type::TEXT, Type::VARCHAR, Type::INT8, Type::BYTEA].contains(kind)
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Prepares every statement on a fresh, migrated database, and describes its parameters and columns.
#[cfg(test)]
pub async fn describe(records: &[&[Sql]], directory: &[&[Sql]]) -> Vec<String> {
    use testkit::postgres::{APP, Database, OWNER};
    let database = Database::fresh().await;
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
    let mut lines = Vec::new();
    for sql in
        records.iter().copied().flatten().chain([&log::LOCK_HEAD]).chain(directory.iter().copied().flatten())
    {
        let statement = connection.prepare(&link.spelled(sql)).await;
        let statement = statement.unwrap_or_else(|e| panic!("{}: {e:?}", sql.name));
        let params: Vec<&str> = statement.params().iter().map(Type::name).collect();
        let columns: Vec<String> =
            statement.columns().iter().map(|c| format!("{} {}", c.name(), c.type_().name())).collect();
        assert!(statement.params().iter().all(<Bound<'_> as ToSql>::accepts), "{}: {params:?}", sql.name);
        lines.push(format!("{}({}) -> {}", sql.name, params.join(", "), columns.join(", ")));
        if let Some(many) = batch::for_many(sql, statement.params()) {
            let prepared = connection.prepare(&many).await;
            prepared.unwrap_or_else(|e| panic!("{} for many: {e:?}", sql.name));
        }
    }
    lines
}
