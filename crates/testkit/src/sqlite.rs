//! An organization's database changed by hand, past the program that serves it.

use std::path::Path;

use rusqlite::Connection;

/// Runs statements on the records of an organization (its id) in a data folder.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub fn run(data: &Path, organization: &str, text: &str) {
    let path = data.join("organizations").join(organization).join("records.db");
    let connection = Connection::open(path).expect("the database is there");
    connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a limit can be set");
    connection.execute_batch(text).expect("the statements run");
}
