//! `tools/call`: the tool found, its scope and its rate checked, the engine asked, and the answer written; a write that waits
//! for people goes on in `waiting`.

use axum::http::header::WWW_AUTHENTICATE;
use domain::action::Channel;
use domain::refusal::{Code, Refusal};
use engine::{Answer, Caller, UnknownTool};
use serde_json::value::RawValue;

use super::envelope::{Call, is_object, text};
use super::error::RpcError;
use super::server::{Context, Reply, checked};
use super::waiting::{self, Called};
use super::wire;
use crate::metrics;
use crate::problem::Problem;

/// Answers a call.
pub async fn answer(cx: &Context<'_>, id: &str, call: &Call<'_>) -> Reply {
    let era = cx.era;
    let params = match checked(call, |params| {
        let mut wrong = Vec::new();
        if params.name.and_then(text).is_none() {
            wrong.push("name");
        }
        if params.arguments.is_some_and(|raw| !is_object(raw)) {
            wrong.push("arguments");
        }
        wrong
    }) {
        Ok(params) => params,
        Err(error) => return Reply::error(Some(id), &error),
    };
    let name = params.name.and_then(text).unwrap_or_default();
    if era.is_modern()
        && let Err(error) = cx.state.mirrors.check(&name, params.arguments, cx.headers)
    {
        return Reply::error(Some(id), &error);
    }
    let found = engine::tools::find(&name);
    if let Some(tool) = found.filter(|tool| cx.actor.wants_wider_scope(&tool.card)) {
        let permission = tool.card.permission.map_or("", domain::permission::Permission::as_str);
        let refusal = Refusal::new(
            Code::Forbidden,
            format!("the client was not allowed {permission}"),
            "Ask the person to let the client in again with the scope that the WWW-Authenticate header names.",
        );
        let problem = Problem::new(refusal, cx.ids);
        return Reply::Problem(problem.header(WWW_AUTHENTICATE, cx.challenge.step_up()));
    }
    let answer = match found {
        Some(tool) if !tool.is_read() => {
            if let Err(refusal) = cx.state.rate.write(cx.actor) {
                return Reply::Problem(Problem::new(refusal, cx.ids));
            }
            if let (Some(state), true) = (params.request_state, era.is_modern() && cx.may(tool.name())) {
                let called = Called { id, tool: tool.name(), arguments: params.arguments };
                let Some(state) = text(state) else {
                    return Reply::error(Some(id), &RpcError::params(vec!["requestState"]));
                };
                return waiting::resume(cx, &called, &state, params.input_responses).await;
            }
            write(cx, tool.name(), params.arguments).await
        }
        _ => {
            let arguments = params.arguments.unwrap_or_else(|| no_arguments());
            Some(cx.state.engine.call(cx.caller(), &name, arguments).await)
        }
    };
    match answer {
        Some(Ok(answer)) => {
            let outcome = if answer.is_error { metrics::Called::Refused } else { metrics::Called::Ok };
            cx.state.metrics.tool(&name, outcome);
            match (answer.waits, found) {
                (Some(action), Some(tool)) if era.is_modern() => {
                    let called = Called { id, tool: tool.name(), arguments: params.arguments };
                    waiting::begin(cx, &called, action, &answer).await
                }
                _ => Reply::result(wire::called(id, era, &answer)),
            }
        }
        Some(Err(UnknownTool)) => {
            cx.state.metrics.unknown_tool();
            Reply::error(
                Some(id),
                &RpcError::not_there(
                    "there is no tool of this name for you",
                    "unknown_tool",
                    "Ask tools/list which tools you may call; names are case-sensitive.",
                ),
            )
        }
        None => Reply::error(Some(id), &RpcError::internal(&cx.ids.request_id)),
    }
}

/// An object without members.
fn no_arguments() -> &'static RawValue {
    static EMPTY: std::sync::LazyLock<Box<RawValue>> = std::sync::LazyLock::new(|| {
        RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
    });
    &EMPTY
}

/// A read is simply dropped when its client leaves. A write runs to its end: proposing may take several reads and a
/// commit, and its audit record must say how it went whether or not somebody still listens. `None` when it panicked.
async fn write(
    cx: &Context<'_>,
    tool: &'static str,
    arguments: Option<&RawValue>,
) -> Option<Result<Answer, UnknownTool>> {
    let engine = cx.state.engine.clone();
    let (actor, ids) = (cx.actor.clone(), cx.ids.clone());
    let arguments = arguments.unwrap_or_else(|| no_arguments()).to_owned();
    cx.state
        .tasks
        .finish(async move {
            let caller = Caller { actor: &actor, channel: Channel::Mcp, ids: &ids };
            engine.call(caller, tool, &arguments).await
        })
        .await
}
