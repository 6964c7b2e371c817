//! `loopiq token`: LoopIQ-issued bearer tokens.

use clap::{Args, Subcommand};
use domain::agent::Agent;
use domain::id::{OrgId, TokenId};
use domain::permission::Permission;
use domain::time::Clock as _;
use identity::TokenRequest;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Admin, Common, Failure, Report, user};
use crate::system::SystemClock;
use crate::wire::World;

/// Issue, list and revoke bearer tokens of an organization.
#[derive(Subcommand)]
pub enum Token {
    /// Issue a token for a member; it is shown once.
    #[command(
        after_help = "Example:\n  loopiq token issue --org acme --email grace@acme.example --label ci --days 30 \
                      --scope evidence:attach --scope releases:read"
    )]
    Issue {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        issue: Issue,
    },
    /// List tokens, never their secrets.
    #[command(after_help = "Example:\n  loopiq token list --org acme --json")]
    List {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        list: List,
    },
    /// Revoke a token; it stops working on the very next call.
    #[command(after_help = "Example:\n  loopiq token revoke --org acme tok_…")]
    Revoke {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        revoke: Revoke,
    },
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Issue {
    /// Short name of the organization the token is for.
    #[arg(long)]
    org: String,
    /// E-mail of its owner, a member of the organization.
    #[arg(long)]
    email: String,
    /// What it is for, as lists show it.
    #[arg(long, default_value = "", hide_default_value = true)]
    label: String,
    #[arg(
        long = "scope",
        value_name = "AREA:VERB",
        value_parser = user::permission,
        help = user::permission_help("Permission it is narrowed to; without any, it may do all its owner may.")
    )]
    scopes: Vec<Permission>,
    /// Id or name of the agent that is to act for the owner by it: then it may do what both may, and no more.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Lifetime in days [default: the setting token_days_default, which is 90 unless changed].
    #[arg(long)]
    days: Option<i64>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct List {
    /// Short name of the organization.
    #[arg(long)]
    org: String,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Revoke {
    /// Short name of the organization.
    #[arg(long)]
    org: String,
    /// Id of the token, as the list shows it.
    #[arg(value_parser = token_id)]
    id: TokenId,
}

fn token_id(text: &str) -> Result<TokenId, String> {
    text.parse()
        .map_err(|_| "must be a token's id (tok_…), not its secret; `loopiq token list` shows it".to_owned())
}

impl Token {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Token::Issue { common, issue } => Admin::TokenIssue(issue).administer(&common),
            Token::List { common, list } => Admin::TokenList(list).administer(&common),
            Token::Revoke { common, revoke } => Admin::TokenRevoke(revoke).administer(&common),
        }
    }
}

impl Issue {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let owner = world.identity.local(&self.org, &self.email).await?;
        let agent = match &self.agent {
            Some(reference) => Some(agent(world, owner.organization.id, reference).await?),
            None => None,
        };
        let request = TokenRequest {
            label: self.label.clone(),
            scopes: self.scopes.clone(),
            days: self.days,
            agent: agent.as_ref().map(|agent| agent.id),
        };
        let issued = world.identity.issue_token(&owner, request).await?;
        let json = json!({
            "id": issued.id, "token": issued.secret, "expiresAt": issued.expires_at, "email": owner.email,
            "organization": owner.organization.slug, "agent": agent.as_ref().map(|agent| agent.name.as_str()),
        });
        let whose = match &agent {
            Some(agent) => format!("the agent {} acting for {}", agent.name, owner.email),
            None => owner.email.clone(),
        };
        let lines = vec![
            format!("{} for {whose} in {}, until {}", issued.id, self.org, issued.expires_at),
            format!("token (shown only now): {}", issued.secret),
        ];
        Ok(Report { lines, json: vec![json], failure: None })
    }
}

/// The agent of this id or name.
pub async fn agent(world: &World, organization: OrgId, reference: &str) -> anyhow::Result<Agent> {
    let agents = world.store.org(organization).await?.reader().agents().await?;
    let (id, folded) = (reference.parse().ok(), reference.to_lowercase());
    let found = agents.into_iter().find(|a| Some(a.id) == id || a.name.to_lowercase() == folded);
    let remedy = "`loopiq agent list` shows those there are; `loopiq agent register` makes one.";
    Ok(found.ok_or_else(|| Failure::new("there is no such agent", remedy))?)
}

impl List {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.org).await?;
        let members = world.identity.members(organization.id).await?;
        let agents = world.store.org(organization.id).await?.reader().agents().await?;
        let now = SystemClock.now();
        let mut report = Report::default();
        for t in world.store.directory().tokens(organization.id).await? {
            let owner = members.iter().find(|m| m.user_id == t.user_id);
            let email = owner.map_or("", |m| m.email.as_str());
            let used = t.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
            let state = t.state(now);
            let agent = t.agent_id.and_then(|id| agents.iter().find(|agent| agent.id == id));
            let whose = agent.map_or_else(|| email.to_owned(), |agent| format!("{} for {email}", agent.name));
            report
                .lines
                .push(format!("{}  {state}  {whose}  until {}  {used}  {}", t.id, t.expires_at, t.label));
            report.json.push(json!({
                "id": t.id, "state": state, "email": email, "userId": t.user_id, "agentId": t.agent_id,
                "agent": agent.map(|agent| agent.name.as_str()), "label": t.label,
                "scopes": t.scopes, "createdAt": t.created_at, "expiresAt": t.expires_at,
                "revokedAt": t.revoked_at, "lastUsedAt": t.last_used_at,
            }));
        }
        Ok(report)
    }
}

impl Revoke {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.org).await?;
        world.identity.revoke_token(organization.id, self.id).await?;
        Ok(Report::one(format!("{} is revoked", self.id), json!({ "id": self.id, "state": "revoked" })))
    }
}
