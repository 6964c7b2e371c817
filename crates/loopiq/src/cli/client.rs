//! `loopiq client`: programs that connect by OAuth: those of machines, and those that people have let in.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use domain::id::TokenId;
use domain::oauth::scope_text;
use identity::oauth::Registered;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Admin, Common, Failure, Report, token};
use crate::wire::World;

/// See and end clients that people have let in; make clients for machines.
#[derive(Subcommand)]
pub enum Client {
    /// Make a client for a machine, which gets access tokens without a person and acts as an agent for its owner.
    #[command(
        after_help = "Example:\n  loopiq client create \"Nightly job\" --agent \"Release copilot\" --org acme --email \
                      grace@acme.example --keys public-keys.json"
    )]
    Create {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        create: Create,
        /// Its public keys, a JSON Web Key Set: it then proves itself by signing (recommended). Without, it gets a secret,
        /// which is shown once.
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    /// List clients of machines, and clients that people have let in.
    #[command(after_help = "Example:\n  loopiq client list --org acme --json")]
    List {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        list: List,
    },
    /// End what a person has allowed a client, or take a machine's client away; it is let in no longer from the next call on.
    #[command(after_help = "Example:\n  loopiq client remove cli_… --org acme --email ada@acme.example")]
    Remove {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        remove: Remove,
    },
    /// Make a new key to sign access tokens with; tokens of the earlier ones stay good until they run out.
    #[command(after_help = "Example:\n  loopiq client rotate-key")]
    RotateKey {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Create {
    /// What it is called.
    name: String,
    /// Id or name of the agent it is: it may do what both the agent and its owner may.
    #[arg(long)]
    agent: String,
    /// Short name of the organization it works in.
    #[arg(long)]
    org: String,
    /// E-mail of its owner, a member of the organization, for whom it acts.
    #[arg(long)]
    email: String,
    #[arg(skip)]
    keys: Option<Value>,
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
pub struct Remove {
    /// Id of a machine's client (cli_…) or of what a person has allowed (tok_…), as the list shows it.
    id: String,
    /// Short name of the organization.
    #[arg(long)]
    org: String,
    /// E-mail of the member in whose name it is recorded.
    #[arg(long)]
    email: String,
}

/// Nothing to say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RotateKey {}

impl Client {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Client::Create { common, mut create, keys } => {
                create.keys = keys.map(|file| read_keys(&file)).transpose()?;
                Admin::ClientCreate(create).administer(&common)
            }
            Client::List { common, list } => Admin::ClientList(list).administer(&common),
            Client::Remove { common, remove } => Admin::ClientRemove(remove).administer(&common),
            Client::RotateKey { common } => Admin::ClientRotateKey(RotateKey {}).administer(&common),
        }
    }
}

fn read_keys(file: &PathBuf) -> anyhow::Result<Value> {
    let remedy = "Give a file with a JSON Web Key Set: {\"keys\": [ … ]}, public keys only.";
    let failure = || Failure::new("the keys cannot be read", remedy);
    let text = std::fs::read(file).with_context(failure)?;
    serde_json::from_slice(&text).with_context(failure)
}

impl Create {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let owner = world.identity.local(&self.org, &self.email).await?;
        let agent = token::agent(world, owner.organization.id, &self.agent).await?;
        let made =
            world.identity.create_machine_client(&owner, &self.name, agent.id, self.keys.clone()).await?;
        let Registered { client, secret } = made;
        let mut lines =
            vec![format!("{} is the client of {}, acting for {}", client.id, agent.name, owner.email)];
        lines.extend(secret.as_ref().map(|secret| format!("secret (shown only now): {secret}")));
        let json = json!({
            "clientId": client.id, "clientSecret": secret, "authentication": client.authentication,
            "agent": agent.name, "email": owner.email, "organization": self.org,
        });
        Ok(Report { lines, json: vec![json], failure: None })
    }
}

impl List {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.org).await?;
        let mut report = Report::default();
        for client in world.identity.machine_clients(organization.id).await? {
            report
                .lines
                .push(format!("{}  machine  {}  since {}", client.id, client.name, client.created_at));
            report.json.push(json!({
                "id": client.id, "kind": client.kind, "name": client.name, "createdAt": client.created_at,
                "authentication": client.authentication, "agentId": client.machine.map(|of| of.agent_id),
            }));
        }
        for connected in world.identity.clients_of_organization(organization.id).await? {
            let grant = &connected.grant;
            let used =
                connected.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
            report.lines.push(format!("{}  {}  {}  {used}", grant.id, grant.client_name, connected.email));
            report.json.push(json!({
                "id": grant.id, "kind": "connected", "name": grant.client_name, "clientId": grant.client_id,
                "email": connected.email, "scope": scope_text(&grant.scopes), "createdAt": grant.created_at,
                "expiresAt": grant.expires_at, "lastUsedAt": connected.last_used_at,
            }));
        }
        Ok(report)
    }
}

impl Remove {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let by = world.identity.local(&self.org, &self.email).await?;
        match self.id.parse::<TokenId>() {
            Ok(grant) => world.identity.disconnect_client(&by, grant, true).await?,
            Err(_) => world.identity.remove_machine_client(&by, &self.id).await?,
        }
        let line = format!("{} is let in no longer", self.id);
        Ok(Report::one(line, json!({ "id": self.id, "state": "removed" })))
    }
}

impl RotateKey {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let id = world.identity.rotate_signing_key().await?;
        Ok(Report::one(format!("access tokens are signed with key {id} from now on"), json!({ "key": id })))
    }
}
