//! Where a store can be, and what tests put into one.

use std::sync::Arc;

use domain::effect::Effect;
use store::{Config, Entropy, Fault, Org, PostgresConfig, Store, Write};
use tempfile::TempDir;
use testkit::postgres::{APP, Database, OWNER};
use testkit::records::{organization, team};

/// Salts that are all the same: the log is checked, not its secrecy.
pub struct Sevens;
impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// A place that can be opened again and again.
pub struct Place {
    folder: TempDir,
    pub database: Option<Database>,
}

impl Place {
    pub fn embedded() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), database: None }
    }

    /// An empty database.
    pub fn of(database: Database) -> Place {
        Place { folder: tempfile::tempdir().unwrap(), database: Some(database) }
    }

    /// A database of its own, migrated by its owner.
    pub async fn postgres() -> Place {
        let place = Place::of(Database::fresh().await);
        store::migrate(&place.config(OWNER), APP, false).await.unwrap();
        place
    }

    pub fn config(&self, role: &str) -> PostgresConfig {
        PostgresConfig {
            url: self.database.as_ref().unwrap().url(role),
            password: None,
            blobs_dir: self.folder.path().to_owned(),
            bucket: None,
            committers: 2,
            connections_max: 8,
        }
    }

    pub async fn try_open(&self) -> Result<Store, Fault> {
        match self.database {
            None => Store::open(Config::new(self.folder.path()), Arc::new(Sevens)).await,
            Some(_) => Store::connect(self.config(APP), Arc::new(Sevens)).await,
        }
    }

    /// Changes what is stored of an organization (its id), past the program.
    pub async fn by_hand(&self, organization: &str, text: &str) {
        match &self.database {
            // As the superuser, whom no policy binds.
            Some(database) => database.run(&database.name, text).await,
            None => testkit::sqlite::run(self.folder.path(), organization, text),
        }
    }

    pub async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }
}

pub async fn one_org(store: &Store, n: u64) -> Org {
    store.create_organization(&organization(n)).await.unwrap()
}

/// A write that creates one team.
pub fn creates(n: u64) -> Write {
    let mut write = Write::new();
    write.effect(&Effect::CreateTeam { record: team(n) });
    write
}
