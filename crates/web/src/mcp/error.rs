//! Errors of the protocol itself, with the HTTP status the revision gives them. What a tool refuses is not here:
//! that is a result. Messages are constants and name fields, never received values.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

/// Newest first; everything a client may be told to use.
pub const VERSIONS: [&str; 4] = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];
/// The newest revision with a handshake.
pub const NEWEST_LEGACY: &str = "2025-11-25";
/// What a legacy request without the header speaks.
pub const OLDEST_LEGACY: &str = "2025-03-26";
/// The stateless revision.
pub const MODERN: &str = "2026-07-28";

/// Longest `requested` version that is sent back, as the revision demands.
const REQUESTED_MAX: usize = 32;

/// Longest URI that is sent back.
const URI_MAX: usize = 512;

#[derive(Debug)]
pub struct RpcError {
    pub status: StatusCode,
    pub code: i32,
    pub message: &'static str,
    /// Boxed: most errors have little or none.
    pub data: Option<Box<Data>>,
}

/// What comes with an error. An untagged closed list, so that no free text slips in.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Data {
    Fields {
        fields: Vec<&'static str>,
    },
    Code {
        code: &'static str,
        remedy: &'static str,
    },
    Header {
        header: String,
    },
    Version {
        supported: [&'static str; 4],
        requested: String,
    },
    Uri {
        uri: String,
    },
    Request {
        #[serde(rename = "requestId")]
        request_id: String,
    },
    Capabilities {
        #[serde(rename = "requiredCapabilities")]
        required: Value,
    },
}

impl RpcError {
    fn new(status: StatusCode, code: i32, message: &'static str, data: Option<Data>) -> RpcError {
        RpcError { status, code, message, data: data.map(Box::new) }
    }
    pub fn parse() -> RpcError {
        RpcError::new(StatusCode::BAD_REQUEST, -32700, "the message is not JSON", None)
    }
    pub fn invalid_request(message: &'static str) -> RpcError {
        RpcError::new(StatusCode::BAD_REQUEST, -32600, message, None)
    }
    /// Unknown, or of a capability that is not advertised. Clients of the stateless revision read the status;
    /// older ones would take a 404 for a lost session.
    pub fn unknown_method(modern: bool) -> RpcError {
        let status = if modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
        RpcError::new(status, -32601, "this server has no such method", None)
    }
    /// Parameters of a known method that do not have its shape.
    pub fn params(fields: Vec<&'static str>) -> RpcError {
        let message = "the named parameters are missing or of the wrong type";
        RpcError::new(StatusCode::OK, -32602, message, Some(Data::Fields { fields }))
    }
    /// A required `_meta` key is missing.
    pub fn meta(fields: Vec<&'static str>) -> RpcError {
        let message = "the named keys of _meta are required by this revision, with the right type";
        RpcError::new(StatusCode::BAD_REQUEST, -32602, message, Some(Data::Fields { fields }))
    }
    /// A well-formed request for something that is not there.
    pub fn not_there(message: &'static str, code: &'static str, remedy: &'static str) -> RpcError {
        RpcError::new(StatusCode::OK, -32602, message, Some(Data::Code { code, remedy }))
    }
    /// A cursor that no page of this list has given out.
    pub fn bad_cursor() -> RpcError {
        RpcError::not_there(
            "the cursor is not one of this list",
            "bad_cursor",
            "Ask for the list again without a cursor.",
        )
    }
    /// An address that is no folder.
    pub fn no_directory() -> RpcError {
        RpcError::not_there(
            "the address is not one of a folder",
            "not_a_directory",
            "Ask skills/list which skills there are; the folder of one is its address without SKILL.md.",
        )
    }
    /// A skill that is not served.
    pub fn no_skill(uri: &str) -> RpcError {
        RpcError { message: "there is no such skill", ..RpcError::no_resource(true, uri) }
    }
    /// A request state that was altered, has ended, was given back before, or belongs to another call.
    pub fn bad_state() -> RpcError {
        RpcError::not_there(
            "the request state is not good for this call any more",
            "bad_request_state",
            "Call again without requestState and inputResponses. Nothing is doubled by that.",
        )
    }
    /// Said the same way of unknown and foreign ids.
    pub fn no_task() -> RpcError {
        RpcError::not_there(
            "there is no such task",
            "unknown_task",
            "Use the taskId of an answer to your own call.",
        )
    }
    /// What was asked needs something that the request does not declare.
    pub fn capability(required: Value) -> RpcError {
        let message = "the request does not declare a capability that this needs";
        RpcError::new(StatusCode::BAD_REQUEST, -32021, message, Some(Data::Capabilities { required }))
    }
    pub fn tasks_needed() -> RpcError {
        RpcError::capability(json!({ "extensions": { super::client::TASKS: {} } }))
    }
    pub fn header(message: &'static str, header: impl Into<String>) -> RpcError {
        let data = Data::Header { header: header.into() };
        RpcError::new(StatusCode::BAD_REQUEST, -32020, message, Some(data))
    }
    /// `requested` is demanded by the revision; it is sent back only when it is as plain as a version.
    pub fn version(requested: &str) -> RpcError {
        let plain = requested.len() <= REQUESTED_MAX
            && requested.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        let requested = if plain { requested } else { "unreadable" }.to_owned();
        let data = Data::Version { supported: VERSIONS, requested };
        RpcError::new(StatusCode::BAD_REQUEST, -32022, "this protocol version is not supported", Some(data))
    }
    /// The revisions ask for the URI to be sent back; that is done only when it is as plain as one. Older clients
    /// know this error by a code of its own.
    pub fn no_resource(modern: bool, uri: &str) -> RpcError {
        let plain = uri.len() <= URI_MAX
            && uri.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,;=%".contains(&b));
        let data = plain.then(|| Data::Uri { uri: uri.to_owned() });
        let code = if modern { -32602 } else { -32002 };
        RpcError::new(StatusCode::OK, code, "there is no such resource", data)
    }
    pub fn internal(request_id: &str) -> RpcError {
        let data = Data::Request { request_id: request_id.to_owned() };
        RpcError::new(StatusCode::INTERNAL_SERVER_ERROR, -32603, "internal error", Some(data))
    }
}
