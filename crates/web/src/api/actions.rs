//! Governed actions: the card, and a person's decision about it. A token never decides: approval is proof of a
//! person, and a program holding that person's token is none.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use domain::action::Channel;
use domain::id::ActionId;
use domain::refusal::Refusal;
use engine::view::ActionView;
use engine::{Caller, Engine, RequestIds};
use identity::Actor;
use schemars::JsonSchema;
use serde::Deserialize;

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
async fn decide<F>(
    state: &State,
    signed: Signed,
    decision: impl FnOnce(Engine, Actor, RequestIds) -> F,
) -> Result<Json<ActionView>, Problem>
where
    F: Future<Output = Result<ActionView, Refusal>> + Send + 'static,
{
    let actor = signed.actor()?;
    let ids = signed.ids;
    state.rate.call(&actor).map_err(|refusal| Problem::new(refusal, &ids))?;
    match state.tasks.finish(decision(state.engine.clone(), actor, ids.clone())).await {
        Some(Ok(view)) => Ok(Json(view)),
        Some(Err(refusal)) => Err(Problem::new(refusal, &ids)),
        None => Err(Problem::internal(&ids)),
    }
}

/// `POST /api/v1/actions/{id}/approve`.
pub async fn approve(
    Shared(state): Shared<State>,
    signed: Signed,
    Path(text): Path<String>,
) -> Result<Json<ActionView>, Problem> {
    let id = id(&text, &signed.ids)?;
    decide(&state, signed, move |engine, actor, ids| async move {
        engine.approve(Caller { actor: &actor, channel: Channel::Api, ids: &ids }, id).await
    })
    .await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// Why; the requester and the audit record get it.
    #[serde(default)]
    reason: String,
}

/// `POST /api/v1/actions/{id}/reject`.
pub async fn reject(
    Shared(state): Shared<State>,
    Path(text): Path<String>,
    request: Request,
) -> Result<Json<ActionView>, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let signed = Signed::find(&state, &parts).await?;
    let id = id(&text, &signed.ids)?;
    let Rejection { reason } = body::json(&state, &parts.headers, body, &signed.ids).await?;
    decide(&state, signed, move |engine, actor, ids| async move {
        engine.reject(Caller { actor: &actor, channel: Channel::Api, ids: &ids }, id, &reason).await
    })
    .await
}
