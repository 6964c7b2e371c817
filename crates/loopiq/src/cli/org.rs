//! `loopiq org`: organizations.

use clap::{Subcommand, ValueEnum};
use identity::admin::OrganizationChange;
use serde_json::json;

use super::DataArgs;
use crate::{cli, demo, wire};

/// Organizations of a data folder.
#[derive(Subcommand)]
pub enum Org {
    /// Make an organization with the built-in control set.
    #[command(after_help = "Example:\n  loopiq org create --slug acme --name Acme")]
    Create {
        #[command(flatten)]
        data: DataArgs,
        /// Short name in addresses.
        #[arg(long)]
        slug: String,
        /// Name for people.
        #[arg(long)]
        name: String,
    },
    /// List organizations.
    #[command(after_help = "Example:\n  loopiq org list --json")]
    List {
        #[command(flatten)]
        data: DataArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change switches and settings.
    #[command(
        after_help = "Example:\n  loopiq org set acme --mcp off\n  loopiq org set acme --approval-expiry-seconds 3600"
    )]
    Set {
        #[command(flatten)]
        data: DataArgs,
        /// Short name of the organization.
        slug: String,
        /// MCP for the whole organization.
        #[arg(long)]
        mcp: Option<Switch>,
        /// AI features for the whole organization.
        #[arg(long)]
        ai: Option<Switch>,
        /// Seconds a proposed action waits for its approval (300 to 604800).
        #[arg(long, value_parser = clap::value_parser!(i64).range(300..=604_800))]
        approval_expiry_seconds: Option<i64>,
        /// Seconds after which scans, tests and quality evidence are stale.
        #[arg(long, value_parser = clap::value_parser!(i64).range(60..))]
        scan_freshness_seconds: Option<i64>,
        /// Whether every write must carry its own idempotency key.
        #[arg(long)]
        idempotency_key_required: Option<Switch>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl Org {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Org::Create { data, slug, name } => {
                let config = data.config()?;
                wire::block_on(async move {
                    let world = wire::open(&config).await?;
                    let made =
                        world.identity.create_organization(&slug, &name, &demo::control_effects()?).await?;
                    world.store.close().await;
                    cli::print(format!("{} {}", made.id, made.slug));
                    Ok(())
                })
            }
            Org::List { data, json } => {
                let config = data.config()?;
                wire::block_on(async move {
                    let world = wire::open(&config).await?;
                    for o in world.identity.organizations().await? {
                        cli::print(if json {
                            json!({ "id": o.id, "slug": o.slug, "name": o.name, "mcp": o.mcp_enabled,
                                    "ai": o.ai_enabled, "settings": o.settings })
                            .to_string()
                        } else {
                            let state = |on| if on { "on" } else { "off" };
                            format!(
                                "{}  {}  mcp {}  ai {}",
                                o.slug,
                                o.name,
                                state(o.mcp_enabled),
                                state(o.ai_enabled)
                            )
                        });
                    }
                    Ok(())
                })
            }
            Org::Set {
                data,
                slug,
                mcp,
                ai,
                approval_expiry_seconds,
                scan_freshness_seconds,
                idempotency_key_required,
            } => {
                let config = data.config()?;
                wire::block_on(async move {
                    let world = wire::open(&config).await?;
                    let mut settings = world.identity.organization(&slug).await?.settings;
                    settings.approval_expiry_seconds =
                        approval_expiry_seconds.unwrap_or(settings.approval_expiry_seconds);
                    settings.scan_freshness_seconds =
                        scan_freshness_seconds.unwrap_or(settings.scan_freshness_seconds);
                    if let Some(switch) = idempotency_key_required {
                        settings.idempotency_key_required = switch == Switch::On;
                    }
                    let change = OrganizationChange {
                        mcp_enabled: mcp.map(|s| s == Switch::On),
                        ai_enabled: ai.map(|s| s == Switch::On),
                        settings: Some(settings),
                        ..OrganizationChange::default()
                    };
                    world.identity.change_organization(&slug, change).await?;
                    world.store.close().await;
                    cli::print(format!("{slug} changed"));
                    Ok(())
                })
            }
        }
    }
}
