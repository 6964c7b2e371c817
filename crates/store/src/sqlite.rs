//! The embedded engine, and the only place that names the library. A few writer threads, an organization always on
//! the same one: each drains its queue into one transaction per database, commits durably, and only then acknowledges. Readers are read-only connections, pooled and bounded over all databases;
//! a read runs where it is called, because a short read from warm pages costs less than handing it to a thread.

mod batch;
mod fold;
mod row;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use domain::compact;
use domain::id::OrgId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params_from_iter};
use tokio::sync::{mpsc, oneshot};

use batch::Batch;
use fold::{Folder, Folding};
use row::{Bound, SqliteRow};

use crate::changes::{Changes, Listeners};
use crate::crash::{self, Watch};
use crate::engine::{Database, Job, Outcome, QUEUE_MAX, grouped};
use crate::fault::{CommitError, Conflict, Fault, chain};
use crate::kept::{Kept, Question};
use crate::migrate::{self, Applied, Migration};
use crate::sql::{Row, Sql, Value};
use crate::tables::audit::{self as log, Placed};
use crate::write::{Miss, Ready, Step, Write};
use crate::{Committed, Config, Entropy};

/// Statements kept prepared per connection.
const STATEMENTS_MAX: usize = 160;
/// Page cache of a writing connection; memory that is used only as far as pages are written.
const WRITER_CACHE_KIB: i64 = 8 * 1024;
/// Pages in the write-ahead log at which its writer folds it into the database by itself, because the thread that folds
/// has not come to it. Of 4 KiB each, so that a log is 64 MiB at most while nobody reads for long.
const LOG_PAGES_MAX: i64 = 16_000;
/// The oldest SQLite without the write-ahead-log reset defect.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a connection waits for another process (a backup tool) to release a lock.
const BUSY_MS: u64 = 5_000;

/// The library's version number, for example 3054001.
pub fn sqlite_version() -> i32 {
    rusqlite::version_number()
}

struct Writer {
    queue: mpsc::Sender<Job>,
}

/// All databases of one data folder.
pub struct Engine {
    folder: PathBuf,
    readers: Readers,
    writers: Mutex<Vec<Writer>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    queued: Arc<AtomicUsize>,
    listeners: Arc<Listeners>,
    kept: Arc<Kept>,
    entropy: Arc<dyn Entropy>,
    /// Held as long as this process serves the folder.
    _lock: File,
}

impl Engine {
    pub fn open(config: Config, entropy: Arc<dyn Entropy>) -> Result<Engine, Fault> {
        if sqlite_version() < SQLITE_VERSION_MIN {
            return Err(Fault::Bug("the bundled SQLite is older than 3.51.3"));
        }
        let folder = config.data_dir;
        let not_writable = |source| Fault::NotWritable { path: folder.display().to_string(), source };
        fs::create_dir_all(folder.join("organizations")).map_err(not_writable)?;
        let lock = File::create(folder.join("lock")).map_err(not_writable)?;
        if lock.try_lock().is_err() {
            return Err(Fault::DataFolderInUse { path: folder.display().to_string() });
        }
        prepare(&path_of(&folder, Database::Directory), migrate::DIRECTORY)?;
        for id in organizations_in(&folder)? {
            prepare(&path_of(&folder, Database::Organization(id)), migrate::ORGANIZATION)?;
        }
        let queued = Arc::new(AtomicUsize::new(0));
        let listeners = Arc::new(Listeners::default());
        let kept = Arc::new(Kept::default());
        let count = config.writer_threads.max(1);
        let open_each = (config.open_writers_max / count).max(1);
        let mut writers = Vec::new();
        let (folder_of_logs, thread) = Folder::start()?;
        let mut threads = vec![thread];
        for index in 0..count {
            let (queue, jobs) = mpsc::channel(QUEUE_MAX);
            let thread = WriterThread {
                folder: folder.clone(),
                jobs,
                connections: Vec::new(),
                open_max: open_each,
                folder_of_logs: folder_of_logs.clone(),
                queued: Arc::clone(&queued),
                listeners: Arc::clone(&listeners),
                kept: Arc::clone(&kept),
            };
            let handle = std::thread::Builder::new()
                .name(format!("writer-{index}"))
                .spawn(move || thread.run())
                .map_err(|e| Fault::file(&folder, e))?;
            writers.push(Writer { queue });
            threads.push(handle);
        }
        Ok(Engine {
            readers: Readers::new(config.open_readers_max),
            folder,
            writers: Mutex::new(writers),
            threads: Mutex::new(threads),
            queued,
            listeners,
            kept,
            entropy,
            _lock: lock,
        })
    }

    pub fn has_organization(&self, id: OrgId) -> bool {
        self.readers.knows(id) || path_of(&self.folder, Database::Organization(id)).exists()
    }

    pub fn organizations(&self) -> Result<Vec<OrgId>, Fault> {
        organizations_in(&self.folder)
    }

    pub fn prepare_organization(&self, id: OrgId) -> Result<(), Fault> {
        prepare(&path_of(&self.folder, Database::Organization(id)), migrate::ORGANIZATION)
    }

    /// What SQLite's own check says of the first damaged file; `None` when all are whole.
    pub fn damage(&self) -> Result<Option<String>, Fault> {
        let organizations = self.organizations()?.into_iter().map(Database::Organization);
        for database in std::iter::once(Database::Directory).chain(organizations) {
            let path = self.path(database);
            let state = integrity(&path)?;
            if state != "ok" {
                return Ok(Some(format!("{}: {state}", path.display())));
            }
        }
        Ok(None)
    }

    pub fn path(&self, database: Database) -> PathBuf {
        path_of(&self.folder, database)
    }

    pub fn queue_length(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub fn changes(&self, organization: OrgId) -> Changes {
        self.listeners.listen(organization)
    }

    pub async fn commit(&self, database: Database, write: Write) -> Outcome {
        let queue = {
            let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
            let chosen = writers.get(database.committer(writers.len())).ok_or(Fault::Stopped)?;
            chosen.queue.clone()
        };
        let write = write.ready(database, self.entropy.as_ref(), compact::pack)?;
        let (done, outcome) = oneshot::channel();
        self.queued.fetch_add(1, Ordering::Relaxed);
        if queue.send(Job { database, write, done }).await.is_err() {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            return Err(Fault::Stopped.into());
        }
        outcome.await.map_err(|_| Fault::Stopped)?.0
    }

    /// Runs a statement on a read-only connection and maps its rows.
    pub fn rows<T>(
        &self,
        database: Database,
        sql: &Sql,
        params: &[Value],
        mut read: impl FnMut(&dyn Row) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let connection = self.readers.take(&self.folder, database)?;
        let result = select(&connection, sql, params, &mut read);
        self.readers.give(database, connection);
        result
    }

    /// As [`Engine::rows`], unless the rows are kept.
    pub fn kept_rows<T: Send + Sync + 'static>(
        &self,
        database: Database,
        sql: &Sql,
        params: Vec<Value>,
        read: impl FnMut(&dyn Row) -> Result<T, Fault>,
    ) -> Result<Arc<Vec<T>>, Fault> {
        let question = Question::new(database, sql, params);
        if let Some(rows) = self.kept.answer(&question) {
            return Ok(rows);
        }
        let basis = self.kept.basis(database, sql);
        let rows = Arc::new(self.rows(database, sql, &question.params, read)?);
        self.kept.keep(question, basis, &rows);
        Ok(rows)
    }

    pub fn close(&self) {
        // The connection of a database that is closed last folds its log into it, which one that only reads cannot.
        self.readers.clear();
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            drop(thread.join());
        }
        self.listeners.close();
        self.readers.clear();
    }
}

fn path_of(folder: &Path, database: Database) -> PathBuf {
    match database {
        Database::Directory => folder.join("directory.db"),
        Database::Organization(id) => folder.join("organizations").join(id.to_string()).join("records.db"),
    }
}

fn organizations_in(folder: &Path) -> Result<Vec<OrgId>, Fault> {
    let parent = folder.join("organizations");
    let mut found = Vec::new();
    for entry in fs::read_dir(&parent).map_err(|e| Fault::file(&parent, e))? {
        let entry = entry.map_err(|e| Fault::file(&parent, e))?;
        if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push(id);
        }
    }
    found.sort();
    Ok(found)
}

fn open_fault(path: &Path, source: rusqlite::Error) -> Fault {
    Fault::Open { database: path.display().to_string(), source: Box::new(source) }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // The statement cache clears bindings when a statement goes back. In a build with STAT4 that marks the plan as
    // expired, because the planner may have looked at bound values; every use would then prepare anew. With planner
    // stability on, plans never depend on bound values, and stay.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn open_writer(path: &Path) -> Result<Connection, Fault> {
    let open = || -> rusqlite::Result<Connection> {
        // A connection is used by one thread at a time, here as for readers, so that its own locks would guard nothing.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        configure(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        // What is erased is written over, not only let go.
        connection.pragma_update(None, "secure_delete", "ON")?;
        // Savepoints keep the pages they may have to put back; without this they would go to a file.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // A negative size is in KiB. A group that outgrows the cache writes pages more than once.
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
        Ok(connection)
    };
    open().map_err(|e| open_fault(path, e))
}

fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        configure(&connection)?;
        connection.pragma_update(None, "query_only", "ON")?;
        Ok(connection)
    };
    open().map_err(|e| open_fault(path, e))
}

/// Makes a database when absent and applies the migrations it lacks, each in its own transaction.
fn prepare(path: &Path, migrations: &[Migration]) -> Result<(), Fault> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|source| Fault::NotWritable { path: folder.display().to_string(), source })?;
    }
    let mut connection = open_writer(path)?;
    let fault = |source| open_fault(path, source);
    connection.execute_batch(migrate::TABLE).map_err(fault)?;
    let applied: Vec<Applied> = {
        let mut statement = connection.prepare(migrate::APPLIED).map_err(fault)?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Applied { number: row.get(0)?, checksum: row.get(1)?, oldest: row.get(2)? })
        };
        let rows = statement.query_map([], row).map_err(fault)?;
        rows.collect::<rusqlite::Result<_>>().map_err(fault)?
    };
    for migration in migrate::missing(&path.display().to_string(), migrations, &applied)? {
        let transaction = connection.transaction().map_err(fault)?;
        transaction.execute_batch(migration.text).map_err(fault)?;
        transaction
            .execute(
                "insert into schema_migration (number, name, checksum, oldest) values (?1, ?2, ?3, ?4)",
                (migration.number, migration.name, migration.checksum(), migration.oldest()),
            )
            .map_err(fault)?;
        transaction.commit().map_err(fault)?;
    }
    Ok(())
}

/// Idle read-only connections of all databases, the longest unused closed first.
struct Readers {
    idle: Mutex<VecDeque<(Database, Connection)>>,
    known: Mutex<std::collections::HashSet<OrgId>>,
    open_max: usize,
}

impl Readers {
    fn new(open_max: usize) -> Readers {
        Readers { idle: Mutex::default(), known: Mutex::default(), open_max: open_max.max(1) }
    }
    fn knows(&self, id: OrgId) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
    fn take(&self, folder: &Path, database: Database) -> Result<Connection, Fault> {
        let found = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let position = idle.iter().rposition(|(d, _)| *d == database);
            position.and_then(|p| idle.remove(p))
        };
        if let Some((_, connection)) = found {
            return Ok(connection);
        }
        let connection = open_reader(&path_of(folder, database))?;
        if let Database::Organization(id) = database {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        }
        Ok(connection)
    }
    fn give(&self, database: Database, connection: Connection) {
        let dropped = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push_back((database, connection));
            if idle.len() > self.open_max { idle.pop_front() } else { None }
        };
        drop(dropped); // closing a file takes a moment; not under the lock
    }
    fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn statement_fault(sql: &Sql, source: rusqlite::Error) -> Fault {
    Fault::Statement { statement: sql.name, source: Box::new(source) }
}

fn select<T>(
    connection: &Connection,
    sql: &Sql,
    params: &[Value],
    read: &mut dyn FnMut(&dyn Row) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let fault = |source| statement_fault(sql, source);
    let mut statement = connection.prepare_cached(sql.text).map_err(fault)?;
    let mut rows = statement.query(params_from_iter(params.iter().map(|v| Bound(v, &[])))).map_err(fault)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        items.push(read(&SqliteRow(row))?);
    }
    Ok(items)
}

/// Whether a statement failed because of another row that is as unique.
pub fn is_unique_violation(source: &(dyn std::error::Error + 'static)) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    let code = source.downcast_ref().and_then(rusqlite::Error::sqlite_extended_error_code);
    matches!(code, Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY))
}

/// One writing thread with the connections of the databases it wrote last.
struct WriterThread {
    folder: PathBuf,
    jobs: mpsc::Receiver<Job>,
    connections: Vec<(Database, Connection, Folding)>,
    open_max: usize,
    /// Who folds logs into databases meanwhile.
    folder_of_logs: Folder,
    queued: Arc<AtomicUsize>,
    listeners: Arc<Listeners>,
    kept: Arc<Kept>,
}

impl WriterThread {
    fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            for (database, group) in grouped(first, &mut self.jobs) {
                self.queued.fetch_sub(group.len(), Ordering::Relaxed);
                self.commit_group(database, group);
            }
        }
    }

    fn connection(&mut self, database: Database) -> Result<usize, Fault> {
        if let Some(found) = self.connections.iter().position(|(d, ..)| *d == database) {
            let entry = self.connections.remove(found);
            self.connections.push(entry);
        } else {
            if self.connections.len() >= self.open_max {
                self.connections.remove(0);
            }
            let connection = open_writer(&path_of(&self.folder, database))?;
            self.connections.push((database, connection, Folding::default()));
        }
        Ok(self.connections.len() - 1)
    }

    fn commit_group(&mut self, database: Database, group: Vec<Job>) {
        let watch = Watch::group(group.iter().map(|job| &job.write));
        watch.pass(crash::RECEIVED);
        let changes = group.iter().any(|job| job.write.changes_records());
        let failed = |message: String| -> Vec<Outcome> {
            group.iter().map(|_| Err(Fault::Commit(message.clone()).into())).collect()
        };
        let outcomes = match self.connection(database) {
            Ok(index) => match self.connections.get(index) {
                Some((_, connection, _)) => {
                    apply_group(connection, database, &group).unwrap_or_else(|e| failed(e.to_string()))
                }
                None => Vec::new(),
            },
            Err(fault) => failed(chain(&fault)),
        };
        // Also what has failed: nobody knows how far a commit came that did.
        let steps = group.iter().flat_map(|job| job.write.statements()).filter(|step| !step.is_guard);
        self.kept.wrote(database, steps.map(|step| step.sql));
        if let Database::Organization(id) = database
            && changes
            && outcomes.iter().any(Result::is_ok)
        {
            self.listeners.tell(id);
        }
        // Acknowledged only here, after the durable commit. A caller that has gone away does not matter.
        for (job, outcome) in group.into_iter().zip(outcomes) {
            drop(job.done.send((outcome, job.write)));
        }
        watch.pass(crash::TOLD);
        if let Some((database, connection, folding)) = self.connections.last_mut() {
            folding.look_after(connection, &path_of(&self.folder, *database), &self.folder_of_logs);
        }
    }
}

/// Why an attempt at a group ended without a commit.
enum Ended {
    /// A statement did not do what it had to; what all of them did is put back.
    Missed,
    /// The transaction itself failed.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Ended {
    fn from(error: rusqlite::Error) -> Ended {
        Ended::Broken(error)
    }
}

/// Applies a group in one transaction, and again one by one with a savepoint for each write when one of them is refused. That is
/// seldom, and for savepoints each write would have to copy every page that it touches. When the transaction itself fails, every
/// write gets the fault: also what was refused may have been so because of another that was put back.
fn apply_group(connection: &Connection, database: Database, group: &[Job]) -> rusqlite::Result<Vec<Outcome>> {
    for careful in [false, true] {
        let ended = match attempt(connection, database, group, careful) {
            Ok(outcomes) => return Ok(outcomes),
            Err(ended) => ended,
        };
        drop(execute(connection, "rollback"));
        if let Ended::Broken(error) = ended {
            return Err(error);
        }
    }
    Ok(Vec::new())
}

fn attempt(
    connection: &Connection,
    database: Database,
    group: &[Job],
    careful: bool,
) -> Result<Vec<Outcome>, Ended> {
    let watch = Watch::group(group.iter().map(|job| &job.write));
    execute(connection, "begin immediate")?;
    watch.pass(crash::BEGUN);
    let mut size = 0;
    if let Database::Organization(id) = database
        && group.iter().any(|job| !job.write.entries.is_empty())
    {
        size = read_head(connection, id)?;
    }
    let size_before = size;
    let outcomes = if careful {
        let one = |job: &Job| one_with_savepoint(connection, &job.write, &mut size);
        group.iter().map(one).collect::<rusqlite::Result<_>>()?
    } else {
        let placed: Vec<_> = group.iter().map(|job| job.write.place(&mut size)).collect();
        let mut batch = Batch::of(database);
        for (job, placed) in group.iter().zip(&placed) {
            batch.add(&job.write, placed);
        }
        batch.run(connection, watch).map_err(|_| Ended::Missed)?;
        placed.into_iter().map(|placed| Ok(committed(placed))).collect()
    };
    if let (Database::Organization(id), true) = (database, size != size_before) {
        write_head(connection, id, size)?;
    }
    watch.pass(crash::APPLIED);
    execute(connection, "commit")?;
    watch.pass(crash::COMMITTED);
    Ok(outcomes)
}

fn execute(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(text)?.raw_execute().map(|_| ())
}

/// Applies one write of a group in which one is refused; what it did is put back when it is the one.
fn one_with_savepoint(connection: &Connection, write: &Ready, size: &mut i64) -> rusqlite::Result<Outcome> {
    execute(connection, "savepoint one")?;
    let before = *size;
    let placed = write.place(size);
    let done = write.statements().try_for_each(|step| run(connection, step, &placed));
    if done.is_err() {
        *size = before;
        execute(connection, "rollback to one")?;
    }
    execute(connection, "release one")?;
    Ok(done.map(|()| committed(placed)))
}

fn committed(placed: Vec<Placed>) -> Committed {
    Committed { receipts: placed.into_iter().map(|placed| placed.receipt).collect() }
}

fn run(connection: &Connection, step: &Step, placed: &[Placed]) -> Result<(), CommitError> {
    let fault = |source| CommitError::Fault(statement_fault(step.sql, source));
    let mut statement = connection.prepare_cached(step.sql.text).map_err(fault)?;
    let params = params_from_iter(step.params.iter().map(|v| Bound(v, placed)));
    let touched =
        if step.is_guard { statement.exists(params).map(usize::from) } else { statement.execute(params) };
    match touched {
        Ok(count) => match &step.miss {
            Some(miss) if count != 1 => Err(CommitError::Conflict(miss.conflict())),
            _ => Ok(()),
        },
        Err(rusqlite::Error::SqliteFailure(error, _))
            if error.code == rusqlite::ErrorCode::ConstraintViolation && step.miss.is_some() =>
        {
            let miss = step.miss.as_ref().map(Miss::conflict);
            Err(CommitError::Conflict(miss.unwrap_or(Conflict::ActionMoved)))
        }
        Err(error) => Err(fault(error)),
    }
}

fn read_head(connection: &Connection, id: OrgId) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(log::HEAD.text)?;
    Ok(statement.query_row([id.to_string()], |row| row.get(0)).optional()?.unwrap_or(0))
}

fn write_head(connection: &Connection, id: OrgId, size: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(log::SET_HEAD.text)?.execute((id.to_string(), size)).map(|_| ())
}

/// Copies one database consistently while it is written.
pub fn copy_database(from: &Path, to: &Path) -> Result<(), Fault> {
    let copy = || -> rusqlite::Result<()> {
        let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        source.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
        source.execute("vacuum into ?1", [to.display().to_string()])?;
        Ok(())
    };
    copy().map_err(|e| open_fault(from, e))
}

/// What SQLite's own integrity check says; `ok` when all is well.
pub fn integrity(path: &Path) -> Result<String, Fault> {
    let check = || -> rusqlite::Result<String> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.query_row("pragma integrity_check", [], |row| row.get(0))
    };
    check().map_err(|e| open_fault(path, e))
}

/// Prepares every statement of the list on an empty, migrated database, and describes its result columns.
#[cfg(test)]
pub fn describe(migrations: &[Migration], statements: &[Sql]) -> Result<Vec<String>, Fault> {
    let connection = Connection::open_in_memory().map_err(|e| open_fault(Path::new("memory"), e))?;
    for migration in migrations {
        connection.execute_batch(migration.text).map_err(|e| open_fault(Path::new("memory"), e))?;
    }
    statements
        .iter()
        .map(|sql| {
            let statement = connection.prepare(sql.text).map_err(|e| statement_fault(sql, e))?;
            Ok(format!(
                "{}: {} parameter(s) -> {}",
                sql.name,
                statement.parameter_count(),
                statement.column_names().collect::<Vec<_>>().join(", ")
            ))
        })
        .collect()
}

/// The tables that the program of a statement opens to read, or to write, by what the engine says of it.
#[cfg(test)]
pub fn opens(
    migrations: &[Migration],
    sql: &Sql,
    operation: &str,
) -> Result<std::collections::BTreeSet<String>, Fault> {
    let fault = |source| statement_fault(sql, source);
    let connection = Connection::open_in_memory().map_err(fault)?;
    for migration in migrations {
        connection.execute_batch(migration.text).map_err(fault)?;
    }
    let mut names =
        connection.prepare("select tbl_name from sqlite_schema where rootpage = ?1").map_err(fault)?;
    let mut program = connection.prepare(&format!("explain {}", sql.text)).map_err(fault)?;
    let mut steps = program.raw_query();
    let mut opened = std::collections::BTreeSet::new();
    while let Some(step) = steps.next().map_err(fault)? {
        if step.get::<_, String>(1).map_err(fault)? == operation {
            let page: i64 = step.get(3).map_err(fault)?;
            opened.insert(names.query_row([page], |row| row.get(0)).map_err(fault)?);
        }
    }
    Ok(opened)
}
