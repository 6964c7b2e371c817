//! The methods. Which exist is decided here and nowhere else: what is not advertised answers "no such method", so
//! that no client is led to believe in something that is not there.

use std::borrow::Cow;

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use domain::action::Channel;
use domain::refusal::{Code, Refusal};
use engine::{Admitted, Answer, Caller, RequestIds, UnknownTool};
use serde_json::value::RawValue;

use super::envelope::{self, Call, Message, Params, is_object, text};
use super::era::{self, Era};
use super::error::RpcError;
use super::wire;
use crate::State;
use crate::access::Challenge;
use crate::metrics::Called;
use crate::problem::Problem;

/// What goes back.
pub enum Reply {
    /// Taken, nothing to say.
    Accepted,
    Json(StatusCode, Vec<u8>),
    /// An answer of HTTP, not of the protocol.
    Problem(Problem),
}

impl Reply {
    fn result(bytes: Vec<u8>) -> Reply {
        Reply::Json(StatusCode::OK, bytes)
    }
    fn error(id: Option<&str>, error: &RpcError) -> Reply {
        Reply::Json(error.status, wire::error(id, error))
    }
}

/// A request that may be answered.
pub struct Asked<'a> {
    id: &'a str,
    call: Call<'a>,
    era: Era,
    pub traceparent: Option<Cow<'a, str>>,
}

/// Reads and judges a message without knowing who sent it: pure, for any bytes.
///
/// # Errors
/// The reply, where there is nothing to ask the engine.
pub fn triage<'a>(bytes: &'a [u8], headers: &HeaderMap, depth_max: usize) -> Result<Asked<'a>, Reply> {
    let message = envelope::read(bytes, depth_max).map_err(|bad| Reply::error(bad.id, &bad.error))?;
    let (id, call) = match message {
        Message::Request { id, call } => (id, call),
        Message::Notification(call) => {
            return Err(match era::judge(&call, headers, true) {
                Ok(_) => Reply::Accepted,
                Err(error) => Reply::error(None, &error),
            });
        }
        // We never ask clients anything, so an answer is about nothing; older revisions want it taken all the same.
        Message::Response => {
            let modern = headers
                .get("mcp-protocol-version")
                .is_some_and(|v| v.as_bytes() == super::error::MODERN.as_bytes());
            let error = RpcError::invalid_request("clients send no responses in this revision");
            return Err(if modern { Reply::error(None, &error) } else { Reply::Accepted });
        }
    };
    match era::judge(&call, headers, false) {
        Ok(judged) => Ok(Asked { id, call, era: judged.era, traceparent: judged.traceparent }),
        Err(error) => Err(Reply::error(Some(id), &error)),
    }
}

impl Asked<'_> {
    /// What is asked for, for the log: the tool, or the method, as long as it is one of ours.
    pub fn called(&self) -> &'static str {
        if self.call.method == "tools/call" {
            let name = self.call.params.as_ref().ok().and_then(|params| params.name).and_then(text);
            return name.and_then(|name| engine::tools::find(&name)).map_or("tools/call", engine::Tool::name);
        }
        METHODS.into_iter().find(|method| *method == self.call.method).unwrap_or("unknown")
    }
}

/// The methods that are answered, in one era or the other.
const METHODS: [&str; 9] = [
    "tools/list",
    "server/discover",
    "initialize",
    "ping",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
];

/// Where and for whom a request is answered.
pub struct Context<'a> {
    pub state: &'a State,
    pub headers: &'a HeaderMap,
    pub actor: &'a Admitted,
    /// What a token must have here.
    pub challenge: Challenge<'a>,
    pub ids: &'a RequestIds,
}

/// Answers one request.
pub async fn answer(cx: &Context<'_>, asked: Asked<'_>) -> Reply {
    let Asked { id, call, era, .. } = asked;
    let answered = match (&*call.method, era) {
        ("tools/call", _) => return called(cx, id, era, &call).await,
        ("tools/list", _) => first_page(&call).map(|()| wire::tools(id, era, &cx.actor.tools())),
        ("resources/list", _) => first_page(&call).map(|()| wire::nothing(id, era, "resources")),
        ("resources/templates/list", _) => {
            first_page(&call).map(|()| wire::nothing(id, era, "resourceTemplates"))
        }
        ("prompts/list", _) => first_page(&call).map(|()| wire::nothing(id, era, "prompts")),
        ("resources/read", _) => Err(no_resource(era, &call)),
        ("prompts/get", _) => Err(no_prompt(&call)),
        ("server/discover", Era::Modern) => checked(&call, |_| Vec::new())
            .map(|_| wire::discover(id, &cx.state.engine.instructions(cx.actor))),
        ("initialize", Era::Legacy) => initialize(cx, id, &call),
        ("ping", Era::Legacy) => checked(&call, |_| Vec::new()).map(|_| wire::empty(id)),
        _ => Err(RpcError::unknown_method(era.is_modern())),
    };
    match answered {
        Ok(bytes) => Reply::result(bytes),
        Err(error) => Reply::error(Some(id), &error),
    }
}

/// The parameters, once `wrong` names none of them.
fn checked<'c, 'a>(
    call: &'c Call<'a>,
    wrong: impl FnOnce(&Params<'a>) -> Vec<&'static str>,
) -> Result<&'c Params<'a>, RpcError> {
    let Ok(params) = &call.params else { return Err(RpcError::params(vec!["params"])) };
    let mut fields = wrong(params);
    if params.meta.is_some_and(|raw| !is_object(raw)) {
        fields.push("_meta");
    }
    if fields.is_empty() { Ok(params) } else { Err(RpcError::params(fields)) }
}

fn initialize(cx: &Context<'_>, id: &str, call: &Call<'_>) -> Result<Vec<u8>, RpcError> {
    let params = checked(call, |params| {
        let mut wrong = Vec::new();
        if params.protocol_version.and_then(text).is_none() {
            wrong.push("protocolVersion");
        }
        if !params.capabilities.is_some_and(is_object) {
            wrong.push("capabilities");
        }
        if !params.client_info.is_some_and(is_object) {
            wrong.push("clientInfo");
        }
        wrong
    })?;
    let asked = params.protocol_version.and_then(text).unwrap_or_default();
    Ok(wire::initialize(id, era::settle(&asked), &cx.state.engine.instructions(cx.actor)))
}

/// Every list fits one page, so no cursor was ever given out and any that comes is foreign.
fn first_page(call: &Call<'_>) -> Result<(), RpcError> {
    let params = checked(call, |params| {
        if params.cursor.is_some_and(|raw| text(raw).is_none()) { vec!["cursor"] } else { Vec::new() }
    })?;
    if params.cursor.is_none() {
        return Ok(());
    }
    Err(RpcError::not_there(
        "the cursor is not one of this list",
        "bad_cursor",
        "Ask for the list again without a cursor.",
    ))
}

fn no_resource(era: Era, call: &Call<'_>) -> RpcError {
    let wrong =
        |params: &Params<'_>| if params.uri.and_then(text).is_none() { vec!["uri"] } else { Vec::new() };
    match checked(call, wrong) {
        Ok(params) => RpcError::no_resource(era.is_modern(), &params.uri.and_then(text).unwrap_or_default()),
        Err(error) => error,
    }
}

fn no_prompt(call: &Call<'_>) -> RpcError {
    let wrong =
        |params: &Params<'_>| if params.name.and_then(text).is_none() { vec!["name"] } else { Vec::new() };
    match checked(call, wrong) {
        Ok(_) => RpcError::not_there(
            "there is no prompt of this name",
            "unknown_prompt",
            "Ask prompts/list which prompts there are.",
        ),
        Err(error) => error,
    }
}

async fn called(cx: &Context<'_>, id: &str, era: Era, call: &Call<'_>) -> Reply {
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
            write(cx, tool.name(), params.arguments).await
        }
        _ => {
            let caller = Caller { actor: cx.actor, channel: Channel::Mcp, ids: cx.ids };
            let arguments = params.arguments.unwrap_or_else(|| no_arguments());
            Some(cx.state.engine.call(caller, &name, arguments).await)
        }
    };
    match answer {
        Some(Ok(answer)) => {
            cx.state.metrics.tool(&name, if answer.is_error { Called::Refused } else { Called::Ok });
            Reply::result(wire::called(id, era, &answer))
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
