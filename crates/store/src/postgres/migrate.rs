//! Bringing a database's schema up to date, and checking at start that it is. Migrations run under the role that owns
//! the tables; the program serves under another, which only gets what serving needs.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::{Link, PostgresConfig, Trouble};
use crate::fault::Fault;
use crate::migrate::{APPLIED, Applied, Kind, POSTGRES, TABLE, due, missing};
use crate::transfer::{APPEND_ONLY, ERASABLE};

/// Two migrators wait for each other by this key of an advisory lock.
const LOCK: i64 = 0x6c6f_6f70_6971;
/// A statement of a migration waits this long for a lock that serving nodes hold, then the migration is refused rather
/// than have everybody queue up behind it.
const LOCK_WAIT: Duration = Duration::from_secs(5);

fn fault(link: &Link, source: Trouble) -> Fault {
    Fault::Open { database: link.name.clone(), source: Box::new(source) }
}

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Migrations that were applied.
    pub applied: usize,
    /// Those that wait because one of them takes away what nodes of an older version may use.
    pub waiting: usize,
}

/// Applies the migrations that are missing and grants `app_role` what serving needs. Each runs in its own transaction;
/// nodes of the version before go on serving. One that takes away waits, with what follows it, for `contract`.
///
/// # Errors
/// [`Fault::Open`] when the database cannot be reached or the role does not exist, [`Fault::NewerSchema`],
/// [`Fault::ChangedMigration`].
pub async fn migrate(config: &PostgresConfig, app_role: &str, contract: bool) -> Result<Migrated, Fault> {
    let link = Link::open(config)?;
    let run = async {
        let mut connection = link.connection().await.map_err(|e| fault(&link, e))?;
        let failed = |e: tokio_postgres::Error| fault(&link, e.into());
        connection.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(failed)?;
        connection.batch_execute(TABLE).await.map_err(failed)?;
        let applied = applied(&connection).await.map_err(|e| fault(&link, e))?;
        let missing = missing(&link.name, POSTGRES, &applied)?;
        let due = due(&missing, &applied, contract);
        for migration in &due {
            let transaction = connection.transaction().await.map_err(failed)?;
            let wait = format!("set local lock_timeout = {}", LOCK_WAIT.as_millis());
            transaction.batch_execute(&wait).await.map_err(failed)?;
            transaction.batch_execute(migration.text).await.map_err(failed)?;
            let insert =
                "insert into schema_migration (number, name, checksum, oldest) values ($1, $2, $3, $4)";
            let row: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&migration.number, &migration.name, &migration.checksum(), &migration.oldest()];
            transaction.execute(insert, &row).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
        }
        let done = Migrated { applied: due.len(), waiting: missing.len() - due.len() };
        let role = quoted(app_role);
        // The log cannot be altered or thinned by the role that serves; it may delete what a record says is erased.
        let append_only = APPEND_ONLY.join(", ");
        let grants = format!(
            "grant usage on schema public to {role};
             grant select, insert, update, delete on all tables in schema public to {role};
             revoke update, delete, truncate on {append_only} from {role};
             revoke update, truncate on {ERASABLE} from {role};
             revoke insert, update, delete, truncate on schema_migration from {role};"
        );
        connection.batch_execute(&grants).await.map_err(failed)?;
        Ok(done)
    };
    let result = run.await;
    // Ends the session, and with it the advisory lock.
    link.pool.close();
    result
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn applied(connection: &deadpool_postgres::Object) -> Result<Vec<Applied>, Trouble> {
    let rows = connection.query(APPLIED, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Applied { number: row.try_get(0)?, checksum: row.try_get(1)?, oldest: row.try_get(2)? })
        })
        .collect()
}

/// What must be so before a node serves: the schema has all this program needs, and the role is bound by row-level security.
pub async fn check(link: &Link) -> Result<(), Fault> {
    let connection = link.connection().await.map_err(|e| fault(link, e))?;
    let applied = match applied(&connection).await {
        Ok(applied) => applied,
        Err(e)
            if e.state() == Some(&SqlState::UNDEFINED_TABLE)
                || e.state() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) =>
        {
            return Err(Fault::NotMigrated { database: link.name.clone() });
        }
        Err(e) => return Err(fault(link, e)),
    };
    let missing = missing(&link.name, POSTGRES, &applied)?;
    // What only takes away may still be to come.
    if missing.iter().any(|m| m.kind == Kind::Expand) {
        return Err(Fault::NotMigrated { database: link.name.clone() });
    }
    let row = connection
        .query_one(
            "select current_user::text, (select rolsuper or rolbypassrls from pg_roles where rolname = current_user),
             exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = 'public' and c.relname = 'audit_entry'
                 and pg_has_role(current_user, c.relowner, 'member'))",
            &[],
        )
        .await
        .map_err(|e| fault(link, e.into()))?;
    let role: String = row.try_get(0).unwrap_or_default();
    // What cannot be read counts as unsafe.
    if row.try_get(1).unwrap_or(true) {
        return Err(Fault::UnsafeRole { role, why: "is a superuser or bypasses row-level security" });
    }
    if row.try_get(2).unwrap_or(true) {
        return Err(Fault::UnsafeRole { role, why: "owns the tables" });
    }
    Ok(())
}
