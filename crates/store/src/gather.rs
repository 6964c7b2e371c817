//! Which inserts of a group of writes may be put together into one statement of many rows, on either engine. That is the
//! same outcome as one by one, or the group misses and is done again one by one: a plain insert of an id can only meet
//! statements that touch that id, and then one of both does not touch its row.

use crate::sql::Sql;
use crate::tables::audit as log;
use crate::tables::search;

/// Inserts with a rule for rows that are there, which may be put together because nothing else writes their tables.
const ALONE: [&Sql; 2] = [&log::INSERT_SUBJECT, &search::PUT];

/// An insert whose rows may be put together.
pub struct Insert {
    /// What stands before its list of values.
    pub head: &'static str,
    /// Values of a row.
    pub width: usize,
    /// What stands after its list of values.
    pub tail: &'static str,
}

impl Insert {
    pub fn of(sql: &Sql) -> Option<Insert> {
        let text = sql.text;
        if !text.starts_with("insert into ") {
            return None;
        }
        let (head, rest) = text.split_once(" values (").or_else(|| text.split_once("values ("))?;
        let (values, tail) = rest.split_once(')')?;
        let plain = values.split(',').zip(1..).all(|(value, n)| value.trim() == format!("?{n}"));
        let alone = tail.trim().is_empty() || ALONE.iter().any(|sql| sql.text == text);
        let width = values.split(',').count();
        (plain && alone).then_some(Insert { head, width, tail })
    }
}
