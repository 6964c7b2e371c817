//! `loopiq user`: members of an organization.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use domain::id::TeamId;
use domain::permission::{Permission, Role, TeamRole};
use identity::{Access, NewMember};
use serde_json::json;

use super::{DataArgs, init};
use crate::wire::World;
use crate::{cli, demo, wire};

/// Members of an organization.
#[derive(Subcommand)]
pub enum User {
    /// Add a person; an unknown e-mail gets an account and a password that is printed once.
    #[command(after_help = "Example:\n  loopiq user create --org acme --email grace@acme.example --role \
                            release_manager --permission teams:read\n  loopiq user create --org acme --email \
                            linus@acme.example --role team_lead@backend --permission teams:read")]
    Create {
        #[command(flatten)]
        at: At,
        /// Name for people; the part before the @ when absent.
        #[arg(long)]
        name: Option<String>,
        /// Role, or role@team. Repeatable; at least one.
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
        /// Direct permission. Repeatable; at least one.
        #[arg(long = "permission", required = true)]
        permissions: Vec<String>,
        /// File whose first line is the password; without it one is made and printed once.
        #[arg(long, value_name = "FILE")]
        password_file: Option<std::path::PathBuf>,
    },
    /// List members with their roles.
    #[command(after_help = "Example:\n  loopiq user list --org acme --json")]
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
    /// End a membership; it stops working on the very next call.
    #[command(after_help = "Example:\n  loopiq user deactivate --org acme --email vic@acme.example")]
    Deactivate {
        #[command(flatten)]
        at: At,
    },
    /// Give roles or direct permissions.
    #[command(
        after_help = "Example:\n  loopiq user grant --org acme --email vic@acme.example --role contributor@mobile"
    )]
    Grant {
        #[command(flatten)]
        at: At,
        /// Role, or role@team. Repeatable.
        #[arg(long = "role")]
        roles: Vec<String>,
        /// Direct permission. Repeatable.
        #[arg(long = "permission")]
        permissions: Vec<String>,
    },
    /// Take roles or direct permissions away.
    #[command(
        after_help = "Example:\n  loopiq user revoke --org acme --email vic@acme.example --role viewer"
    )]
    Revoke {
        #[command(flatten)]
        at: At,
        /// Role, or role@team. Repeatable.
        #[arg(long = "role")]
        roles: Vec<String>,
        /// Direct permission. Repeatable.
        #[arg(long = "permission")]
        permissions: Vec<String>,
    },
}

/// Which person of which organization.
#[derive(Args)]
pub struct At {
    #[command(flatten)]
    data: DataArgs,
    /// Short name of the organization.
    #[arg(long)]
    org: String,
    /// E-mail of the person.
    #[arg(long)]
    email: String,
}

async fn grants(
    world: &World,
    organization: domain::id::OrgId,
    roles: &[String],
    permissions: &[String],
) -> anyhow::Result<Access> {
    let mut found = Access::default();
    let teams = world.store.org(organization).await?.reader().teams(None).await?;
    for text in roles {
        let (word, team) = text.split_once('@').map_or((text.as_str(), None), |(r, t)| (r, Some(t)));
        let role = Role::parse(word).with_context(|| {
            let all: Vec<&str> = Role::ALL.iter().map(|r| r.as_str()).collect();
            format!("a role is unknown (remedy: use one of {}, or role@team)", all.join(", "))
        })?;
        match team {
            None => found.roles.push(role),
            Some(name) => {
                let team_id: TeamId = teams
                    .iter()
                    .find(|t| t.name.eq_ignore_ascii_case(name) || t.key.eq_ignore_ascii_case(name))
                    .context("a team is unknown (remedy: loopiq_list_teams, or the console, lists them)")?
                    .id;
                found.team_roles.push(TeamRole { team_id, role });
            }
        }
    }
    for text in permissions {
        found.permissions.push(
            Permission::parse(text)
                .context("a permission is unknown (remedy: permissions look like releases:read)")?,
        );
    }
    Ok(found)
}

impl User {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            User::Create { at, name, roles, permissions, password_file } => {
                let config = at.data.config()?;
                let given = password_file.as_deref().map(init::password_of).transpose()?;
                let password = given.clone().unwrap_or_else(demo::new_password);
                wire::block_on(async move {
                    let world = wire::open(&config).await?;
                    let organization = world.identity.organization(&at.org).await?;
                    let known = world.store.directory().user_by_email(&at.email).await?.is_some();
                    let grants = grants(&world, organization.id, &roles, &permissions).await?;
                    let display_name =
                        name.unwrap_or_else(|| at.email.split('@').next().unwrap_or_default().to_owned());
                    let new = NewMember {
                        email: at.email.clone(),
                        display_name,
                        roles: grants.roles,
                        team_roles: grants.team_roles,
                        direct_permissions: grants.permissions,
                        selected_team: None,
                        password: Some(password.clone()),
                    };
                    let user = world.identity.add_member(organization.id, new).await?;
                    world.store.close().await;
                    cli::print(format!("{} {} is a member of {}", user.id, user.email, at.org));
                    if !known && given.is_none() {
                        cli::print(format!("password (shown only now): {password}"));
                    }
                    Ok(())
                })
            }
            User::List { data, org, json } => {
                let config = data.config()?;
                wire::block_on(async move {
                    let world = wire::open(&config).await?;
                    let organization = world.identity.organization(&org).await?;
                    for m in world.identity.members(organization.id).await? {
                        if json {
                            cli::print(serde_json::to_string(&json!({
                                "id": m.user_id, "email": m.email, "status": m.status, "roles": m.roles,
                                "teamRoles": m.team_roles, "permissions": m.direct_permissions,
                            }))?);
                        } else {
                            let roles: Vec<String> = m
                                .roles
                                .iter()
                                .map(ToString::to_string)
                                .chain(m.team_roles.iter().map(|t| format!("{}@{}", t.role, t.team_id)))
                                .collect();
                            cli::print(format!("{}  {}  {}", m.email, m.status, roles.join(", ")));
                        }
                    }
                    Ok(())
                })
            }
            User::Deactivate { at } => change(at, Vec::new(), Vec::new(), Change::Deactivate),
            User::Grant { at, roles, permissions } => change(at, roles, permissions, Change::Grant),
            User::Revoke { at, roles, permissions } => change(at, roles, permissions, Change::Revoke),
        }
    }
}

#[derive(Clone, Copy)]
enum Change {
    Grant,
    Revoke,
    Deactivate,
}

fn change(at: At, roles: Vec<String>, permissions: Vec<String>, what: Change) -> anyhow::Result<()> {
    let config = at.data.config()?;
    wire::block_on(async move {
        let world = wire::open(&config).await?;
        let organization = world.identity.organization(&at.org).await?;
        let access = grants(&world, organization.id, &roles, &permissions).await?;
        let identity = &world.identity;
        let changed = match what {
            Change::Grant => identity.grant(organization.id, &at.email, &access).await?,
            Change::Revoke => identity.revoke(organization.id, &at.email, &access).await?,
            Change::Deactivate => identity.set_member_active(organization.id, &at.email, false).await?,
        };
        world.store.close().await;
        cli::print(format!("{} {} in {}", changed.email, changed.status, at.org));
        Ok(())
    })
}
