//! `loopiq migrate`: brings the schema of a PostgreSQL database up to date.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Common, Failure, Report};
use crate::wire;

/// Bring the schema of a PostgreSQL database up to date, under the role that owns the tables.
///
/// Running nodes go on serving: a migration adds first and removes in a later version. Two migrations at once wait for
/// each other. Embedded storage needs none of this; it is brought up to date when it is opened.
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
        let applied = wire::block_on(async {
            store::migrate(&settings, &role).await.map_err(|fault| wire::explain_migration(fault, &role))
        })?;
        let line = match applied {
            0 => format!("the schema is up to date; {role} may serve it"),
            count => format!("{count} migration(s) applied; {role} may serve it"),
        };
        Report::one(line, json!({ "applied": applied, "grantedTo": role })).print(self.json)
    }
}
