//! Asks language models over HTTP, by the guarded client: in the chat completions of OpenAI, which hosted and local servers speak
//! alike, and in the messages of Anthropic, both as streams of server-sent events (docs/decisions/0007). The key goes into one
//! header and nowhere else; of what a provider answers, nothing but text, wanted calls and counts of tokens is taken, and of an
//! error its status alone.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::model::ModelProvider;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use web::model::{Asking, Failure, Message, Model, Piece, Request, Take, Wanted};

use crate::config::Addresses;
use crate::outbound::{NoAnswer, Outbound};

/// Seconds of one answer, from looking up the name to its last byte.
const SECONDS_MAX: u64 = 180;
/// Bytes of one line of a stream.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a whole stream.
const STREAM_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Calls of one answer.
const CALLS_MAX: usize = 32;
/// Bytes that a token has at most, on the average of an answer: a limit of tokens is held by us too.
const TOKEN_BYTES: usize = 8;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Models behind one client.
pub struct HttpModel(Outbound);

impl HttpModel {
    /// # Errors
    /// When the platform gives no client.
    pub fn new(addresses: Addresses) -> anyhow::Result<HttpModel> {
        Ok(HttpModel(Outbound::new(addresses, Duration::from_secs(SECONDS_MAX))?))
    }

    async fn asked(&self, request: Request<'_>, take: Take<'_>) -> Result<(), Failure> {
        let provider = request.settings.provider;
        let (path, body) = match provider {
            ModelProvider::OpenAiCompatible => ("/chat/completions", completions(&request)),
            ModelProvider::Anthropic => ("/v1/messages", messages(&request)),
        };
        let url = self.0.target(&format!("{}{path}", request.settings.base_url)).map_err(no_answer)?;
        let sent = self.0.client().post(url).headers(headers(&request)?).body(body.to_string()).send().await;
        let mut answer = sent.map_err(|error| no_answer(NoAnswer::from(&error)))?;
        check(&answer)?;
        let bytes_max = request.output_tokens_max as usize * TOKEN_BYTES;
        let mut reading = Reading { bytes_left: bytes_max, ..Reading::default() };
        let (mut lines, mut length) = (Lines::default(), 0);
        while let Some(part) = answer.chunk().await.map_err(|error| no_answer(NoAnswer::from(&error)))? {
            length += part.len();
            if length > STREAM_BYTES_MAX {
                return Err(Failure::TooMuch);
            }
            lines.0.extend_from_slice(&part);
            while let Some(data) = lines.next()? {
                match provider {
                    ModelProvider::OpenAiCompatible => reading.completion(&data, &mut *take)?,
                    ModelProvider::Anthropic => reading.event(&data, &mut *take)?,
                }
                if reading.ended {
                    reading.end(take);
                    return Ok(());
                }
            }
        }
        if !reading.finished {
            return Err(Failure::Nonsense);
        }
        reading.end(take);
        Ok(())
    }
}

impl Model for HttpModel {
    fn ask<'a>(&'a self, request: Request<'a>, take: Take<'a>) -> Asking<'a> {
        Box::pin(self.asked(request, take))
    }
}

const fn no_answer(why: NoAnswer) -> Failure {
    match why {
        NoAnswer::BadUrl => Failure::BadUrl,
        NoAnswer::PrivateAddress => Failure::PrivateAddress,
        NoAnswer::Timeout => Failure::Timeout,
        NoAnswer::Unreachable => Failure::Unreachable,
    }
}

fn headers(request: &Request<'_>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let secret = |text: String| {
        let mut value = HeaderValue::try_from(text).map_err(|_| Failure::Unauthorized)?;
        // So that no library that logs headers shows it.
        value.set_sensitive(true);
        Ok(value)
    };
    let key = request.key.map(engine::model::ModelKey::reveal);
    match (request.settings.provider, key) {
        (ModelProvider::OpenAiCompatible, Some(key)) => {
            headers.insert(AUTHORIZATION, secret(format!("Bearer {key}"))?);
        }
        (ModelProvider::Anthropic, Some(key)) => {
            headers.insert(API_KEY, secret(key.to_owned())?);
        }
        (_, None) => {}
    }
    if request.settings.provider == ModelProvider::Anthropic {
        headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
    }
    Ok(headers)
}

/// Whether an answer is a stream of events.
fn check(answer: &Response) -> Result<(), Failure> {
    let text = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Failure::Unauthorized),
        StatusCode::NOT_FOUND => return Err(Failure::NotFound),
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => return Err(Failure::Timeout),
        StatusCode::TOO_MANY_REQUESTS => {
            let seconds = text(RETRY_AFTER).and_then(|text| text.parse().ok());
            return Err(Failure::RateLimited { seconds });
        }
        status if status.is_server_error() => return Err(Failure::Overloaded),
        status if status.is_client_error() => return Err(Failure::Refused),
        _ => return Err(Failure::Nonsense),
    }
    let is_stream = text(CONTENT_TYPE).is_some_and(|media| media.starts_with("text/event-stream"));
    if is_stream { Ok(()) } else { Err(Failure::Nonsense) }
}

/// The body of a question in the chat completions of OpenAI.
fn completions(request: &Request<'_>) -> Value {
    let mut messages = vec![json!({ "role": "system", "content": request.system })];
    for message in request.messages {
        match message {
            Message::Person(text) => messages.push(json!({ "role": "user", "content": text })),
            Message::Model { text, calls } if calls.is_empty() => {
                messages.push(json!({ "role": "assistant", "content": text }));
            }
            Message::Model { text, calls } => {
                let call = |call: &Wanted| {
                    let function = json!({ "name": call.name, "arguments": call.arguments });
                    json!({ "id": call.id, "type": "function", "function": function })
                };
                let calls: Vec<Value> = calls.iter().map(call).collect();
                messages.push(json!({ "role": "assistant", "content": text, "tool_calls": calls }));
            }
            Message::Results(results) => {
                let result = |result: &web::model::Returned| json!({ "role": "tool", "tool_call_id": result.id, "content": result.text });
                messages.extend(results.iter().map(result));
            }
        }
    }
    // OpenAI's newer models know one name of the limit, other servers the other.
    let limit = if request.settings.base_url == ModelProvider::OpenAiCompatible.base_url() {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    let mut body = json!({
        "model": request.settings.model, "messages": messages, "stream": true,
        "stream_options": { "include_usage": true }, limit: request.output_tokens_max,
    });
    let tool = |tool: &web::model::Shown| {
        let function =
            json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
        json!({ "type": "function", "function": function })
    };
    let tools: Vec<Value> = request.tools.iter().map(tool).collect();
    if let (false, Some(members)) = (tools.is_empty(), body.as_object_mut()) {
        members.insert("tools".into(), tools.into());
    }
    body
}

/// The body of a question in the messages of Anthropic.
fn messages(request: &Request<'_>) -> Value {
    let said = |message: &Message| match message {
        Message::Person(text) => json!({ "role": "user", "content": text }),
        Message::Model { text, calls } => {
            let mut content = Vec::new();
            if !text.trim().is_empty() {
                content.push(json!({ "type": "text", "text": text }));
            }
            content.extend(calls.iter().map(|call| {
                // What was no object was refused, and is told again as an empty one.
                let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
                let input = if input.is_object() { input } else { json!({}) };
                json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
            }));
            json!({ "role": "assistant", "content": content })
        }
        Message::Results(results) => {
            let result = |result: &web::model::Returned| json!({ "type": "tool_result", "tool_use_id": result.id, "content": result.text, "is_error": result.is_error });
            json!({ "role": "user", "content": results.iter().map(result).collect::<Vec<_>>() })
        }
    };
    let tool = |tool: &web::model::Shown| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters });
    json!({
        "model": request.settings.model, "max_tokens": request.output_tokens_max, "stream": true,
        "system": request.system, "messages": request.messages.iter().map(said).collect::<Vec<_>>(),
        "tools": request.tools.iter().map(tool).collect::<Vec<_>>(),
    })
}

/// Bytes of a stream that are not read yet.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// What the next whole line of data says (chapter 9.2 of the HTML standard). Providers write one line an event.
    fn next(&mut self) -> Result<Option<String>, Failure> {
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            let line = String::from_utf8(line).map_err(|_| Failure::Nonsense)?;
            if let Some(data) = line.trim_end().strip_prefix("data:") {
                return Ok(Some(data.trim_start().to_owned()));
            }
        }
        if self.0.len() > LINE_BYTES_MAX { Err(Failure::TooMuch) } else { Ok(None) }
    }
}

/// What of an answer has been read.
#[derive(Default)]
struct Reading {
    /// Calls that are being written, by their place.
    calls: BTreeMap<u64, Wanted>,
    /// Bytes that may still come.
    bytes_left: usize,
    tokens: u64,
    /// Whether the model has come to an end.
    finished: bool,
    /// Whether nothing more is to be read.
    ended: bool,
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

impl Reading {
    fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Failure::TooMuch)?;
        Ok(())
    }

    fn say(&mut self, said: &str, take: Take<'_>) -> Result<(), Failure> {
        self.spend(said.len())?;
        if !said.is_empty() {
            take(Piece::Text(said.to_owned()));
        }
        Ok(())
    }

    /// Adds to the call at a place.
    fn call(&mut self, place: u64, id: &str, name: &str, arguments: &str) -> Result<(), Failure> {
        self.spend(id.len() + name.len() + arguments.len())?;
        if !self.calls.contains_key(&place) && self.calls.len() >= CALLS_MAX {
            return Err(Failure::TooMuch);
        }
        let made = || Wanted { id: String::new(), name: String::new(), arguments: String::new() };
        let call = self.calls.entry(place).or_insert_with(made);
        call.id.push_str(id);
        call.name.push_str(name);
        call.arguments.push_str(arguments);
        Ok(())
    }

    /// One piece of a chat completion.
    fn completion(&mut self, data: &str, take: Take<'_>) -> Result<(), Failure> {
        if data == "[DONE]" {
            (self.finished, self.ended) = (true, true);
            return Ok(());
        }
        let piece: Value = serde_json::from_str(data).map_err(|_| Failure::Nonsense)?;
        if piece.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Failure::Overloaded);
        }
        self.tokens = self.tokens.max(number(&piece, "/usage/total_tokens"));
        self.say(text(&piece, "/choices/0/delta/content"), take)?;
        let calls = piece.pointer("/choices/0/delta/tool_calls").and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            let place = number(call, "/index");
            // Some servers repeat the id and the name with every piece.
            let begun = self.calls.contains_key(&place);
            let once = |path| if begun { "" } else { text(call, path) };
            self.call(place, once("/id"), once("/function/name"), text(call, "/function/arguments"))?;
        }
        self.finished |= !text(&piece, "/choices/0/finish_reason").is_empty();
        Ok(())
    }

    /// One event of Anthropic's messages.
    fn event(&mut self, data: &str, take: Take<'_>) -> Result<(), Failure> {
        let event: Value = serde_json::from_str(data).map_err(|_| Failure::Nonsense)?;
        let place = number(&event, "/index");
        match text(&event, "/type") {
            "error" => return Err(Failure::Overloaded),
            "message_start" => {
                let read = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
                let read = read.map(|name| number(&event, &format!("/message/usage/{name}")));
                self.tokens = read.iter().fold(0, |sum, one| sum.saturating_add(*one));
            }
            "content_block_start" if text(&event, "/content_block/type") == "tool_use" => {
                self.call(place, text(&event, "/content_block/id"), text(&event, "/content_block/name"), "")?;
            }
            "content_block_delta" => match text(&event, "/delta/type") {
                "text_delta" => self.say(text(&event, "/delta/text"), take)?,
                "input_json_delta" => self.call(place, "", "", text(&event, "/delta/partial_json"))?,
                _ => {}
            },
            "message_delta" => {
                self.tokens = self.tokens.saturating_add(number(&event, "/usage/output_tokens"));
                self.finished = true;
            }
            "message_stop" => (self.finished, self.ended) = (true, true),
            _ => {}
        }
        Ok(())
    }

    /// Hands on what is known only at the end.
    fn end(self, take: Take<'_>) {
        for (place, mut call) in self.calls {
            if call.id.is_empty() {
                call.id = format!("call_{place}");
            }
            take(Piece::Call(call));
        }
        if self.tokens > 0 {
            take(Piece::Used(u32::try_from(self.tokens).unwrap_or(u32::MAX)));
        }
    }
}
