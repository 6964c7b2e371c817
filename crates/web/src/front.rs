//! What every request passes first and every answer last: ids, names and origins, preflights, security headers, the
//! log line and the counters. A panic in a handler becomes an answer like any other.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::refusal::{Code, Refusal};
use engine::RequestIds;
use identity::Actor;
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};
use tower_http::compression::CompressionLayer;

use crate::guard::{self, Turned};
use crate::metrics::Surface;
use crate::problem::Problem;
use crate::{State, console, cookies, trace};

/// Characters of a path that a log line shows.
const LOGGED_PATH_MAX: usize = 160;
/// Characters of one part of a path that a log line shows; ids are shorter, signed tokens longer.
const LOGGED_PART_MAX: usize = 64;
/// Codes and tokens of this server that are not signed begin so.
const SECRET_PREFIX: &str = "liq";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer.
pub async fn front(Shared(state): Shared<State>, mut request: Request, next: Next) -> Response {
    let begun = state.clock.now();
    let mut ids = trace::of_request(request.headers(), &*state.ids);
    request.extensions_mut().insert(ids.clone());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let surface = Surface::of(&path, &method);
    let origin = request.headers().get(ORIGIN).cloned();
    if state.settings.is_https() {
        cookies::drop_weaker(request.headers_mut());
    }

    let mut response = match turned_away(&state, surface, &request, &ids) {
        Some(response) => response,
        None if is_preflight(surface, &method, origin.as_ref()) => {
            guard::preflight(request.headers(), methods(surface))
        }
        None => {
            let response = next.run(request).await;
            let panicked = response.extensions().get::<Panicked>().is_some();
            let response = if panicked { Problem::internal(&ids).into_response() } else { response };
            // Whoever asks for a page gets one, whatever went wrong; `/` is asked by programs too.
            let paged = surface == Surface::Console && path != "/";
            if paged { console::as_page(response, &ids) } else { response }
        }
    };
    // A handler that learned more about the trace (from an MCP message) says so in its answer.
    if let Some(learned) = response.extensions().get::<RequestIds>() {
        ids = learned.clone();
    }
    match (surface, origin) {
        (Surface::WellKnown | Surface::OAuth, _) => {
            guard::share(&mut response, HeaderValue::from_static("*"));
        }
        (Surface::Mcp, Some(origin)) if response.status() != StatusCode::FORBIDDEN => {
            guard::share(&mut response, origin);
        }
        _ => {}
    }
    secure(response.headers_mut(), state.settings.is_https());
    if let Ok(id) = HeaderValue::from_str(&ids.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let micros = u64::try_from(state.clock.now().0.saturating_sub(begun.0)).unwrap_or(0);
    let status = response.status();
    state.metrics.request(surface, status, micros);
    let code = response.extensions().get::<Code>().map_or("", |code| code.as_str());
    let none = Noted::default();
    let Noted { organization, user, called } = response.extensions().get::<Noted>().unwrap_or(&none);
    let shown = loggable(&path);
    // The query is left out: people paste what does not belong there.
    tracing::info!(
        request_id = ids.request_id,
        trace_id = ids.trace_id,
        %method,
        path = &*shown,
        surface = surface.as_str(),
        status = status.as_u16(),
        code,
        organization,
        user,
        called,
        duration_us = micros,
        "request"
    );
    response
}

/// A path as a log line shows it: cut off, and without what looks like a secret of ours. People paste those where they do not
/// belong.
fn loggable(path: &str) -> Cow<'_, str> {
    let shown = path.get(..LOGGED_PATH_MAX).unwrap_or(path);
    let secret = |part: &str| part.starts_with(SECRET_PREFIX) || part.len() > LOGGED_PART_MAX;
    if !shown.split('/').any(secret) {
        return Cow::Borrowed(shown);
    }
    let parts = shown.split('/').map(|part| if secret(part) { "…" } else { part });
    Cow::Owned(parts.collect::<Vec<_>>().join("/"))
}

/// What a handler adds to the log line through the extensions of its answer: never a secret, never free text.
#[derive(Debug, Clone, Default)]
pub struct Noted {
    /// Slug.
    pub organization: String,
    pub user: String,
    /// The tool or method that was called, as the catalogue names it.
    pub called: &'static str,
}

impl Noted {
    pub fn of(actor: &Actor, called: &'static str) -> Noted {
        Noted { organization: actor.organization.slug.clone(), user: actor.user_id.to_string(), called }
    }
}

/// Names and origins. Health checks and counters are asked by address (kubelet, Prometheus) and tell no secrets;
/// metadata is for everybody's pages.
fn turned_away(state: &State, surface: Surface, request: &Request, ids: &RequestIds) -> Option<Response> {
    if surface == Surface::Probe {
        return None;
    }
    let (what, remedy) = match state.guard.check(request.uri(), request.headers()) {
        Ok(()) => return None,
        Err(Turned::Origin) if matches!(surface, Surface::WellKnown | Surface::OAuth) => return None,
        Err(Turned::Host) => (
            "this server does not answer to the host name that was asked",
            "Use the server's public URL, or have its operator add the name to the allowed hosts.",
        ),
        Err(Turned::Origin) => (
            "pages of this origin may not call this server",
            "Have the server's operator add the origin to the allowed origins.",
        ),
    };
    Some(Problem::new(Refusal::new(Code::Forbidden, what, remedy), ids).into_response())
}

fn is_preflight(surface: Surface, method: &Method, origin: Option<&HeaderValue>) -> bool {
    method == Method::OPTIONS
        && origin.is_some()
        && matches!(surface, Surface::Mcp | Surface::WellKnown | Surface::OAuth)
}

fn methods(surface: Surface) -> &'static str {
    match surface {
        Surface::WellKnown => "GET",
        Surface::OAuth => "GET, POST",
        _ => "POST",
    }
}

/// Headers that no answer goes without. Pages bring a policy of their own and keep it.
fn secure(headers: &mut HeaderMap, https: bool) {
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ));
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if https {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(HeaderValue::from_static("max-age=31536000"));
    }
}

/// Marks the answer of a handler that panicked; [`front`] replaces it.
#[derive(Debug, Clone, Copy)]
struct Panicked;

#[derive(Debug, Clone, Copy)]
pub struct OnPanic;

impl ResponseForPanic for OnPanic {
    type ResponseBody = Body;
    fn response_for_panic(&mut self, panic: Box<dyn std::any::Any + Send>) -> Response {
        let words = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!("a handler panicked: {words}");
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Panicked);
        response
    }
}

pub fn catch_panics() -> CatchPanicLayer<OnPanic> {
    CatchPanicLayer::custom(OnPanic)
}

/// Only files that are the same for everybody are compressed: a page holds the session's token beside text that a
/// stranger can choose, and the length of a compressed page would tell about it.
pub fn compress_assets() -> CompressionLayer<impl tower_http::compression::Predicate> {
    CompressionLayer::new().compress_when(
        |_: StatusCode, _: axum::http::Version, headers: &HeaderMap, _: &axum::http::Extensions| {
            headers
                .get(CONTENT_TYPE)
                .and_then(|v| v.to_str().ok())
                .is_some_and(|t| t.starts_with("text/css") || t.starts_with("text/javascript"))
        },
    )
}

/// No route at all.
pub async fn nothing_here(request: Request) -> Problem {
    let (parts, _) = request.into_parts();
    Problem::new(Refusal::not_found("address"), &crate::access::ids(&parts))
}

/// A route, but not for this method. The router adds `Allow`.
pub async fn wrong_method(request: Request) -> Problem {
    let (parts, _) = request.into_parts();
    let refusal = Refusal::new(
        Code::NotFound,
        "this address does not take this method",
        "The Allow header names the methods it takes. MCP clients send POST; this server keeps no sessions and \
         offers no stream to GET.",
    );
    Problem::new(refusal, &crate::access::ids(&parts)).status(StatusCode::METHOD_NOT_ALLOWED)
}
