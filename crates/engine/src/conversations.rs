//! Conversations with the assistant, as the surfaces ask for them: a person's own, by the person's own hand. Another's,
//! of another organization, and absent are one answer. What was asked of tools in a conversation went through the one
//! door by itself; here only what was said is kept, and it is no record of the organization.

use domain::conversation::{Conversation, Turn};
use domain::id::ConversationId;
use domain::refusal::{Code, Refusal};
use store::{CommitError, Write};

use crate::stop::{Fault, Stop};
use crate::{Caller, Engine, limits};

/// As audit records call what is refused here.
const NAME: &str = "conversation";

/// What a person has said and heard, as far as it was asked for.
#[derive(Debug, Clone)]
pub struct Talk {
    pub conversation: Conversation,
    /// In order; without the first ones where fewer were asked for.
    pub turns: Vec<Turn>,
}

impl Engine {
    /// The caller's conversations, the latest first.
    ///
    /// # Errors
    /// `forbidden` for machines.
    pub async fn conversations(&self, caller: Caller<'_>) -> Result<Vec<Conversation>, Refusal> {
        let found = async {
            person(caller)?;
            let org = self.parts.store.org(caller.actor.organization.id).await?;
            Ok(org.reader().conversations(caller.actor.user_id, limits::CONVERSATIONS_MAX).await?)
        };
        self.or_refused(caller, found.await).await
    }

    /// One conversation of the caller, with its last questions, or with all of them.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for machines.
    pub async fn conversation(
        &self,
        caller: Caller<'_>,
        id: ConversationId,
        last: Option<u32>,
    ) -> Result<Talk, Refusal> {
        let found = async {
            person(caller)?;
            let org = self.parts.store.org(caller.actor.organization.id).await?;
            let found = org.reader().conversation(id, caller.actor.user_id).await?;
            let conversation = found.ok_or_else(absent)?;
            let from = last.map_or(0, |last| conversation.turns.saturating_sub(last));
            Ok(Talk { turns: org.reader().turns(id, from).await?, conversation })
        };
        self.or_refused(caller, found.await).await
    }

    /// An id for a conversation that is about to begin, so that what is asked of tools can name it.
    pub fn new_conversation(&self) -> ConversationId {
        ConversationId::from_uuid(self.parts.ids.next())
    }

    /// Keeps a question with its answer: as the first of a new conversation, or as the next one of `going_on`.
    ///
    /// # Errors
    /// `in_progress` when there was another question at the same moment, `not_found` when the conversation has been
    /// deleted meanwhile, `too_large` when it is full.
    pub async fn keep_turn(
        &self,
        caller: Caller<'_>,
        id: ConversationId,
        going_on: Option<&Conversation>,
        turn: Turn,
    ) -> Result<Conversation, Refusal> {
        let kept = async {
            person(caller)?;
            let org = self.parts.store.org(caller.actor.organization.id).await?;
            let mut write = Write::new();
            let now = match going_on {
                Some(before) if before.turns >= limits::TURNS_MAX => return Err(full().into()),
                Some(before) => {
                    let now = Conversation { turns: before.turns + 1, updated_at: turn.at, ..before.clone() };
                    write.go_on(&now, &turn);
                    now
                }
                None => {
                    let title = turn.question.chars().take(limits::CONVERSATION_TITLE_CHARS_MAX).collect();
                    let begun = Conversation {
                        id,
                        user_id: caller.actor.user_id,
                        title,
                        turns: 1,
                        created_at: turn.at,
                        updated_at: turn.at,
                    };
                    write.begin_conversation(&begun, &turn, limits::CONVERSATIONS_MAX);
                    begun
                }
            };
            match org.commit(write).await {
                Ok(_) => Ok(now),
                Err(CommitError::Conflict(_)) => {
                    let there = org.reader().conversation(id, caller.actor.user_id).await?;
                    Err(there.map_or_else(absent, |_| at_once()).into())
                }
                Err(CommitError::Fault(fault)) => Err(Fault::from(fault).into()),
            }
        };
        self.or_refused(caller, kept.await).await
    }

    /// Deletes a conversation of the caller with all that was said.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for machines.
    pub async fn delete_conversation(&self, caller: Caller<'_>, id: ConversationId) -> Result<(), Refusal> {
        let deleted = async {
            person(caller)?;
            let org = self.parts.store.org(caller.actor.organization.id).await?;
            let me = caller.actor.user_id;
            org.reader().conversation(id, me).await?.ok_or_else(absent)?;
            let mut write = Write::new();
            write.remove_conversation(id, me);
            match org.commit(write).await {
                // Nothing in it can conflict.
                Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
                Err(CommitError::Fault(fault)) => Err(Fault::from(fault).into()),
            }
        };
        self.or_refused(caller, deleted.await).await
    }
}

impl Engine {
    async fn or_refused<T>(&self, caller: Caller<'_>, done: Result<T, Stop>) -> Result<T, Refusal> {
        match done {
            Ok(value) => Ok(value),
            Err(stop) => Err(self.refuse(caller, NAME, stop).await),
        }
    }
}

/// What somebody says to the assistant is theirs, and no program's that acts for them.
fn person(caller: Caller<'_>) -> Result<(), Refusal> {
    if caller.actor.credential.is_person() {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Forbidden,
        "conversations are for people with a browser session",
        "Call the tools themselves; they are what the assistant calls.",
    ))
}

fn absent() -> Refusal {
    Refusal::not_found("conversation")
}

fn full() -> Refusal {
    Refusal::new(
        Code::TooLarge,
        "the conversation is full",
        "Begin a new one; this one stays readable until you delete it.",
    )
}

fn at_once() -> Refusal {
    Refusal::new(
        Code::InProgress,
        "another question was asked in this conversation at the same moment",
        "Read the conversation again, then ask.",
    )
}
