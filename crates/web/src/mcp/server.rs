//! The methods. Which exist is decided here and nowhere else: what is not advertised answers "no such method", so
//! that no client is led to believe in something that is not there.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use domain::action::Channel;
use engine::{Admitted, Caller, Fault, RequestIds, Surface};
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::client::Abilities;
use super::envelope::{self, Call, Message, Params, is_object, text};
use super::era::{self, Client, Era};
use super::error::RpcError;
use super::listen::{self, Wanted};
use super::resources::{self, FIXED_TTL_MS, Listed};
use super::{call, completion, prompts, skills, tasks, wire};
use crate::State;
use crate::access::{self, Challenge};
use crate::problem::Problem;

/// What goes back.
pub enum Reply {
    /// Taken, nothing to say.
    Accepted,
    Json(StatusCode, Vec<u8>),
    /// One message after the other.
    Stream(Body),
    /// An answer of HTTP, not of the protocol.
    Problem(Problem),
}

impl Reply {
    pub fn result(bytes: Vec<u8>) -> Reply {
        Reply::Json(StatusCode::OK, bytes)
    }
    pub fn error(id: Option<&str>, error: &RpcError) -> Reply {
        Reply::Json(error.status, wire::error(id, error))
    }
}

/// A request that may be answered.
pub struct Asked<'a> {
    id: &'a str,
    call: Call<'a>,
    pub era: Era,
    pub client: Client<'a>,
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
        Ok(judged) => {
            Ok(Asked { id, call, era: judged.era, client: judged.client, traceparent: judged.traceparent })
        }
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
const METHODS: [&str; 18] = [
    "tools/call",
    "tools/list",
    "server/discover",
    "initialize",
    "ping",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/directory/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "skills/list",
    "skills/get",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "subscriptions/listen",
];

/// By which door a request came.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    pub surface: Surface,
    pub path: &'a str,
    /// The organization that the address names.
    pub slug: Option<&'a str>,
}

/// Where and for whom a request is answered.
pub struct Context<'a> {
    pub state: &'a State,
    pub headers: &'a HeaderMap,
    pub actor: &'a Admitted,
    pub door: Door<'a>,
    pub era: Era,
    pub client: Client<'a>,
    /// What a token must have here.
    pub challenge: Challenge<'a>,
    pub ids: &'a RequestIds,
}

impl Context<'_> {
    pub fn caller(&self) -> Caller<'_> {
        Caller { actor: self.actor, channel: Channel::Mcp, ids: self.ids }
    }

    /// What the client can do, read anew each time: only rare answers ask.
    pub fn abilities(&self) -> Abilities {
        Abilities::read(self.client.capabilities)
    }

    /// Whether the caller may use the tool of this name.
    pub fn may(&self, tool: &str) -> bool {
        engine::tools::find(tool).is_some_and(|tool| self.actor.permits(&tool.card))
    }

    /// The answer of a tool that reads, as text; `None` where it refuses, whatever for.
    pub async fn text(&self, tool: &str, arguments: Value) -> Option<String> {
        let arguments = to_raw_value(&arguments).ok()?;
        let answer = self.state.engine.call(self.caller(), tool, &arguments).await.ok()?;
        (!answer.is_error).then_some(answer.json)
    }

    /// The answer of a tool that reads; `None` where it refuses.
    pub async fn read(&self, tool: &str, arguments: Value) -> Option<Value> {
        serde_json::from_str(&self.text(tool, arguments).await?).ok()
    }

    /// What a client is told when storage fails.
    pub fn broken(&self, id: &str, fault: &Fault) -> Reply {
        access::log(self.ids, "mcp", fault);
        Reply::error(Some(id), &RpcError::internal(&self.ids.request_id))
    }
}

/// Answers one request.
pub async fn answer(cx: &Context<'_>, asked: Asked<'_>) -> Reply {
    let Asked { id, call, era, .. } = asked;
    #[cfg(feature = "conformance")]
    if let Some(reply) = super::fixtures::answer(cx, id, &call).await {
        return reply;
    }
    let listed = |member: &str, listed: Listed| {
        #[cfg(feature = "conformance")]
        let listed = super::fixtures::beside(member, listed);
        wire::listed(id, era, member, &listed)
    };
    let answered = match (&*call.method, era) {
        ("tools/call", _) => return call::answer(cx, id, &call).await,
        ("tools/list", _) => first_page(&call).map(|()| wire::tools(id, era, cx.state, &cx.actor.tools())),
        ("resources/list", _) => match cursor(&call) {
            Ok(cursor) => {
                resources::list(cx, cursor.as_deref()).await.map(|found| listed("resources", found))
            }
            Err(error) => Err(error),
        },
        ("resources/templates/list", _) => {
            first_page(&call).map(|()| listed("resourceTemplates", resources::templates(cx)))
        }
        ("resources/read", _) => match address(&call) {
            Ok(uri) => {
                let read = resources::read(cx, &uri).await;
                read.map(|read| wire::kept(id, era, "contents", &read.contents, read.ttl_ms))
            }
            Err(error) => Err(error),
        },
        ("resources/directory/read", _) => address(&call).and_then(|uri| {
            let children = skills::directory(&uri).ok_or_else(RpcError::no_directory)?;
            Ok(listed("resources", Listed::whole(children)))
        }),
        ("skills/list", _) => first_page(&call).map(|()| listed("skills", Listed::whole(skills::list()))),
        ("skills/get", _) => address(&call).and_then(|uri| {
            let skill = skills::get(&uri).ok_or_else(|| RpcError::no_skill(&uri))?;
            Ok(wire::kept(id, era, "skill", &skill, FIXED_TTL_MS))
        }),
        ("prompts/list", _) => first_page(&call).map(|()| listed("prompts", prompts::list(cx))),
        ("prompts/get", _) => prompt(cx, &call).map(|found| wire::object(id, era, "complete", &found)),
        ("completion/complete", _) => match completed(&call) {
            Ok((reference, argument)) => {
                let found = completion::complete(cx, &reference, &argument).await;
                found.map(|found| wire::object(id, era, "complete", &found))
            }
            Err(error) => Err(error),
        },
        ("tasks/get", Era::Modern) => match task(cx, &call) {
            Ok(task) => tasks::find(cx, &task)
                .await
                .map(|found| wire::object(id, era, "complete", &tasks::detail(&found))),
            Err(error) => Err(error),
        },
        // Tasks here ask nothing of their clients: there is no question to answer.
        ("tasks/update", Era::Modern) => match task(cx, &call) {
            Ok(task) => tasks::find(cx, &task).await.map(|_| wire::empty(id, era)),
            Err(error) => Err(error),
        },
        ("tasks/cancel", Era::Modern) => match task(cx, &call) {
            Ok(task) => tasks::cancel(cx, &task).await.map(|()| wire::empty(id, era)),
            Err(error) => Err(error),
        },
        ("subscriptions/listen", Era::Modern) => match wanted(&call) {
            Ok(wanted) => match listen::listen(cx, id, wanted).await {
                Ok(reply) => return reply,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        },
        ("server/discover", Era::Modern) => checked(&call, |_| Vec::new())
            .map(|_| wire::discover(id, cx.state.settings.base(), &cx.state.engine.instructions(cx.actor))),
        ("initialize", Era::Legacy) => initialize(cx, id, &call),
        ("ping", Era::Legacy) => checked(&call, |_| Vec::new()).map(|_| wire::empty(id, era)),
        _ => Err(RpcError::unknown_method(era.is_modern())),
    };
    match answered {
        Ok(bytes) => Reply::result(bytes),
        Err(error) => Reply::error(Some(id), &error),
    }
}

/// The parameters, once `wrong` names none of them.
pub fn checked<'c, 'a>(
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
    let instructions = cx.state.engine.instructions(cx.actor);
    Ok(wire::initialize(id, cx.state.settings.base(), era::settle(&asked), &instructions))
}

/// The cursor of a list that has pages.
fn cursor<'a>(call: &Call<'a>) -> Result<Option<Cow<'a, str>>, RpcError> {
    let wrong = |params: &Params<'_>| {
        if params.cursor.is_some_and(|raw| text(raw).is_none()) { vec!["cursor"] } else { Vec::new() }
    };
    Ok(checked(call, wrong)?.cursor.and_then(text))
}

/// For lists that fit one page: no cursor was ever given out, and any that comes is foreign.
fn first_page(call: &Call<'_>) -> Result<(), RpcError> {
    match cursor(call)? {
        None => Ok(()),
        Some(_) => Err(RpcError::bad_cursor()),
    }
}

/// A parameter that must be a string.
fn required<'a>(
    call: &Call<'a>,
    name: &'static str,
    of: impl Fn(&Params<'a>) -> Option<&'a RawValue>,
) -> Result<Cow<'a, str>, RpcError> {
    let wrong =
        |params: &Params<'a>| if of(params).and_then(text).is_none() { vec![name] } else { Vec::new() };
    let params = checked(call, wrong)?;
    of(params).and_then(text).ok_or_else(|| RpcError::params(vec![name]))
}

fn address<'a>(call: &Call<'a>) -> Result<Cow<'a, str>, RpcError> {
    required(call, "uri", |params| params.uri)
}

fn task<'a>(cx: &Context<'_>, call: &Call<'a>) -> Result<Cow<'a, str>, RpcError> {
    if !cx.abilities().tasks {
        return Err(RpcError::tasks_needed());
    }
    required(call, "taskId", |params| params.task_id)
}

/// A parameter read into its type.
fn typed<T: DeserializeOwned>(name: &'static str, raw: Option<&RawValue>) -> Result<T, RpcError> {
    let read = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    read.ok_or_else(|| RpcError::params(vec![name]))
}

fn prompt(cx: &Context<'_>, call: &Call<'_>) -> Result<Value, RpcError> {
    let name = required(call, "name", |params| params.name)?;
    let arguments: Map<String, Value> = match checked(call, |_| Vec::new())?.arguments {
        None => Map::new(),
        given => typed("arguments", given)?,
    };
    prompts::get(cx, &name, &arguments)
}

fn completed(call: &Call<'_>) -> Result<(completion::Reference, completion::Argument), RpcError> {
    let params = checked(call, |_| Vec::new())?;
    Ok((typed("ref", params.reference)?, typed("argument", params.argument)?))
}

fn wanted(call: &Call<'_>) -> Result<Wanted, RpcError> {
    typed("notifications", checked(call, |_| Vec::new())?.notifications)
}
