//! `POST /introspect`: what a client's own token is (RFC 7662).

use axum::Json;
use axum::extract::{Request, State as Shared};
use serde_json::Value;

use super::{Refused, client, form};
use crate::State;

pub async fn introspect(Shared(state): Shared<State>, request: Request) -> Result<Json<Value>, Refused> {
    let (parts, fields) = form(request).await?;
    let token = fields.need("token", "token is missing")?;
    let client = client(&state, &parts, &fields).await?;
    let found = state.identity.introspect(&client, token).await;
    found.map(Json).map_err(|error| Refused::of(error, &parts))
}
