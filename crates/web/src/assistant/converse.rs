//! The planner with a model: what the model wants becomes steps, one after the other, as far as it may. Everything it says is
//! untrusted. A tool that the page does not offer is not called; a write is made a preview, whatever the model says; what can be
//! proposed is the preview that came back, and proposing it is the person's click alone (`rules.rs`). Limits of steps, tokens and
//! time hold whatever the model does.

use std::collections::VecDeque;
use std::time::Duration;

use domain::conversation::{Answer, Block, Planned, Review};
use domain::model::ModelSettings;
use domain::permission::Permission;
use domain::refusal::{Code, Refusal};
use domain::time::MICROS_PER_SECOND;
use engine::model::ModelKey;
use engine::{Admitted, Caller, Tool};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::hear::{Heard, Listener};
use super::model::{Failure, Message, Piece, Request, Returned, Shown, Wanted};
use super::place::ATTACH;
use super::prompt::{self, Known};
use super::results::said;
use super::{Asked, Call, Place, Planner, Seen, Step, limits, proposals, reviews};
use crate::State;

/// Stands for a tool that a model has made up.
const UNKNOWN_TOOL: &str = "unknown_tool";

/// The model that answers this person, if one does: the organization has chosen one and switched AI on, and the person may use AI.
pub fn model_of(actor: &Admitted) -> Option<&ModelSettings> {
    let model = actor.organization.model.as_deref().filter(|model| model.enabled)?;
    let may = actor.organization.ai_enabled && actor.rights.allows_somewhere(Permission::AiUse);
    may.then_some(model)
}

/// Tools that a model is shown on a page. What it would attach to records itself is not among them.
fn tools(asked: &Asked<'_>) -> Vec<&'static Tool> {
    let offered = |tool: &&&'static str| asked.place.offers(tool) && **tool != ATTACH;
    asked.permitted.iter().filter(offered).filter_map(|name| engine::tools::find(name)).collect()
}

/// Why an answer ends before the model has ended it.
enum End {
    /// Whoever asked has gone away or pressed stop, or the server stops.
    Stopped,
    Failed(Failure),
    /// The organization has no tokens left today.
    Day,
    /// The answer has none left.
    Length,
    Refused(Refusal),
}

impl End {
    fn block(self) -> Block {
        let refusal = match self {
            End::Stopped => return said("This answer was stopped before its end."),
            End::Length => {
                return said(
                    "I stopped here: the answer has reached its limit of tokens. Ask for less at once.",
                );
            }
            End::Failed(failure) => failure.refusal(),
            End::Day => Refusal::new(
                Code::RateLimited,
                "the language model's tokens of today are used up",
                "Ask again tomorrow (UTC), or ask an administrator to raise the limit.",
            ),
            End::Refused(refusal) => refusal,
        };
        Block::Refused { refusal }
    }
}

/// A preview that came back.
struct Previewed {
    tool: &'static Tool,
    arguments: Map<String, Value>,
    preview: Value,
}

/// A conversation with the model, for one question.
#[derive(Default)]
struct Thread {
    messages: Vec<Message>,
    /// Calls of the last message that are still to be made.
    waiting: VecDeque<Wanted>,
    /// The one that is being made.
    making: Option<String>,
    /// What came of those before it.
    results: Vec<Returned>,
    /// Results that were taken over.
    taken: usize,
    /// Tokens that the model has written.
    written: u32,
    /// Bytes of results that the model may still be shown.
    bytes_left: usize,
    known: Known,
    previewed: Option<Previewed>,
    texts: Vec<String>,
    /// Whether anything came of the model.
    answered: bool,
}

/// Plans by a model.
pub struct Converse<'a> {
    pub state: &'a State,
    pub caller: Caller<'a>,
    pub settings: &'a ModelSettings,
    pub key: Option<ModelKey>,
    pub listener: &'a Listener,
    pub review: Option<Review>,
    thread: Mutex<Thread>,
}

impl<'a> Converse<'a> {
    pub fn new(
        state: &'a State,
        caller: Caller<'a>,
        settings: &'a ModelSettings,
        key: Option<ModelKey>,
        listener: &'a Listener,
        review: Option<Review>,
    ) -> Converse<'a> {
        let thread = Mutex::new(Thread { bytes_left: limits::RESULTS_BYTES_MAX, ..Thread::default() });
        Converse { state, caller, settings, key, listener, review, thread }
    }

    /// Whether nothing came of the model at all, so that something else may answer.
    pub fn failed_at_once(self) -> bool {
        !self.thread.into_inner().answered
    }
}

impl Planner for Converse<'_> {
    async fn next(&self, asked: &Asked<'_>, seen: &[Seen]) -> Step {
        let mut thread = self.thread.lock().await;
        if thread.messages.is_empty() {
            thread.begin(asked, self.review.as_ref());
        }
        for one in seen.iter().skip(thread.taken) {
            thread.take(one);
        }
        thread.taken = seen.len();
        let tools = tools(asked);
        loop {
            while let Some(wanted) = thread.waiting.pop_front() {
                if seen.len() >= asked.steps_max {
                    thread.skip(wanted);
                    continue;
                }
                thread.making = Some(wanted.id.clone());
                return step(&wanted, &tools, asked);
            }
            if !thread.results.is_empty() {
                let results = std::mem::take(&mut thread.results);
                thread.messages.push(Message::Results(results));
            }
            // Whoever has no step left says what they know.
            let last = seen.len() >= asked.steps_max;
            let shown: Vec<Shown> =
                if last { Vec::new() } else { tools.iter().map(|tool| prompt::shown(tool)).collect() };
            let (reply, end) = self.reply(&thread, asked, &shown).await;
            thread.written = thread.written.saturating_add(reply.tokens_written());
            thread.answered |= end.is_none() || !reply.text.is_empty();
            if !reply.text.trim().is_empty() {
                thread.texts.push(reply.text.clone());
            }
            if let Some(end) = end {
                return Step::Answer(self.answer(&thread, asked, Some(end)));
            }
            if last || reply.calls.is_empty() {
                if last && reply.text.trim().is_empty() {
                    let text = format!("I stopped after {} steps without an answer.", asked.steps_max);
                    thread.texts.push(text);
                }
                return Step::Answer(self.answer(&thread, asked, None));
            }
            thread.messages.push(Message::Model { text: reply.text, calls: reply.calls.clone() });
            thread.waiting.extend(reply.calls);
        }
    }
}

/// What a wanted call becomes.
fn step(wanted: &Wanted, tools: &[&'static Tool], asked: &Asked<'_>) -> Step {
    let Some(tool) = tools.iter().find(|tool| tool.name() == wanted.name) else {
        let call = Call { tool: UNKNOWN_TOOL, arguments: Map::new() };
        return Step::Refuse(call, Refusal::not_found("tool"));
    };
    let empty = wanted.arguments.trim().is_empty();
    let given = if empty { Ok(Map::new()) } else { serde_json::from_str(&wanted.arguments) };
    let Ok(arguments) = given else {
        let call = Call { tool: tool.name(), arguments: Map::new() };
        return Step::Refuse(call, Refusal::invalid("arguments", "must be a JSON object"));
    };
    let arguments = if tool.is_read() { arguments } else { prompt::preview_of(arguments, asked.workflow) };
    Step::Call(Call { tool: tool.name(), arguments })
}

impl Thread {
    fn begin(&mut self, asked: &Asked<'_>, review: Option<&Review>) {
        let question = review.map_or_else(|| asked.text.to_owned(), reviews::prompt);
        self.known.text(&question);
        let place = match asked.place {
            Place::Release(id) => id.to_string(),
            Place::Certification(id) => id.to_string(),
            Place::WorkItem(id) => id.to_string(),
            Place::Action(id) => id.to_string(),
            Place::Work | Place::Running => String::new(),
        };
        self.known.text(&place);
        for turn in asked.history {
            self.known.named(turn);
            self.known.text(&turn.question);
        }
        self.messages = prompt::messages(asked, question);
    }

    /// What came of the call that was made.
    fn take(&mut self, seen: &Seen) {
        let Some(id) = self.making.take() else { return };
        if let Ok(value) = &seen.result {
            self.known.result(value);
            let tool = engine::tools::find(seen.call.tool).filter(|tool| !tool.is_read());
            if let Some(tool) = tool.filter(|_| value.get("status").is_some_and(|status| status == "preview"))
            {
                let mut arguments = seen.call.arguments.clone();
                arguments.remove(super::DRY_RUN);
                self.previewed = Some(Previewed { tool, arguments, preview: value.clone() });
            }
        }
        let text = prompt::returned(&seen.result, &mut self.bytes_left);
        self.results.push(Returned { id, text, is_error: seen.result.is_err() });
    }

    /// A call for which there is no step left.
    fn skip(&mut self, wanted: Wanted) {
        let refusal = Refusal::new(
            Code::TooLarge,
            "no step is left for this question",
            "Answer from what you have, and say what is missing.",
        );
        let text = prompt::returned(&Err(refusal), &mut self.bytes_left);
        self.results.push(Returned { id: wanted.id, text, is_error: true });
    }
}

/// What the model said once.
#[derive(Default)]
struct Reply {
    text: String,
    calls: Vec<Wanted>,
    /// Tokens that the provider has counted, read and written.
    used: u32,
}

/// Bytes of a token, where the provider does not count.
const BYTES_PER_TOKEN: usize = 3;

fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX)
}

impl Reply {
    fn tokens_written(&self) -> u32 {
        let calls = self.calls.iter().map(|call| call.name.len() + call.arguments.len());
        tokens(self.text.len() + calls.sum::<usize>())
    }
}

fn length(messages: &[Message]) -> usize {
    let of = |message: &Message| match message {
        Message::Person(text) => text.len(),
        Message::Model { text, calls } => {
            text.len() + calls.iter().map(|call| call.arguments.len()).sum::<usize>()
        }
        Message::Results(all) => all.iter().map(|one| one.text.len()).sum(),
    };
    messages.iter().map(of).sum()
}

impl Converse<'_> {
    /// Asks the model once. Whatever comes of it is counted.
    async fn reply(&self, thread: &Thread, asked: &Asked<'_>, tools: &[Shown]) -> (Reply, Option<End>) {
        let mut reply = Reply::default();
        let left = match self.state.engine.model_tokens_left(self.caller, self.settings).await {
            Ok(left) => u32::try_from(left).unwrap_or(u32::MAX),
            Err(refusal) => return (reply, Some(End::Refused(refusal))),
        };
        if left == 0 {
            return (reply, Some(End::Day));
        }
        let room = self.settings.output_tokens_max.saturating_sub(thread.written);
        if room == 0 {
            return (reply, Some(End::Length));
        }
        let passed = (self.state.clock.now().0 - asked.now.0).div_euclid(MICROS_PER_SECOND);
        let seconds = limits::ANSWER_SECONDS_MAX.saturating_sub(u64::try_from(passed).unwrap_or(0));
        let system = prompt::system(asked);
        let request = Request {
            settings: self.settings,
            key: self.key.as_ref(),
            system: &system,
            messages: &thread.messages,
            tools,
            output_tokens_max: room.min(left),
        };
        let mut stopped = self.state.stopped.clone();
        let end = {
            let mut take = |piece| match piece {
                Piece::Text(text) => {
                    self.listener.tell(Heard::Text(prompt::plain(&text, limits::ANSWER_CHARS_MAX)));
                    reply.text.push_str(&text);
                }
                Piece::Call(wanted) => reply.calls.push(wanted),
                Piece::Used(tokens) => reply.used = reply.used.saturating_add(tokens),
            };
            let asking = self.state.model.ask(request, &mut take);
            tokio::select! {
                biased;
                () = self.listener.gone() => Some(End::Stopped),
                _ = stopped.wait_for(|stopped| *stopped) => Some(End::Stopped),
                done = tokio::time::timeout(Duration::from_secs(seconds), asking) => match done {
                    Ok(Ok(())) => None,
                    Ok(Err(failure)) => Some(End::Failed(failure)),
                    Err(_) => Some(End::Failed(Failure::Timeout)),
                },
            }
        };
        let estimate = tokens(system.len() + length(&thread.messages)) + reply.tokens_written();
        let used = match (reply.used, &end) {
            (used, _) if used > 0 => used,
            // A question that was turned away was not read.
            (_, Some(End::Failed(_))) if reply.text.is_empty() && reply.calls.is_empty() => 0,
            _ => estimate,
        };
        if used > 0 {
            self.state.engine.count_model_tokens(self.caller, used).await;
        }
        (reply, end)
    }

    /// The answer: what the model wrote, as text; what it planned, from the preview.
    fn answer(&self, thread: &Thread, asked: &Asked<'_>, end: Option<End>) -> Answer {
        // What it said on the way to its last words is told only where there are none.
        let text = if end.is_none() { thread.texts.last().cloned() } else { Some(thread.texts.join("\n\n")) };
        let text = prompt::plain(text.unwrap_or_default().trim(), limits::ANSWER_CHARS_MAX);
        let mut blocks = Vec::new();
        if !text.is_empty() {
            let (text, named) = thread.known.checked(&text);
            blocks.push(Block::Written { text, model: self.settings.model.clone(), named });
        }
        blocks.extend(end.map(End::block));
        let of_page = match asked.place {
            Place::Release(id) => Some(id),
            _ => self.review.map(|review| review.release_id),
        };
        let before = asked.before.and_then(|turn| turn.answer.about);
        let mut answer = Answer {
            about: of_page.or(asked.about).or(before),
            review: self.review.filter(|_| !text_is_empty(&blocks)),
            ..Answer::default()
        };
        if let Some(previewed) = &thread.previewed {
            blocks.push(proposals::preview(previewed.tool, &previewed.preview));
            answer.offers.push(super::rules::ask(proposals::PROPOSE));
            answer.plan = Some(Planned {
                tool: previewed.tool.name().to_owned(),
                arguments: previewed.arguments.clone(),
            });
        }
        if blocks.is_empty() {
            blocks.push(said("The language model gave no answer. Ask in other words."));
        }
        if answer.review.is_some() && asked.permitted.contains(&ATTACH) {
            answer.offers.push(super::rules::ask(proposals::ATTACH_IT));
        }
        answer.blocks = blocks;
        answer
    }
}

fn text_is_empty(blocks: &[Block]) -> bool {
    !blocks.iter().any(|block| matches!(block, Block::Written { .. }))
}
