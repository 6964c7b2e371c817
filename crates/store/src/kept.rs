//! Answers of the embedded engine that are kept as long as they are true. One process has a data folder to itself and every
//! write of it passes a committer, which says here, after the commit and before anybody is told of it, which tables it wrote.
//! What a statement read is good until then for the same statement with the same parameters; nobody who was told of a
//! write is given an answer from before it. On PostgreSQL others write too, and nothing is kept.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::engine::Database;
use crate::sql::{Sql, Value};

/// Rows that are kept at most, over all organizations: some tens of megabytes.
const ROWS_MAX: u64 = 20_000;
/// Answers of usual size that fit; only a hint for the room that is made beforehand.
const ANSWERS_GUESS: usize = 2_000;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    pub database: Database,
    statement: &'static str,
    pub params: Vec<Value>,
}

impl Question {
    pub fn new(database: Database, sql: &Sql, params: Vec<Value>) -> Question {
        Question { database, statement: sql.name, params }
    }
}

/// How often a table was written.
type Writes = Arc<AtomicU64>;

/// The tables that an answer rests on, each with how often it had been written before the answer was read.
#[derive(Clone)]
pub struct Basis(Vec<(Writes, u64)>);

impl Basis {
    fn stands(&self) -> bool {
        self.0.iter().all(|(writes, before)| writes.load(Ordering::Acquire) == *before)
    }
}

#[derive(Clone)]
struct Answer {
    /// An `Arc<Vec<T>>` of whatever the statement's rows are read into.
    rows: Arc<dyn Any + Send + Sync>,
    count: usize,
    basis: Basis,
}

#[derive(Clone)]
struct ByRows;

impl Weighter<Question, Answer> for ByRows {
    fn weight(&self, _: &Question, answer: &Answer) -> u64 {
        answer.count as u64 + 1
    }
}

pub struct Kept {
    answers: Cache<Question, Answer, ByRows>,
    /// Of the tables that some answer has rested on.
    written: Mutex<HashMap<(Database, &'static str), Writes>>,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept { answers: Cache::with_weighter(ANSWERS_GUESS, ROWS_MAX, ByRows), written: Mutex::default() }
    }
}

impl Kept {
    /// The rows that are kept for a question, if they are still what reading would find.
    pub fn answer<T: Send + Sync + 'static>(&self, question: &Question) -> Option<Arc<Vec<T>>> {
        let answer = self.answers.get(question)?;
        if answer.basis.stands() { answer.rows.downcast().ok() } else { None }
    }

    /// What an answer to this statement will rest on; to be taken before it is read.
    pub fn basis(&self, database: Database, sql: &Sql) -> Basis {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |table| {
            let writes = written.entry((database, table)).or_default();
            (Arc::clone(writes), writes.load(Ordering::Acquire))
        };
        Basis(tables_of(sql).into_iter().map(of).collect())
    }

    pub fn keep<T: Send + Sync + 'static>(&self, question: Question, basis: Basis, rows: &Arc<Vec<T>>) {
        let (count, rows) = (rows.len(), Arc::clone(rows) as Arc<dyn Any + Send + Sync>);
        self.answers.insert(question, Answer { rows, count, basis });
    }

    /// Says that these statements were committed.
    pub fn wrote<'a>(&self, database: Database, statements: impl Iterator<Item = &'a Sql>) {
        let tables: BTreeSet<&str> = statements.filter_map(written_by).collect();
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for table in tables {
            if let Some(writes) = written.get(&(database, table)) {
                writes.fetch_add(1, Ordering::Release);
            }
        }
    }
}

/// The table that a statement writes: all of ours name it first.
fn written_by(sql: &Sql) -> Option<&'static str> {
    let mut words = sql.text.split_ascii_whitespace();
    match words.next()? {
        "insert" | "delete" => words.nth(1),
        "update" => words.next(),
        _ => None,
    }
}

/// The tables that a statement reads: those after `from` and `join`.
fn tables_of(sql: &Sql) -> BTreeSet<&'static str> {
    let text: &'static str = sql.text;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let named = words.clone().zip(words.skip(1)).filter(|(before, _)| matches!(*before, "from" | "join"));
    named.map(|(_, table)| table).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{migrate, sqlite, tables};

    /// What the engine itself opens for each statement is what it is taken to read or write here.
    #[test]
    fn the_tables_of_a_statement_are_those_that_the_engine_opens() {
        for (migrations, files) in
            [(migrate::ORGANIZATION, tables::ORGANIZATION), (migrate::DIRECTORY, tables::DIRECTORY)]
        {
            for sql in files.iter().copied().flatten() {
                let written = sqlite::opens(migrations, sql, "OpenWrite").unwrap();
                if sql.text.starts_with("select") {
                    let read = sqlite::opens(migrations, sql, "OpenRead").unwrap();
                    let named = tables_of(sql);
                    assert!(
                        read.iter().all(|table| named.contains(table.as_str())),
                        "{}: {read:?}",
                        sql.name
                    );
                    assert!(!read.is_empty() && written.is_empty(), "{}", sql.name);
                } else {
                    // Of these, others follow by a foreign key; nothing of theirs is kept.
                    let own = |table: &&String| !table.starts_with("oauth_");
                    let named = written_by(sql).filter(|table| !table.starts_with("oauth_"));
                    assert!(
                        written.iter().filter(own).map(String::as_str).eq(named),
                        "{}: {written:?}",
                        sql.name
                    );
                }
            }
        }
    }

    #[test]
    fn an_answer_is_kept_until_a_table_of_its_own_is_written() {
        let kept = Kept::default();
        let read = Sql { name: "read", text: "select a.x from a join b on b.x = a.x" };
        let write = |text| Sql { name: "write", text };
        let question = || Question::new(Database::Directory, &read, vec![Value::Int(1)]);
        let basis = kept.basis(Database::Directory, &read);
        kept.keep(question(), basis.clone(), &Arc::new(vec![7_i64]));
        kept.wrote(Database::Directory, [write("insert into c (x) values (?1)")].iter());
        assert_eq!(kept.answer::<i64>(&question()).as_deref(), Some(&vec![7]));
        let other = Question::new(Database::Directory, &read, vec![Value::Int(2)]);
        assert!(kept.answer::<i64>(&other).is_none(), "another question");
        for text in ["update b set x = ?1", "delete from a where x = ?1", "insert into a (x) values (?1)"] {
            kept.keep(question(), kept.basis(Database::Directory, &read), &Arc::new(vec![7_i64]));
            assert!(kept.answer::<i64>(&question()).is_some());
            kept.wrote(Database::Directory, [write(text)].iter());
            assert!(kept.answer::<i64>(&question()).is_none(), "{text}");
        }
        // What was read before a write and is kept after it is not taken for true.
        kept.keep(question(), basis, &Arc::new(vec![7_i64]));
        assert!(kept.answer::<i64>(&question()).is_none());
    }

    /// A trigger would write what no statement names.
    #[test]
    fn there_is_no_trigger() {
        for migration in migrate::ORGANIZATION.iter().chain(migrate::DIRECTORY) {
            assert!(!migration.text.to_ascii_lowercase().contains("trigger"), "{}", migration.name);
        }
    }
}
