//! `loopiq restore`: a data folder from a backup.

use std::path::PathBuf;

use clap::Args;

use super::{Common, Failure, Report, progress};

/// Put a backup into a new or empty data folder, after checking every file of it.
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
        if config.database_url.0.is_some() {
            let message = "a backup is put into a data folder, and a PostgreSQL database is named";
            return Err(Failure::usage(
                message,
                "Leave --database-url and LOOPIQ_DATABASE_URL away; a database is restored by its own tools.",
            )
            .into());
        }
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
