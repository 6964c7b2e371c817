//! Conversations of people with the assistant. Every statement names the person beside the organization, so that nobody
//! reads, goes on with or removes another's; the number of questions guards against two being put into one place.

use domain::conversation::{Conversation, Turn};
use domain::id::{ConversationId, UserId};

use super::{document, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Row, Value, text};
use crate::write::{Miss, Write};

statements! {
    INSERT = "insert into conversation (organization_id, id, user_id, title, turns, created_at, updated_at)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    ADVANCE = "update conversation set turns = ?4, updated_at = ?5
        where organization_id = ?1 and id = ?2 and user_id = ?3 and turns + 1 = ?4";
    INSERT_TURN = "insert into conversation_turn (organization_id, conversation_id, position, document)
        values (?1, ?2, ?3, ?4)";
    ONE = "select id, user_id, title, turns, created_at, updated_at from conversation
        where organization_id = ?1 and id = ?2 and user_id = ?3";
    OF_USER = "select id, user_id, title, turns, created_at, updated_at from conversation
        where organization_id = ?1 and user_id = ?2 order by updated_at desc, id desc limit ?3";
    TURNS = "select document from conversation_turn
        where organization_id = ?1 and conversation_id = ?2 and position >= ?3 order by position";
    REMOVE_TURNS = "delete from conversation_turn where organization_id = ?1 and conversation_id in
        (select id from conversation where organization_id = ?1 and id = ?2 and user_id = ?3)";
    REMOVE = "delete from conversation where organization_id = ?1 and id = ?2 and user_id = ?3";
    TRIM_TURNS = "delete from conversation_turn where organization_id = ?1 and conversation_id in
        (select id from conversation where organization_id = ?1 and user_id = ?2 and id not in
            (select id from conversation where organization_id = ?1 and user_id = ?2
                order by updated_at desc, id desc limit ?3))";
    TRIM = "delete from conversation where organization_id = ?1 and user_id = ?2 and id not in
        (select id from conversation where organization_id = ?1 and user_id = ?2
            order by updated_at desc, id desc limit ?3)";
}

fn conversation(row: &dyn Row) -> Result<Conversation, Fault> {
    let stored = || Fault::Bug("a stored id is one");
    Ok(Conversation {
        id: row.text(0).parse().map_err(|_| stored())?,
        user_id: row.text(1).parse().map_err(|_| stored())?,
        title: row.text(2),
        turns: u32::try_from(row.int(3)).unwrap_or(u32::MAX),
        created_at: domain::time::Timestamp(row.int(4)),
        updated_at: domain::time::Timestamp(row.int(5)),
    })
}

fn add(write: &mut Write, to: ConversationId, turn: &Turn) {
    write.unseen(&INSERT_TURN, vec![text(to), Value::Int(i64::from(turn.position)), document(turn)]);
}

impl Write {
    /// A new conversation with its first question. Of its person's conversations only the latest `kept` stay.
    pub fn begin_conversation(&mut self, begun: &Conversation, first: &Turn, kept: u32) {
        let params = vec![
            text(begun.id),
            text(begun.user_id),
            Value::from(begun.title.as_str()),
            Value::Int(i64::from(begun.turns)),
            Value::Int(begun.created_at.0),
            Value::Int(begun.updated_at.0),
        ];
        self.unseen(&INSERT, params);
        add(self, begun.id, first);
        for sql in [&TRIM_TURNS, &TRIM] {
            self.unseen(sql, vec![text(begun.user_id), Value::Int(i64::from(kept))]);
        }
    }

    /// One more question. The whole write fails when there has been another meanwhile, or the conversation is gone.
    pub fn go_on(&mut self, now: &Conversation, next: &Turn) {
        let params = vec![
            text(now.id),
            text(now.user_id),
            Value::Int(i64::from(now.turns)),
            Value::Int(now.updated_at.0),
        ];
        self.unseen_one(&ADVANCE, params, Miss::DuplicateKey);
        add(self, now.id, next);
    }

    pub fn remove_conversation(&mut self, id: ConversationId, of: UserId) {
        for sql in [&REMOVE_TURNS, &REMOVE] {
            self.unseen(sql, vec![text(id), text(of)]);
        }
    }
}

impl Reader {
    /// This person's conversation, if there is such a one.
    pub async fn conversation(&self, id: ConversationId, of: UserId) -> Result<Option<Conversation>, Fault> {
        Ok(self.rows(&ONE, vec![text(id), text(of)], conversation).await?.into_iter().next())
    }
    /// This person's conversations, the latest first.
    pub async fn conversations(&self, of: UserId, limit: u32) -> Result<Vec<Conversation>, Fault> {
        self.rows(&OF_USER, vec![text(of), Value::Int(i64::from(limit))], conversation).await
    }
    /// What was said from a place on, in order. Whose conversation it is must have been asked before.
    pub async fn turns(&self, of: ConversationId, from: u32) -> Result<Vec<Turn>, Fault> {
        self.documents(&TURNS, vec![text(of), Value::Int(i64::from(from))]).await
    }
}
