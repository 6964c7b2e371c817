//! The statements of a group of writes as they are run: rows that go into the same table go together, eight in a statement.
//! One after the other, each row would look up its statement and its place in the tree anew, which costs more than the row.
//! What may be put together, and why that is the same outcome, is as on PostgreSQL.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rusqlite::{Connection, params_from_iter};

use super::row::Bound;
use super::{run, statement_fault};
use crate::crash::{self, Watch};
use crate::engine::Database;
use crate::fault::CommitError;
use crate::gather::Insert;
use crate::sql::Sql;
use crate::tables::audit::Placed;
use crate::write::{Ready, Step};

/// Rows of a statement for many.
const ROWS: usize = 8;
/// How the columns of a record begin.
const ORGANIZATION_FIRST: &str = "(organization_id, ";

/// Statements in the order in which they are run.
pub struct Batch<'a> {
    /// Whether all rows are of one organization, which is bound once in a statement.
    of_one: bool,
    ran: Vec<Ran<'a>>,
    /// Where the rows of an insert are gathered, by its name and whether it may miss.
    gathered: HashMap<(&'static str, bool), usize>,
}

/// One statement, with what each of its rows asks for.
struct Ran<'a> {
    /// Its spelling for many rows.
    many: Option<Arc<str>>,
    rows: Vec<(&'a Step, &'a [Placed])>,
}

impl<'a> Batch<'a> {
    pub fn of(database: Database) -> Batch<'a> {
        let of_one = matches!(database, Database::Organization(_));
        Batch { of_one, ran: Vec::new(), gathered: HashMap::new() }
    }

    /// Adds the statements of a write.
    pub fn add(&mut self, write: &'a Ready, placed: &'a [Placed]) {
        for step in write.statements() {
            let kind = (step.sql.name, step.miss.is_some());
            if let Some(Some(ran)) = self.gathered.get(&kind).map(|at| self.ran.get_mut(*at)) {
                ran.rows.push((step, placed));
                continue;
            }
            let many = spelled_for_many(step.sql, self.of_one);
            if many.is_some() {
                self.gathered.insert(kind, self.ran.len());
            }
            self.ran.push(Ran { many, rows: vec![(step, placed)] });
        }
    }

    /// Runs them. Which write an error comes from is not told.
    pub fn run(self, connection: &Connection, watch: Watch) -> Result<(), CommitError> {
        for ran in &self.ran {
            let mut rest = ran.rows.as_slice();
            if let Some(text) = &ran.many {
                let chunks = ran.rows.chunks_exact(ROWS);
                rest = chunks.remainder();
                for rows in chunks {
                    many(connection, text, rows, self.of_one)?;
                }
            }
            for (step, placed) in rest {
                run(connection, step, placed)?;
            }
            watch.pass(crash::STEP);
        }
        Ok(())
    }
}

/// Spellings for many rows, by the names of statements; absent for what is not put together.
type Spellings = HashMap<&'static str, Option<Arc<str>>>;

/// The spelling for many rows of an insert whose rows may be put together; made once. A statement is either of organizations or
/// of the directory.
fn spelled_for_many(sql: &'static Sql, of_one: bool) -> Option<Arc<str>> {
    static KNOWN: LazyLock<Mutex<Spellings>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // What is of an organization and does not begin with it goes one by one, as nobody could say that it is the same in all rows.
    let fits = |insert: &Insert| !of_one || insert.head.contains(ORGANIZATION_FIRST);
    let spell = || Insert::of(sql).filter(fits).map(|insert| for_many(&insert, of_one).into());
    known.entry(sql.name).or_insert_with(spell).clone()
}

/// A row that fails leaves those before it, as the group is put back as a whole; else each page would be copied before it is
/// changed, so that the statement alone could be put back.
fn for_many(insert: &Insert, of_one: bool) -> String {
    let own = insert.width - usize::from(of_one);
    let row = |n: usize| {
        let places = (1..=insert.width).map(|place| if of_one && place == 1 { 1 } else { n * own + place });
        let places: Vec<String> = places.map(|place| format!("?{place}")).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    let head = insert.head.replacen("insert into", "insert or fail into", 1);
    format!("{head} values {}{}", rows.join(", "), insert.tail)
}

/// Runs an insert of many rows, all of which must be touched where one may miss.
fn many(
    connection: &Connection,
    text: &str,
    rows: &[(&Step, &[Placed])],
    of_one: bool,
) -> Result<(), CommitError> {
    let Some((first, _)) = rows.first() else { return Ok(()) };
    let fault = |source| CommitError::Fault(statement_fault(first.sql, source));
    let mut statement = connection.prepare_cached(text).map_err(fault)?;
    let values = rows.iter().enumerate().flat_map(|(n, (step, placed))| {
        let bound = usize::from(of_one && n > 0);
        step.params.iter().skip(bound).map(|value| Bound(value, placed))
    });
    let touched = statement.execute(params_from_iter(values)).map_err(fault)?;
    match &first.miss {
        Some(miss) if touched != rows.len() => Err(CommitError::Conflict(miss.conflict())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::audit as log;

    #[test]
    fn rows_have_places_of_their_own() {
        let spelled = |of_one| for_many(&Insert::of(&log::INSERT_SUBJECT).unwrap(), of_one);
        let head = "insert or fail into audit_subject (organization_id, record_id, sequence) values ";
        let each = format!("{head}(?1, ?2, ?3), (?4, ?5, ?6), ");
        assert!(spelled(false).starts_with(&each), "{}", spelled(false));
        assert!(
            spelled(false).ends_with("(?22, ?23, ?24)\n        on conflict do nothing"),
            "{}",
            spelled(false)
        );
        let of_one = format!("{head}(?1, ?2, ?3), (?1, ?4, ?5), ");
        assert!(spelled(true).starts_with(&of_one), "{}", spelled(true));
        assert!(
            spelled(true).ends_with("(?1, ?16, ?17)\n        on conflict do nothing"),
            "{}",
            spelled(true)
        );
    }
}
