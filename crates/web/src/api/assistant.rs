//! Helix over the HTTP API: a person's conversations with the assistant, as the console has them. For people with a session
//! only; a program calls the tools themselves, which are what the assistant calls.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use domain::action::Channel;
use domain::conversation::{Conversation, Offer, ReviewKind, Turn};
use domain::id::{ConversationId, ReleaseId};
use domain::refusal::Refusal;
use engine::{Admitted, Caller, RequestIds, Surface};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::Signed;
use crate::assistant::{self, Place, Question};
use crate::problem::Problem;
use crate::telling::{self, Words};
use crate::{State, body};

/// The person in their organization. The assistant is the console's, whoever shows it, so that policies about the console
/// hold for it too.
async fn person(state: &State, signed: &Signed) -> Result<Admitted, Problem> {
    let actor = signed.admitted_on(state, Surface::Console).await?;
    state.rate.call(&actor).map_err(|refusal| Problem::new(refusal, &signed.ids))?;
    Ok(actor)
}

fn caller<'a>(actor: &'a Admitted, ids: &'a RequestIds) -> Caller<'a> {
    Caller { actor, channel: Channel::Helix, ids }
}

fn id(text: &str, ids: &RequestIds) -> Result<ConversationId, Problem> {
    text.parse().map_err(|_| Problem::new(Refusal::not_found("conversation"), ids))
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Where {
    /// Path of the console's page that is looked at, for example `/app/releases/rel_…`.
    page: String,
}

/// What the assistant may do on a page.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Abilities {
    /// Names of the tools that it uses there for the person.
    tools: Vec<&'static str>,
    /// What may be asked to begin with.
    offers: Vec<Offer>,
    /// Governance actions that may be started on the certification of the page.
    reviews: Vec<ReviewKind>,
    /// The language model that answers; absent where rules do.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

/// `GET /api/v1/assistant?page=…`.
pub async fn abilities(
    Shared(state): Shared<State>,
    signed: Signed,
    Query(at): Query<Where>,
) -> Result<Json<Abilities>, Problem> {
    let actor = person(&state, &signed).await?;
    let place = Place::of(&at.page);
    let tools = assistant::tools_on(&actor, place);
    let reviews = assistant::reviews_on(&state, &actor, &signed.ids, place).await;
    let reviews = reviews.map_err(|refusal| Problem::new(refusal, &signed.ids))?;
    let model = assistant::model_of(&actor).map(|model| model.model.clone());
    Ok(Json(Abilities { offers: assistant::openers(place, &tools), tools, reviews, model }))
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Conversations {
    /// The latest first.
    items: Vec<Conversation>,
}

/// `GET /api/v1/assistant/conversations`.
pub async fn list(Shared(state): Shared<State>, signed: Signed) -> Result<Json<Conversations>, Problem> {
    let actor = person(&state, &signed).await?;
    let found = state.engine.conversations(caller(&actor, &signed.ids)).await;
    found.map(|items| Json(Conversations { items })).map_err(|refusal| Problem::new(refusal, &signed.ids))
}

/// A conversation with all that was said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Whole {
    conversation: Conversation,
    turns: Vec<Turn>,
}

/// `GET /api/v1/assistant/conversations/{id}`.
pub async fn show(
    Shared(state): Shared<State>,
    signed: Signed,
    Path(text): Path<String>,
) -> Result<Json<Whole>, Problem> {
    let id = id(&text, &signed.ids)?;
    let actor = person(&state, &signed).await?;
    let found = state.engine.conversation(caller(&actor, &signed.ids), id, None).await;
    let found = found.map_err(|refusal| Problem::new(refusal, &signed.ids))?;
    Ok(Json(Whole { conversation: found.conversation, turns: found.turns }))
}

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    #[schemars(length(min = 1, max = 2000))]
    text: String,
    /// The release it is about, where the text does not name it.
    #[serde(default)]
    about: Option<ReleaseId>,
    /// Path of the console's page that is looked at.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    page: String,
    /// A governance action on the certification of the page, which the language model carries out.
    #[serde(default)]
    review: Option<ReviewKind>,
}

/// A question with its answer, and the conversation it is in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Answered {
    conversation: Conversation,
    turn: Turn,
}

/// The answer, or with `Accept: text/event-stream` the events of its making.
async fn asked(state: &State, to: Option<String>, request: Request) -> Result<Response, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let signed = Signed::find(state, &parts).await?;
    let to = to.map(|text| id(&text, &signed.ids)).transpose()?;
    let actor = Arc::new(person(state, &signed).await?);
    let Ask { text, about, page, review } = body::json(state, &parts.headers, body, &signed.ids).await?;
    let question = Question { text, about, page, review };
    let problem = |refusal| Problem::new(refusal, &signed.ids);
    if telling::is_wanted(&parts.headers) {
        let hearing = assistant::begin(state, actor, signed.ids.clone(), to, question).map_err(problem)?;
        let words = Words {
            begun: Box::new(|id| json!({ "conversation": id })),
            done: Box::new(|conversation, turn| json!({ "conversation": conversation, "turn": turn })),
        };
        return Ok(telling::stream(hearing, words));
    }
    let status = if to.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let answered = assistant::ask(state, actor, signed.ids.clone(), to, question).await;
    let (conversation, turn) = answered.map_err(problem)?;
    Ok((status, Json(Answered { conversation, turn })).into_response())
}

/// `POST /api/v1/assistant/conversations`.
pub async fn begin(Shared(state): Shared<State>, request: Request) -> Result<Response, Problem> {
    asked(&state, None, request).await
}

/// `POST /api/v1/assistant/conversations/{id}/turns`.
pub async fn go_on(
    Shared(state): Shared<State>,
    Path(text): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    asked(&state, Some(text), request).await
}

/// The key of the organization's language model.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    #[schemars(length(min = 1, max = 1000))]
    key: String,
}

/// `PUT /api/v1/model/key`.
pub async fn keep_key(Shared(state): Shared<State>, request: Request) -> Result<StatusCode, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let signed = Signed::find(&state, &parts).await?;
    let actor = person(&state, &signed).await?;
    let NewKey { key } = body::json(&state, &parts.headers, body, &signed.ids).await?;
    let kept = state.engine.set_model_key(caller(&actor, &signed.ids), &key).await;
    kept.map(|()| StatusCode::NO_CONTENT).map_err(|refusal| Problem::new(refusal, &signed.ids))
}

/// `DELETE /api/v1/assistant/conversations/{id}`.
pub async fn delete(
    Shared(state): Shared<State>,
    signed: Signed,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = id(&text, &signed.ids)?;
    let actor = person(&state, &signed).await?;
    let deleted = state.engine.delete_conversation(caller(&actor, &signed.ids), id).await;
    deleted.map(|()| StatusCode::NO_CONTENT).map_err(|refusal| Problem::new(refusal, &signed.ids))
}
