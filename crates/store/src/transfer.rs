//! Copying one organization from one storage to another, whichever engine each is on: the same rows of the same tables,
//! the evidence bytes, the people who belong to it. The log is verified on both sides; the roots must be the same. What
//! makes the organization known at its new place comes last, so that a copy that breaks off is not seen, and is done
//! again from the beginning over what it left.

use std::sync::LazyLock;

use domain::digest::Digest;
use domain::id::OrgId;

use crate::engine::Database;
use crate::fault::{CommitError, Fault};
use crate::sql::{Row, Sql, Value};
use crate::write::Write;
use crate::{Blobs, Org, Store, postgres, sqlite};

/// Rows read and written at once.
const BATCH: i64 = 1_000;

/// Every table of records with its columns, the organization first, and its key. A test
/// compares the list with the schema.
pub(crate) const RECORDS: &[(&str, &str, &str)] = &[
    ("team", "organization_id, id, version, name, document", "organization_id, id"),
    ("membership", "organization_id, id, version, document", "organization_id, id"),
    ("passkey", "organization_id, id, version, user_id, document", "organization_id, id"),
    ("agent", "organization_id, id, version, name_folded, status, document", "organization_id, id"),
    (
        "directory_change",
        "organization_id, record_type, record_id, version, applied, document",
        "organization_id, record_type, record_id, version",
    ),
    ("component", "organization_id, id, version, document", "organization_id, id"),
    ("control", "organization_id, id, version, position, code, framework, document", "organization_id, id"),
    (
        "release",
        "organization_id, id, version, team_id, status, name_folded, document",
        "organization_id, id",
    ),
    (
        "certification",
        "organization_id, id, version, release_id, team_id, status, reviewers, document",
        "organization_id, id",
    ),
    (
        "readiness",
        "organization_id, certification_id, version, at, score, verdict, open_gaps, open_blockers",
        "organization_id, certification_id, version",
    ),
    (
        "control_result",
        "organization_id, certification_id, control_id, document",
        "organization_id, certification_id, control_id",
    ),
    (
        "evidence",
        "organization_id, id, version, release_id, team_id, control_id, type, is_current, valid_until, sha256, \
         superseded_by, document",
        "organization_id, id",
    ),
    (
        "evidence_gap",
        "organization_id, id, version, release_id, certification_id, team_id, control_id, reason, severity, status, \
         blocking, work_item_ids, resolved_at, updated_at, document",
        "organization_id, id",
    ),
    (
        "finding",
        "organization_id, id, version, release_id, team_id, provider, external_id, severity, status, blocking, \
         work_item_ids, evidence_id, last_seen_at, updated_at, document",
        "organization_id, id",
    ),
    ("risk", "organization_id, id, version, release_id, team_id, status, document", "organization_id, id"),
    (
        "exception_record",
        "organization_id, id, version, release_id, team_id, document, status, expires_at",
        "organization_id, id",
    ),
    (
        "release_check",
        "organization_id, id, version, release_id, team_id, status, document",
        "organization_id, id",
    ),
    ("gate", "organization_id, id, version, release_id, name_folded, document", "organization_id, id"),
    (
        "rollback_decision",
        "organization_id, id, version, release_id, status, document",
        "organization_id, id",
    ),
    (
        "work_item",
        "organization_id, id, version, team_id, release_id, parent_id, type, status, document",
        "organization_id, id",
    ),
    ("remediation_work_package", "organization_id, id, version, release_id, document", "organization_id, id"),
    (
        "action",
        "organization_id, id, version, approval_id, requester_id, tool, idempotency_key, state, team_id, due_at, \
         receipt_sequence, receipt_leaf, receipt_at, document",
        "organization_id, id",
    ),
    (
        "conversation",
        "organization_id, id, user_id, title, turns, created_at, updated_at",
        "organization_id, id",
    ),
    (
        "conversation_turn",
        "organization_id, conversation_id, position, document",
        "organization_id, conversation_id, position",
    ),
    ("model_use", "organization_id, day, tokens", "organization_id, day"),
    ("audit_head", "organization_id, size", "organization_id"),
    (
        "audit_entry",
        "organization_id, sequence, at, kind, user_id, action_id, leaf_hash, entry",
        "organization_id, sequence",
    ),
    ("audit_body", "organization_id, sequence, salt, body", "organization_id, sequence"),
    ("audit_subject", "organization_id, record_id, sequence", "organization_id, record_id, sequence"),
    (
        "search_text",
        "organization_id, record_type, id, team_id, title, folded, status",
        "organization_id, record_type, id",
    ),
    ("audit_key", "organization_id, generation, verifier_key, created_at", "organization_id, generation"),
    ("audit_node", "organization_id, level, position, hash", "organization_id, level, position"),
    ("audit_checkpoint", "organization_id, size, root, generation, note, at", "organization_id, size"),
    ("audit_cosignature", "organization_id, size, witness, line, at", "organization_id, size, witness"),
    ("policy_set", "organization_id, version, document", "organization_id, version"),
    ("webhook", "organization_id, id, version, enabled, kinds, document", "organization_id, id"),
    (
        "outbox",
        "organization_id, webhook_id, event_id, kind, status, due_at, attempts, failure, delivered_at, document",
        "organization_id, webhook_id, event_id",
    ),
];

/// Of the directory, what belongs to one organization: columns, the condition with the organization as `?1`, the key.
pub(crate) const DIRECTORY: &[(&str, &str, &str, &str)] = &[
    // What its log and its messages are signed with.
    (
        "secret",
        "name, value",
        "(substr(name, 1, length(cast(?1 as text)) + 5) = 'log/' || cast(?1 as text) || '/'
            or substr(name, 1, length(cast(?1 as text)) + 9) = 'webhook/' || cast(?1 as text) || '/'
            or substr(name, 1, length(cast(?1 as text)) + 19) = 'identity-provider/' || cast(?1 as text) || '/')",
        "name",
    ),
    ("organization", "id, slug, version, document", "id = ?1", "id"),
    ("member", "user_id, organization_id", "organization_id = ?1", "user_id, organization_id"),
    (
        "bearer_token",
        "id, organization_id, user_id, hash, label, scopes, created_at, expires_at, revoked_at, last_used_at, agent_id",
        "organization_id = ?1",
        "id",
    ),
    // Of machines. Whatever people have let in asks them again.
    (
        "oauth_client",
        "id, kind, organization_id, created_at, used_at, document",
        "organization_id = ?1",
        "id",
    ),
    (
        "identity_provider",
        "id, organization_id, issuer, enabled, version, document",
        "organization_id = ?1",
        "id",
    ),
    (
        "identity_provider_domain",
        "domain, provider_id",
        "provider_id in (select id from identity_provider where organization_id = ?1)",
        "domain, provider_id",
    ),
    (
        "identity_link",
        "organization_id, link_key, user_id, version, document",
        "organization_id = ?1 and user_id in (select user_id from member where organization_id = ?1)",
        "organization_id, link_key",
    ),
];

/// People of the organization, before whatever refers to them.
const PEOPLE: (&str, &str, &str, &str) = (
    "app_user",
    "id, email_folded, status, version, password_hash, document",
    "id in (select user_id from member where organization_id = ?1)",
    "id",
);

/// Tables that are only ever added to, also by a copy that is done again. On PostgreSQL the role that serves may do no more.
pub(crate) const APPEND_ONLY: &[&str] = &[
    "audit_entry",
    "audit_subject",
    "audit_key",
    "audit_node",
    "audit_checkpoint",
    "audit_cosignature",
    "policy_set",
];
/// What a record says, which an erasure takes away and nothing changes.
pub(crate) const ERASABLE: &str = "audit_body";

/// How one table is read, counted and written.
struct Copying {
    table: &'static str,
    columns: usize,
    select: Sql,
    count: Sql,
    insert: Sql,
}

/// Statements live as long as the program, like those written by hand.
fn statement(name: String, text: String) -> Sql {
    Sql { name: Box::leak(name.into_boxed_str()), text: Box::leak(text.into_boxed_str()) }
}

fn copying(table: &'static str, columns: &str, condition: &str, key: &str) -> Copying {
    let names: Vec<&str> = columns.split(", ").map(str::trim).collect();
    let marks: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let keys: Vec<&str> = key.split(", ").collect();
    // Somebody who is at the new place already, for another organization, is left as they are there.
    let fixed = APPEND_ONLY.contains(&table) || table == ERASABLE || table == PEOPLE.0;
    let changes: Vec<String> = names
        .iter()
        .filter(|name| !fixed && !keys.contains(name))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let change =
        if changes.is_empty() { "nothing".to_owned() } else { format!("update set {}", changes.join(", ")) };
    // The embedded engine has some of these under shorter keys.
    let key_there = if fixed && table != PEOPLE.0 { String::new() } else { format!("({key}) ") };
    let text = format!(
        "insert into {table} ({columns}) values ({}) on conflict {key_there}do {change}",
        marks.join(", ")
    );
    let select = format!("select {columns} from {table} where {condition} order by {key} limit ?2 offset ?3");
    Copying {
        table,
        columns: names.len(),
        select: statement(format!("transfer::read {table}"), select),
        count: statement(
            format!("transfer::count {table}"),
            format!("select count(*) from {table} where {condition}"),
        ),
        insert: statement(format!("transfer::write {table}"), text),
    }
}

static RECORD_COPIES: LazyLock<Vec<Copying>> = LazyLock::new(|| {
    let records = RECORDS.iter();
    records.map(|(table, columns, key)| copying(table, columns, "organization_id = ?1", key)).collect()
});

static DIRECTORY_COPIES: LazyLock<Vec<Copying>> = LazyLock::new(|| {
    let directory = DIRECTORY.iter();
    directory.map(|(table, columns, condition, key)| copying(table, columns, condition, key)).collect()
});

static PEOPLE_COPY: LazyLock<Copying> = LazyLock::new(|| copying(PEOPLE.0, PEOPLE.1, PEOPLE.2, PEOPLE.3));

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferReport {
    pub rows: u64,
    pub blobs: u64,
    /// Length of the audit log, and its root: the same on both sides.
    pub log_size: i64,
    pub log_root: Digest,
}

/// Copies an organization that `to` does not have. Nothing may write to it meanwhile; a log that has grown is noticed.
///
/// # Errors
/// [`Fault::NoOrganization`]; [`Fault::Duplicate`] when `to` has the organization, its slug, or another person of the same
/// e-mail; [`Fault::Transfer`] when the two logs are not the same or not whole.
pub async fn transfer(
    from: &Store,
    to: &Store,
    id: OrgId,
    progress: &mut (dyn FnMut(&str, u64) + Send),
) -> Result<TransferReport, Fault> {
    let source = from.org(id).await?;
    if to.directory().organization(id).await?.is_some() {
        return Err(Fault::Duplicate { what: "the organization" });
    }
    let before = whole(&source).await?;
    to.engine.prepare_organization(id).await?;
    let mut rows = 0;
    rows += table(from, to, id, Database::Directory, &PEOPLE_COPY, progress).await?;
    for copy in RECORD_COPIES.iter() {
        rows += table(from, to, id, Database::Organization(id), copy, progress).await?;
    }
    let target = to.handle(id);
    let blobs = blobs(&source, target.blobs(), progress).await?;
    let after = whole(&target).await?;
    if before != after || whole(&source).await? != before {
        return Err(Fault::Transfer("its log has changed meanwhile; let nobody write to it".into()));
    }
    for copy in DIRECTORY_COPIES.iter() {
        rows += table(from, to, id, Database::Directory, copy, progress).await?;
    }
    Ok(TransferReport { rows, blobs, log_size: after.0, log_root: after.1 })
}

/// Length and root of a log without a problem.
async fn whole(org: &Org) -> Result<(i64, Digest), Fault> {
    let report = org.reader().verify_log(&mut |_| {}).await?;
    match report.problems.first() {
        None => Ok((report.size, report.root)),
        Some(problem) => Err(Fault::Transfer(format!("the log is not whole: {problem}"))),
    }
}

async fn table(
    from: &Store,
    to: &Store,
    id: OrgId,
    database: Database,
    copy: &'static Copying,
    progress: &mut (dyn FnMut(&str, u64) + Send),
) -> Result<u64, Fault> {
    let mut done = 0;
    loop {
        let params = [Value::Text(id.to_string()), Value::Int(BATCH), Value::Int(done)];
        let read = |row: &dyn Row| Ok((0..copy.columns).map(|column| row.value(column)).collect::<Vec<_>>());
        let rows = from.engine.rows(database, &copy.select, &params, read).await?;
        let count = rows.len() as i64;
        let mut write = Write::new();
        for row in rows {
            write.any(&copy.insert, row);
        }
        match to.engine.commit(database, write).await {
            Ok(_) => {}
            // The statements have no guards; what they can run into is another row that is as unique.
            Err(CommitError::Fault(Fault::Statement { source, .. })) if unique(&*source) => {
                return Err(Fault::Duplicate { what: taken(copy.table) });
            }
            Err(CommitError::Conflict(_)) => return Err(Fault::Bug("a copy has no guards")),
            Err(CommitError::Fault(fault)) => return Err(fault),
        }
        done += count;
        progress(copy.table, done as u64);
        if count < BATCH {
            break;
        }
    }
    let key = [Value::Text(id.to_string())];
    let (there, here) = (count(from, database, copy, &key).await?, count(to, database, copy, &key).await?);
    // Of people, those who are members are counted, and at the new place they become that last.
    if there != here && copy.table != PEOPLE.0 {
        return Err(Fault::Transfer(format!("{} has {here} rows instead of {there}", copy.table)));
    }
    Ok(done as u64)
}

async fn count(store: &Store, database: Database, copy: &Copying, key: &[Value]) -> Result<i64, Fault> {
    let counts = store.engine.rows(database, &copy.count, key, |row| Ok(row.int(0))).await?;
    Ok(counts.first().copied().unwrap_or(0))
}

fn unique(source: &(dyn std::error::Error + 'static)) -> bool {
    sqlite::is_unique_violation(source) || postgres::is_unique_violation(source)
}

fn taken(table: &str) -> &'static str {
    match table {
        "organization" => "the slug of the organization",
        "app_user" => "the e-mail of one of its people",
        _ => "a record of the organization",
    }
}

const HASHES: Sql = Sql {
    name: "transfer::HASHES",
    text: "select distinct sha256 from evidence where organization_id = ?1 order by sha256",
};

impl Org {
    /// Copies the bytes that this organization's records name. Returns how many were there.
    ///
    /// # Errors
    /// Whatever reading or writing finds.
    pub(crate) async fn copy_evidence(&self, to: &Blobs) -> Result<u64, Fault> {
        blobs(self, to, &mut |_, _| {}).await
    }
}

async fn blobs(
    source: &Org,
    target: &Blobs,
    progress: &mut (dyn FnMut(&str, u64) + Send),
) -> Result<u64, Fault> {
    let hashes = source.reader().rows(&HASHES, Vec::new(), |row| Ok(row.text(0))).await?;
    let mut done = 0;
    for hash in hashes {
        let digest = Digest::parse(&hash).ok_or(Fault::Bug("a stored hash is a digest"))?;
        // Bytes that are gone at the source are gone at the target too; their digest stays in the record.
        if let Some(bytes) = source.blobs().get(&digest).await? {
            if target.put(&bytes).await? != digest {
                return Err(Fault::Transfer(format!("the evidence bytes {hash} are not what they were")));
            }
            done += 1;
            progress("evidence bytes", done);
        }
    }
    Ok(done)
}

/// The statements, for the tests that prepare all of them.
#[cfg(test)]
pub(crate) fn statements() -> (Vec<Sql>, Vec<Sql>) {
    let all = |copy: &'static Copying| [copy.select, copy.count, copy.insert];
    let mut directory: Vec<Sql> = all(&PEOPLE_COPY).into();
    directory.extend(DIRECTORY_COPIES.iter().flat_map(all));
    (RECORD_COPIES.iter().flat_map(all).collect(), directory)
}

#[cfg(test)]
mod tests {
    use super::RECORDS;
    use crate::migrate::ORGANIZATION;
    use crate::sql::Sql;
    use crate::sqlite;

    #[test]
    fn every_table_is_copied_with_every_column() {
        let schema: String = ORGANIZATION.iter().map(|migration| migration.text).collect();
        let tables: Vec<&str> =
            schema.split("create table ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
        let mut listed: Vec<&str> = RECORDS.iter().map(|(table, _, _)| *table).collect();
        let mut tables = tables;
        listed.sort_unstable();
        tables.sort_unstable();
        tables.dedup(); // those that a later migration has made anew
        assert_eq!(listed, tables);
        for (table, columns, _) in RECORDS {
            let all = Sql { name: table, text: Box::leak(format!("select * from {table}").into_boxed_str()) };
            let described = sqlite::describe(ORGANIZATION, &[all]).unwrap();
            assert_eq!(described, [format!("{table}: 0 parameter(s) -> {columns}")]);
        }
    }
}
