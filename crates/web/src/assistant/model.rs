//! What the assistant needs of a language model, whoever makes it: messages and tools in, text and wanted calls out, piece by
//! piece. A model has no powers of its own: what it wants is text until a `Planner` has made a call of it, and that call
//! has passed the door.

use std::future::Future;
use std::pin::Pin;

use domain::model::ModelSettings;
use domain::refusal::{Code, Refusal};
use engine::model::ModelKey;
use serde_json::Value;

/// One question to a model. Its key is shown to the provider alone.
pub struct Request<'a> {
    pub settings: &'a ModelSettings,
    pub key: Option<&'a ModelKey>,
    /// What holds for the whole conversation.
    pub system: &'a str,
    /// In order; the last one is not the model's.
    pub messages: &'a [Message],
    pub tools: &'a [Shown],
    /// Tokens that it may write.
    pub output_tokens_max: u32,
}

/// What was said so far.
#[derive(Debug, Clone)]
pub enum Message {
    Person(String),
    Model {
        text: String,
        calls: Vec<Wanted>,
    },
    /// What came of the calls of the message before, each once.
    Results(Vec<Returned>),
}

/// A call that a model wants, as it wrote it: untrusted in every part.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// By which the model knows its result again.
    pub id: String,
    pub name: String,
    /// Meant to be a JSON object.
    pub arguments: String,
}

/// What came of a call.
#[derive(Debug, Clone)]
pub struct Returned {
    /// See [`Wanted::id`].
    pub id: String,
    pub text: String,
    pub is_error: bool,
}

/// A tool as a model is shown it.
#[derive(Debug, Clone)]
pub struct Shown {
    pub name: &'static str,
    pub description: &'static str,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

/// A piece of an answer, as it comes.
#[derive(Debug)]
pub enum Piece {
    Text(String),
    /// A call, whole.
    Call(Wanted),
    /// Tokens that the provider has counted, all together.
    Used(u32),
}

/// Takes the pieces of an answer.
pub type Take<'a> = &'a mut (dyn FnMut(Piece) + Send);

/// An answer on its way. Dropping it stops it.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// A language model, or many behind one client.
pub trait Model: Send + Sync {
    /// Asks once, and hands on each piece of the answer as it comes.
    fn ask<'a>(&'a self, request: Request<'a>, take: Take<'a>) -> Asking<'a>;
}

/// Why there is no answer, or no whole one. Nothing a provider wrote is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Its address cannot be called.
    BadUrl,
    /// Its name leads to an address that is not public, which a setting would have to allow.
    PrivateAddress,
    Unreachable,
    Timeout,
    /// It does not take the key, or wants one.
    Unauthorized,
    /// It knows no such model or address.
    NotFound,
    RateLimited {
        seconds: Option<u32>,
    },
    /// It is out of order, or too busy.
    Overloaded,
    /// It does not take what it was sent.
    Refused,
    /// It does not speak its language.
    Nonsense,
    /// It writes more than it was allowed.
    TooMuch,
}

impl Failure {
    /// What the person is told.
    pub fn refusal(self) -> Refusal {
        let (message, remedy) = match self {
            Failure::BadUrl => (
                "the address of the language model cannot be called",
                "Ask an administrator to correct it; http needs the operator's setting model_addresses.",
            ),
            Failure::PrivateAddress => (
                "the language model is at an address that is not public",
                "Ask the operator of this server to set model_addresses to any, if that is meant.",
            ),
            Failure::Unreachable => (
                "the language model cannot be reached",
                "Try again in a moment; if it stays, ask an administrator whether its address is right.",
            ),
            Failure::Timeout => {
                ("the language model took too long", "Ask again, for less; or try a faster model.")
            }
            Failure::Unauthorized => (
                "the language model's provider does not take the key",
                "Ask an administrator to give a new key for the language model.",
            ),
            Failure::NotFound => (
                "the provider does not know this language model",
                "Ask an administrator to correct its name or address.",
            ),
            Failure::RateLimited { .. } => (
                "the language model's provider lets no more questions through for now",
                "Wait a little, then ask again; the provider's own limit can be raised there.",
            ),
            Failure::Overloaded => (
                "the language model's provider is out of order",
                "Try again in a moment; its status page may say more.",
            ),
            Failure::Refused => (
                "the language model's provider does not take the question",
                "Begin a new conversation, which is shorter; if it stays, the model may not use tools.",
            ),
            Failure::Nonsense => (
                "the language model's answer cannot be read",
                "Ask an administrator whether its provider and address fit together.",
            ),
            Failure::TooMuch => {
                ("the language model wrote more than it may", "Ask for less, or raise its limit of tokens.")
            }
        };
        let code = if matches!(self, Failure::RateLimited { .. }) {
            Code::RateLimited
        } else {
            Code::ProviderUnavailable
        };
        let mut refusal = Refusal::new(code, message, remedy);
        if let Failure::RateLimited { seconds } = self {
            refusal.retry_after_seconds = seconds;
        }
        refusal
    }
}

/// No model at all, for processes that ask none.
#[derive(Debug, Clone, Copy)]
pub struct NoModel;

impl Model for NoModel {
    fn ask<'a>(&'a self, _: Request<'a>, _: Take<'a>) -> Asking<'a> {
        Box::pin(std::future::ready(Err(Failure::Unreachable)))
    }
}
