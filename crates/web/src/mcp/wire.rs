//! Writing answers: one buffer, one pass, no tree. Parts that are JSON already (the id, the tool objects, a tool's
//! structured result) go in as they are; texts are escaped straight into the buffer.

use std::collections::HashMap;

use engine::{Answer, Tool};
use serde_json::{Value, json};

use super::apps::{self, App};
use super::client::{APPS, SKILLS, TASKS};
use super::era::Era;
use super::error::{RpcError, VERSIONS};
use super::icons;
use super::resources::Listed;
use crate::State;

/// Clients may keep `server/discover` this long.
const DISCOVER_TTL_MS: u32 = 300_000;
/// Lists: rights can change.
const LIST_TTL_MS: u32 = 60_000;

/// What this server can do. A change of a list can be told of only where there is a stream for it, which older revisions
/// had in sessions alone; tasks are an extension of the stateless revision.
fn capabilities(era: Era) -> Value {
    let extensions = json!({ APPS: { "mimeTypes": [apps::MIME] }, SKILLS: { "directoryRead": true } });
    let mut all =
        json!({ "tools": {}, "resources": {}, "prompts": {}, "completions": {}, "extensions": extensions });
    if era.is_modern()
        && let Some(members) = all.as_object_mut()
    {
        members.insert("tools".into(), json!({ "listChanged": true }));
        members.insert("prompts".into(), json!({ "listChanged": true }));
        members.insert("resources".into(), json!({ "subscribe": true }));
        if let Some(extensions) = members.get_mut("extensions").and_then(Value::as_object_mut) {
            extensions.insert(TASKS.into(), json!({}));
        }
    }
    all
}

const SERVER: &str = concat!(
    r#"{"name":"loopiq","title":"LoopIQ","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","description":"Release governance: readiness, evidence, gaps, approvals."}"#
);

/// The server as it introduces itself, with the places where people find it.
fn server(base: &str) -> Value {
    let mut server: Value = serde_json::from_str(SERVER).unwrap_or_default();
    if let Some(members) = server.as_object_mut() {
        let icon = json!([{ "src": format!("{base}/assets/favicon.svg"), "mimeType": "image/svg+xml", "sizes": ["any"] }]);
        members.insert("icons".into(), icon);
        members.insert("websiteUrl".into(), format!("{base}/app/connect").into());
    }
    server
}

/// The objects of all tools as clients get them: with icon, and the page that shows their results where there is one.
pub struct Listings(HashMap<&'static str, String>);

impl Listings {
    pub fn new(base: &str) -> Listings {
        let of = |tool: &'static Tool| {
            let icons = icons::of(base, if tool.is_read() { "read" } else { "write" });
            let listing = tool.listing();
            let mut text = listing.strip_suffix('}').unwrap_or(listing).to_owned();
            text.push_str(&format!(",\"icons\":{icons}"));
            if let Some(app) = App::of(tool) {
                text.push_str(&format!(",\"_meta\":{}", json!({ "ui": { "resourceUri": app.uri() } })));
            }
            text.push('}');
            (tool.name(), text)
        };
        Listings(engine::tools::ALL.iter().filter(|tool| tool.card.over_mcp).map(of).collect())
    }

    fn of(&self, tool: &'static Tool) -> &str {
        self.0.get(tool.name()).map_or_else(|| tool.listing(), String::as_str)
    }
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// A JSON string.
fn quote(out: &mut Vec<u8>, text: &str) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, text);
}

/// `{"jsonrpc":"2.0","id":…,"result":{` and what every result of the era carries.
fn open(out: &mut Vec<u8>, id: &str, era: Era) {
    open_as(out, id, era, "complete");
}

/// The same for a result of another kind.
fn open_as(out: &mut Vec<u8>, id: &str, era: Era, kind: &str) {
    open_by(out, id, era, kind, SERVER);
}

fn open_by(out: &mut Vec<u8>, id: &str, era: Era, kind: &str, server: &str) {
    push(out, r#"{"jsonrpc":"2.0","id":"#);
    push(out, id);
    push(out, r#","result":{"#);
    if era.is_modern() {
        push(out, r#""resultType":""#);
        push(out, kind);
        push(out, r#"","_meta":{"io.modelcontextprotocol/serverInfo":"#);
        push(out, server);
        push(out, "},");
    }
}

fn hints(out: &mut Vec<u8>, era: Era, ttl_ms: u32) {
    if era.is_modern() {
        // Everything here depends on who asks.
        push(out, &format!(r#","ttlMs":{ttl_ms},"cacheScope":"private""#));
    }
}

/// Answer to `server/discover`.
pub fn discover(id: &str, base: &str, instructions: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024 + instructions.len());
    open_by(&mut out, id, Era::Modern, "complete", &server(base).to_string());
    push(&mut out, r#""supportedVersions":["#);
    for (at, version) in VERSIONS.iter().enumerate() {
        push(&mut out, if at == 0 { "\"" } else { ",\"" });
        push(&mut out, version);
        push(&mut out, "\"");
    }
    push(&mut out, r#"],"capabilities":"#);
    push(&mut out, &capabilities(Era::Modern).to_string());
    push(&mut out, r#","instructions":"#);
    quote(&mut out, instructions);
    hints(&mut out, Era::Modern, DISCOVER_TTL_MS);
    push(&mut out, "}}");
    out
}

/// Answer to `initialize`.
pub fn initialize(id: &str, base: &str, version: &str, instructions: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024 + instructions.len());
    open(&mut out, id, Era::Legacy);
    push(&mut out, r#""protocolVersion":""#);
    push(&mut out, version);
    push(&mut out, r#"","capabilities":"#);
    push(&mut out, &capabilities(Era::Legacy).to_string());
    push(&mut out, r#","serverInfo":"#);
    push(&mut out, &server(base).to_string());
    push(&mut out, r#","instructions":"#);
    quote(&mut out, instructions);
    push(&mut out, "}}");
    out
}

/// Answer to `tools/list`: the tools' objects as they were written once.
pub fn tools(id: &str, era: Era, state: &State, tools: &[&'static Tool]) -> Vec<u8> {
    let listings = &state.listings;
    let length: usize = tools.iter().map(|tool| listings.of(tool).len() + 1).sum();
    let mut out = Vec::with_capacity(512 + id.len() + length);
    open(&mut out, id, era);
    push(&mut out, r#""tools":["#);
    for (at, tool) in tools.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(&mut out, listings.of(tool));
    }
    #[cfg(feature = "conformance")]
    for tool in super::fixtures::tools() {
        push(&mut out, ",");
        push(&mut out, &tool);
    }
    push(&mut out, "]");
    hints(&mut out, era, LIST_TTL_MS);
    push(&mut out, "}}");
    out
}

/// Answer to another list.
pub fn listed(id: &str, era: Era, member: &str, listed: &Listed) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + id.len());
    open(&mut out, id, era);
    quote(&mut out, member);
    push(&mut out, ":[");
    for (at, item) in listed.items.iter().enumerate() {
        push(&mut out, if at > 0 { "," } else { "" });
        push(&mut out, &item.to_string());
    }
    push(&mut out, "]");
    if let Some(next) = &listed.next {
        push(&mut out, r#","nextCursor":"#);
        quote(&mut out, next);
    }
    hints(&mut out, era, LIST_TTL_MS);
    push(&mut out, "}}");
    out
}

/// A result with one member that a client may keep for a while.
pub fn kept(id: &str, era: Era, member: &str, value: &Value, ttl_ms: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    open(&mut out, id, era);
    quote(&mut out, member);
    push(&mut out, ":");
    push(&mut out, &value.to_string());
    hints(&mut out, era, ttl_ms);
    push(&mut out, "}}");
    out
}

/// A result of any kind with these members.
pub fn object(id: &str, era: Era, kind: &str, members: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    open_as(&mut out, id, era, kind);
    let text = members.to_string();
    push(&mut out, text.strip_prefix('{').unwrap_or("}"));
    push(&mut out, "}");
    out
}

/// Answer to `tools/call`: a short text, the whole answer as text for readers that ignore structure, and the same as
/// structure.
pub fn called(id: &str, era: Era, answer: &Answer) -> Vec<u8> {
    let json = &answer.json;
    let mut out = Vec::with_capacity(512 + id.len() + answer.text.len() + 2 * json.len() + json.len() / 4);
    open(&mut out, id, era);
    push(&mut out, r#""content":[{"type":"text","text":"#);
    quote(&mut out, &answer.text);
    push(&mut out, r#"},{"type":"text","text":"#);
    quote(&mut out, json);
    push(&mut out, r#"}],"structuredContent":"#);
    push(&mut out, json);
    push(&mut out, if answer.is_error { r#","isError":true}}"# } else { r#","isError":false}}"# });
    out
}

/// A result without members.
pub fn empty(id: &str, era: Era) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + id.len());
    open(&mut out, id, era);
    // What the stateless revision opens a result with ends in a comma.
    if out.last() == Some(&b',') {
        out.pop();
    }
    push(&mut out, "}}");
    out
}

/// An error. Where the id could not be read the member is left out, as the revisions since 2025-11-25 define it.
pub fn error(id: Option<&str>, error: &RpcError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    push(&mut out, r#"{"jsonrpc":"2.0","#);
    if let Some(id) = id {
        push(&mut out, r#""id":"#);
        push(&mut out, id);
        push(&mut out, ",");
    }
    push(&mut out, r#""error":{"code":"#);
    push(&mut out, &error.code.to_string());
    push(&mut out, r#","message":"#);
    quote(&mut out, error.message);
    if let Some(data) = error.data.as_ref().and_then(|data| serde_json::to_vec(data).ok()) {
        push(&mut out, r#","data":"#);
        out.extend_from_slice(&data);
    }
    push(&mut out, "}}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_call_says_the_same_twice_as_text_and_as_structure() {
        let answer = Answer {
            json: r#"{"a":"\"ü\n"}"#.into(),
            text: "short \"text\"".into(),
            is_error: false,
            waits: None,
        };
        for era in [Era::Modern, Era::Legacy] {
            let read = read(&called("\"x\"", era, &answer));
            let result = &read["result"];
            assert_eq!(read["id"], "x");
            assert_eq!(result["content"][0]["text"], answer.text);
            let copy: Value = serde_json::from_str(result["content"][1]["text"].as_str().unwrap()).unwrap();
            assert_eq!(copy, result["structuredContent"]);
            assert_eq!(result.get("resultType").is_some(), era.is_modern());
        }
    }

    #[test]
    fn descriptions_of_the_server_are_json() {
        let found = read(&discover("1", "https://l.example", "be \"careful\""));
        assert_eq!(found["result"]["supportedVersions"][0], "2026-07-28");
        assert_eq!(found["result"]["ttlMs"], 300_000);
        assert_eq!(found["result"]["capabilities"]["tools"], json!({ "listChanged": true }));
        assert!(found["result"]["capabilities"]["extensions"][TASKS].is_object());
        let met = read(&initialize("2", "https://l.example", "2025-06-18", ""));
        assert_eq!(met["result"]["protocolVersion"], "2025-06-18");
        assert_eq!(met["result"]["serverInfo"]["name"], "loopiq");
        assert!(met["result"].get("resultType").is_none());
        assert_eq!(met["result"]["capabilities"]["tools"], json!({}));
        assert!(met["result"]["capabilities"]["extensions"].get(TASKS).is_none());
        assert_eq!(read(&empty("3", Era::Legacy))["result"], json!({}));
        assert_eq!(read(&empty("3", Era::Modern))["result"]["resultType"], "complete");
        let listed = read(&listed(
            "4",
            Era::Modern,
            "prompts",
            &Listed { items: vec![json!(1)], next: Some("n".into()) },
        ));
        assert_eq!(
            (&listed["result"]["prompts"], &listed["result"]["nextCursor"]),
            (&json!([1]), &json!("n"))
        );
        let asked = read(&object("5", Era::Modern, "input_required", &json!({ "requestState": "s" })));
        assert_eq!(
            (&asked["result"]["resultType"], &asked["result"]["requestState"]),
            (&json!("input_required"), &json!("s"))
        );
    }

    #[test]
    fn errors_carry_their_data() {
        let found = read(&error(None, &RpcError::version("2030-01-01")));
        assert!(found.get("id").is_none());
        assert_eq!(found["error"]["data"]["requested"], "2030-01-01");
        let hidden = read(&error(Some("1"), &RpcError::version("<script>")));
        assert_eq!(hidden["error"]["data"]["requested"], "unreadable");
    }
}
