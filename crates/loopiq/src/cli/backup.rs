//! `loopiq backup`: a consistent copy of a data folder.

use std::path::PathBuf;

use clap::Args;

use super::DataArgs;
use crate::{cli, wire};

/// Copy a data folder that is not being served, consistently and with checksums.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq backup --data loopiq-data --to backup-2026-11-23")]
pub struct Backup {
    #[command(flatten)]
    data: DataArgs,
    /// Empty or new folder for the copy.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.data.config()?;
        wire::block_on(async move {
            let world = wire::open(&config).await?;
            cli::progress("copying …");
            let report = world.store.backup(&self.to).await?;
            world.store.close().await;
            cli::print(if self.json {
                serde_json::to_string(&report)?
            } else {
                format!(
                    "{} organization(s), {} file(s), {} bytes in {}",
                    report.organizations,
                    report.files,
                    report.bytes,
                    self.to.display()
                )
            });
            Ok(())
        })
    }
}
