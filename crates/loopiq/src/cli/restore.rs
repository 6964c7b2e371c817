//! `loopiq restore`: a data folder, or the organizations of a database, from a backup.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Common, Report, progress};
use crate::system::SystemEntropy;
use crate::wire;

/// Put a backup into a new or empty data folder, or into a PostgreSQL database, after checking every file of it.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq restore --from backup-2026-11-23 --data loopiq-data")]
pub struct Restore {
    #[command(flatten)]
    common: Common,
    /// Folder of the backup, as `loopiq backup --to` made it.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

impl Restore {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
        progress("checking and copying …");
        let (report, place) = if config.database_url.0.is_some() {
            let from = std::path::absolute(&self.from)?;
            let report = wire::block_on(async {
                let world = wire::open(&config).await?;
                let report = store::restore_database(&from, &world.store, Arc::new(SystemEntropy)).await?;
                world.store.close().await;
                Ok(report)
            })?;
            (report, "the database".to_owned())
        } else {
            let report = store::restore(&self.from, &config.data)?;
            if config.bucket()?.is_some() {
                wire::block_on(async {
                    let world = wire::open(&config).await?;
                    world.store.adopt_evidence(&config.data).await?;
                    world.store.close().await;
                    Ok(())
                })?;
            }
            (report, config.data.display().to_string())
        };
        let line = format!(
            "{} organization(s), {} file(s), {} bytes in {place}",
            report.organizations, report.files, report.bytes
        );
        Report::one(line, serde_json::to_value(&report)?).print(self.common.json)
    }
}
