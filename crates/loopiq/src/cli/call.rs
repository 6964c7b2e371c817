//! A command of the line that is a tool: called through the engine in the name of a member, and what it answered.

use clap::Args;
use domain::action::{Channel, Note, RecordLink};
use domain::id::Ids as _;
use domain::refusal::{FieldDetail, Refusal};
use engine::{Admitted, Caller, RequestIds, Stop, Surface};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::Failure;
use crate::system::SystemIds;
use crate::wire::World;

/// In whose name, and where.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct InName {
    /// Short name of the organization.
    #[arg(long)]
    pub org: String,
    /// E-mail of the member in whose name it is done; they need the permission for it.
    #[arg(long)]
    pub email: String,
}

/// In whose name, where, and why.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct By {
    /// Short name of the organization.
    #[arg(long)]
    pub org: String,
    /// E-mail of the member in whose name it is done; they need the permission for it.
    #[arg(long)]
    pub email: String,
    /// Why; it stands in the audit log.
    #[arg(long, default_value = "from the command line")]
    pub reason: String,
}

/// Somebody in whose name tools are called from the command line.
pub struct Member {
    admitted: Admitted,
    ids: RequestIds,
}

impl Member {
    /// # Errors
    /// When there is no such organization or member.
    pub async fn of(world: &World, org: &str, email: &str) -> anyhow::Result<Member> {
        let actor = world.identity.local(org, email).await?;
        let id = SystemIds.next().to_string();
        let ids = RequestIds { request_id: id.clone(), trace_id: id };
        Ok(Member { admitted: world.engine.admit(actor, Surface::Api).await?, ids })
    }

    pub fn caller(&self) -> Caller<'_> {
        Caller { actor: &self.admitted, channel: Channel::Cli, ids: &self.ids }
    }

    /// Calls a tool that writes.
    ///
    /// # Errors
    /// What it refuses, with its remedy.
    pub async fn call(
        &self,
        world: &World,
        tool: &str,
        arguments: &(impl Serialize + Sync),
    ) -> anyhow::Result<Told> {
        self.answer(world, tool, arguments).await
    }

    /// Calls a tool that reads and needs no arguments.
    ///
    /// # Errors
    /// What it refuses, with its remedy.
    pub async fn ask<T: DeserializeOwned>(&self, world: &World, tool: &str) -> anyhow::Result<T> {
        self.answer(world, tool, &serde_json::json!({})).await
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        world: &World,
        tool: &str,
        arguments: &(impl Serialize + Sync),
    ) -> anyhow::Result<T> {
        let arguments: Box<RawValue> = to_raw_value(arguments)?;
        let answer = world
            .engine
            .call(self.caller(), tool, &arguments)
            .await
            .map_err(|_| Failure::new("this cannot be done here", "Update the program."))?;
        if answer.is_error {
            let refused: Refused = serde_json::from_str(&answer.json)?;
            return Err(refused.error.into());
        }
        Ok(serde_json::from_str(&answer.json)?)
    }
}

/// What a write that was taken says of itself.
#[derive(Deserialize)]
pub struct Told {
    pub status: String,
    #[serde(default)]
    pub notes: Vec<Note>,
    pub approval: Option<Waiting>,
    pub audit: Option<Value>,
    #[serde(default)]
    pub created: Vec<RecordLink>,
}

impl Told {
    /// The page on which somebody must approve it first.
    pub fn waits_at(&self) -> Option<&str> {
        self.approval.as_ref().filter(|_| self.status != "executed").map(|approval| approval.url.as_str())
    }
}

#[derive(Deserialize)]
pub struct Waiting {
    url: String,
}

#[derive(Deserialize)]
struct Refused {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    code: String,
    message: String,
    remedy: String,
    #[serde(default)]
    details: Vec<FieldDetail>,
}

impl From<Said> for anyhow::Error {
    fn from(said: Said) -> anyhow::Error {
        let mut message = format!("{} ({})", said.message, said.code);
        for detail in said.details {
            message.push_str(&format!("\n  {} {}", detail.field, detail.message));
        }
        Failure::new(message, said.remedy).into()
    }
}

/// Each command of the line is a write of its own, however often the same is asked for.
pub fn key() -> String {
    format!("cli-{}", SystemIds.next())
}

/// Says that somebody must approve first, or else what was done.
pub fn outcome(waits_at: Option<&str>, done: String) -> String {
    waits_at.map_or(done, |url| format!("it waits for approval: {url}"))
}

/// A refusal as people read it.
pub fn refused(refusal: Refusal) -> anyhow::Error {
    Said {
        code: refusal.code.to_string(),
        message: refusal.message,
        remedy: refusal.remedy,
        details: refusal.details,
    }
    .into()
}

/// A refusal as people read it, a fault as it is.
pub fn stopped(stop: Stop) -> anyhow::Error {
    match stop {
        Stop::Refused(refusal) => refused(refusal),
        Stop::Broken(fault) => fault.into(),
    }
}
