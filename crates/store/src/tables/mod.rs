//! One file per aggregate: its SQL, its row, its reads, its additions to a write. The organization is always the
//! first parameter and is put there by the handle, never by a caller. To add a table: a migration, a file here, its
//! statements in [`ORGANIZATION`], its effects in [`apply`].

pub mod action;
pub mod agent;
pub mod audit;
pub mod certification;
pub mod conversation;
pub mod directory;
pub mod directory_change;
pub mod history;
pub mod identity_provider;
pub mod ledger;
pub mod model;
pub mod oauth;
pub mod passkey;
pub mod people;
pub mod policy;
pub mod release;
pub mod release_governance;
pub mod search;
pub mod webhook;
pub mod work;

use std::sync::Arc;

use domain::effect::Effect;
use domain::record::RecordType;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::Database;
use crate::fault::Fault;
use crate::sql::{Page, Paged, Row, Sql, Value};
use crate::write::Write;
use crate::{Directory, Reader};

/// Declares the statements of one file: constants, and the list of all of them, with those named in brackets that
/// were declared by other means.
macro_rules! statements {
    ($([$($more:ident),*])? $($name:ident = $text:expr;)*) => {
        $(pub(crate) const $name: $crate::sql::Sql = $crate::sql::Sql {
            name: concat!(module_path!(), "::", stringify!($name)), text: $text,
        };)*
        #[cfg(test)]
        pub(crate) const ALL: &[$crate::sql::Sql] = &[$($($more,)*)? $($name),*];
    };
}
pub(crate) use statements;

/// The statements of an organization's database, for the test that prepares all of them.
#[cfg(test)]
pub const ORGANIZATION: &[&[Sql]] = &[
    action::ALL,
    agent::ALL,
    audit::ALL,
    certification::ALL,
    conversation::ALL,
    directory_change::ALL,
    history::ALL,
    ledger::ALL,
    model::ALL,
    passkey::ALL,
    people::ALL,
    policy::ALL,
    release::ALL,
    release_governance::ALL,
    search::ALL,
    webhook::ALL,
    work::ALL,
];

/// The statements of the directory, for the same test.
#[cfg(test)]
pub const DIRECTORY: &[&[Sql]] = &[directory::ALL, identity_provider::ALL, oauth::ALL];

/// One function turns each effect into statements.
pub fn apply(write: &mut Write, effect: &Effect) {
    match effect {
        Effect::CreateTeam { record } => people::create_team(write, record),
        Effect::UpdateTeam { record, .. } => people::update_team(write, record),
        Effect::CreateMembership { record } => people::create_membership(write, record),
        Effect::UpdateMembership { record, .. } => people::update_membership(write, record),
        Effect::CreateAgent { record } => agent::create(write, record),
        Effect::UpdateAgent { record, .. } => agent::update(write, record),
        Effect::RegisterPasskey { record } => passkey::create(write, record),
        Effect::RemovePasskey { was } => passkey::remove(write, was),
        Effect::ChangeDirectory { change } => directory_change::write_down(write, change),
        Effect::CreateComponent { record } => people::create_component(write, record),
        Effect::CreateControl { record } => certification::create_control(write, record),
        Effect::CreateRelease { record } => release::create(write, record),
        Effect::UpdateRelease { record, .. } => release::update(write, record),
        Effect::CreateReleaseCheck { record } => release_governance::create_check(write, record),
        Effect::UpdateReleaseCheck { record, .. } => release_governance::update_check(write, record),
        Effect::CreateGate { record } => release_governance::create_gate(write, record),
        Effect::UpdateGate { record, .. } => release_governance::update_gate(write, record),
        Effect::CreateRollbackDecision { record } => release_governance::create_rollback(write, record),
        Effect::UpdateRollbackDecision { record, .. } => release_governance::update_rollback(write, record),
        Effect::CreateCertification { record } => certification::create(write, record),
        Effect::UpdateCertification { record, .. } => certification::update(write, record),
        Effect::PutControlResult { record } => certification::put_result(write, record),
        Effect::CreateEvidence { record } | Effect::AttachEvidence { record, .. } => {
            certification::create_evidence(write, record);
        }
        Effect::SupersedeEvidence { id, version, by } => {
            certification::supersede_evidence(write, *id, *version, *by);
        }
        Effect::CreateEvidenceGap { record } => certification::create_gap(write, record),
        Effect::MoveEvidenceGap { .. } => certification::move_gap(write, effect),
        Effect::CreateFinding { record } => certification::create_finding(write, record),
        Effect::MoveFinding { .. } => certification::move_finding(write, effect),
        Effect::CreateRisk { record } => certification::create_risk(write, record),
        Effect::CreateException { record } => certification::create_exception(write, record),
        Effect::UpdateException { record } => certification::update_exception(write, record),
        Effect::CreateWorkItem { record } => work::create(write, record),
        Effect::UpdateWorkItem { record, .. } => work::update(write, record),
        Effect::CreateRemediationWorkPackage { record } => work::create_package(write, record),
        Effect::PublishPolicies { record } => policy::publish(write, record),
        Effect::CreateWebhook { record } => webhook::create(write, record),
        Effect::UpdateWebhook { record, .. } => webhook::update(write, record),
        Effect::RemoveWebhook { was } => webhook::remove(write, was),
        Effect::RetryDelivery { event_id, webhook_id, at } => {
            webhook::retry(write, *webhook_id, *event_id, *at);
        }
    }
}

/// The query that finds a record of this type at a version. Types without versions have none.
pub fn guard(record_type: RecordType) -> Option<&'static Sql> {
    Some(match record_type {
        RecordType::Team => &people::GUARD_TEAM,
        RecordType::Membership => &people::GUARD_MEMBERSHIP,
        RecordType::Agent => &agent::GUARD,
        RecordType::Passkey => &passkey::GUARD,
        RecordType::Component => &people::GUARD_COMPONENT,
        RecordType::Release => &release::GUARD,
        RecordType::Certification => &certification::GUARD,
        RecordType::Control => &certification::GUARD_CONTROL,
        RecordType::Evidence => &certification::GUARD_EVIDENCE,
        RecordType::EvidenceGap => &certification::GUARD_GAP,
        RecordType::ProviderBlocker => &certification::GUARD_FINDING,
        RecordType::Risk => &certification::GUARD_RISK,
        RecordType::Exception => &certification::GUARD_EXCEPTION,
        RecordType::WorkItem => &work::GUARD,
        RecordType::RemediationWorkPackage => &work::GUARD_PACKAGE,
        RecordType::Action => &action::GUARD,
        RecordType::ReleaseCheck => &release_governance::GUARD_CHECK,
        RecordType::Gate => &release_governance::GUARD_GATE,
        RecordType::RollbackDecision => &release_governance::GUARD_ROLLBACK,
        RecordType::PolicySet => &policy::GUARD,
        RecordType::Webhook => &webhook::GUARD,
        RecordType::Organization
        | RecordType::User
        | RecordType::Token
        | RecordType::ControlResult
        | RecordType::AuditRecord
        | RecordType::LogKey
        | RecordType::Session
        | RecordType::Delivery
        | RecordType::IdentityProvider
        | RecordType::IdentityLink => return None,
    })
}

/// Room for a document from the start, so that it does not move while it grows: an action of one effect fits.
const DOCUMENT_BYTES: usize = 2_560;

/// The JSON document of a record. Records are plain data, so that this cannot fail; if it ever did, the empty text
/// would violate nothing but fail every later read loudly.
pub(crate) fn document<T: Serialize>(record: &T) -> Value {
    let mut text = Vec::with_capacity(DOCUMENT_BYTES);
    let written = serde_json::to_writer(&mut text, record).map(|()| String::from_utf8(text));
    Value::Text(written.map_or_else(|_| String::new(), Result::unwrap_or_default))
}

/// Reads a document column.
pub(crate) fn read_document<T: DeserializeOwned>(row: &dyn Row, column: usize) -> Result<T, Fault> {
    let mut result = Err(Fault::Bug("a document column holds text"));
    row.with_text(column, &mut |text| result = serde_json::from_str(text).map_err(Fault::from));
    result
}

/// Position of a row in a list ordered by id, newest first.
fn after(page: Page<'_>) -> Value {
    page.after.map_or(Value::Null, Value::from)
}

impl Reader {
    /// Runs a statement with the organization as its first parameter.
    pub(crate) async fn rows<T: Send>(
        &self,
        sql: &Sql,
        params: Vec<Value>,
        read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Vec<T>, Fault> {
        let params = self.of_organization(params);
        self.engine.rows(Database::Organization(self.organization), sql, &params, read).await
    }

    /// As [`Reader::rows`], for what is asked often and written seldom; see [`crate::kept`].
    pub(crate) async fn kept_rows<T: Send + Sync + 'static>(
        &self,
        sql: &Sql,
        params: Vec<Value>,
        read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Arc<Vec<T>>, Fault> {
        let params = self.of_organization(params);
        self.engine.kept_rows(Database::Organization(self.organization), sql, params, read).await
    }

    fn of_organization(&self, params: Vec<Value>) -> Vec<Value> {
        let mut all = Vec::with_capacity(params.len() + 1);
        all.push(Value::from(&*self.key));
        all.extend(params);
        all
    }

    /// Rows whose first column is a document.
    pub(crate) async fn documents<T: DeserializeOwned + Send>(
        &self,
        sql: &Sql,
        params: Vec<Value>,
    ) -> Result<Vec<T>, Fault> {
        self.rows(sql, params, |row| read_document(row, 0)).await
    }

    /// As [`Reader::documents`], kept as by [`Reader::kept_rows`].
    pub(crate) async fn kept_documents<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
        sql: &Sql,
        params: Vec<Value>,
    ) -> Result<Arc<Vec<T>>, Fault> {
        self.kept_rows(sql, params, |row| read_document(row, 0)).await
    }

    pub(crate) async fn document<T: DeserializeOwned + Send>(
        &self,
        sql: &Sql,
        params: Vec<Value>,
    ) -> Result<Option<T>, Fault> {
        Ok(self.documents(sql, params).await?.into_iter().next())
    }

    /// A page of documents by two statements with the same filters: the list (document, id; the last two parameters
    /// are position and limit) and the count, which is asked only when the page does not tell it.
    pub(crate) async fn paged<T: DeserializeOwned + Clone + Send + Sync + 'static>(
        &self,
        list: &Sql,
        count: &Sql,
        filters: Vec<Value>,
        page: Page<'_>,
    ) -> Result<Paged<T>, Fault> {
        self.paged_rows(list, count, filters, page, |row| read_document(row, 0)).await
    }

    pub(crate) async fn paged_rows<T: Clone + Send + Sync + 'static>(
        &self,
        list: &Sql,
        count: &Sql,
        filters: Vec<Value>,
        page: Page<'_>,
        mut read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Paged<T>, Fault> {
        let params = of_page(&filters, after(page), page.limit);
        let found = self.kept_rows(list, params, |row| Ok((read(row)?, position(row)))).await?;
        let limit = page.limit as usize;
        let items = found.iter().take(limit).map(|(item, _)| item.clone()).collect();
        if found.len() <= limit && page.after.is_none() {
            return Ok(Paged { items, next: None, total: found.len() as u32 });
        }
        let counted = self.kept_rows(count, filters, |row| Ok(row.int(0))).await?;
        let last = found.get(..limit).and_then(<[_]>::last).filter(|_| found.len() > limit);
        Ok(Paged { items, next: last.map(|(_, at)| at.clone()), total: total(&counted) })
    }

    /// As [`Reader::paged_rows`], of what is written all the time and therefore not kept, and after a position that need not
    /// be text: the second column has it.
    pub(crate) async fn paged_after<T: Send>(
        &self,
        list: &Sql,
        count: &Sql,
        filters: Vec<Value>,
        (after, limit): (Value, u32),
        mut read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Paged<T>, Fault> {
        let (begins, params) = (after == Value::Null, of_page(&filters, after, limit));
        let mut found: Vec<(T, String)> =
            self.rows(list, params, |row| Ok((read(row)?, position(row)))).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let total = if more || !begins {
            total(&self.rows(count, filters, |row| Ok(row.int(0))).await?)
        } else {
            found.len() as u32
        };
        let next = if more { found.last().map(|(_, at)| at.clone()) } else { None };
        Ok(Paged { items: found.into_iter().map(|(item, _)| item).collect(), next, total })
    }
}

/// Parameters of a page; one row more than is asked tells whether there is a next page.
fn of_page(filters: &[Value], after: Value, limit: u32) -> Vec<Value> {
    let mut params = Vec::with_capacity(filters.len() + 3);
    params.extend_from_slice(filters);
    params.extend([after, Value::Int(i64::from(limit) + 1)]);
    params
}

/// The position of a row of a page.
fn position(row: &dyn Row) -> String {
    match row.value(1) {
        Value::Int(number) => number.to_string(),
        Value::Text(text) => text,
        _ => String::new(),
    }
}

fn total(counted: &[i64]) -> u32 {
    u32::try_from(counted.first().copied().unwrap_or(0)).unwrap_or(u32::MAX)
}

impl Directory {
    pub(crate) async fn rows<T: Send>(
        &self,
        sql: &Sql,
        params: &[Value],
        read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Vec<T>, Fault> {
        self.engine.rows(Database::Directory, sql, params, read).await
    }

    /// As [`Directory::rows`], for what is asked often and written seldom; see [`crate::kept`].
    pub(crate) async fn kept_rows<T: Send + Sync + 'static>(
        &self,
        sql: &Sql,
        params: Vec<Value>,
        read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Arc<Vec<T>>, Fault> {
        self.engine.kept_rows(Database::Directory, sql, params, read).await
    }
}

/// Declares a list statement and its count from one text of filters, so that the two cannot disagree.
macro_rules! list_statements {
    ($list:ident, $count:ident, $table:literal, $columns:literal, $filters:literal, $after:literal, $limit:literal) => {
        pub(crate) const $list: $crate::sql::Sql = $crate::sql::Sql {
            name: concat!(module_path!(), "::", stringify!($list)),
            text: concat!(
                "select ",
                $columns,
                " from ",
                $table,
                " where organization_id = ?1 and ",
                $filters,
                " and (cast(",
                $after,
                " as text) is null or id < ",
                $after,
                ") order by id desc limit ",
                $limit
            ),
        };
        pub(crate) const $count: $crate::sql::Sql = $crate::sql::Sql {
            name: concat!(module_path!(), "::", stringify!($count)),
            text: concat!("select count(*) from ", $table, " where organization_id = ?1 and ", $filters),
        };
    };
}
pub(crate) use list_statements;

#[cfg(test)]
mod tests {
    use crate::sqlite;
    use crate::{migrate, tables};

    #[test]
    fn every_statement_prepares_and_names_the_organization_first() {
        let mut lines = Vec::new();
        for file in tables::ORGANIZATION {
            for sql in *file {
                assert!(sql.text.contains("organization_id"), "{} does not name the organization", sql.name);
            }
            lines.extend(sqlite::describe(migrate::ORGANIZATION, file).unwrap());
        }
        for file in tables::DIRECTORY {
            lines.extend(sqlite::describe(migrate::DIRECTORY, file).unwrap());
        }
        let (records, directory) = crate::transfer::statements();
        sqlite::describe(migrate::ORGANIZATION, &records).unwrap();
        sqlite::describe(migrate::DIRECTORY, &directory).unwrap();
        lines.push(String::new());
        testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "statements.txt", &lines.join("\n"));
    }

    #[tokio::test]
    async fn every_statement_prepares_on_postgresql_with_the_types_both_engines_have() {
        let lines = crate::postgres::describe(tables::ORGANIZATION, tables::DIRECTORY).await;
        let (records, directory) = crate::transfer::statements();
        crate::postgres::describe(&[&records], &[&directory]).await;
        testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "statements-postgresql.txt", &lines.join("\n"));
    }
}
