//! Governed actions: the card, and a person's decision about it. A token never decides: approval is proof of a
//! person, and a program holding that person's token is none. It may only take back what it proposed.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::http::request::Parts;
use domain::action::Channel;
use domain::id::ActionId;
use domain::refusal::Refusal;
use engine::view::ActionView;
use engine::{Admitted, Caller, Decision, RequestIds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{Access, Signed};
use crate::problem::Problem;
use crate::{State, body};

fn id(text: &str, ids: &RequestIds) -> Result<ActionId, Problem> {
    text.parse().map_err(|_| Problem::new(Refusal::not_found("action"), ids))
}

/// `GET /api/v1/actions/{id}`.
pub async fn show(
    Shared(state): Shared<State>,
    access: Access,
    Path(text): Path<String>,
) -> Result<Json<ActionView>, Problem> {
    let id = id(&text, &access.ids)?;
    let found = state.engine.action(access.caller(), id).await;
    found.map(Json).map_err(|refusal| Problem::new(refusal, &access.ids))
}

/// A decision is several commits (the approval, then the execution); it runs to its end whether or not the browser
/// waits for it.
async fn decide(
    state: &State,
    actor: Admitted,
    ids: RequestIds,
    id: ActionId,
    decision: Decision,
) -> Result<Json<ActionView>, Problem> {
    let (engine, told) = (state.engine.clone(), ids.clone());
    let run = async move {
        engine.decide(Caller { actor: &actor, channel: Channel::Api, ids: &ids }, id, &decision).await
    };
    match state.tasks.finish(run).await {
        Some(Ok(view)) => Ok(Json(view)),
        Some(Err(refusal)) => Err(Problem::new(refusal, &told)),
        None => Err(Problem::internal(&told)),
    }
}

/// A decision of a signed-in person.
async fn by_person(
    state: &State,
    signed: Signed,
    text: &str,
    decision: Decision,
) -> Result<Json<ActionView>, Problem> {
    let id = id(text, &signed.ids)?;
    let actor = signed.admitted(state).await?;
    state.rate.call(&actor).map_err(|refusal| Problem::new(refusal, &signed.ids))?;
    decide(state, actor, signed.ids, id, decision).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why; the requester and the audit record get it.
    #[serde(default)]
    reason: String,
}

async fn reason(state: &State, parts: &Parts, body: Body, ids: &RequestIds) -> Result<String, Problem> {
    let Reason { reason } = body::json(state, &parts.headers, body, ids).await?;
    Ok(reason)
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Approval {
    /// What the browser answered to `GET /api/v1/actions/{id}/confirmation`, where a rule counts only approvals that are
    /// signed with a passkey (AuthenticationResponseJSON of WebAuthn).
    #[serde(default)]
    signed: Option<Value>,
}

/// `POST /api/v1/actions/{id}/approve`. A body is needed only for a signature.
pub async fn approve(
    Shared(state): Shared<State>,
    Path(text): Path<String>,
    request: Request,
) -> Result<Json<ActionView>, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let person = Signed::find(&state, &parts).await?;
    let given = if body::is_json(&parts.headers) {
        body::json(&state, &parts.headers, body, &person.ids).await?
    } else {
        Approval::default()
    };
    by_person(&state, person, &text, Decision::Approve { signed: given.signed }).await
}

/// What a browser is asked to sign; empty where the person has no passkey here.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// `PublicKeyCredentialRequestOptionsJSON` of WebAuthn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Value>,
}

/// `GET /api/v1/actions/{id}/confirmation`.
pub async fn confirmation(
    Shared(state): Shared<State>,
    access: Access,
    Path(text): Path<String>,
) -> Result<Json<Confirmation>, Problem> {
    let id = id(&text, &access.ids)?;
    let options = state.engine.confirmation(access.caller(), id).await;
    options
        .map(|options| Json(Confirmation { options }))
        .map_err(|refusal| Problem::new(refusal, &access.ids))
}

/// `POST /api/v1/actions/{id}/reject`.
pub async fn reject(
    Shared(state): Shared<State>,
    Path(text): Path<String>,
    request: Request,
) -> Result<Json<ActionView>, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let signed = Signed::find(&state, &parts).await?;
    let reason = reason(&state, &parts, body, &signed.ids).await?;
    by_person(&state, signed, &text, Decision::Reject { reason }).await
}

/// `POST /api/v1/actions/{id}/break-glass`.
pub async fn break_glass(
    Shared(state): Shared<State>,
    Path(text): Path<String>,
    request: Request,
) -> Result<Json<ActionView>, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let signed = Signed::find(&state, &parts).await?;
    let reason = reason(&state, &parts, body, &signed.ids).await?;
    by_person(&state, signed, &text, Decision::BreakGlass { reason }).await
}

/// `POST /api/v1/actions/{id}/review`.
pub async fn review(
    Shared(state): Shared<State>,
    signed: Signed,
    Path(text): Path<String>,
) -> Result<Json<ActionView>, Problem> {
    by_person(&state, signed, &text, Decision::Review).await
}

/// `POST /api/v1/actions/{id}/withdraw`, by the requester, also through a token.
pub async fn withdraw(
    Shared(state): Shared<State>,
    Path(text): Path<String>,
    request: Request,
) -> Result<Json<ActionView>, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let access = Access::find(&state, &parts).await?;
    let id = id(&text, &access.ids)?;
    let reason = reason(&state, &parts, body, &access.ids).await?;
    decide(&state, access.actor, access.ids, id, Decision::Withdraw { reason }).await
}
