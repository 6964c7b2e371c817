//! `loopiq token`: LoopIQ-issued bearer tokens.

use anyhow::Context as _;
use clap::Subcommand;
use domain::id::TokenId;
use domain::permission::Permission;
use identity::TokenRequest;
use serde_json::json;

use super::DataArgs;
use crate::{cli, wire};

/// LoopIQ-issued bearer tokens of an organization.
#[derive(Subcommand)]
pub enum Token {
    /// Issue a token for a member; it is shown once.
    #[command(
        after_help = "Example:\n  loopiq token issue --org acme --email grace@acme.example --label ci --days 30 \
                            --scope evidence:attach --scope releases:read"
    )]
    Issue {
        #[command(flatten)]
        data: DataArgs,
        /// Short name of the organization the token is for.
        #[arg(long)]
        org: String,
        /// E-mail of its owner.
        #[arg(long)]
        email: String,
        /// What it is for.
        #[arg(long, default_value = "")]
        label: String,
        /// Permission it is narrowed to. Repeatable; without any, everything its owner may do.
        #[arg(long = "scope")]
        scopes: Vec<String>,
        /// Lifetime in days (1 to 365).
        #[arg(long)]
        days: Option<i64>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List tokens, never their secrets.
    #[command(after_help = "Example:\n  loopiq token list --org acme --json")]
    List {
        #[command(flatten)]
        data: DataArgs,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token; it stops working on the very next call.
    #[command(after_help = "Example:\n  loopiq token revoke --org acme tok_…")]
    Revoke {
        #[command(flatten)]
        data: DataArgs,
        /// Short name of the organization.
        #[arg(long)]
        org: String,
        /// Id of the token.
        id: String,
    },
}

impl Token {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Token::Issue { data, org, email, label, scopes, days, json } => {
                let config = data.config()?;
                let scopes: Option<Vec<Permission>> = scopes.iter().map(|s| Permission::parse(s)).collect();
                let scopes = scopes
                    .context("a scope is unknown (remedy: scopes are permissions such as releases:read)")?;
                wire::block_on(async move {
                    let world = wire::open(&config).await?;
                    let owner = world.identity.local(&org, &email).await?;
                    let issued =
                        world.identity.issue_token(&owner, TokenRequest { label, scopes, days }).await?;
                    world.store.close().await;
                    if json {
                        let line = json!({ "id": issued.id, "token": issued.secret, "expiresAt": issued.expires_at });
                        cli::print(line.to_string());
                    } else {
                        cli::print(format!("{} expires {}", issued.id, issued.expires_at));
                        cli::print(format!("token (shown only now): {}", issued.secret));
                    }
                    Ok(())
                })
            }
            Token::List { data, org, json } => {
                let config = data.config()?;
                wire::block_on(async move {
                    let world = wire::open(&config).await?;
                    let organization = world.identity.organization(&org).await?;
                    for t in world.store.directory().tokens(organization.id).await? {
                        cli::print(if json {
                            json!({ "id": t.id, "userId": t.user_id, "label": t.label, "scopes": t.scopes,
                                    "createdAt": t.created_at, "expiresAt": t.expires_at,
                                    "revokedAt": t.revoked_at, "lastUsedAt": t.last_used_at })
                            .to_string()
                        } else {
                            let state = if t.revoked_at.is_some() { "revoked" } else { "valid" };
                            format!("{}  {}  until {}  {}", t.id, state, t.expires_at, t.label)
                        });
                    }
                    Ok(())
                })
            }
            Token::Revoke { data, org, id } => {
                let config = data.config()?;
                let id: TokenId = id.parse().context("that is no token id (remedy: `loopiq token list`)")?;
                wire::block_on(async move {
                    let world = wire::open(&config).await?;
                    let organization = world.identity.organization(&org).await?;
                    world.identity.revoke_token_locally(organization.id, id).await?;
                    world.store.close().await;
                    cli::print(format!("{id} is revoked"));
                    Ok(())
                })
            }
        }
    }
}
