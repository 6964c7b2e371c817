//! `loopiq agent`: programs with an identity of their own, which act for members.

use clap::{Args, Subcommand};
use domain::agent::{AgentStatus, MutationPolicy};
use domain::id::AgentId;
use domain::permission::Permission;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{By, InName, Member, key, outcome};
use super::{Admin, Common, Report, user};
use crate::wire::World;

/// Register agents: programs that act for members, within what both were granted.
#[derive(Subcommand)]
pub enum Agent {
    /// Register an agent. It does nothing before `token issue --agent` makes a token by which it acts for somebody.
    #[command(
        after_help = "Example:\n  loopiq agent register \"Release copilot\" --mutation-policy propose_only --permission \
                      mcp:access \\\n    --permission releases:read --permission remediation:create --org acme --email \
                      ada@acme.example"
    )]
    Register {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        register: Register,
    },
    /// Change an agent, or end it with --status inactive; what is not named stays as it is.
    #[command(
        after_help = "Example:\n  loopiq agent update \"Release copilot\" --status inactive --org acme --email \
                      ada@acme.example"
    )]
    Update {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        update: Update,
    },
    /// List agents with what each may do.
    #[command(after_help = "Example:\n  loopiq agent list --org acme --email ada@acme.example --json")]
    List {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        list: List,
    },
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Register {
    /// What it is called; unique in the organization.
    name: String,
    #[command(flatten)]
    by: By,
    #[arg(
        long = "permission",
        value_name = "AREA:VERB",
        required = true,
        value_parser = user::permission,
        help = user::permission_help("What it may do at most; may be repeated.")
    )]
    permissions: Vec<Permission>,
    /// What it may do about writes: `read_only`, `propose_only` or `write_with_approval`.
    #[arg(long, value_parser = policy)]
    mutation_policy: MutationPolicy,
    /// Id, name or key of the team whose records it is limited to.
    #[arg(long)]
    team: Option<String>,
    /// What it is for.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Update {
    /// Id or name of the agent.
    agent: String,
    #[command(flatten)]
    by: By,
    #[arg(
        long = "permission",
        value_name = "AREA:VERB",
        value_parser = user::permission,
        help = user::permission_help("All it may do at most, instead of what it was; may be repeated.")
    )]
    permissions: Vec<Permission>,
    /// `read_only`, `propose_only` or `write_with_approval`.
    #[arg(long, value_parser = policy)]
    mutation_policy: Option<MutationPolicy>,
    /// Id, name or key of the team it is limited to; `*` for every team.
    #[arg(long)]
    team: Option<String>,
    /// What it is called from now on.
    #[arg(long)]
    name: Option<String>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// `active` or `inactive`; tokens of an inactive agent do not work.
    #[arg(long, value_parser = status)]
    status: Option<AgentStatus>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct List {
    #[command(flatten)]
    by: InName,
}

fn policy(text: &str) -> Result<MutationPolicy, String> {
    MutationPolicy::parse(text)
        .ok_or_else(|| "must be read_only, propose_only or write_with_approval".to_owned())
}

fn status(text: &str) -> Result<AgentStatus, String> {
    AgentStatus::parse(text).ok_or_else(|| "must be active or inactive".to_owned())
}

impl Agent {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Agent::Register { common, register } => Admin::AgentRegister(register).administer(&common),
            Agent::Update { common, update } => Admin::AgentUpdate(update).administer(&common),
            Agent::List { common, list } => Admin::AgentList(list).administer(&common),
        }
    }
}

impl Register {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let mut arguments = json!({
            "name": self.name, "description": self.description, "permissions": self.permissions,
            "mutationPolicy": self.mutation_policy, "reason": self.by.reason, "idempotencyKey": key(),
        });
        if let (Some(team), Some(members)) = (&self.team, arguments.as_object_mut()) {
            members.insert("team".into(), json!(team));
        }
        let told = member.call(world, "loopiq_register_agent", &arguments).await?;
        let id = told.created.first().map(|made| made.id.clone());
        let line = outcome(
            told.waits_at(),
            format!("{} is the agent {}", id.clone().unwrap_or_default(), self.name),
        );
        let json = json!({ "id": id, "name": self.name, "status": told.status, "audit": told.audit });
        Ok(Report::one(line, json))
    }
}

/// Arguments of `loopiq_update_agent`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changes<'a> {
    agent: &'a str,
    reason: &'a str,
    idempotency_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    permissions: &'a [Permission],
    #[serde(skip_serializing_if = "Option::is_none")]
    mutation_policy: Option<MutationPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<AgentStatus>,
}

impl Update {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let changes = Changes {
            agent: &self.agent,
            reason: &self.by.reason,
            idempotency_key: key(),
            name: self.name.as_deref(),
            description: self.description.as_deref(),
            permissions: &self.permissions,
            mutation_policy: self.mutation_policy,
            team: self.team.as_deref(),
            status: self.status,
        };
        let told = member.call(world, "loopiq_update_agent", &changes).await?;
        let line = outcome(told.waits_at(), format!("{} is changed", self.agent));
        Ok(Report::one(line, json!({ "agent": self.agent, "status": told.status, "audit": told.audit })))
    }
}

/// What `loopiq_list_agents` answers.
#[derive(Deserialize)]
struct Listed {
    items: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: AgentId,
    name: String,
    status: AgentStatus,
    mutation_policy: MutationPolicy,
    permissions: Vec<Permission>,
    team: Option<ShownTeam>,
}

#[derive(Deserialize)]
struct ShownTeam {
    name: String,
}

impl List {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let listed: Listed = member.ask(world, "loopiq_list_agents").await?;
        let mut report = Report::default();
        for item in listed.items {
            let agent: Shown = serde_json::from_value(item.clone())?;
            let team = agent.team.map_or_else(|| "every team".to_owned(), |team| team.name);
            let may: Vec<&str> = agent.permissions.iter().map(|permission| permission.as_str()).collect();
            report.lines.push(format!(
                "{}  {}  {}  {}  {team}  {}",
                agent.id,
                agent.status,
                agent.name,
                agent.mutation_policy,
                may.join(" ")
            ));
            report.json.push(item);
        }
        if report.lines.is_empty() {
            report.lines.push("no agent is registered".into());
        }
        Ok(report)
    }
}
