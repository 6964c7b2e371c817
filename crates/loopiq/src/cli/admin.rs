//! Commands that administer a data folder, as values: parsed here, run here or in the process that serves the folder.
//! A command asks people everything it needs before it becomes such a value; while it runs, nobody is there to ask.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Common, Failure, agent, audit, backup, client, doctor, identity_provider, init, org, policy, print,
    progress, token, user, webhook,
};
use crate::remote;
use crate::wire::{self, World};

/// One administrative command. Not `Debug`: some carry a password.
#[derive(Serialize, Deserialize)]
pub enum Admin {
    Init(init::Wanted),
    OrgCreate(org::Create),
    OrgList,
    OrgSet(org::Set),
    UserCreate(user::Create),
    UserList(user::List),
    UserDeactivate(user::Deactivate),
    UserPassword(user::Reset),
    UserGrant(user::Change),
    UserRevoke(user::Change),
    AgentRegister(agent::Register),
    AgentUpdate(agent::Update),
    AgentList(agent::List),
    TokenIssue(token::Issue),
    TokenList(token::List),
    TokenRevoke(token::Revoke),
    ClientCreate(client::Create),
    ClientList(client::List),
    ClientRemove(client::Remove),
    ClientRotateKey(client::RotateKey),
    PolicyCheck(policy::Check),
    PolicyWhatIf(policy::Try),
    PolicyPublish(policy::Publish),
    PolicyList(policy::List),
    PolicyShow(policy::Show),
    IdentityProviderSet(identity_provider::Set),
    IdentityProviderList(identity_provider::List),
    IdentityProviderRemove(identity_provider::Remove),
    WebhookAdd(webhook::Add),
    WebhookSet(webhook::Set),
    WebhookList(webhook::List),
    WebhookSecret(webhook::Named),
    WebhookRemove(webhook::Named),
    WebhookDead(webhook::List),
    WebhookRetry(webhook::Retry),
    AuditExport(audit::Piece),
    AuditCheckpoint(audit::Show),
    AuditRotateKey(audit::Rotate),
    AuditErase(audit::Erase),
    AuditCosign(audit::Cosign),
    Backup(backup::To),
    /// Verification of every audit log.
    Check,
}

/// What a command has to say: lines for people, and the same as JSON, one value per line.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub lines: Vec<String>,
    pub json: Vec<Value>,
    /// Set when the report is of something that is not as it should be.
    pub failure: Option<Failure>,
}

impl Report {
    /// One fact.
    pub fn one(line: impl Into<String>, json: Value) -> Report {
        Report { lines: vec![line.into()], json: vec![json], failure: None }
    }

    /// Prints it as asked.
    ///
    /// # Errors
    /// The failure it reports.
    pub fn print(self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            self.json.iter().for_each(|value| print(value.to_string()));
        } else {
            self.lines.iter().for_each(print);
        }
        self.failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}

impl Admin {
    /// Runs on opened parts.
    ///
    /// # Errors
    /// Whatever keeps the command from its end.
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        match self {
            Admin::Init(wanted) => wanted.run(world).await,
            Admin::OrgCreate(create) => create.run(world).await,
            Admin::OrgList => org::list(world).await,
            Admin::OrgSet(set) => set.run(world).await,
            Admin::UserCreate(create) => create.run(world).await,
            Admin::UserList(list) => list.run(world).await,
            Admin::UserDeactivate(deactivate) => deactivate.run(world).await,
            Admin::UserPassword(reset) => reset.run(world).await,
            Admin::UserGrant(change) => change.grant(world).await,
            Admin::UserRevoke(change) => change.revoke(world).await,
            Admin::AgentRegister(register) => register.run(world).await,
            Admin::AgentUpdate(update) => update.run(world).await,
            Admin::AgentList(list) => list.run(world).await,
            Admin::TokenIssue(issue) => issue.run(world).await,
            Admin::TokenList(list) => list.run(world).await,
            Admin::TokenRevoke(revoke) => revoke.run(world).await,
            Admin::ClientCreate(create) => create.run(world).await,
            Admin::ClientList(list) => list.run(world).await,
            Admin::ClientRemove(remove) => remove.run(world).await,
            Admin::ClientRotateKey(rotate) => rotate.run(world).await,
            Admin::PolicyCheck(check) => check.run(world).await,
            Admin::PolicyWhatIf(draft) => draft.run(world).await,
            Admin::PolicyPublish(publish) => publish.run(world).await,
            Admin::PolicyList(list) => list.run(world).await,
            Admin::PolicyShow(show) => show.run(world).await,
            Admin::WebhookAdd(add) => add.run(world).await,
            Admin::WebhookSet(set) => set.run(world).await,
            Admin::IdentityProviderSet(set) => set.run(world).await,
            Admin::IdentityProviderList(list) => list.run(world).await,
            Admin::IdentityProviderRemove(remove) => remove.run(world).await,
            Admin::WebhookList(list) => list.run(world).await,
            Admin::WebhookSecret(of) => of.secret(world).await,
            Admin::WebhookRemove(of) => of.remove(world).await,
            Admin::WebhookDead(list) => list.dead(world).await,
            Admin::WebhookRetry(retry) => retry.run(world).await,
            Admin::AuditExport(piece) => piece.run(world).await,
            Admin::AuditCheckpoint(show) => show.run(world).await,
            Admin::AuditRotateKey(rotate) => rotate.run(world).await,
            Admin::AuditErase(erase) => erase.run(world).await,
            Admin::AuditCosign(cosign) => cosign.run(world).await,
            Admin::Backup(to) => to.run(world).await,
            Admin::Check => doctor::check_world(world).await,
        }
    }

    /// Whether the command may make the data folder.
    const fn makes_folder(&self) -> bool {
        matches!(self, Admin::Init(_) | Admin::OrgCreate(_))
    }

    /// Runs here, or in the process that serves the folder, and prints the report.
    ///
    /// # Errors
    /// Whatever keeps the command from its end.
    pub fn administer(self, common: &Common) -> anyhow::Result<()> {
        self.report(common)?.print(common.json)
    }

    /// Runs here, or in the process that serves the folder.
    ///
    /// # Errors
    /// Whatever keeps the command from its end.
    pub fn report(self, common: &Common) -> anyhow::Result<Report> {
        let config = common.load()?;
        let embedded = config.database_url.0.is_none();
        if embedded && !self.makes_folder() && !config.data.join("directory.db").exists() {
            return Err(Failure::new(
                format!("there is no LoopIQ data in {}", config.data.display()),
                "Name the data folder with --data or LOOPIQ_DATA; `loopiq init` makes a new one.",
            )
            .into());
        }
        wire::block_on(async move {
            let world = match wire::open(&config).await {
                Ok(world) => world,
                Err(error) if wire::in_use(&error) => {
                    progress("the data folder is being served; asking its server …");
                    return remote::ask(&config.data, &self).await;
                }
                Err(error) => return Err(error),
            };
            let done = self.run(&world).await;
            world.store.close().await;
            done
        })
    }
}
