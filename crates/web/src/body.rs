//! Reading bodies within their limits. A declared length over the limit is refused without reading a byte.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use domain::refusal::{Code, Refusal};
use engine::RequestIds;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::State;
use crate::problem::{self, Problem};

const JSON: &str = "application/json";

/// # Errors
/// 413 when the request declares more than `bytes_max`.
pub fn declared(headers: &HeaderMap, bytes_max: usize, ids: &RequestIds) -> Result<(), Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > bytes_max as u64) {
        return Err(Problem::new(problem::too_large(bytes_max), ids));
    }
    Ok(())
}

/// # Errors
/// 413 over `bytes_max`, 408 after `seconds_max`, 400 when the connection broke off.
pub async fn read(
    body: Body,
    bytes_max: usize,
    seconds_max: u64,
    ids: &RequestIds,
) -> Result<Bytes, Problem> {
    let reading = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(Duration::from_secs(seconds_max), reading).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Problem::new(problem::too_large(bytes_max), ids))
        }
        Ok(Err(_)) => {
            Err(Problem::new(invalid("could not be read to its end"), ids).status(StatusCode::BAD_REQUEST))
        }
        Err(_) => {
            Err(Problem::new(invalid("did not arrive in time"), ids).status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

/// Reads a JSON body of the HTTP API.
///
/// # Errors
/// 415 unless the type is JSON, 413, 400 for what is not JSON or too deep, 422 for JSON of another shape.
pub async fn json<T: DeserializeOwned>(
    state: &State,
    headers: &HeaderMap,
    body: Body,
    ids: &RequestIds,
) -> Result<T, Problem> {
    json_as(&[JSON], state, headers, body, ids).await
}

/// As [`json()`], of any of these media types.
///
/// # Errors
/// The same.
pub async fn json_as<T: DeserializeOwned>(
    media: &[&str],
    state: &State,
    headers: &HeaderMap,
    body: Body,
    ids: &RequestIds,
) -> Result<T, Problem> {
    let settings = &state.settings;
    if !media.iter().any(|media| is(headers, media)) {
        let refusal = Refusal::invalid("Content-Type", format!("must be {}", media.join(" or ")));
        return Err(Problem::new(refusal, ids).status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    declared(headers, settings.mcp_body_bytes_max, ids)?;
    let bytes = read(body, settings.mcp_body_bytes_max, settings.body_seconds_max, ids).await?;
    if crate::mcp::too_deep(&bytes, settings.json_depth_max) {
        return Err(Problem::new(invalid("is nested too deeply"), ids).status(StatusCode::BAD_REQUEST));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let (text, status) = if error.is_data() {
            ("does not have the members this address takes", StatusCode::UNPROCESSABLE_ENTITY)
        } else {
            ("is not JSON", StatusCode::BAD_REQUEST)
        };
        Problem::new(invalid(text), ids).status(status)
    })
}

/// Whether a body says it is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    is(headers, JSON)
}

fn is(headers: &HeaderMap, media: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|text| text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media))
}

fn invalid(text: &str) -> Refusal {
    Refusal::new(
        Code::ValidationFailed,
        format!("the body {text}"),
        "Correct the body and send the request again; /api/v1/openapi.json says what each address takes.",
    )
}

/// Names and values of a query string.
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    // The framework's own reader of query strings, so that there is one understanding of them.
    let uri = axum::http::Uri::builder().path_and_query(format!("/?{query}")).build();
    uri.ok()
        .and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok())
        .map(|query| query.0)
        .unwrap_or_default()
}
