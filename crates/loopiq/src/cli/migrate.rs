//! `loopiq migrate`: brings the schema of a PostgreSQL database up to date.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Common, Failure, Report};
use crate::wire;

/// Bring the schema of a PostgreSQL database up to date, under the role that owns the tables.
///
/// Running nodes of the version before go on serving: a version adds what it needs, and what is no longer used is taken
/// away by a later one, only with --contract. Two migrations at once wait for each other. Embedded storage needs none of this; it is brought up to date when it is opened.
#[derive(Args)]
#[command(
    after_help = "Example:\n  loopiq migrate --database-url postgres://loopiq_owner@db.example.com/loopiq --grant-to loopiq_app"
)]
pub struct Migrate {
    /// PostgreSQL database, as the role that owns the tables [default: LOOPIQ_DATABASE_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Role that serves; it must exist and is given what serving needs, and no more.
    #[arg(long, value_name = "ROLE", default_value = "loopiq_app")]
    grant_to: String,
    /// Also take away what no node of this version uses; first stop the nodes of older versions.
    #[arg(long)]
    contract: bool,
    /// TOML file with settings [default: LOOPIQ_CONFIG].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON value.
    #[arg(long)]
    json: bool,
}

impl Migrate {
    pub fn run(self) -> anyhow::Result<()> {
        let common = Common { database_url: self.database_url, config: self.config, ..Common::default() };
        let Some(settings) = common.load()?.postgres()? else {
            return Err(Failure::new(
                "no PostgreSQL database is named",
                "Give --database-url or LOOPIQ_DATABASE_URL; embedded storage needs no migration.",
            )
            .into());
        };
        let role = self.grant_to;
        let done = wire::block_on(async {
            store::migrate(&settings, &role, self.contract)
                .await
                .map_err(|fault| wire::explain_migration(fault, &role))
        })?;
        let mut line = match done.applied {
            0 => format!("nothing to apply; {role} may serve the database"),
            count => format!("{count} migration(s) applied; {role} may serve the database"),
        };
        if done.waiting > 0 {
            line.push_str(&format!(
                "\n{} more wait: when no node of an older version runs, repeat with --contract",
                done.waiting
            ));
        }
        let value = json!({ "applied": done.applied, "waiting": done.waiting, "grantedTo": role });
        Report::one(line, value).print(self.json)
    }
}
