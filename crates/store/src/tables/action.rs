//! Governed actions. The idempotency key is a unique index here, so that claiming it and doing the work are one
//! commit.

use domain::action::{Action, ActionState, AuditReceipt};
use domain::digest::Digest;
use domain::id::{ActionId, ApprovalId, TeamId, UserId};
use domain::time::Timestamp;

use super::{after, document, read_document, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Page, Paged, Row, Value, list, maybe, teams, text};
use crate::write::{Miss, Write};

statements! {
    GUARD = "select 1 from action where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT = "insert into action (organization_id, id, version, approval_id, requester_id, tool, idempotency_key, state,
        team_id, due_at, receipt_sequence, receipt_leaf, receipt_at, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    REPLACE = "update action set version = ?3, state = ?4, due_at = ?5,
        receipt_sequence = coalesce(?6, receipt_sequence), receipt_leaf = coalesce(?7, receipt_leaf),
        receipt_at = coalesce(?8, receipt_at), document = ?9 where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    ONE = "select document, id, receipt_sequence, receipt_leaf, receipt_at from action
        where organization_id = ?1 and id = ?2";
    BY_APPROVAL = "select document, id, receipt_sequence, receipt_leaf, receipt_at from action
        where organization_id = ?1 and approval_id = ?2";
    BY_KEY = "select document, id, receipt_sequence, receipt_leaf, receipt_at from action
        where organization_id = ?1 and requester_id = ?2 and tool = ?3 and idempotency_key = ?4";
    WITH_KEY = "select document, id, receipt_sequence, receipt_leaf, receipt_at from action
        where organization_id = ?1 and requester_id = ?2 and idempotency_key = ?3 order by id desc";
    DUE = "select document, id, receipt_sequence, receipt_leaf, receipt_at from action
        where organization_id = ?1 and state in ('pending_approval', 'approved') and due_at <= ?2
        order by due_at limit ?3";
    PENDING = "select document, id, receipt_sequence, receipt_leaf, receipt_at from action
        where organization_id = ?1 and state = 'pending_approval' and id > ?2 order by id limit ?3";
    LIST = "select document, id, receipt_sequence, receipt_leaf, receipt_at from action where organization_id = ?1
        and (cast(?2 as text) is null or ?2 like '%,' || state || ',%')
        and (cast(?3 as text) is null or requester_id = ?3)
        and (cast(?4 as text) is null or ?4 like '%,' || team_id || ',%')
        and (cast(?5 as text) is null or id < ?5) order by id desc limit ?6";
    COUNT = "select count(*) from action where organization_id = ?1
        and (cast(?2 as text) is null or ?2 like '%,' || state || ',%')
        and (cast(?3 as text) is null or requester_id = ?3)
        and (cast(?4 as text) is null or ?4 like '%,' || team_id || ',%')";
}

/// An action, and the receipt of the last decision on it.
#[derive(Debug, Clone)]
pub struct StoredAction {
    pub action: Action,
    pub receipt: Option<AuditReceipt>,
}

/// Which actions.
#[derive(Debug, Clone, Copy, Default)]
pub struct ActionFilter<'a> {
    pub states: &'a [ActionState],
    pub requester: Option<UserId>,
    pub teams: Option<&'a [TeamId]>,
}

fn receipt(of: Option<usize>) -> [Value; 3] {
    match of {
        Some(n) => [Value::ReceiptSequence(n), Value::ReceiptLeaf(n), Value::ReceiptTime(n)],
        None => [Value::Null, Value::Null, Value::Null],
    }
}

pub fn insert(write: &mut Write, a: &Action, receipt_of: Option<usize>) {
    let mut params = vec![
        text(a.id),
        Value::Int(a.version),
        text(a.approval_id),
        text(a.requester_id),
        Value::from(a.tool.as_str()),
        Value::from(a.idempotency_key.as_str()),
        text(a.state),
        maybe(a.team_id),
        Value::Int(a.due_at().0),
    ];
    params.extend(receipt(receipt_of));
    params.push(document(a));
    write.one(&INSERT, params, Miss::DuplicateKey);
}

pub fn replace(write: &mut Write, a: &Action, receipt_of: Option<usize>) {
    let mut params = vec![text(a.id), Value::Int(a.version), text(a.state), Value::Int(a.due_at().0)];
    params.extend(receipt(receipt_of));
    params.push(document(a));
    write.one(&REPLACE, params, Miss::ActionMoved);
}

fn stored(row: &dyn Row) -> Result<StoredAction, Fault> {
    let receipt = match (row.maybe_int(2), row.maybe_text(3), row.maybe_int(4)) {
        (Some(sequence), Some(leaf), Some(at)) => Some(AuditReceipt {
            sequence,
            leaf_hash: Digest::parse(&leaf).ok_or(Fault::Bug("a stored leaf hash is a digest"))?,
            recorded_at: Timestamp(at),
        }),
        _ => None,
    };
    Ok(StoredAction { action: read_document(row, 0)?, receipt })
}

impl Reader {
    pub async fn action(&self, id: ActionId) -> Result<Option<StoredAction>, Fault> {
        Ok(self.rows(&ONE, vec![text(id)], stored).await?.into_iter().next())
    }
    pub async fn action_by_approval(&self, id: ApprovalId) -> Result<Option<StoredAction>, Fault> {
        Ok(self.rows(&BY_APPROVAL, vec![text(id)], stored).await?.into_iter().next())
    }
    pub async fn action_by_key(
        &self,
        requester: UserId,
        tool: &str,
        key: &str,
    ) -> Result<Option<StoredAction>, Fault> {
        let params = vec![text(requester), Value::from(tool), Value::from(key)];
        Ok(self.rows(&BY_KEY, params, stored).await?.into_iter().next())
    }
    /// Actions of one requester under one key, whatever the tool, newest first.
    pub async fn actions_with_key(&self, requester: UserId, key: &str) -> Result<Vec<StoredAction>, Fault> {
        self.rows(&WITH_KEY, vec![text(requester), Value::from(key)], stored).await
    }
    pub async fn actions(&self, f: ActionFilter<'_>, page: Page<'_>) -> Result<Paged<StoredAction>, Fault> {
        let filters = vec![list(f.states), maybe(f.requester), teams(f.teams)];
        self.paged_after(&LIST, &COUNT, filters, (after(page), page.limit), stored).await
    }
    /// Actions that wait for an approval, in the order of their ids, after one of them.
    pub async fn pending_actions(
        &self,
        after: Option<ActionId>,
        limit: u32,
    ) -> Result<Vec<StoredAction>, Fault> {
        let after = after.map_or_else(|| Value::from(""), text);
        self.rows(&PENDING, vec![after, Value::Int(i64::from(limit))], stored).await
    }
    /// Actions to which something happens by itself by now, the longest due first.
    pub async fn due_actions(&self, now: Timestamp, limit: u32) -> Result<Vec<StoredAction>, Fault> {
        self.rows(&DUE, vec![Value::Int(now.0), Value::Int(i64::from(limit))], stored).await
    }
}
