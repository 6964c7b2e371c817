//! What the authorization server says of itself (RFC 8414, and the same as OpenID Connect discovery for clients that ask
//! there). The issuer has no path, so that both documents are at the root of the host.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::oauth::Scope;
use serde_json::{Value, json};

use super::{AUTHORIZE, INTROSPECT, JWKS, REGISTER, REVOKE, TOKEN};
use crate::State;

/// Where clients look for it (RFC 8414, 3).
pub const PLACE: &str = "/.well-known/oauth-authorization-server";
/// Where others look.
pub const OPENID_PLACE: &str = "/.well-known/openid-configuration";

pub async fn show(Shared(state): Shared<State>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(document(state.settings.base()))).into_response()
}

fn document(base: &str) -> Value {
    let at = |path: &str| format!("{base}{path}");
    let methods = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    let algorithms = ["EdDSA", "ES256", "RS256", "PS256"];
    json!({
        "issuer": base,
        "authorization_endpoint": at(AUTHORIZE),
        "token_endpoint": at(TOKEN),
        "registration_endpoint": at(REGISTER),
        "revocation_endpoint": at(REVOKE),
        "introspection_endpoint": at(INTROSPECT),
        "jwks_uri": at(JWKS),
        "scopes_supported": Scope::ALL,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", super::JWT_BEARER],
        "authorization_grant_profiles_supported": ["urn:ietf:params:oauth:grant-profile:id-jag"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    })
}
