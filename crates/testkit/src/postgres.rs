//! A database of its own for each test, on the server that the test command starts.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::NoTls;

/// Names the server: a URL of a superuser, without a database.
pub const VARIABLE: &str = "LOOPIQ_TEST_POSTGRES_URL";

/// Role that owns the tables and migrates.
pub const OWNER: &str = "loopiq_owner";
/// Role that serves: bound by row-level security.
pub const APP: &str = "loopiq_app";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A fresh, empty database.
#[derive(Debug, Clone)]
pub struct Database {
    server: String,
    pub name: String,
}

impl Database {
    /// Makes one. Fails without a server: a test on PostgreSQL is never passed over.
    #[expect(clippy::disallowed_methods, clippy::expect_used, reason = "tests are told by the environment")]
    pub async fn fresh() -> Database {
        let server = std::env::var(VARIABLE).ok();
        let server =
            server.expect("LOOPIQ_TEST_POSTGRES_URL is not set: run the tests by `cargo xtask test`");
        Database::on(server).await
    }

    /// Makes one on the server of this URL.
    pub async fn on(server: String) -> Database {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let database = Database { name: format!("test_{}_{number}", std::process::id()), server };
        let mut roles = String::from("select pg_advisory_lock(1);");
        for role in [OWNER, APP] {
            roles.push_str(&format!(
                "do $$ begin if not exists (select 1 from pg_roles where rolname = '{role}') then
                 create role {role} login password '{role}'; end if; end $$;"
            ));
        }
        roles.push_str("select pg_advisory_unlock(1)");
        database.run("postgres", &roles).await;
        database.run("postgres", &format!("drop database if exists {} with (force)", database.name)).await;
        database.run("postgres", &format!("create database {} owner {OWNER}", database.name)).await;
        database.run(&database.name, &format!("alter schema public owner to {OWNER}")).await;
        database
    }

    /// Runs statements as the superuser.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn run(&self, database: &str, text: &str) {
        let url = format!("{}/{database}", self.server);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("the server answers");
        tokio::select! {
            done = client.batch_execute(text) => done.expect("the statements run"),
            ended = connection => panic!("the server hung up: {ended:?}"),
        }
    }

    /// Its URL for a role.
    pub fn url(&self, role: &str) -> String {
        let (_, place) = self.server.rsplit_once('@').unwrap_or(("", &self.server));
        format!("postgres://{role}:{role}@{place}/{}", self.name)
    }
}
