//! Writing answers: one buffer, one pass, no tree. Parts that are JSON already (the id, the tool objects, a tool's
//! structured result) go in as they are; texts are escaped straight into the buffer.

use engine::{Answer, Tool};

use super::era::Era;
use super::error::{RpcError, VERSIONS};

/// Clients may keep `server/discover` this long.
const DISCOVER_TTL_MS: u32 = 300_000;
/// Lists: rights can change.
const LIST_TTL_MS: u32 = 60_000;

/// What this server can do, in the words of `capabilities`. No `listChanged`, no `subscribe`: there is no channel on
/// which a change could be announced. Resources and prompts can be listed; there are none yet.
const CAPABILITIES: &str = r#"{"tools":{},"resources":{},"prompts":{}}"#;

const SERVER: &str = concat!(
    r#"{"name":"loopiq","title":"LoopIQ","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","description":"Release governance: readiness, evidence, gaps, approvals."}"#
);

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
    push(out, r#"{"jsonrpc":"2.0","id":"#);
    push(out, id);
    push(out, r#","result":{"#);
    if era.is_modern() {
        push(out, r#""resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":"#);
        push(out, SERVER);
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
pub fn discover(id: &str, instructions: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024 + instructions.len());
    open(&mut out, id, Era::Modern);
    push(&mut out, r#""supportedVersions":["#);
    for (at, version) in VERSIONS.iter().enumerate() {
        push(&mut out, if at == 0 { "\"" } else { ",\"" });
        push(&mut out, version);
        push(&mut out, "\"");
    }
    push(&mut out, r#"],"capabilities":"#);
    push(&mut out, CAPABILITIES);
    push(&mut out, r#","instructions":"#);
    quote(&mut out, instructions);
    hints(&mut out, Era::Modern, DISCOVER_TTL_MS);
    push(&mut out, "}}");
    out
}

/// Answer to `initialize`.
pub fn initialize(id: &str, version: &str, instructions: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024 + instructions.len());
    open(&mut out, id, Era::Legacy);
    push(&mut out, r#""protocolVersion":""#);
    push(&mut out, version);
    push(&mut out, r#"","capabilities":"#);
    push(&mut out, CAPABILITIES);
    push(&mut out, r#","serverInfo":"#);
    push(&mut out, SERVER);
    push(&mut out, r#","instructions":"#);
    quote(&mut out, instructions);
    push(&mut out, "}}");
    out
}

/// Answer to `tools/list`: the tools' objects as they were written once.
pub fn tools(id: &str, era: Era, tools: &[&'static Tool]) -> Vec<u8> {
    let length: usize = tools.iter().map(|tool| tool.listing().len() + 1).sum();
    let mut out = Vec::with_capacity(512 + id.len() + length);
    open(&mut out, id, era);
    push(&mut out, r#""tools":["#);
    for (at, tool) in tools.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(&mut out, tool.listing());
    }
    push(&mut out, "]");
    hints(&mut out, era, LIST_TTL_MS);
    push(&mut out, "}}");
    out
}

/// Answer to a list that has no entries: of resources, templates, prompts.
pub fn nothing(id: &str, era: Era, member: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + id.len());
    open(&mut out, id, era);
    quote(&mut out, member);
    push(&mut out, ":[]");
    hints(&mut out, era, LIST_TTL_MS);
    push(&mut out, "}}");
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
pub fn empty(id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + id.len());
    open(&mut out, id, Era::Legacy);
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
    use serde_json::Value;

    use super::*;

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_call_says_the_same_twice_as_text_and_as_structure() {
        let answer =
            Answer { json: r#"{"a":"\"ü\n"}"#.into(), text: "short \"text\"".into(), is_error: false };
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
        let found = read(&discover("1", "be \"careful\""));
        assert_eq!(found["result"]["supportedVersions"][0], "2026-07-28");
        assert_eq!(found["result"]["ttlMs"], 300_000);
        assert_eq!(found["result"]["capabilities"]["tools"], serde_json::json!({}));
        let met = read(&initialize("2", "2025-06-18", ""));
        assert_eq!(met["result"]["protocolVersion"], "2025-06-18");
        assert_eq!(met["result"]["serverInfo"]["name"], "loopiq");
        assert!(met["result"].get("resultType").is_none());
        assert_eq!(read(&empty("3"))["result"], serde_json::json!({}));
        assert_eq!(read(&tools("4", Era::Modern, &[]))["result"]["tools"], serde_json::json!([]));
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
