//! What operators and their machines ask: does the process run, can it serve, what has it counted.

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::State;

pub fn router() -> Router<State> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// Ready means that the store answers; a process that is alive but not ready is left alone by load balancers.
async fn ready(Shared(state): Shared<State>) -> (StatusCode, &'static str) {
    if (state.ready)().await {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn metrics(Shared(state): Shared<State>) -> Response {
    let text = state.metrics.render(&state.gauges);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
