//! `loopiq policy`: texts of policies are checked, tested, tried on the past, published and shown.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use domain::org::Organization;
use domain::time::{Clock as _, Timestamp};
use engine::policy::{DEFAULT, Policies, Problem, suite::Suite};
use engine::tools::publish_policies;
use engine::what_if::{Period, WhatIf};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Org;

use super::call::Member;
use super::{Admin, Common, Failure, Report};
use crate::system::SystemClock;
use crate::wire::World;

/// The period that a draft is tried on when none is named, in days.
const WHAT_IF_DAYS: i64 = 30;

/// Check, test, try, publish and show policies: who may do what, and what needs whose approval.
#[derive(Subcommand)]
pub enum Policy {
    /// Say everything that is wrong with a text of policies.
    ///
    /// With --org also what only that organization's people can show: rules of approval that nobody could meet, and
    /// whether somebody could still publish policies.
    #[command(
        after_help = "Example:\n  loopiq policy check draft.cedar\n  loopiq policy check draft.cedar --org acme"
    )]
    Check {
        #[command(flatten)]
        common: Common,
        /// Text of policies, in Cedar.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Short name of the organization whose people it is checked against.
        #[arg(long)]
        org: Option<String>,
    },
    /// Run files of tests against a text of policies; exits with 1 when one fails.
    #[command(
        after_help = "Example:\n  loopiq policy test tests.toml --policies draft.cedar\n\nA test, in TOML:\n  [[case]]\n  \
                      name = \"Exceptions need a second person\"\n  given.roles = [\"governance_lead\"]\n  when.tool = \
                      \"loopiq_propose_exception\"\n  expect.access = \"allow\"\n  expect.approval = { minimum = 1, \
                      requester_may_approve = false }"
    )]
    Test {
        /// Files of tests.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Text of policies they are run against [default: the one that comes with the program].
        #[arg(long, value_name = "FILE")]
        policies: Option<PathBuf>,
        /// Print one JSON value per test.
        #[arg(long)]
        json: bool,
    },
    /// Say what a draft would have decided otherwise: the actions and refused calls of a period are asked again.
    ///
    /// People are taken with the roles they hold today. Nothing is changed.
    #[command(
        after_help = "Example:\n  loopiq policy what-if draft.cedar --org acme --since 2026-10-01T00:00:00Z"
    )]
    WhatIf {
        #[command(flatten)]
        common: Common,
        /// Text of policies, in Cedar.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
        /// Beginning of the period, RFC 3339 [default: 30 days ago].
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Timestamp>,
        /// End of the period, RFC 3339 [default: now].
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Option<Timestamp>,
    },
    /// Put a text of policies in force, or an earlier version again; recorded in the audit log in the name of a person.
    #[command(
        after_help = "Example:\n  loopiq policy publish draft.cedar --org acme --email ada@acme.example --reason \"Two \
                      people for exceptions\"\n  loopiq policy publish --restore 3 --org acme --email ada@acme.example \
                      --reason \"Version 4 was too strict\""
    )]
    Publish {
        #[command(flatten)]
        common: Common,
        /// Text of policies, in Cedar.
        #[arg(value_name = "FILE", required_unless_present = "restore")]
        file: Option<PathBuf>,
        /// Version to go back to instead; 0 is the default of the program.
        #[arg(long, value_name = "VERSION", conflicts_with = "file")]
        restore: Option<i64>,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
        /// E-mail of the member in whose name it is published; they need organization:manage.
        #[arg(long)]
        email: String,
        /// Why; people read it in the list of versions.
        #[arg(long)]
        reason: String,
    },
    /// List the versions that were published, the one in force first.
    #[command(after_help = "Example:\n  loopiq policy list --org acme")]
    List {
        #[command(flatten)]
        common: Common,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
    },
    /// Print a text of policies: the one in force, an earlier version, or the default of the program.
    #[command(
        after_help = "Example:\n  loopiq policy show > draft.cedar\n  loopiq policy show --org acme --version 3"
    )]
    Show {
        #[command(flatten)]
        common: Common,
        /// Short name of the organization; the default of the program when absent.
        #[arg(long)]
        org: Option<String>,
        /// Version [default: the one in force].
        #[arg(long, requires = "org")]
        version: Option<i64>,
    },
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "must be an RFC 3339 time, such as 2026-10-01T00:00:00Z".into())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|e| {
        let message = format!("{} cannot be read: {e}", path.display());
        Failure::new(message, "Check the path and the rights of the file; the text must be UTF-8.").into()
    })
}

impl Policy {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Policy::Check { common, file, org: None } => compile(&read(&file)?).print(common.json),
            Policy::Check { common, file, org: Some(org) } => {
                Admin::PolicyCheck(Check { text: read(&file)?, org }).administer(&common)
            }
            Policy::Test { files, policies, json } => test(&files, policies.as_deref())?.print(json),
            Policy::WhatIf { common, file, org, since, until } => {
                Admin::PolicyWhatIf(Try { text: read(&file)?, org, since, until }).administer(&common)
            }
            Policy::Publish { common, file, restore, org, email, reason } => {
                let text = file.as_deref().map(read).transpose()?;
                Admin::PolicyPublish(Publish { text, restore, org, email, reason }).administer(&common)
            }
            Policy::List { common, org } => Admin::PolicyList(List { org }).administer(&common),
            Policy::Show { common, org: None, .. } => shown(0, DEFAULT).print(common.json),
            Policy::Show { common, org: Some(org), version } => {
                Admin::PolicyShow(Show { org, version }).administer(&common)
            }
        }
    }
}

fn shown(version: i64, text: &str) -> Report {
    Report::one(text.trim_end(), json!({ "version": version, "text": text }))
}

/// The text compiled, or a report of what is wrong with it.
fn compiled(text: &str) -> Result<Policies, Report> {
    Policies::compile(0, text).map_err(|problems| wrong(&problems))
}

fn wrong(problems: &[Problem]) -> Report {
    Report {
        lines: problems.iter().map(ToString::to_string).collect(),
        json: problems.iter().map(|problem| json!(problem)).collect(),
        failure: Some(Failure::new(
            format!("{} problem(s) in the policies", problems.len()),
            "Correct what is named; `loopiq policy show` prints a text that is right.",
        )),
    }
}

fn compile(text: &str) -> Report {
    match compiled(text) {
        Ok(policies) => valid(&policies),
        Err(report) => report,
    }
}

fn valid(policies: &Policies) -> Report {
    let rules = policies.all_rules().count();
    Report::one(
        format!("the text is valid; {rules} rule(s) of approval"),
        json!({ "valid": true, "rules": rules }),
    )
}

fn test(files: &[PathBuf], policies: Option<&Path>) -> anyhow::Result<Report> {
    let text = policies.map(read).transpose()?;
    let policies = match compiled(text.as_deref().unwrap_or(DEFAULT)) {
        Ok(policies) => policies,
        Err(report) => return Ok(report),
    };
    let mut report = Report::default();
    let mut failed = 0;
    for file in files {
        let suite = Suite::read(&read(file)?).map_err(|mistake| {
            let message = format!("{} is no file of tests: {mistake}", file.display());
            Failure::new(message, "`loopiq policy test --help` shows the form of a test.")
        })?;
        for outcome in suite.run(&policies)? {
            let passed = outcome.failures.is_empty();
            report.lines.push(format!("{}  {}", if passed { "ok    " } else { "FAILED" }, outcome.name));
            report.lines.extend(outcome.failures.iter().map(|failure| format!("        {failure}")));
            report
                .json
                .push(json!({ "file": file.display().to_string(), "name": outcome.name, "passed": passed,
                "failures": outcome.failures }));
            failed += usize::from(!passed);
        }
    }
    let total = report.json.len();
    report.lines.push(format!("{} of {total} passed", total - failed));
    if failed > 0 {
        let message = format!("{failed} of {total} test(s) of the policies failed");
        report.failure = Some(Failure::new(message, "Correct the policies, or what the tests expect."));
    }
    Ok(report)
}

/// The organization of a short name, and its records.
async fn named(world: &World, slug: &str) -> anyhow::Result<(Organization, Org)> {
    let organization = world.identity.organization(slug).await?;
    let org = world.store.org(organization.id).await?;
    Ok((organization, org))
}

#[derive(Serialize, Deserialize)]
pub struct Check {
    text: String,
    org: String,
}

impl Check {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let policies = match compiled(&self.text) {
            Ok(policies) => policies,
            Err(report) => return Ok(report),
        };
        let (organization, org) = named(world, &self.org).await?;
        let people = org.reader().memberships().await?;
        let teams: Vec<_> =
            org.reader().teams(None).await?.into_iter().map(|team| (team.id, team.key)).collect();
        let signers = org.reader().passkeys().await?.into_iter().map(|passkey| passkey.user_id).collect();
        let lacking = publish_policies::check(&policies, &organization, &people, &signers, &teams)?;
        if lacking.is_empty() {
            return Ok(valid(&policies));
        }
        let problems: Vec<Problem> =
            lacking.into_iter().map(|message| Problem { policy: None, message }).collect();
        Ok(wrong(&problems))
    }
}

/// A draft and the period it is tried on.
#[derive(Serialize, Deserialize)]
pub struct Try {
    text: String,
    org: String,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Try {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let draft = match compiled(&self.text) {
            Ok(draft) => draft,
            Err(report) => return Ok(report),
        };
        let organization = world.identity.organization(&self.org).await?;
        let to = self.until.unwrap_or_else(|| SystemClock.now());
        let from = self.since.unwrap_or_else(|| to.plus_seconds(-WHAT_IF_DAYS * 86_400));
        let found = world.engine.what_if(organization.id, &draft, Period { from, to }).await?;
        let mut lines: Vec<String> = found
            .differences
            .iter()
            .map(|d| {
                let action = d.action.as_deref().unwrap_or("refused call");
                format!(
                    "{}  {}  {}  {action}\n  was:      {}\n  would be: {}",
                    d.at, d.tool, d.person, d.was, d.would_be
                )
            })
            .collect();
        lines.push(summary(&found));
        Ok(Report { lines, json: vec![json!(found)], failure: None })
    }
}

fn summary(found: &WhatIf) -> String {
    let mut line = format!(
        "{} difference(s) in {} action(s) and {} refused call(s)",
        found.differences.len(),
        found.actions,
        found.refused_calls
    );
    if found.left_out > 0 {
        line.push_str(&format!("; {} could not be asked about as things are today", found.left_out));
    }
    if found.cut_off {
        line.push_str("; the period has more than was looked at: name a shorter one");
    }
    line
}

#[derive(Serialize, Deserialize)]
pub struct Publish {
    text: Option<String>,
    restore: Option<i64>,
    org: String,
    email: String,
    reason: String,
}

impl Publish {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.org, &self.email).await?;
        let (_, org) = named(world, &self.org).await?;
        let replaces = org.reader().policy_sets(1).await?.first().map_or(0, |set| set.version);
        let arguments =
            Arguments { replaces, reason: &self.reason, text: self.text.as_deref(), restores: self.restore };
        let told = member.call(world, "loopiq_publish_policies", &arguments).await?;
        let version = replaces + 1;
        let mut lines = vec![match told.waits_at() {
            Some(url) => {
                format!("version {version} of the policies of {} waits for approval: {url}", self.org)
            }
            None => format!("version {version} of the policies of {} is in force", self.org),
        }];
        lines.extend(told.notes.iter().map(|note| note.text.clone()));
        let json =
            json!({ "version": version, "status": told.status, "notes": told.notes, "audit": told.audit });
        Ok(Report { lines, json: vec![json], failure: None })
    }
}

#[derive(Serialize)]
struct Arguments<'a> {
    replaces: i64,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restores: Option<i64>,
}

#[derive(Serialize, Deserialize)]
pub struct List {
    org: String,
}

/// Versions that one list shows.
const VERSIONS_MAX: u32 = 1_000;

impl List {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let (_, org) = named(world, &self.org).await?;
        let mut report = Report::default();
        for set in org.reader().policy_sets(VERSIONS_MAX).await? {
            let restores = set.restores.map(|v| format!("  (version {v} again)")).unwrap_or_default();
            report.lines.push(format!(
                "{}  {}  {}  {}{restores}",
                set.version, set.published_at, set.published_by_email, set.reason
            ));
            let mut json = json!(set);
            if let Some(members) = json.as_object_mut() {
                members.remove("text");
            }
            report.json.push(json);
        }
        if report.lines.is_empty() {
            report.lines.push("nothing was published; the default of the program decides".into());
        }
        Ok(report)
    }
}

#[derive(Serialize, Deserialize)]
pub struct Show {
    org: String,
    version: Option<i64>,
}

impl Show {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let (_, org) = named(world, &self.org).await?;
        let set = match self.version {
            Some(0) => None,
            Some(version) => Some(org.reader().policy_set(version).await?.ok_or_else(|| {
                Failure::new("there is no such version", "`loopiq policy list` shows which there are.")
            })?),
            None => org.reader().policy_sets(1).await?.into_iter().next(),
        };
        Ok(set.map_or_else(|| shown(0, DEFAULT), |set| shown(set.version, &set.text)))
    }
}
