//! `loopiq restore`: a data folder from a backup.

use std::path::PathBuf;

use clap::Args;

use super::DataArgs;
use crate::cli;

/// Put a backup into an empty data folder, after checking every file of it.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq restore --from backup-2026-11-23 --data loopiq-data")]
pub struct Restore {
    #[command(flatten)]
    data: DataArgs,
    /// Folder of the backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.data.config()?;
        cli::progress("checking and copying …");
        let report = store::restore(&self.from, &config.data)?;
        cli::print(if self.json {
            serde_json::to_string(&report)?
        } else {
            format!(
                "{} organization(s), {} file(s), {} bytes in {}",
                report.organizations,
                report.files,
                report.bytes,
                config.data.display()
            )
        });
        Ok(())
    }
}
