//! The endpoints of the authorization server that programs speak to: one file each. Where a person is asked is a page of the
//! console (`console/authorize.rs`). Answers are those of the protocol (RFC 6749, 5.2), not of the HTTP API: clients know
//! no others here. Pages of any origin may call them; no cookie is looked at.

mod introspect;
mod jwks;
pub mod metadata;
mod register;
mod revoke;
mod token;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::oauth::{Denied, ErrorCode};
use identity::oauth::{OAuthError, Presented};
use serde_json::json;

use crate::{State, access};

pub const AUTHORIZE: &str = "/authorize";
pub const TOKEN: &str = "/token";
pub const REGISTER: &str = "/register";
pub const REVOKE: &str = "/revoke";
pub const INTROSPECT: &str = "/introspect";
pub const JWKS: &str = "/jwks";

/// Bytes of a request to these endpoints.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The grant by which a client brings the word of an identity provider (RFC 7523, 2.1).
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Name of the one kind of assertion that is taken (RFC 7523, 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub fn router() -> Router<State> {
    Router::new()
        .route(TOKEN, post(token::issue))
        .route(REGISTER, post(register::register))
        .route(REVOKE, post(revoke::revoke))
        .route(INTROSPECT, post(introspect::introspect))
        .route(JWKS, get(jwks::show))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// A request that gets nothing.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    denied: Denied,
    /// Whether the client tried to prove itself by the `Authorization` header.
    by_header: bool,
}

impl Refused {
    pub const fn new(code: ErrorCode, description: &'static str) -> Refused {
        Refused { denied: Denied::new(code, description), by_header: false }
    }

    /// Lifts an error of identity; a fault is logged, and told as no more than that.
    pub fn of(error: OAuthError, parts: &Parts) -> Refused {
        match error {
            OAuthError::Denied(denied) => {
                Refused { denied, by_header: parts.headers.contains_key(header::AUTHORIZATION) }
            }
            OAuthError::Fault(fault) => {
                access::log(&access::ids(parts), "oauth", &fault);
                Refused::new(
                    ErrorCode::ServerError,
                    "the server failed; its log has the request id of this answer",
                )
            }
        }
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Refused {
        Refused { denied, by_header: false }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        let status = match self.denied.code {
            ErrorCode::InvalidClient => {
                // Whoever tried by this header is told so in the same way (RFC 6749, 5.2).
                let asked = HeaderValue::from_static("Basic realm=\"LoopIQ\"");
                headers.extend(self.by_header.then_some((header::WWW_AUTHENTICATE, asked)));
                StatusCode::UNAUTHORIZED
            }
            ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::TemporarilyUnavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("900"));
                StatusCode::TOO_MANY_REQUESTS
            }
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({ "error": self.denied.code, "error_description": self.denied.description });
        (status, headers, Json(body)).into_response()
    }
}

/// The parameters of a request, each at most once (RFC 6749, 3.2).
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// # Errors
    /// `invalid_request` when a parameter comes twice.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Fields, Denied> {
        let twice =
            |(at, (name, _)): (usize, &(String, String))| pairs.iter().take(at).any(|(n, _)| n == name);
        // Several resources would be legal (RFC 8707, 2), but no token of this server is for more than one.
        if pairs.iter().enumerate().any(twice) {
            return Err(Denied::new(ErrorCode::InvalidRequest, "a parameter is there more than once"));
        }
        Ok(Fields(pairs))
    }

    /// A parameter; one without a value counts as absent (RFC 6749, 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// # Errors
    /// `invalid_request` when it is not there.
    pub fn need(&self, name: &'static str, missing: &'static str) -> Result<&str, Denied> {
        self.get(name).ok_or(Denied::new(ErrorCode::InvalidRequest, missing))
    }
}

/// Reads a form.
async fn form(request: Request) -> Result<(Parts, Fields), Refused> {
    let (parts, body) = request.into_parts();
    let again = Request::from_parts(parts.clone(), body);
    let Form(pairs) = Form::<Vec<(String, String)>>::from_request(again, &()).await.map_err(|_| {
        Refused::new(
            ErrorCode::InvalidRequest,
            "the body must be a form (application/x-www-form-urlencoded) of at most 64 KiB",
        )
    })?;
    Ok((parts, Fields::new(pairs)?))
}

/// Client id and secret of `Authorization: Basic`, both percent-encoded before they were joined (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Refused> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let malformed = || Refused::new(ErrorCode::InvalidClient, "the Authorization header is malformed");
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let bytes = BASE64_STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let pair = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (id, secret) = pair.split_once(':').ok_or_else(malformed)?;
    let decoded = |text: &str| {
        let pairs = crate::body::query_pairs(&format!("v={text}"));
        pairs.into_iter().next().map(|(_, value)| value).ok_or_else(malformed)
    };
    Ok(Some((decoded(id)?, decoded(secret)?)))
}

/// The client that speaks, proven.
async fn client(state: &State, parts: &Parts, fields: &Fields) -> Result<domain::oauth::Client, Refused> {
    let basic = basic(&parts.headers)?;
    let in_header = basic.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str()));
    if in_header.is_some_and(|(id, _)| fields.get("client_id").is_some_and(|named| named != id))
        || (in_header.is_some() && fields.get("client_secret").is_some())
    {
        return Err(Refused::new(ErrorCode::InvalidRequest, "the client proves itself in two ways at once"));
    }
    let assertion = match (fields.get("client_assertion_type"), fields.get("client_assertion")) {
        (None, None) => None,
        (Some(ASSERTION_TYPE), Some(assertion)) => Some(assertion),
        _ => {
            return Err(Refused::new(
                ErrorCode::InvalidRequest,
                "client_assertion_type must be that of a JWT",
            ));
        }
    };
    let presented = Presented {
        id: in_header.map(|(id, _)| id).or_else(|| fields.get("client_id")),
        secret: in_header
            .map(|(_, secret)| secret)
            .filter(|s| !s.is_empty())
            .or_else(|| fields.get("client_secret")),
        assertion,
    };
    state.identity.proven_client(presented).await.map_err(|error| Refused::of(error, parts))
}

/// The body as JSON.
async fn json_body<T: serde::de::DeserializeOwned>(
    state: &State,
    parts: &Parts,
    body: Body,
    otherwise: Refused,
) -> Result<T, Refused> {
    let ids = access::ids(parts);
    if crate::body::declared(&parts.headers, BODY_BYTES_MAX, &ids).is_err() {
        return Err(otherwise);
    }
    let read = crate::body::read(body, BODY_BYTES_MAX, state.settings.body_seconds_max, &ids).await;
    let Ok(bytes) = read else { return Err(otherwise) };
    if crate::mcp::too_deep(&bytes, state.settings.json_depth_max) {
        return Err(otherwise);
    }
    serde_json::from_slice(&bytes).map_err(|_| otherwise)
}
