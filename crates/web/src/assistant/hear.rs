//! Who waits for an answer while it is made: hears it piece by piece, and stops it by going away.

use domain::conversation::{Conversation, Turn};
use domain::id::ConversationId;
use domain::refusal::Refusal;
use tokio::sync::mpsc;

/// What is heard of an answer on its way. The last one is what has become of it.
#[derive(Debug)]
pub enum Heard {
    /// In which conversation.
    Begun(ConversationId),
    /// What a model writes, as it comes; what is kept of it is known only at the end.
    Text(String),
    /// A tool is being called.
    Calling(&'static str),
    /// What came of it, in a word or two.
    Called(&'static str, String),
    Done(Box<(Conversation, Turn)>),
    Refused(Refusal),
}

/// The end that speaks.
#[derive(Debug)]
pub struct Listener(mpsc::UnboundedSender<Heard>);

/// The end that listens. Unbounded, because an answer is bounded.
pub type Hearing = mpsc::UnboundedReceiver<Heard>;

impl Listener {
    pub fn new() -> (Listener, Hearing) {
        let (speak, hear) = mpsc::unbounded_channel();
        (Listener(speak), hear)
    }

    pub fn tell(&self, heard: Heard) {
        // Whoever is gone does not want to know.
        let _ = self.0.send(heard);
    }

    /// Waits until nobody listens any more.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}
