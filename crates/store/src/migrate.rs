//! Numbered, checksummed migrations. A database that is newer than the program, or whose applied migrations are not
//! the ones the program knows, is refused rather than guessed at.

use domain::digest::Digest;

/// One migration. Never edited once released.
pub struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub text: &'static str,
}

impl Migration {
    pub fn checksum(&self) -> String {
        Digest::of(self.text.as_bytes()).to_string()
    }
}

/// Of `directory.db`.
pub const DIRECTORY: &[Migration] = &[Migration {
    number: 1,
    name: "directory",
    text: include_str!("../migrations/sqlite/directory/0001_directory.sql"),
}];

/// Of each organization's `records.db`.
pub const ORGANIZATION: &[Migration] = &[Migration {
    number: 1,
    name: "records",
    text: include_str!("../migrations/sqlite/organization/0001_records.sql"),
}];

/// Of a PostgreSQL database: directory and records together.
pub const POSTGRES: &[Migration] = &[Migration {
    number: 1,
    name: "everything",
    text: include_str!("../migrations/postgres/0001_everything.sql"),
}];

/// Where the applied migrations are kept.
pub const TABLE: &str = "create table if not exists schema_migration (
    number bigint primary key, name text not null, checksum text not null
)";
