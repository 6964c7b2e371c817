//! Metadata at the places where clients look. Each MCP endpoint has its own protected resource document (RFC 9728),
//! stating exactly the URL that endpoint is reached by, and the authorization server, which is this very host. Everything
//! else under `/.well-known/` is a JSON 404, never a page.

use axum::extract::{Path, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::oauth::metadata;
use crate::{State, front};

const ROOT: &str = "/.well-known/oauth-protected-resource";

pub fn router() -> Router<State> {
    Router::new()
        .route(metadata::PLACE, get(metadata::show))
        .route(metadata::OPENID_PLACE, get(metadata::show))
        .route(ROOT, get(|state: Shared<State>| document(state, String::new())))
        .route(
            "/.well-known/oauth-protected-resource/mcp",
            get(|state: Shared<State>| document(state, "/mcp".into())),
        )
        .route(
            "/.well-known/oauth-protected-resource/mcp/readonly",
            get(|state: Shared<State>| document(state, "/mcp/readonly".into())),
        )
        .route("/.well-known/oauth-protected-resource/t/{slug}/mcp", get(of_organization))
        .route("/.well-known/{*rest}", get(front::nothing_here))
}

/// Where the document of the endpoint at `path` is; `path` is empty for the root.
pub fn url(base: &str, path: &str) -> String {
    format!("{base}{ROOT}{path}")
}

/// What a client needs to begin with at the endpoint of `path` (RFC 6750, 3). To stay connected is no scope of a resource.
pub fn scopes(path: &str) -> &'static str {
    if path.ends_with("/readonly") { "loopiq:read" } else { "loopiq:read loopiq:write" }
}

async fn document(Shared(state): Shared<State>, path: String) -> Response {
    let document = json!({
        "resource": format!("{}{path}", state.settings.base()),
        "resource_name": "LoopIQ",
        "authorization_servers": [state.settings.base()],
        "scopes_supported": scopes(&path).split(' ').collect::<Vec<_>>(),
        "bearer_methods_supported": ["header"],
    });
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response()
}

/// Says the same for every well-formed slug, so that it does not tell which organizations exist.
async fn of_organization(
    state: Shared<State>,
    Path(slug): Path<String>,
    request: axum::extract::Request,
) -> Response {
    if domain::org::valid_slug(&slug) {
        return document(state, format!("/t/{slug}/mcp")).await;
    }
    front::nothing_here(request).await.into_response()
}
