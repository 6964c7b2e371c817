//! Choosing the organization that answers.

use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::visit::{self, Csrf};
use super::{errors, paths};
use crate::State;
use crate::access::ids;
use domain::refusal::Refusal;

#[derive(Debug, Deserialize)]
pub struct Choice {
    csrf: String,
    /// Its slug.
    organization: String,
}
impl Csrf for Choice {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/organization`. Leads to the start page, because the page it was pressed on belongs to the other one.
pub async fn choose(Shared(state): Shared<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let ids = ids(&parts);
    let found = match visit::session(&parts, &state).await {
        Ok(Some(found)) => found,
        Ok(None) => return Redirect::to(paths::LOGIN).into_response(),
        Err(broken) => return broken,
    };
    let form = match visit::form::<Choice>(Request::from_parts(parts, body), &found).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    if !found.organizations.iter().any(|o| o.slug == form.organization) {
        return visit::html(StatusCode::NOT_FOUND, errors::alone(&Refusal::not_found("organization"), &ids));
    }
    match state.identity.select_organization(&found, &form.organization).await {
        Ok(()) => Redirect::to(paths::HOME).into_response(),
        Err(error) => {
            tracing::error!(
                request_id = ids.request_id,
                trace_id = ids.trace_id,
                "select organization: {error}"
            );
            visit::html(StatusCode::INTERNAL_SERVER_ERROR, errors::alone(&Refusal::internal(), &ids))
        }
    }
}
