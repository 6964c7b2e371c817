//! Numbered, checksummed migrations, each of which either only adds (*expand*) or takes away what no program since a
//! certain migration uses (*contract*). So the nodes of the version before serve on while the schema moves ahead: a
//! program accepts a schema that is newer than itself as long as everything it does not know has only added. What it
//! cannot know to be safe is refused rather than guessed at.

use domain::digest::Digest;

use crate::fault::Fault;

/// What a migration does to the programs that do not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Adds tables, indexes and columns with a default; older programs notice nothing.
    Expand,
    /// Takes away; programs must know the migration with this number, the one that added the replacement.
    Contract { since: i64 },
}

/// One migration. Never edited once released.
pub struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub kind: Kind,
    pub text: &'static str,
}

impl Migration {
    const fn expand(number: i64, name: &'static str, text: &'static str) -> Migration {
        Migration { number, name, kind: Kind::Expand, text }
    }

    pub fn checksum(&self) -> String {
        Digest::of(self.text.as_bytes()).to_string()
    }

    /// The migration a program must know at least to work with the schema after this one.
    pub fn oldest(&self) -> i64 {
        match self.kind {
            Kind::Expand => 0,
            Kind::Contract { since } => since,
        }
    }
}

/// Of `directory.db`.
pub const DIRECTORY: &[Migration] = &[
    Migration::expand(1, "directory", include_str!("../migrations/sqlite/directory/0001_directory.sql")),
    Migration::expand(2, "agents", include_str!("../migrations/sqlite/directory/0002_agents.sql")),
    Migration::expand(3, "oauth", include_str!("../migrations/sqlite/directory/0003_oauth.sql")),
    Migration::expand(
        4,
        "identity_providers",
        include_str!("../migrations/sqlite/directory/0004_identity_providers.sql"),
    ),
    Migration::expand(5, "sessions", include_str!("../migrations/sqlite/directory/0005_sessions.sql")),
    Migration::expand(
        6,
        "passkey sessions",
        include_str!("../migrations/sqlite/directory/0006_passkey_sessions.sql"),
    ),
];

/// Of each organization's `records.db`.
pub const ORGANIZATION: &[Migration] = &[
    Migration::expand(1, "records", include_str!("../migrations/sqlite/organization/0001_records.sql")),
    Migration::expand(2, "ledger", include_str!("../migrations/sqlite/organization/0002_ledger.sql")),
    Migration::expand(
        3,
        "release_governance",
        include_str!("../migrations/sqlite/organization/0003_release_governance.sql"),
    ),
    Migration::expand(4, "policies", include_str!("../migrations/sqlite/organization/0004_policies.sql")),
    Migration::expand(5, "webhooks", include_str!("../migrations/sqlite/organization/0005_webhooks.sql")),
    Migration::expand(6, "agents", include_str!("../migrations/sqlite/organization/0006_agents.sql")),
    Migration::expand(
        7,
        "directory_changes",
        include_str!("../migrations/sqlite/organization/0007_directory_changes.sql"),
    ),
    Migration::expand(8, "passkeys", include_str!("../migrations/sqlite/organization/0008_passkeys.sql")),
    Migration::expand(9, "history", include_str!("../migrations/sqlite/organization/0009_history.sql")),
    Migration::expand(
        10,
        "conversations",
        include_str!("../migrations/sqlite/organization/0010_conversations.sql"),
    ),
    // A program from before writes the log by keys that are gone.
    Migration {
        number: 11,
        name: "log by sequence",
        kind: Kind::Contract { since: 11 },
        text: include_str!("../migrations/sqlite/organization/0011_log_by_sequence.sql"),
    },
    Migration::expand(12, "models", include_str!("../migrations/sqlite/organization/0012_models.sql")),
    // It takes away nothing but indexes, without which the program before answers the same.
    Migration {
        number: 13,
        name: "narrow indexes",
        kind: Kind::Contract { since: 11 },
        text: include_str!("../migrations/sqlite/organization/0013_narrow_indexes.sql"),
    },
    Migration {
        number: 14,
        name: "compact leaves",
        kind: Kind::Contract { since: 14 },
        text: include_str!("../migrations/sqlite/organization/0014_compact_leaves.sql"),
    },
];

/// Of a PostgreSQL database: directory and records together.
pub const POSTGRES: &[Migration] = &[
    Migration::expand(1, "everything", include_str!("../migrations/postgres/0001_everything.sql")),
    Migration::expand(2, "ledger", include_str!("../migrations/postgres/0002_ledger.sql")),
    Migration::expand(
        3,
        "release_governance",
        include_str!("../migrations/postgres/0003_release_governance.sql"),
    ),
    Migration::expand(4, "policies", include_str!("../migrations/postgres/0004_policies.sql")),
    Migration::expand(5, "webhooks", include_str!("../migrations/postgres/0005_webhooks.sql")),
    Migration::expand(6, "agents", include_str!("../migrations/postgres/0006_agents.sql")),
    Migration::expand(
        7,
        "directory_changes",
        include_str!("../migrations/postgres/0007_directory_changes.sql"),
    ),
    Migration::expand(8, "passkeys", include_str!("../migrations/postgres/0008_passkeys.sql")),
    Migration::expand(9, "oauth", include_str!("../migrations/postgres/0009_oauth.sql")),
    Migration::expand(
        10,
        "identity_providers",
        include_str!("../migrations/postgres/0010_identity_providers.sql"),
    ),
    Migration::expand(11, "sessions", include_str!("../migrations/postgres/0011_sessions.sql")),
    Migration::expand(
        12,
        "passkey sessions",
        include_str!("../migrations/postgres/0012_passkey_sessions.sql"),
    ),
    Migration::expand(13, "history", include_str!("../migrations/postgres/0013_history.sql")),
    Migration::expand(14, "conversations", include_str!("../migrations/postgres/0014_conversations.sql")),
    Migration::expand(15, "models", include_str!("../migrations/postgres/0015_models.sql")),
];

/// Where the applied migrations are kept.
pub const TABLE: &str = "create table if not exists schema_migration (
    number bigint primary key, name text not null, checksum text not null, oldest bigint not null default 0
)";

/// The applied ones, in order, as [`Applied`].
pub const APPLIED: &str = "select number, checksum, oldest from schema_migration order by number";

/// A migration that a database has.
pub struct Applied {
    pub number: i64,
    pub checksum: String,
    /// See [`Migration::oldest`].
    pub oldest: i64,
}

/// The migrations of `known` that the database lacks, in order.
///
/// # Errors
/// [`Fault::NewerSchema`] when something the program does not know has taken away what it may use;
/// [`Fault::ChangedMigration`] when one it knows is not the one that was applied.
pub fn missing<'a>(
    database: &str,
    known: &'a [Migration],
    applied: &[Applied],
) -> Result<Vec<&'a Migration>, Fault> {
    let last = known.last().map_or(0, |m| m.number);
    for one in applied {
        match known.iter().find(|m| m.number == one.number) {
            None if one.oldest > last => {
                return Err(Fault::NewerSchema {
                    database: database.to_owned(),
                    found: one.number,
                    known: last,
                });
            }
            Some(m) if m.checksum() != one.checksum => {
                return Err(Fault::ChangedMigration { database: database.to_owned(), number: one.number });
            }
            None | Some(_) => {}
        }
    }
    Ok(known.iter().filter(|m| applied.iter().all(|one| one.number != m.number)).collect())
}

/// What a running database may be given: everything up to the first one that takes away, unless that is allowed or
/// nobody can be using the database yet.
pub fn due<'a>(missing: &[&'a Migration], applied: &[Applied], contract: bool) -> Vec<&'a Migration> {
    let all = contract || applied.is_empty();
    missing.iter().take_while(|m| all || m.kind == Kind::Expand).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPANDED: &[Migration] = &[
        Migration::expand(1, "one", "create table a (x)"),
        Migration::expand(2, "two", "create table b (x)"),
    ];
    const CONTRACTED: &[Migration] = &[
        Migration::expand(1, "one", "create table a (x)"),
        Migration::expand(2, "two", "create table b (x)"),
        Migration { number: 3, name: "three", kind: Kind::Contract { since: 2 }, text: "drop table a" },
        Migration::expand(4, "four", "create table c (x)"),
    ];

    fn numbers(migrations: &[&Migration]) -> Vec<i64> {
        migrations.iter().map(|m| m.number).collect()
    }

    fn applied(migrations: &[Migration], up_to: usize) -> Vec<Applied> {
        migrations
            .iter()
            .take(up_to)
            .map(|m| Applied { number: m.number, checksum: m.checksum(), oldest: m.oldest() })
            .collect()
    }

    #[test]
    fn an_older_program_takes_what_only_added_and_refuses_what_took_away_too_much() {
        let first = EXPANDED.get(..1).unwrap();
        assert!(missing("d", first, &applied(EXPANDED, 2)).unwrap().is_empty());
        assert!(
            missing("d", EXPANDED, &applied(CONTRACTED, 4)).unwrap().is_empty(),
            "it knows the replacement"
        );
        let refused = missing("d", first, &applied(CONTRACTED, 4));
        assert!(matches!(refused, Err(Fault::NewerSchema { found: 3, known: 1, .. })));
    }

    #[test]
    fn taking_away_waits_until_it_is_asked_for() {
        let there = applied(CONTRACTED, 1);
        let missing = missing("d", CONTRACTED, &there).unwrap();
        assert_eq!(numbers(&missing), [2, 3, 4]);
        assert_eq!(numbers(&due(&missing, &there, false)), [2]);
        assert_eq!(numbers(&due(&missing, &there, true)), [2, 3, 4]);
        assert_eq!(numbers(&due(&missing, &[], false)), [2, 3, 4], "nobody serves an empty database");
    }

    /// Statements that older programs cannot notice. A new kind of statement is a conscious addition here.
    const ADDS: [&str; 6] = [
        "create table ",
        "create index ",
        "create unique index ",
        "create policy ",
        "grant ",
        "revoke all on function ",
    ];

    fn only_adds(statement: &str) -> bool {
        let words = statement.split_whitespace().collect::<Vec<_>>();
        let secures = words.first() == Some(&"alter") && statement.ends_with("row level security");
        let column = statement.contains(" add column ")
            && (statement.contains(" default ") || !statement.contains("not null"));
        let function = statement.starts_with("create function ");
        secures || column || function || ADDS.iter().any(|start| statement.starts_with(start))
    }

    #[test]
    fn a_migration_that_expands_only_adds() {
        let all = [DIRECTORY, ORGANIZATION, POSTGRES];
        for migration in all.into_iter().flatten().filter(|m| m.kind == Kind::Expand) {
            let text: String = migration
                .text
                .lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .flat_map(|line| [line, " "])
                .collect();
            for statement in text.split(';').map(str::trim).filter(|s| !s.is_empty()) {
                assert!(only_adds(&statement.to_lowercase()), "{}: {statement}", migration.name);
            }
        }
        assert!(!only_adds("drop table a"));
        assert!(!only_adds("alter table a add column b bigint not null"));
    }
}
