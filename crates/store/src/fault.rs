//! What can go wrong in storage. Messages say what was attempted; the cause is the source.

use domain::record::RecordType;

/// Something broke, or the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the data folder {path} cannot be written")]
    NotWritable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the data folder {path} is in use by another process")]
    DataFolderInUse { path: String },
    #[error("{database} has schema {found}, which is newer than this program's {known}; use a newer program")]
    NewerSchema { database: String, found: i64, known: i64 },
    #[error("migration {number} of {database} is not the one that was applied")]
    ChangedMigration { database: String, number: i64 },
    #[error("{database} has no schema of this program, or an older one")]
    NotMigrated { database: String },
    /// The text is not shown: it may hold a password.
    #[error("the database URL cannot be read")]
    BadUrl,
    #[error("the database role {role} {why}, so that it could see past the separation of organizations")]
    UnsafeRole { role: String, why: &'static str },
    #[error("there is no such organization")]
    NoOrganization,
    #[error("{what} is taken")]
    Duplicate { what: &'static str },
    #[error("the record has changed in the meantime")]
    Moved,
    #[error("statement {statement} failed")]
    Statement {
        statement: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the database {database} could not be opened")]
    Open {
        database: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("a stored document could not be read")]
    Document(#[from] serde_json::Error),
    #[error("a file operation failed on {path}")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the commit failed: {0}")]
    Commit(String),
    #[error("the writer has stopped")]
    Stopped,
    #[error("the evidence URL is not s3://bucket or s3://bucket/folder")]
    BadEvidenceUrl,
    #[error("the evidence bytes could not {what}")]
    Evidence {
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the evidence bytes with the digest {sha256} are not those that were stored")]
    DamagedEvidence { sha256: String },
    /// Nothing is written over by a backup or a restore.
    #[error("the folder {path} is not empty")]
    NotEmpty { path: String },
    /// A backup that is not whole, or not one.
    #[error("not a usable backup: {0}")]
    Backup(String),
    /// A copy of an organization that cannot be relied on.
    #[error("the organization could not be copied: {0}")]
    Transfer(String),
    #[error("invariant broken: {0}")]
    Bug(&'static str),
}

impl Fault {
    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Fault {
        Fault::File { path: path.display().to_string(), source }
    }
}

/// Why a write was not applied although nothing broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A record is not at the version that was read, is gone, or exists already.
    Moved { record_type: RecordType, id: String },
    /// The idempotency key has an action already.
    DuplicateKey,
    /// The action has moved meanwhile.
    ActionMoved,
}

#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("the write conflicts: {0:?}")]
    Conflict(Conflict),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
