//! `GET /jwks`: the public keys of this server's tokens (RFC 7517).

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Refused;
use crate::State;

pub async fn show(Shared(state): Shared<State>, request: Request) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let keys = state.identity.public_keys().await.map_err(|fault| Refused::of(fault.into(), &parts))?;
    Ok(([(header::CACHE_CONTROL, "public, max-age=300")], Json(keys)).into_response())
}
