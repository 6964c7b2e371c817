//! The audit log for those who verify it: its signed head, its tiles as c2sp.org/tlog-tiles lays them out, and proofs.

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::refusal::Refusal;
use engine::log::{Consistency, Inclusion};

use crate::State;
use crate::access::Access;
use crate::download;
use crate::problem::Problem;

/// `GET /api/v1/log/checkpoint`.
pub async fn checkpoint(Shared(state): Shared<State>, access: Access) -> Result<Response, Problem> {
    let note = state.engine.log_checkpoint(access.caller()).await;
    let note = note.map_err(|refusal| Problem::new(refusal, &access.ids))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response())
}

/// `GET /api/v1/log/bundle`.
pub async fn bundle(Shared(state): Shared<State>, access: Access) -> Result<Response, Problem> {
    let bundle = state.engine.log_bundle(access.caller()).await;
    bundle.map(download::log_bundle).map_err(|refusal| Problem::new(refusal, &access.ids))
}

/// `GET /api/v1/log/tile/{*path}`.
pub async fn tile(
    Shared(state): Shared<State>,
    access: Access,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    let bytes = state.engine.log_tile(access.caller(), &path).await;
    let bytes = bytes.map_err(|refusal| Problem::new(refusal, &access.ids))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// A number in a path, which is as absent as any other when it is none.
fn number(text: &str, access: &Access) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::new(Refusal::not_found("part of the log"), &access.ids))
}

/// `GET /api/v1/log/records/{sequence}/proof`.
pub async fn inclusion(
    Shared(state): Shared<State>,
    access: Access,
    Path(sequence): Path<String>,
) -> Result<Json<Inclusion>, Problem> {
    let sequence = number(&sequence, &access)?;
    let proof = state.engine.log_inclusion(access.caller(), sequence).await;
    proof.map(Json).map_err(|refusal| Problem::new(refusal, &access.ids))
}

/// `GET /api/v1/log/consistency/{first}`.
pub async fn consistency(
    Shared(state): Shared<State>,
    access: Access,
    Path(first): Path<String>,
) -> Result<Json<Consistency>, Problem> {
    let first = number(&first, &access)?;
    let proof = state.engine.log_consistency(access.caller(), first).await;
    proof.map(Json).map_err(|refusal| Problem::new(refusal, &access.ids))
}
