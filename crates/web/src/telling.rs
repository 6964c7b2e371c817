//! An answer of the assistant as a stream of events while it is made (server-sent events, chapter 9.2 of the HTML standard):
//! `begun`, `text`, `calling`, `called`, and at the end `done` or `refused`. Closing the stream stops a model that writes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use domain::conversation::{Conversation, Turn};
use domain::id::ConversationId;
use http_body::Frame;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep};

use crate::assistant::{Heard, Hearing};
use crate::streams;

/// How long a stream is silent before it gives a sign of life, so that proxies keep it open.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Says what a question has become.
pub type Done = Box<dyn Fn(&Conversation, &Turn) -> Value + Send>;

/// How a surface says where a conversation is, and what has become of it.
pub struct Words {
    pub begun: Box<dyn Fn(ConversationId) -> Value + Send>,
    pub done: Done,
}

/// Whether a request wants the answer while it is made.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// The answer.
pub fn stream(hearing: Hearing, words: Words) -> Response {
    streams::response(Body::new(Told { hearing, words, silence: Box::pin(sleep(SILENCE_MAX)) }))
}

struct Told {
    hearing: Hearing,
    words: Words,
    silence: Pin<Box<Sleep>>,
}

fn event(heard: &Heard, words: &Words) -> String {
    let (name, data) = match heard {
        Heard::Begun(id) => ("begun", (words.begun)(*id)),
        Heard::Text(text) => ("text", json!({ "text": text })),
        Heard::Calling(tool) => ("calling", json!({ "tool": tool })),
        Heard::Called(tool, outcome) => ("called", json!({ "tool": tool, "outcome": outcome })),
        Heard::Done(done) => ("done", (words.done)(&done.0, &done.1)),
        Heard::Refused(refusal) => ("refused", json!(refusal)),
    };
    format!("event: {name}\ndata: {data}\n\n")
}

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = match self.hearing.poll_recv(context) {
            Poll::Ready(Some(heard)) => event(&heard, &self.words),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                if self.silence.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                ":\n\n".to_owned()
            }
        };
        let next = Instant::now() + SILENCE_MAX;
        self.silence.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(line.into()))))
    }
}
