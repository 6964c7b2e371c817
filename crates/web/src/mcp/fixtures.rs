//! The tools, resources and prompts that the official conformance suite asks for. They are in builds with the feature
//! `conformance` alone, never in the product, and answer by the same ways: what they return is written by `wire`, their states
//! are sealed as approvals' are, their streams are `streams`. Their tasks are kept in memory, because they are nobody's.
//!
//! What needs a session (questions to the client in older revisions, resumption) is not here: there are no sessions.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use domain::time::Timestamp;
use engine::Changes;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::client::Abilities;
use super::envelope::{self, Call, Params};
use super::error::RpcError;
use super::resources::{Listed, Read};
use super::server::{Context, Reply};
use super::wire;
use crate::streams::{Lines, Speaker};

/// A picture of one pixel, and a sound of no length.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
/// Between two messages of one call.
const PAUSE: Duration = Duration::from_millis(50);
/// What states are sealed for.
const STATE: &str = "conformance";
const TTL_MS: u32 = 300_000;
const POLL_MS: u32 = 200;

static TOOLS: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("fixtures/tools.json")).unwrap_or_default());

/// Moves when a list was changed by a tool: how often the list of tools, and that of prompts.
static CHANGED: LazyLock<watch::Sender<(u32, u32)>> = LazyLock::new(|| watch::Sender::new((0, 0)));

static TASKS: Mutex<Option<HashMap<String, Task>>> = Mutex::new(None);

/// Tools with a property that a header repeats.
pub fn mirrored() -> impl Iterator<Item = (&'static str, &'static Value)> {
    TOOLS.iter().filter_map(|tool| Some((tool.get("name")?.as_str()?, tool.get("inputSchema")?)))
}

/// The objects of the tools, as they are listed.
pub fn tools() -> impl Iterator<Item = String> {
    TOOLS.iter().map(Value::to_string)
}

/// What a stream has told of the lists that the suite's tools change.
pub struct Lists {
    now: watch::Receiver<(u32, u32)>,
    told: (u32, u32),
}

impl Lists {
    pub fn new() -> Lists {
        let now = CHANGED.subscribe();
        let told = *now.borrow();
        Lists { now, told }
    }

    /// Waits for a change of a list, or of the organization.
    pub async fn or_changed(&mut self, changes: &mut Changes) -> bool {
        tokio::select! {
            changed = changes.changed() => changed,
            changed = self.now.changed() => changed.is_ok(),
        }
    }

    /// What is to be told.
    pub fn news(&mut self, tools: bool, prompts: bool) -> Vec<&'static str> {
        let now = *self.now.borrow();
        let before = std::mem::replace(&mut self.told, now);
        let all = [
            (tools && before.0 != now.0, "notifications/tools/list_changed"),
            (prompts && before.1 != now.1, "notifications/prompts/list_changed"),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, method)| method).collect()
    }
}

/// A list with what the suite wants to find in it.
pub fn beside(member: &str, mut listed: Listed) -> Listed {
    listed.items.extend(match member {
        // The first page, which others follow.
        "resources" if listed.next.is_some() => resources(),
        "resourceTemplates" => templates(),
        "prompts" => prompts(),
        _ => Vec::new(),
    });
    listed
}

/// Answers what concerns the suite's own things; everything else goes its ordinary way.
pub async fn answer(cx: &Context<'_>, id: &str, call: &Call<'_>) -> Option<Reply> {
    let params = call.params.as_ref().ok()?;
    let name = params.name.and_then(envelope::text).unwrap_or_default();
    let value = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let kept = |members: &Value| Some(Reply::result(wire::object(id, cx.era, "complete", members)));
    match &*call.method {
        "tools/call" => {
            TOOLS.iter().find(|tool| tool.get("name").and_then(Value::as_str) == Some(&*name))?;
            if cx.era.is_modern()
                && let Err(error) = cx.state.mirrors.check(&name, params.arguments, cx.headers)
            {
                return Some(Reply::error(Some(id), &error));
            }
            let arguments = value(params.arguments).unwrap_or_default();
            Some(called(cx, id, &name, &arguments, &Sent::of(params)).await)
        }
        "prompts/get" => {
            let arguments = value(params.arguments).and_then(|all| all.as_object().cloned());
            let (kind, members) = prompt(&name, &arguments.unwrap_or_default(), &Sent::of(params))?;
            Some(Reply::result(wire::object(id, cx.era, kind, &members)))
        }
        "resources/read" => {
            let found = read(&params.uri.and_then(envelope::text)?)?;
            Some(Reply::result(wire::kept(id, cx.era, "contents", &found.contents, found.ttl_ms)))
        }
        "completion/complete" => {
            let reference = value(params.reference)?;
            (reference.get("name")? == "test_prompt_with_arguments").then_some(())?;
            kept(
                &json!({ "completion": { "values": ["paris", "park", "party"], "total": 3, "hasMore": false } }),
            )
        }
        "tasks/get" | "tasks/update" | "tasks/cancel" if cx.era.is_modern() && cx.abilities().tasks => {
            let task_id = params.task_id.and_then(envelope::text)?;
            let now = cx.state.clock.now();
            match &*call.method {
                "tasks/get" => kept(&task(&task_id, now)?),
                "tasks/update" => {
                    task_answered(&task_id, &value(params.input_responses).unwrap_or_default())?;
                    Some(Reply::result(wire::empty(id, cx.era)))
                }
                _ => {
                    task_cancelled(&task_id, now)?;
                    Some(Reply::result(wire::empty(id, cx.era)))
                }
            }
        }
        // The suite asks for both of servers without sessions too; the second has nobody to tell.
        "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" if !cx.era.is_modern() => {
            Some(Reply::result(wire::empty(id, cx.era)))
        }
        _ => None,
    }
}

fn resources() -> Vec<Value> {
    let of = |uri: &str, mime: &str| json!({ "uri": uri, "name": uri, "title": uri, "description": "A fixture.", "mimeType": mime });
    vec![
        of("test://static-text", "text/plain"),
        of("test://static-binary", "image/png"),
        of("test://watched-resource", "text/plain"),
    ]
}

fn templates() -> Vec<Value> {
    vec![json!({
        "uriTemplate": "test://template/{id}/data", "name": "template", "title": "Template",
        "description": "A fixture.", "mimeType": "application/json",
    })]
}

fn prompts() -> Vec<Value> {
    let of = |name: &str, arguments: &[&str]| {
        let arguments: Vec<Value> = arguments
            .iter()
            .map(|name| json!({ "name": name, "description": "A fixture.", "required": true }))
            .collect();
        json!({ "name": name, "title": name, "description": "A fixture.", "arguments": arguments })
    };
    vec![
        of("test_simple_prompt", &[]),
        of("test_prompt_with_arguments", &["arg1", "arg2"]),
        of("test_prompt_with_embedded_resource", &["resourceUri"]),
        of("test_prompt_with_image", &[]),
        of("test_input_required_result_prompt", &[]),
    ]
}

/// What a resource of the suite holds.
fn read(uri: &str) -> Option<Read> {
    let content = match uri {
        "test://static-text" | "test://watched-resource" => {
            json!({ "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource." })
        }
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let text = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": text.to_string() })
        }
    };
    Some(Read { contents: json!([content]), ttl_ms: 0 })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn message(content: &Value) -> Value {
    json!({ "role": "user", "content": content })
}

fn form(message: &str, name: &str, kind: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] });
    json!({ "method": "elicitation/create", "params": { "message": message, "requestedSchema": schema } })
}

fn sampling(question: &str) -> Value {
    let messages = json!([message(&text(question))]);
    json!({ "method": "sampling/createMessage", "params": { "messages": messages, "maxTokens": 100 } })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// What a request brought besides its arguments.
struct Sent {
    responses: Option<Value>,
    state: Option<String>,
    progress_token: Option<Value>,
    logs: bool,
}

impl Sent {
    fn of(params: &Params<'_>) -> Sent {
        let value =
            |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let meta = value(params.meta).unwrap_or_default();
        Sent {
            responses: value(params.input_responses),
            state: params.request_state.and_then(envelope::text).map(Cow::into_owned),
            progress_token: meta.get("progressToken").cloned(),
            logs: meta.get("io.modelcontextprotocol/logLevel").is_some(),
        }
    }

    /// The text a form was answered with.
    fn entered(&self, key: &str, field: &str) -> Option<String> {
        let answer = self.responses.as_ref()?.get(key)?;
        let accepted = answer.get("action")?.as_str()? == "accept";
        let value = answer.get("content")?.get(field)?;
        accepted.then(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    fn has(&self, key: &str) -> bool {
        self.responses.as_ref().and_then(|all| all.get(key)).is_some_and(Value::is_object)
    }
}

/// The answer to `prompts/get`, if the prompt is one of the suite's: kind and members of the result.
fn prompt(name: &str, arguments: &Map<String, Value>, sent: &Sent) -> Option<(&'static str, Value)> {
    let given = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let messages = match name {
        "test_simple_prompt" => json!([message(&text("This is a simple prompt for testing."))]),
        "test_prompt_with_arguments" => {
            let said = format!("Prompt with arguments: arg1='{}', arg2='{}'", given("arg1"), given("arg2"));
            json!([message(&text(&said))])
        }
        "test_prompt_with_embedded_resource" => {
            let resource = json!({
                "uri": given("resourceUri"), "mimeType": "text/plain", "text": "Embedded resource content for testing.",
            });
            json!([
                message(&json!({ "type": "resource", "resource": resource })),
                message(&text("Please process the embedded resource above.")),
            ])
        }
        "test_prompt_with_image" => json!([
            message(&json!({ "type": "image", "data": PNG, "mimeType": "image/png" })),
            message(&text("Please analyze the image above.")),
        ]),
        "test_input_required_result_prompt" => {
            let Some(context) = sent.entered("user_context", "context") else {
                let asked = form("What context should the prompt use?", "context", "string");
                return Some(("input_required", json!({ "inputRequests": { "user_context": asked } })));
            };
            json!([message(&text(&format!("Use this context: {context}")))])
        }
        _ => return None,
    };
    Some(("complete", json!({ "messages": messages })))
}

/// What a call comes to, before it is written.
enum Outcome {
    Content(Value),
    Failed(&'static str),
    Asks(Value, Option<&'static str>),
    Task(Task),
}

/// Answers a call of one of the suite's tools.
async fn called(cx: &Context<'_>, id: &str, name: &str, arguments: &Value, sent: &Sent) -> Reply {
    let can = cx.abilities();
    let outcome = match name {
        "test_tool_with_progress"
        | "test_tool_with_logging"
        | "test_logging_tool"
        | "test_streaming_elicitation" => {
            return streamed(cx, id, name, sent);
        }
        "test_missing_capability" if !can.sampling => {
            return Reply::error(Some(id), &RpcError::capability(json!({ "sampling": {} })));
        }
        "failing_job" | "test_tool_with_task" if !can.tasks => {
            return Reply::error(Some(id), &RpcError::tasks_needed());
        }
        "test_trigger_tool_change" => {
            CHANGED.send_modify(|(tools, _)| *tools += 1);
            Outcome::Content(json!([text("The list of tools was changed.")]))
        }
        "test_trigger_prompt_change" => {
            CHANGED.send_modify(|(_, prompts)| *prompts += 1);
            Outcome::Content(json!([text("The list of prompts was changed.")]))
        }
        _ if name.starts_with("test_input_required_result_") => match asking(cx, name, sent, can).await {
            Ok(outcome) => outcome,
            Err(error) => return Reply::error(Some(id), &error),
        },
        _ => simple(cx, name, arguments, sent, can),
    };
    match outcome {
        Outcome::Content(content) => {
            Reply::result(wire::object(id, cx.era, "complete", &json!({ "content": content })))
        }
        Outcome::Failed(said) => {
            let members = json!({ "content": [text(said)], "isError": true });
            Reply::result(wire::object(id, cx.era, "complete", &members))
        }
        Outcome::Asks(requests, state) => {
            let mut members = json!({ "inputRequests": requests });
            if let (Some(state), Some(members)) = (state, members.as_object_mut()) {
                match cx.state.engine.ticket(STATE, state.as_bytes()).await {
                    Ok(sealed) => members.insert("requestState".into(), sealed.into()),
                    Err(fault) => return cx.broken(id, &fault),
                };
            }
            Reply::result(wire::object(id, cx.era, "input_required", &members))
        }
        Outcome::Task(task) => {
            let task_id = cx.state.ids.next().to_string();
            let summary = task.summary(&task_id, cx.state.clock.now());
            tasks().get_or_insert_default().insert(task_id, task);
            Reply::result(wire::object(id, cx.era, "task", &summary))
        }
    }
}

fn simple(cx: &Context<'_>, name: &str, arguments: &Value, sent: &Sent, can: Abilities) -> Outcome {
    let resource = |uri: &str, mime: &str, said: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": said } });
    let given = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    let task = |seconds: i64, result: Value, asks: Vec<(&str, Value)>| {
        let begun = cx.state.clock.now();
        let asks = asks.into_iter().map(|(key, asked)| (key.to_owned(), asked)).collect();
        Outcome::Task(Task { begun, ends: begun.plus_seconds(seconds), result, asks, cancelled: false })
    };
    let done = |said: &str| json!({ "result": { "content": [text(said)] } });
    Outcome::Content(match name {
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => {
            json!([resource(
                "test://embedded-resource",
                "text/plain",
                "This is an embedded resource content."
            )])
        }
        "test_multiple_content_types" => {
            let data = json!({ "test": "data", "value": 123 }).to_string();
            let embedded = resource("test://mixed-content-resource", "application/json", &data);
            json!([text("Multiple content types test:"), image, embedded])
        }
        "test_error_handling" => {
            return Outcome::Failed("This tool intentionally returns an error for testing");
        }
        "greet" => json!([text(&format!("Hello, {}!", given("name")))]),
        "slow_compute" => {
            let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or_default() as i64;
            if can.tasks && seconds > 0 {
                return task(seconds, done("Computed."), Vec::new());
            }
            json!([text("Computed.")])
        }
        "failing_job" => {
            let failed = json!({ "result": { "content": [text("The job failed.")], "isError": true } });
            return task(1, failed, Vec::new());
        }
        "protocol_error_job" if can.tasks => {
            let error = json!({ "error": { "code": -32603, "message": "internal error" } });
            return task(1, error, Vec::new());
        }
        "confirm_delete" if can.tasks => {
            return task(0, done("Deleted."), vec![("confirm", form("Delete it?", "confirm", "boolean"))]);
        }
        "multi_input" if can.tasks => {
            let asks = ["first", "second"].map(|key| (key, form("A name?", "name", "string")));
            return task(0, done("Both are known."), asks.into());
        }
        "test_tool_with_task" => match sent.entered("user_name", "name") {
            Some(name) => return task(0, done(&format!("Done for {name}.")), Vec::new()),
            None => {
                return Outcome::Asks(
                    json!({ "user_name": form("What is your name?", "name", "string") }),
                    None,
                );
            }
        },
        _ => json!([text("This is a simple text response for testing.")]),
    })
}

async fn asking(cx: &Context<'_>, name: &str, sent: &Sent, can: Abilities) -> Result<Outcome, RpcError> {
    let state = match &sent.state {
        None => None,
        Some(sealed) => {
            let opened = cx.state.engine.open_ticket(STATE, sealed).await.ok().flatten();
            Some(opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(RpcError::bad_state)?)
        }
    };
    let name_form = || form("What is your name?", "name", "string");
    let content = |said: String| Ok(Outcome::Content(json!([text(&said)])));
    let asks = |requests: Value, state: Option<&'static str>| Ok(Outcome::Asks(requests, state));
    match name.strip_prefix("test_input_required_result_").unwrap_or_default() {
        "elicitation" => match sent.entered("user_name", "name") {
            Some(name) => content(format!("Hello, {name}!")),
            None => asks(json!({ "user_name": name_form() }), None),
        },
        "sampling" if sent.has("capital_question") => content("The model has answered.".into()),
        "sampling" => asks(json!({ "capital_question": sampling("What is the capital of France?") }), None),
        "list_roots" if sent.has("client_roots") => content("The roots are known.".into()),
        "list_roots" => asks(json!({ "client_roots": roots() }), None),
        "multiple_inputs" => {
            if state.is_some() && ["user_name", "greeting", "client_roots"].iter().all(|key| sent.has(key)) {
                return content("Everything is known.".into());
            }
            let requests = json!({ "user_name": name_form(), "greeting": sampling("Generate a greeting"), "client_roots": roots() });
            asks(requests, Some("inputs"))
        }
        "multi_round" => match state.as_deref() {
            Some("one") if sent.has("step1") => asks(
                json!({ "step2": form("Step 2: What is your favorite color?", "color", "string") }),
                Some("two"),
            ),
            Some("two") if sent.has("step2") => content("Both steps are done.".into()),
            _ => asks(json!({ "step1": form("Step 1: What is your name?", "name", "string") }), Some("one")),
        },
        "capabilities" => {
            let mut requests = Map::new();
            for (there, key, asked) in [
                (can.forms, "user_name", name_form()),
                (can.sampling, "greeting", sampling("Generate a greeting")),
                (can.roots, "client_roots", roots()),
            ] {
                if there {
                    requests.insert(key.to_owned(), asked);
                }
            }
            asks(Value::Object(requests), Some("capabilities"))
        }
        _ if state.is_some() && sent.has("confirm") => content("state-ok".into()),
        _ => asks(json!({ "confirm": form("Please confirm", "ok", "boolean") }), Some("confirm")),
    }
}

/// Messages that belong to one call, then its result.
struct Planned(VecDeque<(Duration, Bytes)>);

impl Speaker for Planned {
    async fn next(mut self) -> Option<(Bytes, Planned)> {
        let (pause, line) = self.0.pop_front()?;
        tokio::time::sleep(pause).await;
        Some((line, self))
    }
}

fn streamed(cx: &Context<'_>, id: &str, name: &str, sent: &Sent) -> Reply {
    let event = |message: &str| Bytes::from(format!("event: message\ndata: {message}\n\n"));
    let notification = |method: &str, params: Value| {
        event(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string())
    };
    let logged = |said: &str| notification("notifications/message", json!({ "level": "info", "data": said }));
    let mut lines = VecDeque::new();
    match (name, &sent.progress_token) {
        ("test_tool_with_progress", Some(token)) => {
            lines.extend([0, 50, 100].map(|progress| {
                let params = json!({ "progressToken": token, "progress": progress, "total": 100 });
                (PAUSE, notification("notifications/progress", params))
            }));
        }
        ("test_tool_with_logging", _) if sent.logs || !cx.era.is_modern() => {
            let said = ["Tool execution started", "Tool processing data", "Tool execution completed"];
            lines.extend(said.map(|said| (PAUSE, logged(said))));
        }
        ("test_logging_tool", _) if sent.logs => lines.push_back((PAUSE, logged("A message."))),
        _ => {}
    }
    let result = wire::object(id, cx.era, "complete", &json!({ "content": [text("Done.")] }));
    lines.push_back((PAUSE, event(&String::from_utf8_lossy(&result))));
    Reply::Stream(Body::new(Lines::of(Planned(lines))))
}

/// A task of the suite.
#[derive(Clone)]
struct Task {
    begun: Timestamp,
    ends: Timestamp,
    /// `result` or `error`, with which it ends.
    result: Value,
    /// What it asks before it goes on.
    asks: Map<String, Value>,
    cancelled: bool,
}

fn tasks() -> MutexGuard<'static, Option<HashMap<String, Task>>> {
    TASKS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Task {
    fn status(&self, now: Timestamp) -> &'static str {
        match () {
            () if self.cancelled => "cancelled",
            () if !self.asks.is_empty() => "input_required",
            () if now < self.ends => "working",
            () if self.result.get("error").is_some() => "failed",
            () => "completed",
        }
    }

    fn summary(&self, id: &str, now: Timestamp) -> Value {
        json!({
            "taskId": id, "status": self.status(now), "createdAt": self.begun, "lastUpdatedAt": now,
            "ttlMs": TTL_MS, "pollIntervalMs": POLL_MS,
        })
    }
}

/// `tasks/get` of a task of the suite.
fn task(id: &str, now: Timestamp) -> Option<Value> {
    let found = tasks().as_ref()?.get(id)?.clone();
    let mut task = found.summary(id, now);
    let members = task.as_object_mut()?;
    match found.status(now) {
        "completed" | "failed" => members.extend(found.result.as_object().cloned().unwrap_or_default()),
        "input_required" => {
            members.insert("inputRequests".into(), Value::Object(found.asks));
        }
        _ => {}
    }
    Some(task)
}

/// `tasks/update`.
fn task_answered(id: &str, responses: &Value) -> Option<()> {
    let mut all = tasks();
    let task = all.as_mut()?.get_mut(id)?;
    task.asks.retain(|key, _| responses.get(key).is_none());
    Some(())
}

/// `tasks/cancel`.
fn task_cancelled(id: &str, now: Timestamp) -> Option<()> {
    let mut all = tasks();
    let task = all.as_mut()?.get_mut(id)?;
    task.cancelled |= matches!(task.status(now), "working" | "input_required");
    Some(())
}
