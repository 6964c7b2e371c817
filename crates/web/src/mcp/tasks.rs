//! Tasks (SEP-2663) are the governed actions themselves: the id of a task is the id of the action, it is as durable, and who
//! may not see the action sees no task. A task ends when the action does; its result is what the tool answers to the same
//! call. Taking a task back withdraws the action.

use domain::action::ActionState;
use domain::id::ActionId;
use engine::waiting::Standing;
use engine::{Decision, Surface};
use serde_json::{Value, json};

use super::error::RpcError;
use super::server::Context;

/// How often a client should ask.
const POLL_MS: u32 = 3_000;
/// Why an action was withdrawn, for the audit record.
const CANCELLED: &str = "The client cancelled the task.";

/// Whether it has not ended.
pub fn is_open(standing: &Standing) -> bool {
    matches!(standing.state, ActionState::PendingApproval | ActionState::Approved)
}

/// What every task says, without its result.
pub fn summary(standing: &Standing) -> Value {
    let (status, message) = match standing.state {
        ActionState::PendingApproval => {
            ("working", format!("Waits for approval at {}. {}", standing.url, standing.approvers))
        }
        ActionState::Approved => ("working", "Approved, about to run.".to_owned()),
        _ if standing.withdrawn => ("cancelled", "Taken back; nothing was changed.".to_owned()),
        state => ("completed", format!("The action is {state}.")),
    };
    json!({
        "taskId": standing.id, "status": status, "statusMessage": message, "createdAt": standing.created_at,
        "lastUpdatedAt": standing.changed_at, "ttlMs": null, "pollIntervalMs": POLL_MS,
    })
}

/// A task with its result, where it has one.
pub fn detail(standing: &Standing) -> Value {
    let mut task = summary(standing);
    let ended = !is_open(standing) && !standing.withdrawn;
    if let (true, Some(members)) = (ended, task.as_object_mut()) {
        let answer = &standing.answer;
        let structured: Value = serde_json::from_str(&answer.json).unwrap_or_default();
        let content =
            json!([{ "type": "text", "text": answer.text }, { "type": "text", "text": answer.json }]);
        let result =
            json!({ "content": content, "structuredContent": structured, "isError": answer.is_error });
        members.insert("result".into(), result);
    }
    task
}

/// The caller's own action behind a task.
///
/// # Errors
/// -32602, the same for unknown and foreign ids.
pub async fn find(cx: &Context<'_>, id: &str) -> Result<Standing, RpcError> {
    let id: ActionId = id.parse().map_err(|_| RpcError::no_task())?;
    cx.state.engine.standing(cx.caller(), id).await.map_err(|_| RpcError::no_task())
}

/// Takes the action back if it still waits. What has ended stays as it is.
///
/// # Errors
/// -32602.
pub async fn cancel(cx: &Context<'_>, id: &str) -> Result<(), RpcError> {
    let standing = find(cx, id).await?;
    // Where only reads are offered nothing is taken back.
    if cx.door.surface == Surface::McpReadonly {
        return Err(RpcError::no_task());
    }
    if is_open(&standing) {
        let decision = Decision::Withdraw { reason: CANCELLED.to_owned() };
        // Between the two it may have been decided: then there is nothing to take back, and the next look says so.
        let _ = cx.state.engine.decide(cx.caller(), standing.id, &decision).await;
    }
    Ok(())
}
