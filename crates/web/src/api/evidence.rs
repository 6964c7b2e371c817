//! Evidence comes in over HTTP: one file as the raw body, or several in one `multipart/form-data`. What accompanies
//! the files stands in the query, so that a pipeline can send a file as it is.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Path, Query, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::refusal::Refusal;
use domain::time::Timestamp;
use engine::evidence::{EvidencePush, EvidencePushed};
use http_body_util::Limited;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::problem::{self, Problem};
use crate::{State, body};

/// What accompanies the files.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Accompanying {
    /// Id or code of the control it is evidence for.
    control: Option<String>,
    /// Name of the file; multipart parts bring their own.
    file_name: Option<String>,
    /// Tool or service it came from; the file's own word for it when absent.
    provider: Option<String>,
    /// Name of a component of the release.
    component: Option<String>,
    /// `junit`, `sarif` or `cyclonedx`; recognised from the content when absent.
    format: Option<String>,
    /// When it was collected, RFC 3339; now when absent.
    collected_at: Option<String>,
}

/// The answer to a multipart push, one entry per file in order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PushedFiles {
    items: Vec<EvidencePushed>,
}

/// A file to be pushed.
struct File {
    name: Option<String>,
    bytes: Vec<u8>,
}

/// `POST /api/v1/releases/{release}/evidence`.
pub async fn push(
    Shared(state): Shared<State>,
    Path(release): Path<String>,
    query: Result<Query<Accompanying>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let access = Access::find(&state, &parts).await?;
    let ids = &access.ids;
    let settings = &state.settings;
    state.rate.write(&access.actor).map_err(|refusal| Problem::new(refusal, ids))?;
    let Ok(Query(with)) = query else {
        let refusal =
            Refusal::invalid("query", "takes control, fileName, provider, component, format, collectedAt");
        return Err(Problem::new(refusal, ids));
    };
    body::declared(&parts.headers, settings.evidence_bytes_max, ids)?;
    let template = template(release, &with, &parts.headers, ids)?;
    if !is_multipart(&parts.headers) {
        let bytes = body::read(body, settings.evidence_bytes_max, settings.evidence_seconds_max, ids).await?;
        let file = File { name: None, bytes: bytes.into() };
        let pushed = one(&state, access, template, file).await?;
        return Ok(answered(&pushed));
    }
    let request = Request::from_parts(parts, body);
    let wait = Duration::from_secs(settings.evidence_seconds_max);
    let files = tokio::time::timeout(wait, files(&state, request, ids)).await.map_err(|_| {
        let refusal = Refusal::invalid("body", "did not arrive in time");
        Problem::new(refusal, ids).status(StatusCode::REQUEST_TIMEOUT)
    })??;
    several(&state, access, template, files).await
}

fn answered(pushed: &EvidencePushed) -> Response {
    let status = if pushed.duplicate || pushed.replayed { StatusCode::OK } else { StatusCode::CREATED };
    (status, Json(pushed)).into_response()
}

fn template(
    release: String,
    with: &Accompanying,
    headers: &HeaderMap,
    ids: &engine::RequestIds,
) -> Result<EvidencePush, Problem> {
    let wrong = |field: &str, message: &str| Problem::new(Refusal::invalid(field, message), ids);
    let collected_at = match with.collected_at.as_deref().map(Timestamp::parse) {
        None => None,
        Some(Some(at)) => Some(at),
        Some(None) => return Err(wrong("collectedAt", "must be an RFC 3339 time")),
    };
    let idempotency_key = match headers.get("idempotency-key").map(|value| value.to_str()) {
        None => None,
        Some(Ok(key)) => Some(key.to_owned()),
        Some(Err(_)) => return Err(wrong("Idempotency-Key", "must be 8 to 128 printable ASCII characters")),
    };
    Ok(EvidencePush {
        release,
        control: with.control.clone(),
        provider: with.provider.clone(),
        component: with.component.clone(),
        file_name: with.file_name.clone().unwrap_or_else(|| "evidence".into()),
        format: with.format.clone(),
        collected_at,
        idempotency_key,
    })
}

/// A push is a write; it runs to its end whether or not its caller waits for it.
async fn one(
    state: &State,
    access: Access,
    mut push: EvidencePush,
    file: File,
) -> Result<EvidencePushed, Problem> {
    if let Some(name) = file.name {
        push.file_name = name;
    }
    let (engine, ids) = (state.engine.clone(), access.ids.clone());
    let done = state
        .tasks
        .finish(async move { engine.push_evidence(access.caller(), push, file.bytes).await })
        .await;
    match done {
        Some(Ok(pushed)) => Ok(pushed),
        Some(Err(refusal)) => Err(Problem::new(refusal, &ids)),
        None => Err(Problem::internal(&ids)),
    }
}

/// Files are pushed in order and the first that is refused ends the request; repeating it is safe, because files that
/// were taken are recognised. Each file has a key of its own under the caller's.
async fn several(
    state: &State,
    access: Access,
    template: EvidencePush,
    files: Vec<File>,
) -> Result<Response, Problem> {
    if files.is_empty() {
        return Err(Problem::new(Refusal::invalid("body", "must contain at least one file"), &access.ids));
    }
    let mut items = Vec::with_capacity(files.len());
    for (at, file) in files.into_iter().enumerate() {
        let mut push = template.clone();
        push.idempotency_key = push.idempotency_key.map(|key| format!("{key}.{at}"));
        match one(state, access.clone(), push, file).await {
            Ok(pushed) => items.push(pushed),
            Err(problem) => return Err(problem.at(format!("files[{at}]"), "this file was refused")),
        }
    }
    let new = items.iter().any(|item| !item.duplicate && !item.replayed);
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(PushedFiles { items })).into_response())
}

fn is_multipart(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"))
}

/// Every part with a file name is a file; other parts are ignored.
async fn files(state: &State, request: Request, ids: &engine::RequestIds) -> Result<Vec<File>, Problem> {
    let settings = &state.settings;
    let bad = || {
        let refusal = Refusal::invalid("body", "is not well-formed multipart/form-data");
        Problem::new(refusal, ids).status(StatusCode::BAD_REQUEST)
    };
    let request = request.map(|body| Body::new(Limited::new(body, settings.evidence_bytes_max)));
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|_| bad())?;
    let broken = |error: axum::extract::multipart::MultipartError| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Problem::new(problem::too_large(settings.evidence_bytes_max), ids);
        }
        bad()
    };
    let mut files = Vec::new();
    while let Some(part) = multipart.next_field().await.map_err(broken)? {
        let Some(name) = part.file_name().map(str::to_owned) else { continue };
        if files.len() >= settings.evidence_files_max {
            let message = format!("must contain at most {} files", settings.evidence_files_max);
            return Err(Problem::new(Refusal::invalid("body", message), ids));
        }
        let bytes = part.bytes().await.map_err(broken)?.into();
        files.push(File { name: Some(name), bytes });
    }
    Ok(files)
}
