//! Helix, the assistant: a question, asked on a page, is answered by calling tools with the person's own rights through
//! the one door, and by nothing else. What the next step is, a [`Planner`] decides; [`rules`] is one, a pure function of
//! the question and of what tools have returned so far. Whatever plans, the same holds here: how many steps there may be,
//! which tools the page offers, and that a write is only ever previewed, or is the very plan that the person was shown
//! and asked to propose. Proposing writes nothing either: what comes of it is an approval card.
//!
//! With a language model, [`converse`] plans for those who may use it; what is proposed is planned by [`rules`] always.

mod converse;
mod explain;
mod gather;
mod hear;
pub mod model;
mod place;
mod prompt;
mod proposals;
mod results;
pub mod reviews;
mod rules;
mod talk;
mod understand;

use std::future::Future;

use domain::conversation::{Answer, Block, Called, Turn};
use domain::id::ReleaseId;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use serde_json::{Map, Value};

pub use converse::model_of;
pub use hear::{Heard, Hearing};
pub use place::Place;
pub use prompt::pieces;
pub use proposals::PROPOSE;
pub use rules::openers;
pub use talk::{Question, ask, begin, reviews_on, tools_on};

use hear::Listener;

/// The bounds of the assistant, each with a name.
pub mod limits {
    /// Characters of one question.
    pub const QUESTION_CHARS_MAX: usize = 2_000;
    /// Bytes of the path of the page that is looked at.
    pub const PAGE_BYTES_MAX: usize = 2_000;
    /// Words of a question that are looked up as names of releases.
    pub const NAMES_MAX: usize = 4;
    /// Calls of tools for one answer.
    pub const STEPS_MAX: usize = 12;
    /// Records that one answer lists of a kind; the others are on the page that it links to.
    pub const ITEMS_MAX: usize = 5;
    /// Records that one call asks for.
    pub const RECORDS_MAX: u32 = 100;
    /// What may be asked next.
    pub const OFFERS_MAX: usize = 6;
    /// Changes of a preview that an answer lists; the card has all of them.
    pub const CHANGES_MAX: usize = 20;
    /// Tasks of a remediation package that is planned, and references of one of them, as the tool takes them.
    pub const TASKS_MAX: usize = 50;
    pub const REFERENCES_MAX: usize = 50;
    /// Days for which an exception is planned when the person names no end.
    pub const EXCEPTION_DAYS: i64 = 14;
    /// Questions of a conversation that a page shows before it is asked for all of them.
    pub const TURNS_SHOWN: u32 = 20;
    /// Earlier questions of a conversation that a model is told, and characters of the answer to each.
    pub const HISTORY_TURNS: usize = 6;
    pub const HISTORY_CHARS_MAX: usize = 4_000;
    /// Bytes of one result that a model is shown, and of all of one answer.
    pub const RESULT_BYTES_MAX: usize = 32 * 1024;
    pub const RESULTS_BYTES_MAX: usize = 128 * 1024;
    /// Characters of a model's text that are kept.
    pub const ANSWER_CHARS_MAX: usize = 16_000;
    /// Answers that models write at the same time: for one session, and for all.
    pub const ANSWERS_PER_SESSION_MAX: usize = 3;
    pub const ANSWERS_AT_ONCE_MAX: usize = 256;
    /// Seconds that a model may take for one answer, with all its steps.
    pub const ANSWER_SECONDS_MAX: u64 = 300;
}

/// A question, and everything its answer may rest on besides what tools return.
#[derive(Debug)]
pub struct Asked<'a> {
    pub text: &'a str,
    /// The release that a button was about.
    pub about: Option<ReleaseId>,
    /// What the person looks at.
    pub place: Place,
    /// Tools that the person may use at all.
    pub permitted: &'a [&'static str],
    /// What was asked before, the last one.
    pub before: Option<&'a Turn>,
    /// What was asked before, as far as a model is told, in order.
    pub history: &'a [Turn],
    /// Calls of tools that there may be.
    pub steps_max: usize,
    /// Whoever waits for the answer.
    pub listener: &'a Listener,
    /// Names this conversation in actions and audit records.
    pub workflow: &'a str,
    pub now: Timestamp,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub tool: &'static str,
    pub arguments: Map<String, Value>,
}

/// A call, and what came of it.
#[derive(Debug)]
pub struct Seen {
    pub call: Call,
    pub result: Result<Value, Refusal>,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    Call(Call),
    /// A call that cannot be made, and why: as if the door had said so.
    Refuse(Call, Refusal),
    Answer(Answer),
}

/// Decides what comes next in answering a question.
pub trait Planner: Sync {
    fn next(&self, asked: &Asked<'_>, seen: &[Seen]) -> impl Future<Output = Step> + Send;
}

/// Calls tools with the person's rights.
pub trait Door: Sync {
    fn call(&self, call: &Call) -> impl Future<Output = Result<Value, Refusal>> + Send;
}

/// Member of a writing call that makes it a preview.
const DRY_RUN: &str = "dryRun";
const KEY: &str = "idempotencyKey";

/// Answers a question, step by step.
async fn answer<P: Planner, D: Door>(planner: &P, door: &D, asked: &Asked<'_>) -> Answer {
    let mut seen: Vec<Seen> = Vec::new();
    let mut answer = loop {
        let (call, refusal) = match planner.next(asked, &seen).await {
            Step::Answer(answer) => break answer,
            Step::Call(call) => (call, None),
            Step::Refuse(call, refusal) => (call, Some(refusal)),
        };
        if seen.len() >= asked.steps_max {
            let text = format!("I stopped after {} steps without an answer.", asked.steps_max);
            break Answer { blocks: vec![Block::Said { text }], ..Answer::default() };
        }
        asked.listener.tell(Heard::Calling(call.tool));
        let result = match refusal.map_or_else(|| admissible(&call, asked), Err) {
            Ok(()) => door.call(&call).await,
            Err(refusal) => Err(refusal),
        };
        let one = Seen { call, result };
        asked.listener.tell(Heard::Called(one.call.tool, outcome(&one)));
        seen.push(one);
    };
    answer.offers.truncate(limits::OFFERS_MAX);
    answer.calls = seen.into_iter().map(called).collect();
    answer
}

/// Whether a call may be made at all, whoever plans it.
fn admissible(call: &Call, asked: &Asked<'_>) -> Result<(), Refusal> {
    let tool = engine::tools::find(call.tool).filter(|tool| asked.permitted.contains(&tool.name()));
    let tool = tool.ok_or_else(|| Refusal::not_found("tool"))?;
    if tool.is_read() {
        return Ok(());
    }
    if !asked.place.offers(tool.name()) {
        return Err(place::not_here());
    }
    let preview = call.arguments.get(DRY_RUN) == Some(&Value::Bool(true));
    let shown = asked.before.and_then(|turn| turn.answer.plan.as_ref());
    let as_shown = shown.is_some_and(|plan| {
        let mut arguments = call.arguments.clone();
        plan.tool == call.tool && arguments.remove(KEY).is_some() && arguments == plan.arguments
    });
    if preview || as_shown { Ok(()) } else { Err(place::not_shown()) }
}

/// What came of a call, in a word or two.
fn outcome(seen: &Seen) -> String {
    match &seen.result {
        Ok(result) => match (result.get("total"), result.get("status")) {
            (Some(total), _) => format!("{total} found"),
            (None, Some(Value::String(status))) => status.replace('_', " "),
            _ => "answered".to_owned(),
        },
        Err(refusal) => refusal.code.to_string(),
    }
}

fn called(seen: Seen) -> Called {
    let outcome = outcome(&seen);
    Called { tool: seen.call.tool.to_owned(), arguments: seen.call.arguments, outcome }
}

#[cfg(test)]
mod tests;
