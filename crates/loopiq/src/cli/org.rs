//! `loopiq org`: organizations of a data folder.

use clap::{Args, Subcommand, ValueEnum};
use domain::effect::Effect;
use domain::id::{Ids as _, TeamId};
use domain::org::{OrgStatus, Organization, Team};
use domain::severity::Severity;
use domain::time::Clock as _;
use identity::admin::OrganizationChange;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::identity_provider::IdentityProvider;
use super::{Admin, Common, Failure, Report};
use crate::demo;
use crate::system::{SystemClock, SystemIds};
use crate::wire::World;

/// Make, list and set up organizations.
#[derive(Subcommand)]
pub enum Org {
    /// Make an organization with the built-in control set.
    #[command(
        after_help = "Example:\n  loopiq org create --slug acme --name Acme --team backend --team payments"
    )]
    Create {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        create: Create,
    },
    /// List organizations with their switches.
    #[command(after_help = "Example:\n  loopiq org list --json")]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Change switches and settings, add teams.
    #[command(
        after_help = "Example:\n  loopiq org set acme --mcp off\n  loopiq org set acme --approval-expiry-seconds \
                      3600 --blocker-threshold critical"
    )]
    Set {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        set: Set,
    },
    /// Let people sign in through your identity provider (OpenID Connect).
    #[command(subcommand)]
    IdentityProvider(IdentityProvider),
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Create {
    /// Short name, by which commands name it: 2 to 40 lower-case letters, digits and inner hyphens.
    #[arg(long)]
    slug: String,
    /// Name of the organization, for people.
    #[arg(long)]
    name: String,
    /// Team to make with it. Repeatable.
    #[arg(long = "team", value_name = "NAME")]
    teams: Vec<String>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Set {
    /// Short name of the organization.
    slug: String,
    /// Whether AI clients may connect at all, by MCP.
    #[arg(long, value_name = "on|off")]
    mcp: Option<Switch>,
    /// Whether AI features are on for the whole organization.
    #[arg(long, value_name = "on|off")]
    ai: Option<Switch>,
    /// active or suspended; a suspended organization works for nobody, from the next call on.
    #[arg(long, value_parser = status)]
    status: Option<OrgStatus>,
    /// Seconds a proposed action waits for its approval (300 to 604800).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(300..=604_800))]
    approval_expiry_seconds: Option<i64>,
    /// Seconds an approved action may wait for its execution (60 to 604800).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(60..=604_800))]
    execution_expiry_seconds: Option<i64>,
    /// Findings of this severity or worse block a release: critical, high, medium, low or info.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    blocker_threshold: Option<Severity>,
    /// Seconds after which scans, tests and quality evidence are stale.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(60..=316_224_000))]
    scan_freshness_seconds: Option<i64>,
    /// Seconds after which all other evidence is stale.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(60..=316_224_000))]
    other_freshness_seconds: Option<i64>,
    /// Whether every write must carry its own idempotency key.
    #[arg(long, value_name = "on|off")]
    idempotency_key_required: Option<Switch>,
    /// Team to add. Repeatable.
    #[arg(long = "team", value_name = "NAME")]
    teams: Vec<String>,
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Switch {
    On,
    Off,
}

pub fn is_on(switch: Option<Switch>) -> Option<bool> {
    switch.map(|s| s == Switch::On)
}

fn one_of(all: &[&str]) -> String {
    format!("must be one of {}", all.join(", "))
}

fn status(text: &str) -> Result<OrgStatus, String> {
    OrgStatus::parse(text)
        .ok_or_else(|| one_of(&OrgStatus::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>()))
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::parse(text).ok_or_else(|| one_of(&Severity::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>()))
}

impl Org {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Org::Create { common, create } => Admin::OrgCreate(create).administer(&common),
            Org::List { common } => Admin::OrgList.administer(&common),
            Org::Set { common, set } => Admin::OrgSet(set).administer(&common),
            Org::IdentityProvider(command) => command.run(),
        }
    }
}

fn new_team(name: &str) -> anyhow::Result<Effect> {
    let name = name.trim();
    if !(1..=80).contains(&name.chars().count()) || name.contains(['@', ',']) {
        let message = "a team's name must have 1 to 80 characters, without @ and comma";
        return Err(Failure::usage(message, "Correct --team.").into());
    }
    Ok(Effect::CreateTeam {
        record: Team {
            id: TeamId::from_uuid(SystemIds.next()),
            key: name.to_lowercase(),
            name: name.to_owned(),
            created_at: SystemClock.now(),
            version: 1,
        },
    })
}

impl Create {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let mut first = demo::control_effects()?;
        for team in &self.teams {
            first.push(new_team(team)?);
        }
        let made = world.identity.create_organization(&self.slug, &self.name, &first).await?;
        let line = format!("organization {} is ready; `loopiq user create --org {0}` adds people", made.slug);
        Ok(Report::one(line, json!({ "id": made.id, "slug": made.slug, "name": made.name })))
    }
}

/// All organizations.
pub async fn list(world: &World) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for organization in world.identity.organizations().await? {
        let teams = world.store.org(organization.id).await?.reader().teams(None).await?;
        let names: Vec<&str> = teams.iter().map(|t| t.name.as_str()).collect();
        report.lines.push(line(&organization, &names));
        report.json.push(value(&organization, &teams));
    }
    Ok(report)
}

fn line(o: &Organization, teams: &[&str]) -> String {
    let state = |on| if on { "on" } else { "off" };
    let (mcp, ai) = (state(o.mcp_enabled), state(o.ai_enabled));
    format!("{}  {}  {}  mcp {mcp}  ai {ai}  teams {}", o.slug, o.name, o.status, teams.join(", "))
}

fn value(o: &Organization, teams: &[Team]) -> Value {
    let teams: Vec<Value> = teams.iter().map(|t| json!({ "id": t.id, "name": t.name })).collect();
    json!({
        "id": o.id, "slug": o.slug, "name": o.name, "status": o.status, "mcp": o.mcp_enabled, "ai": o.ai_enabled,
        "settings": o.settings, "teams": teams, "createdAt": o.created_at,
    })
}

impl Set {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let before = world.identity.organization(&self.slug).await?;
        let org = world.store.org(before.id).await?;
        let mut teams = Vec::new();
        let known = org.reader().teams(None).await?;
        for name in &self.teams {
            if known.iter().any(|t| t.name.eq_ignore_ascii_case(name.trim())) {
                let message = format!("there is a team of that name in {} already", self.slug);
                return Err(Failure::new(message, "Choose another name for --team.").into());
            }
            teams.push(new_team(name)?);
        }
        let mut settings = before.settings.clone();
        let take = |to: &mut i64, from: Option<i64>| *to = from.unwrap_or(*to);
        take(&mut settings.approval_expiry_seconds, self.approval_expiry_seconds);
        take(&mut settings.execution_expiry_seconds, self.execution_expiry_seconds);
        take(&mut settings.scan_freshness_seconds, self.scan_freshness_seconds);
        take(&mut settings.other_freshness_seconds, self.other_freshness_seconds);
        settings.blocker_threshold = self.blocker_threshold.unwrap_or(settings.blocker_threshold);
        settings.idempotency_key_required =
            is_on(self.idempotency_key_required).unwrap_or(settings.idempotency_key_required);
        let change = OrganizationChange {
            mcp_enabled: is_on(self.mcp),
            ai_enabled: is_on(self.ai),
            settings: Some(settings),
            status: self.status,
        };
        let after = world.identity.change_organization(&self.slug, change).await?;
        if !teams.is_empty() {
            world.identity.apply(after.id, "add_teams", &teams).await?;
        }
        let teams = org.reader().teams(None).await?;
        let names: Vec<&str> = teams.iter().map(|t| t.name.as_str()).collect();
        Ok(Report::one(line(&after, &names), value(&after, &teams)))
    }
}
