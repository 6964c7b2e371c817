//! A person's own browser sessions: which are open, and ending one. Those of other people are a matter of the tools
//! `loopiq_list_sessions` and `loopiq_end_session`.

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::id::SessionId;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use identity::AuthError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::access::{self, Signed};
use crate::problem::Problem;
use crate::{State, cookies};

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    id: SessionId,
    /// The kind of browser it was opened from.
    #[serde(skip_serializing_if = "Option::is_none")]
    browser: Option<String>,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    /// Slug of the organization it works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    /// Whether it is the one this is asked from.
    current: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sessions {
    /// The latest first.
    items: Vec<Item>,
}

/// `GET /api/v1/sessions`.
pub async fn list(Shared(state): Shared<State>, signed: Signed) -> Result<Json<Sessions>, Problem> {
    let found = state.identity.sessions(signed.found.user.id).await.map_err(|fault| {
        access::log(&signed.ids, "sessions", &fault);
        Problem::internal(&signed.ids)
    })?;
    let slug = |id| signed.found.organizations.iter().find(|o| Some(o.id) == id).map(|o| o.slug.clone());
    let items = found.into_iter().map(|session| Item {
        id: session.id,
        browser: session.browser,
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
        organization: slug(session.organization_id),
        current: session.id == signed.found.session_id,
    });
    Ok(Json(Sessions { items: items.collect() }))
}

/// `DELETE /api/v1/sessions/{id}`. Ending the one this is asked from is signing out.
pub async fn end(
    Shared(state): Shared<State>,
    signed: Signed,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let absent = || Problem::new(Refusal::not_found("session"), &signed.ids);
    let id: SessionId = id.parse().map_err(|_| absent())?;
    match state.identity.end_sessions(signed.found.user.id, &[id]).await {
        Ok(()) => {}
        Err(AuthError::Refused(refusal)) => return Err(Problem::new(refusal, &signed.ids)),
        Err(fault) => {
            access::log(&signed.ids, "end a session", &fault);
            return Err(Problem::internal(&signed.ids));
        }
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if id == signed.found.session_id {
        response.headers_mut().append(header::SET_COOKIE, cookies::clear(&state));
    }
    Ok(response)
}
