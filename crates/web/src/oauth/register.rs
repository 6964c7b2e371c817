//! `POST /register`: clients register themselves (RFC 7591). What they say of themselves is checked by nobody, and gives them
//! no right: a person must let each in.

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::oauth::ErrorCode;
use identity::oauth::{Registered, Registration};
use serde_json::json;

use super::{Refused, json_body};
use crate::State;

pub async fn register(Shared(state): Shared<State>, request: Request<Body>) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let malformed = Refused::new(
        ErrorCode::InvalidClientMetadata,
        "the body must be a JSON object of client metadata of at most 64 KiB",
    );
    let asked: Registration = json_body(&state, &parts, body, malformed).await?;
    let address = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>().map(|info| info.0.ip());
    let done = state.identity.register_client(asked, address).await;
    let Registered { client, secret } = done.map_err(|error| Refused::of(error, &parts))?;
    let mut grants = vec!["authorization_code"];
    grants.extend(client.refreshes.then_some("refresh_token"));
    let mut answer = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at.0.div_euclid(1_000_000),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": client.authentication,
        "grant_types": grants,
        "response_types": ["code"],
    });
    if let (Some(answer), Some(secret)) = (answer.as_object_mut(), secret) {
        answer.insert("client_secret".into(), secret.into());
        // 0: it does not run out (RFC 7591, 3.2.1).
        answer.insert("client_secret_expires_at".into(), 0.into());
    }
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}
