//! A write as a value: statements, each with the rows it must touch, and audit drafts. One function turns each effect
//! of the domain into statements. Nothing happens before `Org::commit`, and then all of it or nothing.

use domain::action::Action;
use domain::audit::AuditDraft;
use domain::effect::Effect;
use domain::record::{RecordType, VersionRead};

use crate::Entropy;
use crate::engine::Database;
use crate::fault::{Conflict, Fault};
use crate::sql::{Sql, Value};
use crate::tables;
use crate::tables::audit::{Entry, LayDown, Placed};

/// What it means when a statement does not touch exactly one row.
#[derive(Debug, Clone)]
pub(crate) enum Miss {
    Moved(RecordType, String),
    DuplicateKey,
    ActionMoved,
}

impl Miss {
    pub fn conflict(&self) -> Conflict {
        match self {
            Miss::Moved(record_type, id) => Conflict::Moved { record_type: *record_type, id: id.clone() },
            Miss::DuplicateKey => Conflict::DuplicateKey,
            Miss::ActionMoved => Conflict::ActionMoved,
        }
    }
}

/// One statement of a write.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub sql: &'static Sql,
    pub params: Vec<Value>,
    /// Set when exactly one row must be touched (or found, for a guard).
    pub miss: Option<Miss>,
    /// A query that must find its row.
    pub is_guard: bool,
    /// Whether it changes what is shown of records.
    pub shows: bool,
}

impl Step {
    /// A statement about the log itself, the outbox or what one person alone sees, which changes no record.
    pub fn unseen(sql: &'static Sql, params: Vec<Value>) -> Step {
        Step { sql, params, miss: None, is_guard: false, shows: false }
    }
}

/// Changes and audit records that are committed together.
#[derive(Debug, Clone, Default)]
pub struct Write {
    steps: Vec<Step>,
    audit: Vec<AuditDraft>,
}

/// A write as a committer takes it: everything that can be made of it beforehand has been. Committers do one write after
/// the other, and whatever they need not do, none of the writes behind waits for.
#[derive(Debug)]
pub(crate) struct Ready {
    pub entries: Vec<Entry>,
    pub steps: Vec<Step>,
}

impl Ready {
    /// Whether it changes records. One that only adds to the log or signs it, as every read has it done, or notes a
    /// delivery, changes nothing that is shown; if it counted, pages that look again because of a change would be told
    /// of their own reading.
    pub fn changes_records(&self) -> bool {
        self.steps.iter().any(|step| step.shows)
    }

    /// All of its statements, those that record it first.
    pub fn statements(&self) -> impl Iterator<Item = &Step> {
        self.entries.iter().flat_map(|entry| &entry.rows).chain(&self.steps)
    }

    /// Gives its audit records their places from `size` on, which grows by as many.
    pub fn place(&self, size: &mut i64) -> Vec<Placed> {
        self.entries
            .iter()
            .map(|entry| {
                *size += 1;
                entry.place(*size - 1)
            })
            .collect()
    }
}

impl Write {
    pub fn new() -> Write {
        Write::default()
    }

    /// Adds the statements of one effect.
    pub fn effect(&mut self, effect: &Effect) -> &mut Self {
        tables::apply(self, effect);
        self
    }

    /// The write fails unless the record still has this version.
    pub fn guard(&mut self, read: &VersionRead) -> &mut Self {
        if let Some(sql) = tables::guard(read.record_type) {
            let miss = Miss::Moved(read.record_type, read.id.clone());
            let params = vec![Value::from(read.id.as_str()), Value::Int(read.version)];
            self.steps.push(Step { sql, params, miss: Some(miss), is_guard: true, shows: false });
        }
        self
    }

    /// Adds a new action, claiming its idempotency key, and tells the webhooks of it. `receipt_of` is the index of the
    /// audit draft whose receipt is stored with it.
    pub fn claim_action(&mut self, action: &Action, receipt_of: Option<usize>) {
        tables::action::insert(self, action, receipt_of);
        tables::webhook::tell(self, None, action);
    }

    /// Replaces an action whose stored version is one less than `next`'s, and tells the webhooks what that means.
    pub fn move_action(&mut self, before: &Action, next: &Action, receipt_of: Option<usize>) {
        tables::action::replace(self, next, receipt_of);
        tables::webhook::tell(self, Some(before), next);
    }

    /// Adds an audit record; returns its index.
    pub fn audit(&mut self, draft: AuditDraft) -> usize {
        self.audit.push(draft);
        self.audit.len() - 1
    }

    /// A statement that must touch exactly one row.
    pub(crate) fn one(&mut self, sql: &'static Sql, params: Vec<Value>, miss: Miss) {
        self.steps.push(Step { sql, params, miss: Some(miss), is_guard: false, shows: true });
    }

    /// A statement that may touch any number of rows.
    pub(crate) fn any(&mut self, sql: &'static Sql, params: Vec<Value>) {
        self.steps.push(Step { sql, params, miss: None, is_guard: false, shows: true });
    }

    /// See [`Step::unseen`].
    pub(crate) fn unseen(&mut self, sql: &'static Sql, params: Vec<Value>) {
        self.steps.push(Step::unseen(sql, params));
    }

    /// As [`Step::unseen`], and it must touch exactly one row.
    pub(crate) fn unseen_one(&mut self, sql: &'static Sql, params: Vec<Value>, miss: Miss) {
        self.steps.push(Step { sql, params, miss: Some(miss), is_guard: false, shows: false });
    }

    /// Puts the organization first in every statement's parameters.
    pub(crate) fn for_organization(mut self, key: &str) -> Write {
        for step in &mut self.steps {
            step.params.insert(0, Value::from(key));
        }
        self
    }

    /// Makes it ready for a committer.
    pub(crate) fn ready(
        self,
        database: Database,
        entropy: &dyn Entropy,
        lay_down: LayDown,
    ) -> Result<Ready, Fault> {
        let organization = match database {
            Database::Organization(id) => Some(id),
            Database::Directory => None,
        };
        let entry = |(index, draft)| {
            let organization = organization.ok_or(Fault::Bug("only organizations have a log"))?;
            Entry::new(organization, index, draft, entropy, lay_down)
        };
        let entries = self.audit.into_iter().enumerate().map(entry).collect::<Result<_, Fault>>()?;
        Ok(Ready { entries, steps: self.steps })
    }
}
