//! `loopiq org identity-provider`: services through which the people of an organization sign in.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::id::IdentityProviderId;
use domain::permission::{Permission, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{By, InName, Member, key, outcome, refused};
use super::org::{Switch, is_on};
use super::{Admin, Common, Failure, Report, prompt};
use crate::wire::World;

/// Let people sign in through your identity provider (OpenID Connect).
#[derive(Subcommand)]
pub enum IdentityProvider {
    /// Add an identity provider, or change one; what is not named stays as it is.
    #[command(
        after_help = "Example:\n  loopiq org identity-provider set --org acme --email ada@acme.example --name Acme --issuer \
                      https://id.acme.example \\\n    --client-id loopiq --client-secret-file - --domain acme.example --group \
                      developers=contributor\n  loopiq org identity-provider set idp_… --org acme --email ada@acme.example \
                      --enabled off"
    )]
    Set {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        set: Set,
        /// File whose first line is the client secret, - for standard input.
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
    },
    /// List identity providers, never their client secrets.
    #[command(
        after_help = "Example:\n  loopiq org identity-provider list --org acme --email ada@acme.example --json"
    )]
    List {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        list: List,
    },
    /// Remove an identity provider, with its client secret; sessions made through it end.
    #[command(
        after_help = "Example:\n  loopiq org identity-provider remove idp_… --org acme --email ada@acme.example"
    )]
    Remove {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        remove: Remove,
    },
}

#[derive(Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Set {
    /// Id of the identity provider to change; a new one without it.
    #[arg(value_name = "PROVIDER", value_parser = provider_id)]
    id: Option<IdentityProviderId>,
    #[command(flatten)]
    by: By,
    /// As people know it.
    #[arg(long)]
    name: Option<String>,
    /// Issuer, exactly as the provider writes it.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Id under which the provider knows this service.
    #[arg(long)]
    client_id: Option<String>,
    #[arg(skip)]
    client_secret: Option<String>,
    /// E-mail domain whose people it may sign in. Repeatable; replaces the earlier ones.
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// Claim that lists a person's groups [default: groups].
    #[arg(long, value_name = "CLAIM")]
    groups_claim: Option<String>,
    /// What a group gives: GROUP=ROLE, or GROUP=ROLE@TEAM in one team. Repeatable; replaces the earlier ones.
    #[arg(long = "group", value_name = "GROUP=ROLE", value_parser = mapped)]
    groups: Vec<Mapped>,
    /// Whether whoever it signs in becomes a member.
    #[arg(long, value_name = "on|off")]
    create_members: Option<Switch>,
    /// Direct permission of members who are made so. Repeatable; replaces the earlier ones.
    #[arg(long = "member-permission", value_name = "PERMISSION", value_parser = permission)]
    member_permissions: Vec<Permission>,
    /// Whether its access tokens are accepted for calls.
    #[arg(long, value_name = "on|off")]
    accept_access_tokens: Option<Switch>,
    /// Audience of access tokens that are for this service, besides its own address; "" for none.
    #[arg(long, value_name = "AUDIENCE")]
    access_token_audience: Option<String>,
    /// Claim of access tokens that names organizations; "" when each of them speaks of this one.
    #[arg(long, value_name = "CLAIM")]
    tenant_claim: Option<String>,
    /// Whether its word lets clients in for its people, without asking them.
    #[arg(long, value_name = "on|off")]
    accept_identity_assertions: Option<Switch>,
    /// Whether anybody can sign in through it.
    #[arg(long, value_name = "on|off")]
    enabled: Option<Switch>,
}

/// What a group gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapped {
    group: String,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct List {
    #[command(flatten)]
    by: InName,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Remove {
    /// Id of the identity provider, as the list shows it.
    #[arg(value_name = "PROVIDER", value_parser = provider_id)]
    id: IdentityProviderId,
    #[command(flatten)]
    by: By,
}

fn provider_id(text: &str) -> Result<IdentityProviderId, String> {
    text.parse().map_err(|_| "must be an id (idp_…); `loopiq org identity-provider list` shows it".to_owned())
}

fn permission(text: &str) -> Result<Permission, String> {
    Permission::parse(text).ok_or_else(|| "must be a permission, for example mcp:access".to_owned())
}

/// The last `=` ends the group, which may contain others.
fn mapped(text: &str) -> Result<Mapped, String> {
    let (group, held) = text.rsplit_once('=').ok_or("must be GROUP=ROLE or GROUP=ROLE@TEAM")?;
    let (role, team) =
        held.split_once('@').map_or((held, None), |(role, team)| (role, Some(team.to_owned())));
    let role = Role::parse(role).ok_or_else(|| {
        let all: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        format!("the role must be one of {}", all.join(", "))
    })?;
    Ok(Mapped { group: group.to_owned(), role, team })
}

impl IdentityProvider {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            IdentityProvider::Set { common, mut set, client_secret_file } => {
                set.client_secret = client_secret_file.as_deref().map(prompt::secret_in).transpose()?;
                Admin::IdentityProviderSet(set).administer(&common)
            }
            IdentityProvider::List { common, list } => Admin::IdentityProviderList(list).administer(&common),
            IdentityProvider::Remove { common, remove } => {
                Admin::IdentityProviderRemove(remove).administer(&common)
            }
        }
    }
}

impl Set {
    /// Whether anything but the secret is to be changed.
    fn arguments(&self) -> Option<Value> {
        let given = json!({
            "name": self.name, "issuer": self.issuer, "clientId": self.client_id, "groupsClaim": self.groups_claim,
            "domains": (!self.domains.is_empty()).then_some(&self.domains),
            "groupRoles": (!self.groups.is_empty()).then_some(&self.groups),
            "createMembers": is_on(self.create_members),
            "memberPermissions": (!self.member_permissions.is_empty()).then_some(&self.member_permissions),
            "acceptAccessTokens": is_on(self.accept_access_tokens),
            "accessTokenAudience": self.access_token_audience, "tenantClaim": self.tenant_claim,
            "acceptIdentityAssertions": is_on(self.accept_identity_assertions), "enabled": is_on(self.enabled),
        });
        let Value::Object(mut members) = given else { return None };
        members.retain(|_, value| !value.is_null());
        if members.is_empty() && self.id.is_some() && self.client_secret.is_some() {
            return None;
        }
        members.extend(self.id.map(|id| ("providerId".to_owned(), json!(id))));
        members.insert("reason".into(), json!(self.by.reason));
        members.insert("idempotencyKey".into(), json!(key()));
        Some(Value::Object(members))
    }

    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let (mut id, mut status) = (self.id, "executed".to_owned());
        if let Some(arguments) = self.arguments() {
            let told = member.call(world, "loopiq_set_identity_provider", &arguments).await?;
            if let Some(url) = told.waits_at() {
                let line = format!(
                    "it waits for approval: {url}\nthen give the client secret with --client-secret-file, if it has one"
                );
                return Ok(Report::one(line, json!({ "status": told.status, "approvalUrl": url })));
            }
            id = id.or_else(|| told.created.first().and_then(|made| made.id.parse().ok()));
            status = told.status;
        }
        let id = id.ok_or_else(|| Failure::new("the answer names no provider", "Update the program."))?;
        if let Some(secret) = &self.client_secret {
            let kept = world.engine.set_client_secret(member.caller(), id, secret).await;
            kept.map_err(refused)?;
        }
        let redirect = world.identity.redirect_address(id);
        let line = format!("{id} is set; the provider must send people back to {redirect}");
        Ok(Report::one(line, json!({ "id": id, "redirectUrl": redirect, "status": status })))
    }
}

/// What `loopiq_list_identity_providers` answers.
#[derive(Deserialize)]
struct Listed {
    items: Vec<Value>,
}

impl List {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let listed: Listed = member.ask(world, "loopiq_list_identity_providers").await?;
        let mut report = Report::default();
        for item in listed.items {
            let one: domain::identity_provider::IdentityProvider = serde_json::from_value(item.clone())?;
            let state = if one.enabled { "enabled" } else { "disabled" };
            let domains = one.domains.join(", ");
            report.lines.push(format!("{}  {state}  {}  {}  {domains}", one.id, one.name, one.issuer));
            report.json.push(item);
        }
        Ok(report)
    }
}

impl Remove {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let member = Member::of(world, &self.by.org, &self.by.email).await?;
        let arguments = json!({ "providerId": self.id, "reason": self.by.reason, "idempotencyKey": key() });
        let told = member.call(world, "loopiq_remove_identity_provider", &arguments).await?;
        let line = outcome(told.waits_at(), format!("{} is removed", self.id));
        Ok(Report::one(line, json!({ "id": self.id, "status": told.status, "audit": told.audit })))
    }
}
