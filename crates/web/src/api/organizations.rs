//! Choosing the organization a session works in.

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::HeaderMap;
use domain::refusal::Refusal;
use identity::AuthError;

use super::session::Me;
use crate::State;
use crate::access::{self, Signed};
use crate::problem::Problem;

/// `POST /api/v1/organizations/{slug}/select`. One that does not exist and one the person does not belong to are
/// answered the same.
pub async fn select(
    Shared(state): Shared<State>,
    signed: Signed,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Me>, Problem> {
    let ids = &signed.ids;
    let fault = |fault: &dyn std::error::Error| {
        access::log(ids, "select organization", fault);
        Problem::internal(ids)
    };
    match state.identity.select_organization(&signed.found, &slug).await {
        Ok(()) => {}
        Err(AuthError::Refused(refusal)) => return Err(Problem::new(refusal, ids)),
        Err(AuthError::Fault(broken)) => return Err(fault(&broken)),
        Err(_) => return Err(Problem::new(Refusal::not_found("organization"), ids)),
    }
    let cookie = crate::cookies::session(&headers).unwrap_or_default();
    match state.identity.session(cookie).await {
        Ok(Some(found)) => {
            let signed = Signed { found, ids: ids.clone() };
            let permissions = signed.permissions(&state).await?;
            Ok(Json(Me::of_session(&signed.found, permissions)))
        }
        Ok(None) => Err(Problem::new(Refusal::not_found("session"), ids)),
        Err(broken) => Err(fault(&broken)),
    }
}
