//! The evidence pack of a certification, for those who verify it without this server.

use axum::extract::{Path, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::id::CertificationId;
use domain::refusal::Refusal;

use crate::State;
use crate::access::Access;
use crate::problem::Problem;

/// `GET /api/v1/certifications/{id}/pack`.
pub async fn pack(
    Shared(state): Shared<State>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let problem = |refusal| Problem::new(refusal, &access.ids);
    let id: CertificationId = id.parse().map_err(|_| problem(Refusal::not_found("certification")))?;
    let bytes = state.engine.evidence_pack(access.caller(), id).await.map_err(problem)?;
    Ok(download(id, bytes))
}

/// The answer that a browser keeps as a file.
pub fn download(id: CertificationId, bytes: Vec<u8>) -> Response {
    let name = format!("attachment; filename=\"{id}.zip\"");
    let headers = [
        (header::CONTENT_TYPE, "application/zip"),
        (header::CONTENT_DISPOSITION, name.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, bytes).into_response()
}
