//! The signing secret of a webhook. Everything else about webhooks goes by tools; a secret is no part of any record.

use axum::Json;
use axum::extract::{Path, State as Shared};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Serialize;

use crate::State;
use crate::access::Access;
use crate::problem::Problem;

/// What messages of a webhook are signed with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NewSecret {
    /// Shown only now.
    pub secret: String,
}

/// `POST /api/v1/webhooks/{id}/secret`.
pub async fn new_secret(
    Shared(state): Shared<State>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<NewSecret>, Problem> {
    let absent = |_| Problem::new(Refusal::not_found("webhook"), &access.ids);
    let id = id.parse().map_err(absent)?;
    let secret = state.engine.new_webhook_secret(access.caller(), id).await;
    let secret = secret.map_err(|refusal| Problem::new(refusal, &access.ids))?;
    Ok(Json(NewSecret { secret }))
}
