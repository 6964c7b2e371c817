//! Plans a bearer token for whoever asks, or for an agent that is to act for them. Its secret is in the first answer and
//! nowhere else: what is planned, stored, approved and recorded is its hash. It is good for nothing before the action has
//! run.

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::permission::{Permission, Permissions};
use domain::refusal::{Code, Refusal};
use domain::token::TokenRecord;
use identity::{AuthError, TokenRequest};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::agent;
use crate::stop::{Fault, Stop};
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Issue a bearer token for yourself, or for an agent that is to act for you. The secret is shown once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// What it is for, as lists show it.
    #[schemars(length(min = 1, max = 100))]
    pub label: String,
    /// Permissions it is narrowed to; without any, it may do all you may.
    #[schemars(length(max = 50))]
    #[serde(default)]
    pub scopes: Vec<Permission>,
    /// Lifetime in days; a default when absent.
    #[serde(default)]
    pub days: Option<i64>,
    /// Id or name of the agent that is to act for you by it.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub agent: Option<String>,
}

/// The token that would be issued, with its secret.
pub struct Facts {
    record: TokenRecord,
    secret: String,
    agent: Option<String>,
}

pub struct IssueToken;

impl Command for IssueToken {
    const CARD: Card = Card {
        name: "loopiq_issue_token",
        title: "Issue a token",
        permission: None,
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        check_width(cx, &input.scopes)?;
        let agent = match &input.agent {
            None => None,
            Some(reference) => {
                let agents = cx.reader.agents().await?;
                Some(agent::named(&agents, reference).cloned().ok_or_else(|| Refusal::not_found("agent"))?)
            }
        };
        let request = TokenRequest {
            label: input.label.trim().to_owned(),
            scopes: input.scopes.clone(),
            days: input.days,
            agent: agent.as_ref().map(|agent| agent.id),
        };
        let (record, secret) =
            cx.identity.draft_token(cx.actor, request).await.map_err(|error| match error {
                AuthError::Refused(refusal) => Stop::Refused(refusal),
                AuthError::Fault(fault) => Stop::Broken(fault.into()),
                _ => Stop::Broken(Fault::Bug("a token is drafted or refused")),
            })?;
        Ok(Facts { record, secret, agent: agent.map(|agent| agent.name) })
    }

    fn plan(facts: &Facts, _: &In, asked: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let record = facts.record.clone();
        let whose = match &facts.agent {
            Some(agent) => format!("{agent}, acting for {}", asked.by.email),
            None => asked.by.email.clone(),
        };
        let mut labels =
            std::collections::BTreeMap::from([(record.user_id.to_string(), asked.by.email.clone())]);
        labels.extend(record.agent_id.zip(facts.agent.clone()).map(|(id, name)| (id.to_string(), name)));
        Ok(Plan {
            summary: format!("New token for {whose}"),
            labels,
            effects: vec![Effect::ChangeDirectory {
                change: Box::new(DirectoryChange::IssueToken { record }),
            }],
            secret: Some(facts.secret.clone()),
            ..Plan::default()
        })
    }
}

/// No credential makes one that may more than itself.
fn check_width(cx: &Cx<'_>, scopes: &[Permission]) -> Result<(), Refusal> {
    let wanted = if scopes.is_empty() { Permissions::EVERY } else { Permissions::of(scopes) };
    let wider = wanted.iter().any(|permission| !cx.actor.scopes.contains(permission));
    if cx.actor.agent.is_none() && !wider {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Forbidden,
        "no token issues one that may do more than itself, and an agent issues none",
        "Have the person issue it in their own browser session, or name scopes that this token has.",
    ))
}
