//! `loopiq audit`: the log is exported, verified without a server, cosigned, its key replaced, its bodies erased.

mod export;
mod ocsf;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use domain::id::Ids as _;
use domain::note::VerifierKey;
use engine::RequestIds;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::stopped;
use super::{Admin, Common, Failure, Report};
use crate::system::SystemIds;
use crate::wire::World;

pub use export::{Format, Piece};

/// Export, verify, cosign and keep the audit log, which proves that nothing in it was altered or removed.
#[derive(Subcommand)]
pub enum Audit {
    /// Write the log as JSON lines, as OCSF events, or as a bundle that can be verified without the server.
    #[command(
        after_help = "Example:\n  loopiq audit export --org acme --format bundle --output acme.bundle\n  loopiq audit \
                      export --org acme --format ocsf --from 1200"
    )]
    Export {
        #[command(flatten)]
        common: Common,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
        /// What is written.
        #[arg(long, value_enum, default_value = "jsonl")]
        format: Format,
        /// First record.
        #[arg(long, default_value_t = 0, value_name = "SEQUENCE")]
        from: u64,
        /// File it is written to, which must not exist [default: standard output].
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Verify a bundle without server or network; exits with 1 when anything is wrong.
    ///
    /// Finds altered, removed and moved records, a tail that was cut off since a checkpoint that was kept, wrong
    /// signatures, and executions without the approval they needed.
    #[command(
        after_help = "Example:\n  loopiq audit verify acme.bundle --checkpoint kept.txt --key \"$(cat acme.key)\""
    )]
    Verify {
        /// The bundle.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// A checkpoint that was kept, as a signed note: the log must have grown from it.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Verifier key of the log or of a witness, known from elsewhere; may be repeated.
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sign the head of the log now, and print the signed checkpoint and the keys.
    #[command(after_help = "Example:\n  loopiq audit checkpoint --org acme > kept.txt")]
    Checkpoint {
        #[command(flatten)]
        common: Common,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
    },
    /// Sign with a new key from now on; the old one signs the first checkpoint too, and is then deleted.
    #[command(
        after_help = "Example:\n  loopiq audit rotate-key --org acme --email ada@acme.example --reason \"Once a year\""
    )]
    RotateKey {
        #[command(flatten)]
        common: Common,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
        /// E-mail of the member in whose name it is done; they need organization:manage.
        #[arg(long)]
        email: String,
        /// Why; the log keeps it.
        #[arg(long)]
        reason: String,
    },
    /// Erase the bodies of records (reasons, payloads, messages) for good; the log stays valid and says that it was done.
    #[command(
        after_help = "Example:\n  loopiq audit erase 1207 1208 --org acme --email ada@acme.example --reason \"Request of \
                      the person concerned\""
    )]
    Erase {
        #[command(flatten)]
        common: Common,
        /// Positions of the records in the log.
        #[arg(required = true, value_name = "SEQUENCE")]
        sequences: Vec<i64>,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
        /// E-mail of the member in whose name it is done; they need organization:manage.
        #[arg(long)]
        email: String,
        /// Why; the log keeps it.
        #[arg(long)]
        reason: String,
    },
    /// Add the cosignature of an outside witness to a checkpoint.
    #[command(
        after_help = "Example:\n  loopiq audit cosign cosigned.txt --org acme --key \"$(cat witness.key)\""
    )]
    Cosign {
        #[command(flatten)]
        common: Common,
        /// The checkpoint as a signed note that has the witness's line.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
        /// Verifier key of the witness.
        #[arg(long, value_name = "KEY")]
        key: String,
    },
}

impl Audit {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Audit::Export { common, org, format, from, output } => {
                export::run(&common, &org, format, from, output.as_deref())
            }
            Audit::Verify { file, checkpoint, keys, json } => {
                verify::run(&file, checkpoint.as_deref(), &keys)?.print(json)
            }
            Audit::Checkpoint { common, org } => Admin::AuditCheckpoint(Show { org }).administer(&common),
            Audit::RotateKey { common, org, email, reason } => {
                Admin::AuditRotateKey(Rotate { org, email, reason }).administer(&common)
            }
            Audit::Erase { common, sequences, org, email, reason } => {
                Admin::AuditErase(Erase { sequences, org, email, reason }).administer(&common)
            }
            Audit::Cosign { common, file, org, key } => {
                Admin::AuditCosign(Cosign { note: read(&file)?, org, key }).administer(&common)
            }
        }
    }
}

fn read(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|e| {
        let message = format!("{} cannot be read: {e}", path.display());
        Failure::new(message, "Check the path and the rights of the file.").into()
    })
}

/// A verifier key as it is given with `--key`.
pub fn key(text: &str) -> anyhow::Result<VerifierKey> {
    VerifierKey::parse(text.trim()).map_err(|_| {
        let remedy = "A key is written name+id+base64, as `loopiq audit checkpoint` prints it.";
        Failure::usage("a key given with --key cannot be read", remedy).into()
    })
}

fn ids() -> RequestIds {
    let id = SystemIds.next().to_string();
    RequestIds { request_id: id.clone(), trace_id: id }
}

#[derive(Serialize, Deserialize)]
pub struct Show {
    org: String,
}

impl Show {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.org).await?;
        let org = world.store.org(organization.id).await?;
        let head = world.engine.seal_now(&org).await?;
        let keys: Vec<String> = org.reader().log_keys().await?.into_iter().map(|k| k.verifier_key).collect();
        let json = json!({ "size": head.size, "root": head.root, "checkpoint": head.note, "keys": keys });
        Ok(Report::one(head.note.trim_end(), json))
    }
}

#[derive(Serialize, Deserialize)]
pub struct Rotate {
    org: String,
    email: String,
    reason: String,
}

impl Rotate {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let actor = world.identity.local(&self.org, &self.email).await?;
        let key = world.engine.rotate_key(&actor, &ids(), &self.reason).await.map_err(stopped)?;
        let line =
            format!("the log of {} is signed with key {}: {}", self.org, key.generation, key.verifier_key);
        Ok(Report::one(line, json!({ "generation": key.generation, "key": key.verifier_key })))
    }
}

#[derive(Serialize, Deserialize)]
pub struct Erase {
    sequences: Vec<i64>,
    org: String,
    email: String,
    reason: String,
}

impl Erase {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let actor = world.identity.local(&self.org, &self.email).await?;
        let mut sequences = self.sequences.clone();
        sequences.sort_unstable();
        sequences.dedup();
        world.engine.erase(&actor, &ids(), &sequences, &self.reason).await.map_err(stopped)?;
        let line = format!("{} body(s) of the log of {} are erased", sequences.len(), self.org);
        Ok(Report::one(line, json!({ "erased": sequences })))
    }
}

#[derive(Serialize, Deserialize)]
pub struct Cosign {
    note: String,
    org: String,
    key: String,
}

impl Cosign {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let witness = key(&self.key)?;
        let organization = world.identity.organization(&self.org).await?;
        let org = world.store.org(organization.id).await?;
        let size = world.engine.cosign(&org, &ids(), &self.note, &witness).await.map_err(stopped)?;
        let line = format!("{} has cosigned the first {size} records of {}", witness.name(), self.org);
        Ok(Report::one(line, json!({ "size": size, "witness": witness.name() })))
    }
}
