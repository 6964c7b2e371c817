//! `loopiq token`: LoopIQ-issued bearer tokens.

use clap::{Args, Subcommand};
use domain::id::TokenId;
use domain::permission::Permission;
use domain::time::{Clock as _, Timestamp};
use identity::TokenRequest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::TokenRecord;

use super::{Admin, Common, Report, user};
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
        let request =
            TokenRequest { label: self.label.clone(), scopes: self.scopes.clone(), days: self.days };
        let issued = world.identity.issue_token(&owner, request).await?;
        let json = json!({
            "id": issued.id, "token": issued.secret, "expiresAt": issued.expires_at, "email": owner.email,
            "organization": owner.organization.slug,
        });
        let lines = vec![
            format!("{} for {} in {}, until {}", issued.id, owner.email, self.org, issued.expires_at),
            format!("token (shown only now): {}", issued.secret),
        ];
        Ok(Report { lines, json: vec![json], failure: None })
    }
}

/// Whether a token can still be used.
fn state(token: &TokenRecord, now: Timestamp) -> &'static str {
    if token.revoked_at.is_some() {
        "revoked"
    } else if now >= token.expires_at {
        "expired"
    } else {
        "valid"
    }
}

impl List {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.org).await?;
        let members = world.identity.members(organization.id).await?;
        let now = SystemClock.now();
        let mut report = Report::default();
        for t in world.store.directory().tokens(organization.id).await? {
            let owner = members.iter().find(|m| m.user_id == t.user_id);
            let email = owner.map_or("", |m| m.email.as_str());
            let used = t.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
            let state = state(&t, now);
            report
                .lines
                .push(format!("{}  {state}  {email}  until {}  {used}  {}", t.id, t.expires_at, t.label));
            report.json.push(json!({
                "id": t.id, "state": state, "email": email, "userId": t.user_id, "label": t.label,
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
        world.identity.revoke_token_locally(organization.id, self.id).await?;
        Ok(Report::one(format!("{} is revoked", self.id), json!({ "id": self.id, "state": "revoked" })))
    }
}
