//! `POST /token`: tokens for a code, for a refresh token, for a machine (RFC 6749, 3.2), or by the word of an identity provider.

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::oauth::{ErrorCode, Resource, Scope, scopes_of};
use identity::oauth::Tokens;
use serde_json::json;

use super::{JWT_BEARER, Refused, client, form};
use crate::State;

pub async fn issue(Shared(state): Shared<State>, request: Request) -> Result<Response, Refused> {
    let (parts, fields) = form(request).await?;
    let grant_type = fields.need("grant_type", "grant_type is missing")?;
    let client = client(&state, &parts, &fields).await?;
    let resource = fields.get("resource");
    let identity = &state.identity;
    let tokens = match grant_type {
        "authorization_code" => {
            let code = fields.need("code", "code is missing")?;
            let verifier =
                fields.need("code_verifier", "code_verifier is missing: a proof key is always needed")?;
            identity.redeem_code(&client, code, fields.get("redirect_uri"), verifier, resource).await
        }
        "refresh_token" => {
            let token = fields.need("refresh_token", "refresh_token is missing")?;
            identity.refresh_tokens(&client, token, fields.get("scope"), resource).await
        }
        "client_credentials" => {
            let named =
                resource.map_or(Some(Resource::Main), |text| Resource::parse(identity.issuer(), text));
            let resource = named.ok_or(Refused::new(
                ErrorCode::InvalidTarget,
                "the resource is none of this server's; its metadata names them",
            ))?;
            let scopes = fields.get("scope").map_or_else(|| vec![Scope::Read, Scope::Write], scopes_of);
            identity.admit_machine(&client, scopes, &resource).await
        }
        JWT_BEARER => {
            let assertion = fields.need("assertion", "assertion is missing")?;
            identity.admit_by_provider(&client, assertion, fields.get("scope"), resource).await
        }
        _ => {
            return Err(Refused::new(
                ErrorCode::UnsupportedGrantType,
                "grant_type is none of those that the metadata names",
            ));
        }
    };
    let Tokens { access_token, expires_in, refresh_token, scope } =
        tokens.map_err(|error| Refused::of(error, &parts))?;
    let mut answer = json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": expires_in, "scope": scope,
    });
    if let (Some(answer), Some(token)) = (answer.as_object_mut(), refresh_token) {
        answer.insert("refresh_token".into(), token.into());
    }
    Ok(([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], Json(answer)).into_response())
}
