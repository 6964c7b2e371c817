//! The only crate that knows SQL. A [`Store`] holds the [`Directory`] (organizations, people, credentials) and one
//! [`Org`] per organization: its records, its evidence bytes, its audit log. Reads go through a [`Reader`], which
//! cannot write; a [`Write`] is a plain value that is committed as a whole, or not at all.
//!
//! Two engines, the embedded one and PostgreSQL, take the same statements. Interfaces are asynchronous and name neither,
//! so that which one serves is a matter of this crate and of one setting.

mod backup;
mod blobs;
mod changes;
mod crash;
mod engine;
mod fault;
mod gather;
mod kept;
mod migrate;
mod postgres;
mod sql;
mod sqlite;
mod tables;
mod transfer;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::action::AuditReceipt;
use domain::id::OrgId;
use domain::org::Organization;

pub use backup::{BackupReport, restore, restore_database};
use engine::{Database, Engine};

use blobs::Place;
pub use blobs::{Blobs, Bucket};
pub use changes::Changes;
pub use fault::{CommitError, Conflict, Fault};
pub use postgres::{Migrated, PostgresConfig, migrate};
pub use sql::{Page, Paged};
pub use sqlite::sqlite_version;
pub use tables::action::{ActionFilter, StoredAction};
pub use tables::audit::{AuditFilter, AuditRecord, LogReport};
pub use tables::certification::{
    CertificationFilter, EvidenceFilter, ExceptionFilter, FindingFilter, GapFilter, RiskFilter,
};
pub use tables::directory::{SessionLookup, SessionRecord, TokenLookup};
pub use tables::history::{DecisionTaken, ReadinessPoint, SignedHeads};
pub use tables::identity_provider::ProviderLookup;
pub use tables::ledger::{LogKey, LogRecord, StoredCheckpoint};
pub use tables::oauth::{CodeRecord, GrantLookup, RefreshRecord};
pub use tables::policy::Standing;
pub use tables::release::ReleaseFilter;
pub use tables::search::{SearchFilter, SearchHit};
pub use tables::work::WorkItemFilter;
pub use transfer::{TransferReport, transfer};
pub use write::Write;

/// Randomness, injected: salts of audit bodies.
pub trait Entropy: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// How the embedded engine is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of everything: `directory.db` and `organizations/<id>/`.
    pub data_dir: PathBuf,
    /// Threads that commit; an organization always belongs to the same one.
    pub writer_threads: usize,
    /// Read-only connections kept open over all organizations.
    pub open_readers_max: usize,
    /// Writing connections kept open over all threads.
    pub open_writers_max: usize,
    /// Where evidence bytes are instead of in the data folder.
    pub bucket: Option<Bucket>,
}

impl Config {
    pub fn new(data_dir: impl Into<PathBuf>) -> Config {
        Config {
            data_dir: data_dir.into(),
            writer_threads: 4,
            open_readers_max: 64,
            open_writers_max: 64,
            bucket: None,
        }
    }
}

/// Everything that is stored. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
    /// Where evidence bytes are.
    evidence: Place,
}

/// Organizations, people and credentials: what is needed before any organization's records are opened.
#[derive(Clone)]
pub struct Directory {
    engine: Arc<Engine>,
}

/// One organization.
#[derive(Clone)]
pub struct Org {
    reader: Reader,
    blobs: Blobs,
}

/// Reads of one organization. Cannot write, cannot reach another organization.
#[derive(Clone)]
pub struct Reader {
    engine: Arc<Engine>,
    organization: OrgId,
    /// The id as statements carry it.
    key: Arc<str>,
}

/// What a commit returns: one receipt per audit draft, in order.
#[derive(Debug, Clone)]
pub struct Committed {
    pub receipts: Vec<AuditReceipt>,
}

impl Store {
    /// Opens the data folder, making it when absent, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Fault::NotWritable`], [`Fault::DataFolderInUse`], [`Fault::NewerSchema`].
    pub async fn open(config: Config, entropy: Arc<dyn Entropy>) -> Result<Store, Fault> {
        let evidence = match &config.bucket {
            Some(bucket) => Place::bucket(bucket).await?,
            None => Place::Folder(config.data_dir.clone()),
        };
        Ok(Store { engine: Arc::new(Engine::Sqlite(sqlite::Engine::open(config, entropy)?)), evidence })
    }

    /// Connects to a PostgreSQL database that [`migrate`] has prepared. Several nodes may share it.
    ///
    /// # Errors
    /// [`Fault::Open`] when it cannot be reached, [`Fault::NotMigrated`], [`Fault::NewerSchema`], and
    /// [`Fault::UnsafeRole`] when the role could see past the row-level security.
    pub async fn connect(config: PostgresConfig, entropy: Arc<dyn Entropy>) -> Result<Store, Fault> {
        let evidence = match &config.bucket {
            Some(bucket) => Place::bucket(bucket).await?,
            None => Place::Folder(config.blobs_dir.clone()),
        };
        let engine = postgres::Engine::connect(config, entropy).await?;
        Ok(Store { engine: Arc::new(Engine::Postgres(engine)), evidence })
    }

    pub fn directory(&self) -> Directory {
        Directory { engine: Arc::clone(&self.engine) }
    }

    /// Makes an organization with an empty store of its own.
    ///
    /// # Errors
    /// [`Fault::Duplicate`] when the slug is taken.
    pub async fn create_organization(&self, organization: &Organization) -> Result<Org, Fault> {
        self.engine.prepare_organization(organization.id).await?;
        self.directory().insert_organization(organization).await?;
        self.org(organization.id).await
    }

    /// The handle of one organization. Opens no file by itself.
    ///
    /// # Errors
    /// [`Fault::NoOrganization`].
    pub async fn org(&self, id: OrgId) -> Result<Org, Fault> {
        if !self.engine.has_organization(id).await? {
            return Err(Fault::NoOrganization);
        }
        Ok(self.handle(id))
    }

    /// Listens for changes of an organization's records, by whichever node they are committed. Must be called on a runtime.
    pub fn changes(&self, organization: OrgId) -> Changes {
        self.engine.changes(organization)
    }

    /// The handle without the question whether there is such an organization.
    fn handle(&self, id: OrgId) -> Org {
        Org {
            blobs: self.evidence.of(id),
            reader: Reader { engine: Arc::clone(&self.engine), organization: id, key: id.to_string().into() },
        }
    }

    /// Copies everything, while it is served, into an empty folder: on the embedded engine as of one moment for each
    /// database, on PostgreSQL organization by organization, which is refused for one that is written to meanwhile.
    ///
    /// # Errors
    /// [`Fault::NotEmpty`], or [`Fault::NotWritable`].
    pub async fn backup(&self, to: &Path) -> Result<BackupReport, Fault> {
        match &*self.engine {
            Engine::Sqlite(_) => {
                let (engine, folder) = (Arc::clone(&self.engine), to.to_owned());
                let organizations = engine::blocking(move || match &*engine {
                    Engine::Sqlite(engine) => backup::copy_databases(engine, &folder),
                    Engine::Postgres(_) => Err(Fault::Bug("the engine does not change")),
                })
                .await?;
                // Records first, bytes after: those that a copied record names exist by then, for they are only added.
                let (target, folder) = (Place::Folder(to.to_owned()), to.to_owned());
                match self.evidence.clone() {
                    Place::Folder(base) => {
                        engine::blocking(move || {
                            backup::copy_blobs(&base, &organizations, &folder)?;
                            backup::seal(&folder, organizations.len())
                        })
                        .await
                    }
                    Place::Bucket(..) => {
                        for id in &organizations {
                            self.handle(*id).copy_evidence(&target.of(*id)).await?;
                        }
                        engine::blocking(move || backup::seal(&folder, organizations.len())).await
                    }
                }
            }
            Engine::Postgres(engine) => backup::backup_database(self, to, engine.entropy()).await,
        }
    }

    /// Copies into the bucket what a restore or an earlier setting has left in the data folder. Returns how many.
    ///
    /// # Errors
    /// Whatever reading or writing finds.
    pub async fn adopt_evidence(&self, folder: &Path) -> Result<u64, Fault> {
        let source = Place::Folder(folder.to_owned());
        let mut adopted = 0;
        for organization in self.directory().organizations().await? {
            let mut org = self.handle(organization.id);
            let target = std::mem::replace(&mut org.blobs, source.of(organization.id));
            adopted += org.copy_evidence(&target).await?;
        }
        Ok(adopted)
    }

    /// Waits until every queued write has been committed, and stops the writers.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// What is wrong with the files of the embedded engine, by its own check; `None` when all are whole. On PostgreSQL
    /// that is the database server's business.
    ///
    /// # Errors
    /// When a file cannot be read at all.
    pub async fn damage(&self) -> Result<Option<String>, Fault> {
        self.engine.damage().await
    }

    /// Writes that wait for their commit, over all threads.
    pub fn queue_length(&self) -> usize {
        self.engine.queue_length()
    }
}

impl Org {
    pub fn id(&self) -> OrgId {
        self.reader.organization
    }
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Commits a write as a whole. Returns only after it is durable.
    ///
    /// # Errors
    /// [`Conflict`] when a guard touched the wrong number of rows (nothing is written), or a [`Fault`].
    pub async fn commit(&self, write: Write) -> Result<Committed, CommitError> {
        let write = write.for_organization(&self.reader.key);
        self.reader.engine.commit(Database::Organization(self.reader.organization), write).await
    }
}
