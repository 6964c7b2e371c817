//! Durable governed commits per second, against two writer threads that do nothing but group commits with the same
//! library and disk. *Rows* writes the same rows into the same tables: the ratio to it is what guards, savepoints, the
//! sealing of the log and the way through the store cost. *Bare* only appends the documents to one table with a number
//! for a key: the ratio to it adds what tenancy, indexes, search and lookups in the log cost. The machine cancels out.
//!
//! `cargo bench -p store --bench commits [-- <seconds per cell> <rounds>]`
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: it fails by panicking, measures time and prints what it found"
)]

mod load;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::compact;
use domain::id::ReleaseId;
use rusqlite::Connection;
use store::{Config, Store};
use testkit::records;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use load::{Load, Race, Sevens, median, ours};

/// Writer threads on both sides.
const THREADS: usize = 4;
/// Writes that share a commit at most, on both sides.
const GROUP_MAX: usize = 512;

#[derive(Clone, Copy)]
enum Side {
    Bare,
    Rows,
    Ours,
}

/// Commits per second.
async fn measure(side: Side, load: Load, organizations: u64, producers: u64, length: Duration) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    match side {
        Side::Bare => raw(BARE, bare(load), folder.path(), organizations, producers, length).await,
        Side::Rows => raw(TABLES, rows(load), folder.path(), organizations, producers, length).await,
        Side::Ours => {
            let mut config = Config::new(folder.path());
            config.writer_threads = THREADS;
            config.open_writers_max = 128;
            let store = Store::open(config, Arc::new(Sevens)).await.unwrap();
            ours(store, load, organizations, producers, length).await
        }
    }
}

/// One statement of a yardstick's write, and what goes into it.
type Row = (&'static str, Vec<Cell>);

enum Cell {
    /// Text that grows with the write: a prefix, the write's number, a small number.
    Id(&'static str, u64),
    /// The write's number.
    Number,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    fn value(&self, n: u64) -> rusqlite::types::Value {
        use rusqlite::types::Value;
        match self {
            Cell::Id(prefix, part) => Value::Text(format!("{prefix}_{:026}", n * 8 + part)),
            Cell::Number => Value::Integer(n as i64),
            Cell::Int(number) => Value::Integer(*number),
            Cell::Text(text) => Value::Text(text.clone()),
            Cell::Bytes(bytes) => Value::Blob(bytes.clone()),
        }
    }
}

struct RawJob {
    database: usize,
    key: u64,
    done: oneshot::Sender<()>,
}

/// A yardstick: the same shape of program with nothing in it but the statements.
async fn raw(
    schema: &'static str,
    rows: Vec<Row>,
    folder: &Path,
    databases: u64,
    producers: u64,
    length: Duration,
) -> f64 {
    let rows = Arc::new(rows);
    let mut queues = Vec::new();
    let mut threads = Vec::new();
    for thread in 0..THREADS.min(databases as usize) {
        let (queue, jobs) = mpsc::channel::<RawJob>(4_096);
        let mut connections = Vec::new();
        for database in 0..databases as usize {
            let mine = database % THREADS == thread;
            connections.push(mine.then(|| raw_open(&folder.join(format!("{database}.db")), schema)));
        }
        queues.push(queue);
        let rows = Arc::clone(&rows);
        threads.push(std::thread::spawn(move || raw_writer(jobs, &connections, &rows)));
    }
    let queues = Arc::new(queues);
    let race = Race::new();
    let mut tasks = JoinSet::new();
    for producer in 0..producers {
        let (queues, ids) = (Arc::clone(&queues), Arc::clone(&race.ids));
        let (running, done) = (Arc::clone(&race.running), Arc::clone(&race.done));
        tasks.spawn(async move {
            let mut n = 0_u64;
            while running.load(Ordering::Relaxed) {
                let database = ((producer * 7 + n) % databases) as usize;
                let (acknowledge, acknowledged) = oneshot::channel();
                let job = RawJob { database, key: ids.fetch_add(1, Ordering::Relaxed), done: acknowledge };
                assert!(queues.get(database % THREADS).unwrap().send(job).await.is_ok());
                acknowledged.await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
                n += 1;
            }
        });
    }
    let rate = race.finish(tasks, length).await;
    drop(queues);
    for thread in threads {
        thread.join().unwrap();
    }
    rate
}

const BARE: &str =
    "create table record (id integer, part integer, document text not null, primary key (id, part));";
const TABLES: &str = include_str!("../migrations/sqlite/organization/0001_records.sql");

/// The documents of one write.
struct Documents {
    entry: String,
    body: String,
    records: Vec<String>,
}

fn documents(load: Load) -> Documents {
    fn text(record: &impl serde::Serialize) -> String {
        serde_json::to_string(record).unwrap()
    }
    let sealed = records::draft(1).seal(records::organization(1).id, 1, [7; 16]).unwrap();
    let records = match load {
        Load::Small => vec![text(&records::exception(1))],
        Load::Package => {
            let story = records::work_item(1, None);
            let tasks = [records::work_item(2, Some(story.id)), records::work_item(3, Some(story.id))];
            let package = text(&records::package(1, &story, &tasks));
            let action = text(&records::action(records::organization(1).id, 1));
            [text(&story), text(&tasks[0]), text(&tasks[1]), package, action].into()
        }
    };
    Documents { entry: sealed.entry_text, body: sealed.body, records }
}

fn bare(load: Load) -> Vec<Row> {
    let Documents { entry, body, records } = documents(load);
    let insert = "insert into record (id, part, document) values (?1, ?2, ?3)";
    let row = |(part, text)| (insert, vec![Cell::Number, Cell::Int(part), Cell::Text(text)]);
    (0..).zip([entry, body].into_iter().chain(records)).map(row).collect()
}

/// What the store's own statements leave in the tables, for a write of each kind.
fn rows(load: Load) -> Vec<Row> {
    use Cell::{Bytes, Id, Int, Number, Text};
    let org = || Text(records::organization(1).id.to_string());
    let word = |text: &str| Text(text.to_owned());
    let release = || Text(ReleaseId::from_uuid(records::uuid(1)).to_string());
    let Documents { entry, body, records } = documents(load);
    let mut rows: Vec<Row> = vec![
        (
            "insert into audit_entry (organization_id, sequence, at, kind, user_id, action_id, leaf_hash, entry)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            vec![org(), Number, Int(1), word("action_executed"), Id("usr", 0), Id("act", 0), Text("0".repeat(64)), Bytes(compact::pack(&entry))],
        ),
        (
            "insert into audit_body (organization_id, sequence, salt, body) values (?1, ?2, x'07070707070707070707070707070707', ?3)",
            vec![org(), Number, Text(body)],
        ),
        (
            "insert into audit_head (organization_id, size) values (?1, ?2)
             on conflict (organization_id) do update set size = excluded.size",
            vec![org(), Number],
        ),
    ];
    let subjects = match load {
        Load::Small => vec![Id("exc", 0)],
        Load::Package => vec![release(), Id("wi", 0), Id("wi", 1), Id("wi", 2), Id("pkg", 0)],
    };
    for subject in subjects {
        let insert = "insert into audit_subject (organization_id, record_id, sequence) values (?1, ?2, ?3)";
        rows.push((insert, vec![org(), subject, Number]));
    }
    let [story, first, second, package, action] = match <[String; 5]>::try_from(records) {
        Ok(records) => records,
        Err(mut records) => {
            let document = Text(records.remove(0));
            rows.push((
                "insert into exception_record (organization_id, id, version, release_id, team_id, document)
                 values (?1, ?2, 1, ?3, ?4, ?5)",
                vec![org(), Id("exc", 0), release(), Id("team", 0), document],
            ));
            return rows;
        }
    };
    for (part, document) in (0..).zip([story, first, second]) {
        rows.push((
            "insert into work_item (organization_id, id, version, team_id, release_id, parent_id, type, status, document)
             values (?1, ?2, 1, ?3, ?4, ?5, 'task', 'open', ?6)",
            vec![org(), Id("wi", part), word("team_1"), release(), Id("wi", 0), Text(document)],
        ));
        rows.push((
            "insert into search_text (organization_id, record_type, id, team_id, title, folded, status)
             values (?1, 'work_item', ?2, 'team_1', 'A title of a work item', ' a title of a work item', 'open')",
            vec![org(), Id("wi", part)],
        ));
    }
    rows.push((
        "insert into remediation_work_package (organization_id, id, version, release_id, document)
         values (?1, ?2, 1, ?3, ?4)",
        vec![org(), Id("pkg", 0), release(), Text(package)],
    ));
    rows.push((
        "insert into action (organization_id, id, version, approval_id, requester_id, tool, idempotency_key, state,
         team_id, due_at, document) values (?1, 'act_' || ?2 % 64, 1, ?2 % 64, 'usr_1', 'tool', ?2 % 64, 'executed', 'team_1', ?2, ?3)
         on conflict (organization_id, id) do update set document = excluded.document, due_at = excluded.due_at",
        vec![org(), Number, Text(action)],
    ));
    rows
}

fn raw_open(path: &Path, schema: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.execute_batch(schema).unwrap();
    connection
}

fn raw_writer(mut jobs: mpsc::Receiver<RawJob>, connections: &[Option<Connection>], rows: &[Row]) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            match jobs.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        group.sort_by_key(|job| job.database);
        while let Some(database) = group.first().map(|job| job.database) {
            let rest = group.split_off(group.partition_point(|job| job.database == database));
            let connection = connections.get(database).and_then(Option::as_ref).unwrap();
            connection.prepare_cached("begin immediate").unwrap().execute([]).unwrap();
            for job in &group {
                for (text, cells) in rows {
                    let values = cells.iter().map(|cell| cell.value(job.key));
                    let mut statement = connection.prepare_cached(text).unwrap();
                    statement.execute(rusqlite::params_from_iter(values)).unwrap();
                }
            }
            connection.prepare_cached("commit").unwrap().execute([]).unwrap();
            for job in std::mem::replace(&mut group, rest) {
                job.done.send(()).unwrap();
            }
        }
    }
}

fn main() {
    let numbers: Vec<f64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let length = Duration::from_secs_f64(numbers.first().copied().unwrap_or(1.5));
    let rounds = numbers.get(1).copied().unwrap_or(3.0) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("durable commits per second, median of {rounds} rounds of {length:?}");
    println!("{:<40} {:>8} {:>8} {:>8} {:>9} {:>9}", "", "bare", "rows", "ours", "of bare", "of rows");
    for (load, what) in [(Load::Small, "one record"), (Load::Package, "work package")] {
        for (organizations, producers) in [(1, 1), (1, 16), (1, 64), (100, 64)] {
            let mut found = [Vec::new(), Vec::new(), Vec::new()];
            for _ in 0..rounds {
                // In turn, so that whatever else the machine does meets all three.
                for (side, rates) in [Side::Bare, Side::Rows, Side::Ours].into_iter().zip(&mut found) {
                    rates.push(runtime.block_on(measure(side, load, organizations, producers, length)));
                }
            }
            let [bare, rows, ours] = found.map(median);
            let name = format!("{what}, {producers} producer(s), {organizations} org(s)");
            let (of_bare, of_rows) = (100.0 * ours / bare, 100.0 * ours / rows);
            println!("{name:<40} {bare:>8.0} {rows:>8.0} {ours:>8.0} {of_bare:>8.0}% {of_rows:>8.0}%");
        }
    }
}
