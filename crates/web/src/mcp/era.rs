//! Which revision a message speaks, and whether its headers say the same as its body. Clients decide by our codes
//! whether to go on in the stateless revision or fall back to the handshake, so the order of checks matters.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName};
use serde_json::value::RawValue;

use super::envelope::{Call, Meta, Params, is_object, text};
use super::error::{MODERN, NEWEST_LEGACY, OLDEST_LEGACY, RpcError, VERSIONS};
use super::mirror::single;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: stateless, everything in the request.
    Modern,
    /// Before: a handshake that we answer, but keep nothing of.
    Legacy,
}

impl Era {
    pub fn is_modern(self) -> bool {
        self == Era::Modern
    }
}

/// A message with its era decided and its headers believed.
#[derive(Debug)]
pub struct Judged<'a> {
    pub era: Era,
    /// The trace the message belongs to, if it says so.
    pub traceparent: Option<Cow<'a, str>>,
    /// What a stateless request says of its client.
    pub client: Client<'a>,
}

/// What a client says of itself with each stateless request. Older ones said it in a handshake of which nothing is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client<'a> {
    /// `_meta["io.modelcontextprotocol/clientCapabilities"]`.
    pub capabilities: Option<&'a RawValue>,
}

/// # Errors
/// -32602, -32020 or -32022, each with status 400.
pub fn judge<'a>(call: &Call<'a>, headers: &HeaderMap, notification: bool) -> Result<Judged<'a>, RpcError> {
    let none = Params::default();
    let params = call.params.as_ref().unwrap_or(&none);
    // What is not an object says nothing about the era; it is refused below if the era turns out modern.
    let meta: Option<Meta<'a>> = match params.meta {
        None => Some(Meta::default()),
        Some(raw) if is_object(raw) => serde_json::from_str(raw.get()).ok(),
        Some(_) => None,
    };
    let named = single(headers, &PROTOCOL_VERSION)?;
    let in_body = meta.as_ref().is_some_and(|meta| meta.protocol_version.is_some());
    if !in_body && call.method == "initialize" {
        return Ok(Judged { era: Era::Legacy, traceparent: None, client: Client::default() });
    }
    if !in_body && !named.as_deref().is_some_and(is_modern_date) {
        let version = named.as_deref().unwrap_or(OLDEST_LEGACY);
        if !VERSIONS.contains(&version) {
            return Err(RpcError::version(version));
        }
        return Ok(Judged { era: Era::Legacy, traceparent: None, client: Client::default() });
    }
    // A notification has nobody to hear details; what it says must only not contradict itself.
    if notification {
        if let Some(method) = single(headers, &METHOD)? {
            agree(&method, &call.method, &METHOD)?;
        }
        return Ok(Judged { era: Era::Modern, traceparent: None, client: Client::default() });
    }
    let Some(meta) = meta else { return Err(RpcError::meta(vec!["_meta"])) };
    required(&meta)?;
    let version = meta.protocol_version.and_then(text).unwrap_or_default();
    let Some(named) = named else {
        return Err(RpcError::header("the header is required", PROTOCOL_VERSION.as_str()));
    };
    agree(&named, &version, &PROTOCOL_VERSION)?;
    if version != MODERN {
        return Err(RpcError::version(&version));
    }
    match single(headers, &METHOD)? {
        Some(method) => agree(&method, &call.method, &METHOD)?,
        None => return Err(RpcError::header("the header is required", METHOD.as_str())),
    }
    let repeated = match &*call.method {
        "tools/call" | "prompts/get" => params.name,
        "resources/read" => params.uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.task_id,
        _ => None,
    };
    // Where it is not a string, the method itself says so.
    if let Some(value) = repeated.and_then(text) {
        match single(headers, &NAME)? {
            Some(name) => agree(&name, &value, &NAME)?,
            None => return Err(RpcError::header("the header is required", NAME.as_str())),
        }
    }
    let client = Client { capabilities: meta.client_capabilities };
    Ok(Judged { era: Era::Modern, traceparent: meta.traceparent.and_then(text), client })
}

fn agree(header: &str, body: &str, name: &HeaderName) -> Result<(), RpcError> {
    if header == body {
        return Ok(());
    }
    Err(RpcError::header("the header does not say the same as the body", name.as_str()))
}

fn required(meta: &Meta<'_>) -> Result<(), RpcError> {
    let mut wrong = Vec::new();
    if meta.protocol_version.and_then(text).is_none() {
        wrong.push("io.modelcontextprotocol/protocolVersion");
    }
    if !meta.client_capabilities.is_some_and(is_object) {
        wrong.push("io.modelcontextprotocol/clientCapabilities");
    }
    if meta.client_info.is_some_and(|raw| !is_object(raw)) {
        wrong.push("io.modelcontextprotocol/clientInfo");
    }
    let token_fits = |raw: &RawValue| raw.get().starts_with('"') || raw.get().parse::<i64>().is_ok();
    if meta.progress_token.is_some_and(|raw| !token_fits(raw)) {
        wrong.push("progressToken");
    }
    if wrong.is_empty() { Ok(()) } else { Err(RpcError::meta(wrong)) }
}

/// Whether a header names the stateless revision or a later one. Revisions are dates, which sort as text.
fn is_modern_date(version: &str) -> bool {
    let dated = version.len() == MODERN.len()
        && version
            .bytes()
            .enumerate()
            .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    dated && version >= MODERN
}

/// The revision a handshake settles on: the one asked for, or else the newest with a handshake.
pub fn settle(asked: &str) -> &'static str {
    VERSIONS.into_iter().find(|v| *v == asked && *v != MODERN).unwrap_or(NEWEST_LEGACY)
}

#[cfg(test)]
mod tests {
    use super::super::envelope::{Message, read};
    use super::*;

    fn era(body: &str, sent: &[(&'static str, &str)]) -> Result<Era, i32> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, value.parse().unwrap());
        }
        match read(body.as_bytes(), 64).unwrap() {
            Message::Request { call, .. } => judge(&call, &headers, false),
            Message::Notification(call) => judge(&call, &headers, true),
            Message::Response => panic!(),
        }
        .map(|judged| judged.era)
        .map_err(|error| error.code)
    }

    fn request(method: &str, version: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"a","_meta":{{
            "io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        )
    }

    #[test]
    fn legacy_by_header_or_handshake() {
        let plain = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
        let version = "mcp-protocol-version";
        assert_eq!(era(plain, &[]), Ok(Era::Legacy));
        assert_eq!(era(plain, &[(version, "2025-06-18")]), Ok(Era::Legacy));
        assert_eq!(era(plain, &[(version, "2024-11-05")]), Err(-32022));
        assert_eq!(era(plain, &[(version, "banana")]), Err(-32022));
        assert_eq!(era(hello, &[]), Ok(Era::Legacy));
        assert_eq!(era(hello, &[(version, MODERN)]), Ok(Era::Legacy));
        // Modern by header, but the body does not say so.
        assert_eq!(era(plain, &[(version, MODERN)]), Err(-32602));
    }

    #[test]
    fn modern_headers_must_agree() {
        let version = ("mcp-protocol-version", MODERN);
        let method = ("mcp-method", "tools/call");
        let name = ("mcp-name", "a");
        let body = request("tools/call", MODERN);
        assert_eq!(era(&body, &[version, method, name]), Ok(Era::Modern));
        assert_eq!(era(&body, &[version, method, ("mcp-name", "=?base64?YQ==?=")]), Ok(Era::Modern));
        for sent in [
            vec![],
            vec![method, name],
            vec![version, name],
            vec![version, method],
            vec![("mcp-protocol-version", "2025-11-25"), method, name],
            vec![version, ("mcp-method", "Tools/call"), name],
            vec![version, method, ("mcp-name", "b")],
            vec![version, method, ("mcp-name", "=?base64?!?=")],
            vec![version, version, method, name],
        ] {
            assert_eq!(era(&body, &sent), Err(-32020), "{sent:?}");
        }
        let later = request("tools/list", "2027-01-01");
        assert_eq!(era(&later, &[("mcp-protocol-version", "2027-01-01")]), Err(-32022));
    }

    #[test]
    fn notifications_are_taken_leniently() {
        let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(era(body, &[]), Ok(Era::Legacy));
        assert_eq!(era(body, &[("mcp-protocol-version", MODERN)]), Ok(Era::Modern));
        assert_eq!(era(body, &[("mcp-protocol-version", MODERN), ("mcp-method", "x")]), Err(-32020));
    }

    #[test]
    fn handshakes_settle_on_what_is_served() {
        assert_eq!(settle("2025-06-18"), "2025-06-18");
        assert_eq!(settle(MODERN), NEWEST_LEGACY);
        assert_eq!(settle("2024-11-05"), NEWEST_LEGACY);
    }
}
