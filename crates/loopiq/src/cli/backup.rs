//! `loopiq backup`: a consistent copy of a data folder, also while it is served.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{Admin, Common, Report, progress};
use crate::wire::World;

/// Copy a data folder, consistently and with checksums, also while it is served; a PostgreSQL database has its own
/// tools.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq backup --data loopiq-data --to backup-2026-11-23")]
pub struct Backup {
    #[command(flatten)]
    common: Common,
    /// New or empty folder for the copy.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Where a backup goes, as an absolute path: the serving process may stand elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub struct To(PathBuf);

impl Backup {
    pub fn run(self) -> anyhow::Result<()> {
        progress("copying …");
        Admin::Backup(To(std::path::absolute(&self.to)?)).administer(&self.common)
    }
}

impl To {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let report = world.store.backup(&self.0).await?;
        let line = format!(
            "{} organization(s), {} file(s), {} bytes in {}",
            report.organizations,
            report.files,
            report.bytes,
            self.0.display()
        );
        Ok(Report::one(line, serde_json::to_value(&report)?))
    }
}
