//! A question on its way through: who asks, what was said before, what comes of it, and that it is kept. Console and HTTP
//! API ask by this one function.

use std::sync::Arc;

use domain::action::Channel;
use domain::conversation::{Conversation, Turn};
use domain::id::{ConversationId, ReleaseId};
use domain::refusal::Refusal;
use engine::{Admitted, Caller, RequestIds};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::to_raw_value;

use super::rules::Rules;
use super::{Asked, Call, Door, Place, answer, limits};
use crate::State;
use crate::metrics::Called;

/// What somebody asks, where.
#[derive(Debug, Clone, Default)]
pub struct Question {
    pub text: String,
    /// The release that a button was about.
    pub about: Option<ReleaseId>,
    /// Path of the page that they look at.
    pub page: String,
}

impl Question {
    /// # Errors
    /// `validation_failed` for no question, or one that is too long.
    fn check(&self) -> Result<(), Refusal> {
        if self.text.trim().is_empty() {
            return Err(Refusal::invalid("text", "must be a question"));
        }
        if self.text.chars().count() > limits::QUESTION_CHARS_MAX {
            let most = format!("must have at most {} characters", limits::QUESTION_CHARS_MAX);
            return Err(Refusal::invalid("text", most));
        }
        if self.page.len() > limits::PAGE_BYTES_MAX {
            let most = format!("must have at most {} bytes", limits::PAGE_BYTES_MAX);
            return Err(Refusal::invalid("page", most));
        }
        Ok(())
    }
}

/// Names of the tools that the assistant may use for this person on a page.
pub fn tools_on(actor: &Admitted, place: Place) -> Vec<&'static str> {
    permitted(actor).into_iter().filter(|tool| place.offers(tool)).collect()
}

fn permitted(actor: &Admitted) -> Vec<&'static str> {
    actor.tools().iter().map(|tool| tool.name()).collect()
}

/// Tools, called as the person who asks.
struct Tools<'a> {
    state: &'a State,
    actor: &'a Admitted,
    ids: &'a RequestIds,
}

impl Tools<'_> {
    fn caller(&self) -> Caller<'_> {
        Caller { actor: self.actor, channel: Channel::Helix, ids: self.ids }
    }
}

impl Door for Tools<'_> {
    async fn call(&self, call: &Call) -> Result<Value, Refusal> {
        if engine::tools::find(call.tool).is_some_and(|tool| !tool.is_read()) {
            self.state.rate.write(self.actor)?;
        }
        let arguments = to_raw_value(&call.arguments).map_err(|_| Refusal::internal())?;
        let answer = self.state.engine.call(self.caller(), call.tool, &arguments).await;
        let answer = answer.map_err(|_| Refusal::not_found("tool"))?;
        self.state.metrics.tool(call.tool, if answer.is_error { Called::Refused } else { Called::Ok });
        if answer.is_error {
            #[derive(Deserialize)]
            struct Told {
                error: Refusal,
            }
            let told = serde_json::from_str::<Told>(&answer.json);
            return Err(told.map_or_else(|_| Refusal::internal(), |told| told.error));
        }
        serde_json::from_str(&answer.json).map_err(|_| Refusal::internal())
    }
}

/// Answers a question in a conversation, or begins one with it; the conversation as it is then, and what was said.
/// It runs to its end, whether or not the browser waits for it, because it may propose something.
///
/// # Errors
/// `not_found` for a conversation that is not the person's, `validation_failed`, `rate_limited`, and what keeping it
/// refuses. What tools refuse is part of the answer.
pub async fn ask(
    state: &State,
    actor: Arc<Admitted>,
    ids: RequestIds,
    to: Option<ConversationId>,
    question: Question,
) -> Result<(Conversation, Turn), Refusal> {
    question.check()?;
    state.rate.call(&actor)?;
    let shared = state.clone();
    let run = async move { asked(&shared, &actor, &ids, to, question).await };
    state.tasks.finish(run).await.unwrap_or_else(|| Err(Refusal::internal()))
}

async fn asked(
    state: &State,
    actor: &Admitted,
    ids: &RequestIds,
    to: Option<ConversationId>,
    question: Question,
) -> Result<(Conversation, Turn), Refusal> {
    let tools = Tools { state, actor, ids };
    let before = match to {
        Some(id) => Some(state.engine.conversation(tools.caller(), id, Some(1)).await?),
        None => None,
    };
    let id = to.unwrap_or_else(|| state.engine.new_conversation());
    let now = state.clock.now();
    let asked = Asked {
        text: &question.text,
        about: question.about,
        place: Place::of(&question.page),
        permitted: &permitted(actor),
        before: before.as_ref().and_then(|talk| talk.turns.last()),
        workflow: &format!("helix/{id}"),
        now,
    };
    let answer = answer(&Rules, &tools, &asked).await;
    let going_on = before.as_ref().map(|talk| &talk.conversation);
    let position = going_on.map_or(0, |conversation| conversation.turns);
    let turn =
        Turn { position, at: now, question: question.text.clone(), page: question.page.clone(), answer };
    let kept = state.engine.keep_turn(tools.caller(), id, going_on, turn.clone()).await?;
    Ok((kept, turn))
}
