//! One JSON-RPC message, read without copying: members stay raw text until a method needs them. What cannot be read
//! is told apart as the protocol wants it: no JSON (-32700), no request (-32600), parameters of a wrong shape
//! (-32602, only once the method is known). Nothing of a message is ever repeated in an error.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::RpcError;

/// Bytes of the longest id that is sent back.
const ID_BYTES_MAX: usize = 512;

/// A message, as far as the envelope tells.
#[derive(Debug)]
pub enum Message<'a> {
    Request {
        id: &'a str,
        call: Call<'a>,
    },
    Notification(Call<'a>),
    /// An answer to a request of ours; there are none, but older clients may send one.
    Response,
}

/// Method and parameters.
#[derive(Debug)]
pub struct Call<'a> {
    pub method: Cow<'a, str>,
    /// `Err`: present, but not an object, or an object with a member twice.
    pub params: Result<Params<'a>, BadParams>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadParams;

type Raw<'a> = Option<&'a RawValue>;

/// Members that any method here looks at; all others are ignored, as the protocol asks.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Params<'a> {
    #[serde(borrow, rename = "_meta", deserialize_with = "present")]
    pub meta: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub name: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub arguments: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub cursor: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub uri: Raw<'a>,
    /// What was sealed for a client that had to ask its person first, given back.
    #[serde(borrow, deserialize_with = "present")]
    pub request_state: Raw<'a>,
    /// What the person answered, by the keys of what was asked.
    #[serde(borrow, deserialize_with = "present")]
    pub input_responses: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub task_id: Raw<'a>,
    /// What is completed: `ref`, `argument`, `context`.
    #[serde(borrow, rename = "ref", deserialize_with = "present")]
    pub reference: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub argument: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub context: Raw<'a>,
    /// What a stream is to tell of.
    #[serde(borrow, deserialize_with = "present")]
    pub notifications: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub protocol_version: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub capabilities: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub client_info: Raw<'a>,
}

/// What a modern request says about itself in `params._meta`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion", deserialize_with = "present")]
    pub protocol_version: Raw<'a>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities", deserialize_with = "present")]
    pub client_capabilities: Raw<'a>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientInfo", deserialize_with = "present")]
    pub client_info: Raw<'a>,
    #[serde(borrow, rename = "progressToken", deserialize_with = "present")]
    pub progress_token: Raw<'a>,
    #[serde(borrow, deserialize_with = "present")]
    pub traceparent: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Outer<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Raw<'a>,
}

/// A member that is there with the value null is told from one that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Raw<'de>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text of a raw JSON string, borrowed unless it has escapes.
pub fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

pub fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// What was wrong, and the id to answer under where it could be read.
#[derive(Debug)]
pub struct Unreadable<'a> {
    pub id: Option<&'a str>,
    pub error: RpcError,
}

/// Reads one message.
///
/// # Errors
/// -32700 or -32600.
pub fn read(bytes: &[u8], depth_max: usize) -> Result<Message<'_>, Unreadable<'_>> {
    let without_id = |error| Unreadable { id: None, error };
    if too_deep(bytes, depth_max) {
        return Err(without_id(RpcError::invalid_request("the message is nested too deeply")));
    }
    let whole: &RawValue = serde_json::from_slice(bytes).map_err(|_| without_id(RpcError::parse()))?;
    match whole.get().as_bytes().first() {
        Some(b'{') => {}
        Some(b'[') => {
            return Err(without_id(RpcError::invalid_request("batches are not supported: send one message")));
        }
        _ => return Err(without_id(RpcError::invalid_request("the message is not an object"))),
    }
    let outer: Outer<'_> = serde_json::from_str(whole.get())
        .map_err(|_| without_id(RpcError::invalid_request("a member of the message occurs twice")))?;
    let id = match outer.id {
        None => None,
        Some(raw) if is_id(raw.get()) => Some(raw.get()),
        Some(_) => {
            return Err(without_id(RpcError::invalid_request(
                "the id must be a string or an integer, and not longer than 512 bytes",
            )));
        }
    };
    let wrong = |what| Unreadable { id, error: RpcError::invalid_request(what) };
    if outer.jsonrpc.and_then(text).as_deref() != Some("2.0") {
        return Err(wrong("the member jsonrpc must be \"2.0\""));
    }
    let Some(method) = outer.method else {
        if outer.result.is_some() != outer.error.is_some() && id.is_some() {
            return Ok(Message::Response);
        }
        return Err(wrong("the member method is missing"));
    };
    let Some(method) = text(method) else { return Err(wrong("the member method must be a string")) };
    let params = match outer.params {
        None => Ok(Params::default()),
        Some(raw) if is_object(raw) => serde_json::from_str(raw.get()).map_err(|_| BadParams),
        Some(_) => Err(BadParams),
    };
    let call = Call { method, params };
    Ok(match id {
        Some(id) => Message::Request { id, call },
        None => Message::Notification(call),
    })
}

/// A string, or an integer written as one. Fractions and null cannot be told apart safely by all clients, and the
/// protocol forbids them.
fn is_id(raw: &str) -> bool {
    if raw.len() > ID_BYTES_MAX {
        return false;
    }
    if raw.starts_with('"') {
        return true;
    }
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Whether brackets nest deeper than `depth_max`, counted outside strings. Runs before any parser, in one pass and
/// without a stack.
pub fn too_deep(bytes: &[u8], depth_max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> i32 {
        match read(text.as_bytes(), 64) {
            Ok(message) => panic!("{message:?}"),
            Err(unreadable) => unreadable.error.code,
        }
    }

    #[test]
    fn what_is_no_request_is_told_apart() {
        for (text, expected) in [
            ("", -32700),
            ("{", -32700),
            ("{\"a\":1}x", -32700),
            ("[]", -32600),
            ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600),
            ("3", -32600),
            ("{}", -32600),
            ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600),
            ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600),
            ("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600),
            ("{\"jsonrpc\":\"2.0\",\"id\":1e3,\"method\":\"ping\"}", -32600),
            ("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", -32600),
            ("{\"jsonrpc\":\"2.0\",\"id\":1}", -32600),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", -32600),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
        assert_eq!(code(&"[".repeat(100_000)), -32600);
        assert!(read(&[b'"', 0xff, b'"'], 64).is_err());
    }

    #[test]
    fn members_stay_raw() {
        let bytes = br#" {"jsonrpc":"2.0","id":"a\"b","method":"tools/call","params":{"name":"x","arguments":null,"other":1}} "#;
        let Ok(Message::Request { id, call }) = read(bytes, 64) else { panic!() };
        assert_eq!(id, r#""a\"b""#);
        let params = call.params.unwrap();
        assert_eq!(params.arguments.unwrap().get(), "null");
        assert!(params.cursor.is_none());
    }

    #[test]
    fn bad_params_wait_for_the_method() {
        for params in ["[]", "3", "null", "{\"name\":1,\"name\":2}"] {
            let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":-7,\"method\":\"x\",\"params\":{params}}}");
            let Ok(Message::Request { id: "-7", call }) = read(text.as_bytes(), 64) else { panic!() };
            assert_eq!(call.params.unwrap_err(), BadParams);
        }
    }

    #[test]
    fn depth_counts_outside_strings() {
        assert!(!too_deep(br#"{"a":"[[[[\"[[["}"#, 1));
        assert!(too_deep(b"[[[", 2));
        assert!(!too_deep(b"[][][]", 1));
    }
}
