//! `loopiq move`: one organization from one storage to another.

use clap::Args;
use domain::org::OrgStatus;
use identity::admin::OrganizationChange;
use serde_json::json;

use super::{Failure, Report, load, progress};
use crate::wire::{self, World};

/// Move one organization between a data folder and a PostgreSQL database, and check that its audit log is the same.
///
/// The organization is suspended where it was and stays there until you remove it; at its new place it is active. A
/// data folder must not be served meanwhile. When something goes wrong, run the command again.
#[derive(Args)]
#[command(
    after_help = "Example:\n  loopiq move --org acme --from loopiq-data --to postgres://loopiq_app@db.example.com/loopiq"
)]
pub struct Move {
    /// Organization.
    #[arg(long)]
    org: String,
    /// Where it is: a data folder, or the URL of a PostgreSQL database.
    #[arg(long, value_name = "DIR or URL")]
    from: String,
    /// Where it goes: a data folder, or the URL of a PostgreSQL database.
    #[arg(long, value_name = "DIR or URL")]
    to: String,
    /// Folder of the evidence bytes of a PostgreSQL database [default: loopiq-data, or LOOPIQ_DATA].
    #[arg(long, value_name = "DIR")]
    evidence: Option<std::path::PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Move {
    pub fn run(self) -> anyhow::Result<()> {
        if self.from == self.to {
            return Err(Failure::usage("--from and --to are the same place", "Name two places.").into());
        }
        let json = self.json;
        wire::block_on(async move {
            let (from, to) = (self.open(&self.from).await?, self.open(&self.to).await?);
            let report = self.moved(&from, &to).await;
            from.store.close().await;
            to.store.close().await;
            report
        })?
        .print(json)
    }

    async fn open(&self, place: &str) -> anyhow::Result<World> {
        let mut flags = std::collections::BTreeMap::new();
        if place.contains("://") {
            flags.insert("database_url", place.to_owned());
            if let Some(folder) = &self.evidence {
                flags.insert("data", folder.display().to_string());
                flags.insert("evidence_url", String::new());
            }
        } else {
            flags.insert("data", place.to_owned());
            flags.insert("database_url", String::new());
            flags.insert("evidence_url", String::new());
        }
        wire::open(&load(flags, None)?.0).await
    }

    async fn moved(&self, from: &World, to: &World) -> anyhow::Result<Report> {
        let organization = from.store.directory().organization_by_slug(&self.org).await?;
        let organization = organization.ok_or_else(|| {
            Failure::new(
                format!("there is no organization {} in {}", self.org, place(&self.from)),
                "`loopiq org list` shows which there are.",
            )
        })?;
        set_status(from, &self.org, OrgStatus::Suspended).await?;
        let report = store::transfer(&from.store, &to.store, organization.id, &mut |what, done| {
            progress(format!("{what}: {done}"));
        })
        .await?;
        set_status(to, &self.org, OrgStatus::Active).await?;
        let line = format!(
            "{}: {} rows and {} evidence files moved; its audit log has {} records and the root {} on both sides; \
             it is suspended in {} and active in {}",
            self.org,
            report.rows,
            report.blobs,
            report.log_size,
            report.log_root,
            place(&self.from),
            place(&self.to)
        );
        let told = json!({ "organization": self.org, "rows": report.rows, "evidenceFiles": report.blobs,
            "auditLog": { "size": report.log_size, "root": report.log_root } });
        Ok(Report::one(line, told))
    }
}

/// A place without a password.
fn place(named: &str) -> &str {
    named.rsplit_once('@').map_or(named, |(_, host)| host)
}

async fn set_status(world: &World, slug: &str, status: OrgStatus) -> anyhow::Result<()> {
    let change = OrganizationChange { status: Some(status), ..OrganizationChange::default() };
    world.identity.change_organization(slug, change).await?;
    Ok(())
}
