//! The MCP endpoint: Streamable HTTP, stateless, one JSON answer to each POST but for the stream of subscriptions. `envelope`
//! reads a message, `era` decides which revision it speaks and whether its headers agree, `client` what its client can do,
//! `server` has the methods, `wire` writes answers, `error` lists what can go wrong with the protocol, `mirror` handles headers
//! that repeat arguments. `call` calls a tool, `waiting` and `tasks` what becomes of a write that waits for people; `resources`,
//! `prompts`, `completion`, `skills`, `apps` and `listen` are a part of the protocol each.
//!
//! Order at the door: names, origins and preflights (`front`), declared size, who it is (401 before a byte of the
//! body is read), how often, then the message.

mod apps;
mod call;
mod client;
mod completion;
mod envelope;
mod era;
mod error;
#[cfg(feature = "conformance")]
mod fixtures;
mod icons;
mod listen;
mod mirror;
mod prompts;
mod resources;
mod server;
mod skills;
mod tasks;
mod waiting;
mod wire;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use domain::oauth::Resource;
use domain::refusal::Refusal;
use engine::{Admitted, RequestIds, Surface};

use crate::access::{self, Challenge};
use crate::problem::Problem;
use crate::{State, body, front, streams, trace, well_known};

pub use envelope::too_deep;
pub use listen::{LISTENERS_MAX, LISTENERS_PER_TOKEN_MAX};
pub use mirror::Mirrors;
use server::{Door, Reply};
pub use waiting::opening;
pub use wire::Listings;

pub fn router() -> Router<State> {
    let full = |path: &'static str| {
        post(move |state: Shared<State>, request: Request| handle(state, request, Surface::Mcp, path, None))
    };
    let readonly = || {
        post(|state: Shared<State>, request: Request| {
            handle(state, request, Surface::McpReadonly, "/mcp/readonly", None)
        })
    };
    Router::new()
        .route("/", full(""))
        .route("/mcp", full("/mcp"))
        .route("/mcp/", full("/mcp"))
        .route("/mcp/readonly", readonly())
        .route("/mcp/readonly/", readonly())
        .route("/t/{slug}/mcp", post(of_organization))
        .route("/t/{slug}/mcp/", post(of_organization))
}

/// The endpoint of one named organization, for people who connect to several at once.
async fn of_organization(state: Shared<State>, Path(slug): Path<String>, request: Request) -> Response {
    if !domain::org::valid_slug(&slug) {
        return front::nothing_here(request).await.into_response();
    }
    let path = format!("/t/{slug}/mcp");
    handle(state, request, Surface::Mcp, &path, Some(&slug)).await
}

async fn handle(
    Shared(state): Shared<State>,
    request: Request,
    surface: Surface,
    path: &str,
    slug: Option<&str>,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut seen = Seen { ids: access::ids(&parts), noted: None };
    let mut response = match message(&state, &parts, body, surface, path, slug, &mut seen).await {
        Ok(Reply::Json(status, bytes)) => {
            let mut response = (status, bytes).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Ok(Reply::Accepted) => StatusCode::ACCEPTED.into_response(),
        Ok(Reply::Stream(body)) => streams::response(body),
        Ok(Reply::Problem(problem)) | Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(seen.ids);
    if let Some(noted) = seen.noted {
        response.extensions_mut().insert(noted);
    }
    response
}

/// What is learned of a request while it is answered, for the log line.
struct Seen {
    ids: engine::RequestIds,
    noted: Option<front::Noted>,
}

async fn message(
    state: &State,
    parts: &axum::http::request::Parts,
    body: Body,
    surface: Surface,
    path: &str,
    slug: Option<&str>,
    seen: &mut Seen,
) -> Result<Reply, Problem> {
    let settings = &state.settings;
    let headers = &parts.headers;
    let ids = &mut seen.ids;
    body::declared(headers, settings.mcp_body_bytes_max, ids)?;
    let metadata = well_known::url(settings.base(), path);
    let resource = resource(surface, slug);
    let scopes = well_known::scopes(path);
    let challenge = Challenge::Endpoint { metadata: &metadata, scopes, resource: &resource };
    let actor = access::bearer(state, headers, slug, challenge, ids).await?;
    state.rate.call(&actor).map_err(|refusal| Problem::new(refusal, ids))?;
    if headers.contains_key(header::CONTENT_TYPE) && !body::is_json(headers) {
        let refusal = Refusal::invalid("Content-Type", "must be application/json");
        return Err(Problem::new(refusal, ids).status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let actor = access::admit(state, actor, surface, ids).await?;
    let bytes = body::read(body, settings.mcp_body_bytes_max, settings.body_seconds_max, ids).await?;
    let asked = match server::triage(&bytes, headers, settings.json_depth_max) {
        Ok(asked) => asked,
        Err(reply) => return Ok(reply),
    };
    // Only now that we know who asks may the message say to which trace it belongs.
    if let Some(trace_id) = asked.traceparent.as_deref().and_then(trace::trace_id) {
        trace_id.clone_into(&mut ids.trace_id);
    }
    seen.noted = Some(front::Noted::of(&actor, asked.called()));
    let door = Door { surface, path, slug };
    let (era, client) = (asked.era, asked.client);
    let cx = server::Context { state, headers, actor: &actor, door, era, client, challenge, ids };
    Ok(server::answer(&cx, asked).await)
}

/// What a token must be for at this door.
fn resource(surface: Surface, slug: Option<&str>) -> Resource {
    match (slug, surface) {
        (Some(slug), _) => Resource::Organization(slug.to_owned()),
        (None, Surface::McpReadonly) => Resource::Readonly,
        (None, _) => Resource::Main,
    }
}

/// Lets a request in once more, whose answer goes on for longer than its rights may last.
async fn enter(
    state: &State,
    headers: &HeaderMap,
    surface: Surface,
    path: &str,
    slug: Option<&str>,
    ids: &RequestIds,
) -> Result<Admitted, Problem> {
    let metadata = well_known::url(state.settings.base(), path);
    let resource = resource(surface, slug);
    let scopes = well_known::scopes(path);
    let challenge = Challenge::Endpoint { metadata: &metadata, scopes, resource: &resource };
    let actor = access::bearer(state, headers, slug, challenge, ids).await?;
    access::admit(state, actor, surface, ids).await
}

/// For the fuzzer and the property test: what the door answers to any bytes, before anybody is asked. `None` when the
/// message would go on to a method or needs no answer.
pub fn judge_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    match server::triage(bytes, &axum::http::HeaderMap::new(), crate::settings::JSON_DEPTH_MAX) {
        Err(Reply::Json(_, answer)) => Some(answer),
        _ => None,
    }
}
