//! Signing in and out over the API, and who one is.

use std::net::SocketAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::org::Organization;
use domain::permission::Permission;
use domain::refusal::{Code, Refusal};
use engine::view::{OrganizationRef, UserRef};
use identity::{Actor, AuthError, Browser};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{self, Access, Signed};
use crate::problem::Problem;
use crate::{State, body, cookies};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    email: String,
    password: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// To be sent as `X-CSRF-Token` with every change under this session.
    csrf_token: String,
    user: UserRef,
}

/// `POST /api/v1/session`. A page of another origin was turned away before; a JSON body cannot come from a form.
pub async fn sign_in(Shared(state): Shared<State>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let ids = access::ids(&parts);
    let asked: SignIn = body::json(&state, &parts.headers, body, &ids).await?;
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let browser = Browser { address, ..cookies::browser(&parts.headers) };
    let session =
        state.identity.sign_in(asked.email.trim(), &asked.password, browser).await.map_err(
            |error| match error {
                AuthError::Refused(refusal) => Problem::new(refusal, &ids),
                AuthError::Fault(fault) => {
                    access::log(&ids, "sign in", &fault);
                    Problem::internal(&ids)
                }
                _ => {
                    let refusal = Refusal::new(
                        Code::Unauthorized,
                        "e-mail or password is wrong",
                        "Check both and try again; the operator of this server can set a new password by `loopiq user password`.",
                    );
                    Problem::new(refusal, &ids)
                        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"LoopIQ\""))
                }
            },
        )?;
    let cookie = cookies::set(&state, &session.cookie);
    let user = UserRef { id: session.user.id, email: session.user.email };
    let mut response = Json(SignedIn { csrf_token: session.csrf, user }).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// `DELETE /api/v1/session`.
pub async fn sign_out(Shared(state): Shared<State>, signed: Signed) -> Result<Response, Problem> {
    state.identity.sign_out(&signed.found).await.map_err(|fault| {
        access::log(&signed.ids, "sign out", &fault);
        Problem::internal(&signed.ids)
    })?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().append(header::SET_COOKIE, cookies::clear(&state));
    Ok(response)
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    user: UserRef,
    /// The one the caller works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<OrganizationRef>,
    /// Those that may be chosen. A token has one.
    organizations: Vec<OrganizationRef>,
    /// Permissions held somewhere in the organization.
    #[schemars(with = "Vec<String>")]
    permissions: Vec<Permission>,
    /// Only for a session: to be sent as `X-CSRF-Token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
}

fn reference(organization: &Organization) -> OrganizationRef {
    OrganizationRef { id: organization.id, slug: organization.slug.clone(), name: organization.name.clone() }
}

fn permissions(actor: &Actor) -> Vec<Permission> {
    let held = |p: &Permission| actor.rights.allows_somewhere(*p);
    Permission::ALL.iter().copied().filter(held).collect()
}

impl Me {
    /// With what the person may do in the organization they work in.
    pub fn of_session(found: &identity::SessionActor, permissions: Vec<Permission>) -> Me {
        Me {
            user: UserRef { id: found.user.id, email: found.user.email.clone() },
            organization: found.actor.as_ref().map(|actor| reference(&actor.organization)),
            organizations: found.organizations.iter().map(reference).collect(),
            permissions,
            csrf_token: Some(found.csrf.clone()),
        }
    }

    fn of_token(actor: &Actor) -> Me {
        let organization = reference(&actor.organization);
        Me {
            user: UserRef { id: actor.user_id, email: actor.email.clone() },
            organizations: vec![organization.clone()],
            organization: Some(organization),
            permissions: permissions(actor),
            csrf_token: None,
        }
    }
}

/// `GET /api/v1/me`. Works for a session without an organization too, so that one can be chosen.
pub async fn me(Shared(state): Shared<State>, request: Request<Body>) -> Result<Json<Me>, Problem> {
    let (parts, _): (Parts, Body) = request.into_parts();
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return Ok(Json(Me::of_token(&Access::find(&state, &parts).await?.actor)));
    }
    let signed = Signed::find(&state, &parts).await?;
    Ok(Json(Me::of_session(&signed.found, signed.permissions(&state).await?)))
}
