//! A question on its way through: who asks, what was said before, what comes of it, and that it is kept. Console and HTTP
//! API ask by this one function.

use std::sync::Arc;

use domain::action::Channel;
use domain::conversation::{Answer, Block, Conversation, Review, ReviewKind, Turn};
use domain::id::{ConversationId, ReleaseId};
use domain::refusal::{Code, Refusal};
use engine::{Admitted, Caller, RequestIds};
use identity::Credential;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::to_raw_value;

use super::converse::{self, Converse};
use super::hear::{Heard, Hearing, Listener};
use super::rules::{self, Rules};
use super::{Asked, Call, Door, Place, answer, limits, reviews};
use crate::State;
use crate::metrics::Called;
use crate::streams;

/// What somebody asks, where.
#[derive(Debug, Clone, Default)]
pub struct Question {
    pub text: String,
    /// The release that a button was about.
    pub about: Option<ReleaseId>,
    /// Path of the page that they look at.
    pub page: String,
    /// The governance action that it is, on the page of a certification.
    pub review: Option<ReviewKind>,
}

/// Earlier questions that are read with a conversation.
const HISTORY: u32 = limits::HISTORY_TURNS as u32;

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
/// It is kept to its end, whether or not the browser waits for it, because it may propose something; a model stops
/// when nobody waits any more.
///
/// # Errors
/// `not_found` for a conversation that is not the person's, `validation_failed`, `rate_limited`, `forbidden` for a governance
/// action that is not allowed, and what keeping it refuses. What tools refuse is part of the answer.
pub async fn ask(
    state: &State,
    actor: Arc<Admitted>,
    ids: RequestIds,
    to: Option<ConversationId>,
    question: Question,
) -> Result<(Conversation, Turn), Refusal> {
    question.check()?;
    state.rate.call(&actor)?;
    let (listener, hearing) = Listener::new();
    let shared = state.clone();
    let run = async move { asked(&shared, &actor, &ids, to, question, &listener).await };
    let answered = state.tasks.finish(run).await;
    // Until now somebody has listened.
    drop(hearing);
    answered.unwrap_or_else(|| Err(Refusal::internal()))
}

/// As [`ask`], heard while it is made. What comes of it is the last thing that is heard.
///
/// # Errors
/// As [`ask`], as far as it is known before anything is asked.
pub fn begin(
    state: &State,
    actor: Arc<Admitted>,
    ids: RequestIds,
    to: Option<ConversationId>,
    question: Question,
) -> Result<Hearing, Refusal> {
    question.check()?;
    state.rate.call(&actor)?;
    let (listener, hearing) = Listener::new();
    let shared = state.clone();
    state.tasks.begin(async move {
        let done = asked(&shared, &actor, &ids, to, question, &listener).await;
        listener.tell(match done {
            Ok(done) => Heard::Done(Box::new(done)),
            Err(refusal) => Heard::Refused(refusal),
        });
    });
    Ok(hearing)
}

/// The governance actions that this person may start from a page.
///
/// # Errors
/// What reading the certification refuses, where there is one that may be read.
pub async fn reviews_on(
    state: &State,
    actor: &Admitted,
    ids: &RequestIds,
    place: Place,
) -> Result<Vec<ReviewKind>, Refusal> {
    let Place::Certification(id) = place else { return Ok(Vec::new()) };
    match reviews::allowed_on(&Tools { state, actor, ids }, actor, id).await {
        Ok((all, _)) => Ok(all),
        Err(refusal) if matches!(refusal.code, Code::NotFound | Code::Forbidden) => Ok(Vec::new()),
        Err(refusal) => Err(refusal),
    }
}

async fn asked(
    state: &State,
    actor: &Admitted,
    ids: &RequestIds,
    to: Option<ConversationId>,
    question: Question,
    listener: &Listener,
) -> Result<(Conversation, Turn), Refusal> {
    let tools = Tools { state, actor, ids };
    let before = match to {
        Some(id) => Some(state.engine.conversation(tools.caller(), id, Some(HISTORY)).await?),
        None => None,
    };
    let place = Place::of(&question.page);
    let review = match (question.review, place) {
        (Some(kind), Place::Certification(id)) => Some(reviews::admitted(&tools, actor, id, kind).await?),
        (Some(_), _) => return Err(Refusal::invalid("page", "must be the page of a certification")),
        (None, _) => None,
    };
    let id = to.unwrap_or_else(|| state.engine.new_conversation());
    listener.tell(Heard::Begun(id));
    let now = state.clock.now();
    let history = before.as_ref().map_or(&[][..], |talk| talk.turns.as_slice());
    let asked = Asked {
        text: &question.text,
        about: question.about,
        place,
        permitted: &permitted(actor),
        before: history.last(),
        history,
        steps_max: limits::STEPS_MAX,
        listener,
        workflow: &format!("helix/{id}"),
        now,
    };
    let answer = answered(&tools, asked, review).await;
    let going_on = before.as_ref().map(|talk| &talk.conversation);
    let position = going_on.map_or(0, |conversation| conversation.turns);
    let turn =
        Turn { position, at: now, question: question.text.clone(), page: question.page.clone(), answer };
    let kept = state.engine.keep_turn(tools.caller(), id, going_on, turn.clone()).await?;
    Ok((kept, turn))
}

/// By the model, where this person has one, and by rules otherwise: also where it could not be asked, saying why. A governance
/// action is the model's alone; the person's word on what they were shown is not the model's to hear.
async fn answered(tools: &Tools<'_>, asked: Asked<'_>, review: Option<Review>) -> Answer {
    let model = converse::model_of(tools.actor).filter(|_| !rules::is_word_on_what_was_shown(&asked));
    let Some(model) = model else { return answer(&Rules, tools, &asked).await };
    let caller = tools.caller();
    let ready = match place(tools) {
        Ok(place) => tools.state.engine.model_key(caller, model).await.map(|key| (place, key)),
        Err(refusal) => Err(refusal),
    };
    let (_place, key) = match ready {
        Ok(ready) => ready,
        Err(refusal) => {
            let told = Answer { blocks: vec![Block::Refused { refusal }], ..Answer::default() };
            return or_by_rules(tools, &asked, review, told).await;
        }
    };
    let converse = Converse::new(tools.state, caller, model, key, asked.listener, review);
    let asked = Asked { steps_max: model.steps_max as usize, ..asked };
    let told = answer(&converse, tools, &asked).await;
    if !converse.failed_at_once() {
        return told;
    }
    let asked = Asked { steps_max: limits::STEPS_MAX, ..asked };
    or_by_rules(tools, &asked, review, told).await
}

/// A place for one more answer of a model, given back when it is dropped.
fn place(tools: &Tools<'_>) -> Result<streams::Place, Refusal> {
    let Credential::Session { id } = tools.actor.credential else { return Err(Refusal::internal()) };
    tools.state.answers.take(crate::rate::Key::Session(id)).map_err(|_| {
        Refusal::new(
            Code::RateLimited,
            "too many answers are being written at the same time",
            "Wait for one of them, or stop it, then ask again.",
        )
    })
}

/// What rules answer, after why the model did not.
async fn or_by_rules(tools: &Tools<'_>, asked: &Asked<'_>, review: Option<Review>, told: Answer) -> Answer {
    if review.is_some() || !told.blocks.iter().all(|block| matches!(block, Block::Refused { .. })) {
        return told;
    }
    let mut instead = answer(&Rules, tools, asked).await;
    instead.blocks.splice(..0, told.blocks);
    instead
}
