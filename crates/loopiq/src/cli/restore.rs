//! `loopiq restore`: a data folder from a backup.

use std::path::PathBuf;

use clap::Args;

use super::{Common, Report, progress};

/// Put a backup into an empty data folder, after checking every file of it.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq restore --from backup-2026-11-23 --data loopiq-data")]
pub struct Restore {
    #[command(flatten)]
    common: Common,
    /// Folder of the backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

impl Restore {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
        progress("checking and copying …");
        let report = store::restore(&self.from, &config.data)?;
        let line = format!(
            "{} organization(s), {} file(s), {} bytes in {}",
            report.organizations,
            report.files,
            report.bytes,
            config.data.display()
        );
        Report::one(line, serde_json::to_value(&report)?).print(self.common.json)
    }
}
