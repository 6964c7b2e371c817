//! `POST /revoke`: a client hands a token back (RFC 7009).

use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;

use super::{Refused, client, form};
use crate::State;

pub async fn revoke(Shared(state): Shared<State>, request: Request) -> Result<StatusCode, Refused> {
    let (parts, fields) = form(request).await?;
    let token = fields.need("token", "token is missing")?;
    let client = client(&state, &parts, &fields).await?;
    state.identity.revoke_by_client(&client, token).await.map_err(|error| Refused::of(error, &parts))?;
    Ok(StatusCode::OK)
}
