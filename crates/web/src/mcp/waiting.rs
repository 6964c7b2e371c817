//! A write that waits for people, as its client can take it: as a question with an address to open (URL elicitation, MRTR of
//! 2026-07-28), as a task (SEP-2663), or simply as the pending result with its link. A client is asked to open the address
//! only when its person's own approval is what is missing; the person signs in there and decides on the card.
//!
//! What goes out with the question is sealed and bound to organization, person, client, tool and arguments, ends, and can be
//! given back once. It gives no right: it only says which action was meant.

use std::time::Duration;

use domain::action::ActionState;
use domain::digest::{Digest, canonical_json};
use domain::id::{ActionId, OrgId, UserId};
use domain::time::Timestamp;
use engine::waiting::Standing;
use engine::{Answer, Fault};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::RpcError;
use super::server::{Context, Reply};
use super::{tasks, wire};
use crate::State;

/// Seconds for which a question may be answered.
const QUESTION_SECONDS: i64 = 900;
/// The longest that an answered question waits for the decision; then the pending result is the answer. Shorter than what
/// proxies wait for.
const DECISION_SECONDS_MAX: u64 = 20;
/// The key of the one question.
const KEY: &str = "approval";
/// What the sealed address is for.
const OPENED: &str = "open";

/// What is sealed into a question.
#[derive(Serialize, Deserialize)]
struct Question {
    action: ActionId,
    until: Timestamp,
}

/// What is sealed into an address.
#[derive(Serialize, Deserialize)]
pub struct Opening {
    pub organization: OrgId,
    /// Whose it is: another person's browser is not led on.
    pub person: UserId,
    pub action: ActionId,
    until: Timestamp,
}

/// A call of a tool that writes.
pub struct Called<'a> {
    pub id: &'a str,
    pub tool: &'static str,
    pub arguments: Option<&'a RawValue>,
}

impl Called<'_> {
    /// To whom and to what a question belongs.
    fn purpose(&self, cx: &Context<'_>) -> Result<String, Fault> {
        let arguments: Value = serde_json::from_str(self.arguments.map_or("{}", RawValue::get))?;
        let digest = Digest::of(&canonical_json(&arguments)?);
        let actor = cx.actor;
        Ok(format!(
            "approval\n{}\n{}\n{:?}\n{}\n{digest}",
            actor.organization.id, actor.user_id, actor.credential, self.tool
        ))
    }
}

/// Answers a call that has left an action waiting.
pub async fn begin(cx: &Context<'_>, called: &Called<'_>, action: ActionId, answer: &Answer) -> Reply {
    let can = cx.abilities();
    if !can.urls && !can.tasks {
        return Reply::result(wire::called(called.id, cx.era, answer));
    }
    let Ok(standing) = cx.state.engine.standing(cx.caller(), action).await else {
        return Reply::result(wire::called(called.id, cx.era, answer));
    };
    if can.urls && standing.awaits_caller {
        return match question(cx, called, &standing).await {
            Ok(bytes) => Reply::result(bytes),
            Err(fault) => cx.broken(called.id, &fault),
        };
    }
    pending(cx, called, &standing)
}

/// The action that waits, without a question: as a task where the client knows tasks.
fn pending(cx: &Context<'_>, called: &Called<'_>, standing: &Standing) -> Reply {
    if cx.abilities().tasks && tasks::is_open(standing) {
        return Reply::result(wire::object(called.id, cx.era, "task", &tasks::summary(standing)));
    }
    Reply::result(wire::called(called.id, cx.era, &standing.answer))
}

async fn question(cx: &Context<'_>, called: &Called<'_>, standing: &Standing) -> Result<Vec<u8>, Fault> {
    let until = cx.state.clock.now().plus_seconds(QUESTION_SECONDS);
    let engine = &cx.state.engine;
    let asked = serde_json::to_vec(&Question { action: standing.id, until })?;
    let state = engine.ticket(&called.purpose(cx)?, &asked).await?;
    let opening = Opening {
        organization: cx.actor.organization.id,
        person: cx.actor.user_id,
        action: standing.id,
        until,
    };
    let ticket = engine.ticket(OPENED, &serde_json::to_vec(&opening)?).await?;
    let url = format!("{}/app/open/{ticket}", cx.state.settings.base());
    let message = format!(
        "Nothing was changed yet. Open the approval card, look at what would change, and decide there. {}",
        standing.approvers
    );
    let elicitation = json!({
        "method": "elicitation/create",
        "params": { "mode": "url", "message": message, "url": url },
    });
    let members = json!({ "inputRequests": { KEY: elicitation }, "requestState": state });
    Ok(wire::object(called.id, cx.era, "input_required", &members))
}

/// What a person said to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// They opened the address, or said so.
    Accepted,
    /// They did not want to, or closed the question.
    Declined,
    /// Nothing that can be understood.
    Nothing,
}

fn said(responses: Option<&RawValue>) -> Said {
    let all: Option<Value> = responses.and_then(|raw| serde_json::from_str(raw.get()).ok());
    match all.as_ref().and_then(|all| all.get(KEY)?.get("action")?.as_str()) {
        Some("accept") => Said::Accepted,
        Some("decline" | "cancel") => Said::Declined,
        _ => Said::Nothing,
    }
}

/// Answers a call that comes again with what its client was given.
pub async fn resume(
    cx: &Context<'_>,
    called: &Called<'_>,
    state: &str,
    responses: Option<&RawValue>,
) -> Reply {
    let opened = async {
        let bytes = cx.state.engine.open_ticket(&called.purpose(cx)?, state).await?;
        let found: Option<Question> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Some(found) = found.filter(|found| found.until > cx.state.clock.now()) else { return Ok(None) };
        let first = cx.state.engine.spend_ticket(state, found.until).await?;
        Ok::<_, Fault>(first.then_some(found))
    };
    let found = match opened.await {
        Ok(Some(found)) => found,
        Ok(None) => return Reply::error(Some(called.id), &RpcError::bad_state()),
        Err(fault) => return cx.broken(called.id, &fault),
    };
    let Ok(mut standing) = cx.state.engine.standing(cx.caller(), found.action).await else {
        return Reply::error(Some(called.id), &RpcError::bad_state());
    };
    match said(responses) {
        Said::Nothing if standing.awaits_caller => {
            return match question(cx, called, &standing).await {
                Ok(bytes) => Reply::result(bytes),
                Err(fault) => cx.broken(called.id, &fault),
            };
        }
        Said::Accepted => decided(cx, &mut standing).await,
        Said::Nothing | Said::Declined => {}
    }
    pending(cx, called, &standing)
}

/// Waits until the action is decided, for a while.
async fn decided(cx: &Context<'_>, standing: &mut Standing) {
    let mut changes = cx.state.engine.changes(cx.actor);
    let mut stopped = cx.state.stopped.clone();
    let until = Instant::now() + Duration::from_secs(DECISION_SECONDS_MAX);
    while matches!(standing.state, ActionState::PendingApproval | ActionState::Approved) {
        // Asked after listening has begun, so that nothing is missed between the two.
        match cx.state.engine.standing(cx.caller(), standing.id).await {
            Ok(now) => *standing = now,
            Err(_) => return,
        }
        if !tasks::is_open(standing) {
            return;
        }
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            changed = changes.changed() => if !changed { return },
            () = tokio::time::sleep_until(until) => return,
        }
    }
}

/// The action that a sealed address leads to; `None` when it is none of this server or has ended.
///
/// # Errors
/// A fault of storage.
pub async fn opening(state: &State, ticket: &str) -> Result<Option<Opening>, Fault> {
    let bytes = state.engine.open_ticket(OPENED, ticket).await?;
    let found: Option<Opening> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(found.filter(|found| found.until > state.clock.now()))
}
