//! An organization's database changed and looked at by hand, past the program that serves it.

use std::path::Path;

use rusqlite::Connection;

fn open(data: &Path, organization: &str) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(data.join("organizations").join(organization).join("records.db"))?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}

/// Runs statements on the records of an organization (its id) in a data folder.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub fn run(data: &Path, organization: &str, text: &str) {
    let connection = open(data, organization).expect("the database is there");
    connection.execute_batch(text).expect("the statements run");
}

/// The number that a query says in each row.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub fn numbers(data: &Path, organization: &str, query: &str) -> Vec<i64> {
    let connection = open(data, organization).expect("the database is there");
    let mut query = connection.prepare(query).expect("the query is one");
    let rows = query.query_map([], |row| row.get(0)).expect("the query runs");
    rows.collect::<Result<_, _>>().expect("each row is a number")
}
