//! Clients that a person has let in: which are there, and ending one. An administrator ends those of others in their
//! organization too.

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use domain::id::TokenId;
use domain::oauth::scope_text;
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use identity::AuthError;
use identity::oauth::Connected;
use schemars::JsonSchema;
use serde::Serialize;

use crate::State;
use crate::access::{self, Signed};
use crate::problem::Problem;

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    id: TokenId,
    /// What it calls itself.
    name: String,
    client_id: String,
    /// Slug of the organization it works in.
    organization: String,
    scope: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Clients {
    items: Vec<Item>,
}

/// `GET /api/v1/clients`.
pub async fn list(Shared(state): Shared<State>, signed: Signed) -> Result<Json<Clients>, Problem> {
    let found = state.identity.clients_of_person(signed.found.user.id).await.map_err(|fault| {
        access::log(&signed.ids, "clients", &fault);
        Problem::internal(&signed.ids)
    })?;
    // A session may be confined to less than all of the person's organizations.
    let reached =
        |client: &Connected| signed.found.organizations.iter().any(|o| o.id == client.grant.organization_id);
    let items = found.into_iter().filter(reached).map(|client| Item {
        id: client.grant.id,
        name: client.grant.client_name,
        client_id: client.grant.client_id,
        organization: client.organization_slug,
        scope: scope_text(&client.grant.scopes),
        created_at: client.grant.created_at,
        expires_at: client.grant.expires_at,
        last_used_at: client.last_used_at,
    });
    Ok(Json(Clients { items: items.collect() }))
}

/// `DELETE /api/v1/clients/{id}`.
pub async fn end(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    signed: Signed,
) -> Result<StatusCode, Problem> {
    let absent = || Problem::new(Refusal::not_found("client"), &signed.ids);
    let id = id.parse().map_err(|_| absent())?;
    let actor = signed.admitted(&state).await?;
    let manages = actor.rights.allows(Permission::UsersManage, None);
    match state.identity.disconnect_client(&actor, id, manages).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(AuthError::Refused(refusal)) => Err(Problem::new(refusal, &signed.ids)),
        Err(fault) => {
            access::log(&signed.ids, "disconnect a client", &fault);
            Err(Problem::internal(&signed.ids))
        }
    }
}
