//! Releases.

use std::sync::Arc;

use domain::id::{ReleaseId, TeamId};
use domain::record::RecordType;
use domain::release::{Release, ReleaseStatus};

use super::{document, list_statements, search, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Page, Paged, Value, list, maybe, teams, text};
use crate::write::{Miss, Write};

list_statements!(
    LIST,
    COUNT,
    "release",
    "document, id",
    "(cast(?2 as text) is null or ?2 like '%,' || team_id || ',%') and (cast(?3 as text) is null or team_id = ?3)
     and (cast(?4 as text) is null or ?4 like '%,' || status || ',%')
     and (cast(?5 as text) is null or name_folded like ?5)",
    "?6",
    "?7"
);
statements! {
    [LIST, COUNT]
    GUARD = "select 1 from release where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT = "insert into release (organization_id, id, version, team_id, status, name_folded, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    UPDATE = "update release set version = ?3, team_id = ?4, status = ?5, name_folded = ?6, document = ?7
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    ONE = "select document from release where organization_id = ?1 and id = ?2";
    NAMED = "select document from release where organization_id = ?1 and name_folded = ?2";
}

/// Which releases.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReleaseFilter<'a> {
    /// Visible teams; `None` means all.
    pub teams: Option<&'a [TeamId]>,
    pub team: Option<TeamId>,
    pub statuses: &'a [ReleaseStatus],
    /// Part of the name, ignoring case.
    pub query: Option<&'a str>,
}

fn params(r: &Release) -> Vec<Value> {
    vec![
        text(r.id),
        Value::Int(r.version),
        text(r.team_id),
        text(r.status),
        Value::from(r.name.to_lowercase()),
        document(r),
    ]
}

pub fn create(write: &mut Write, r: &Release) {
    write.one(&INSERT, params(r), Miss::Moved(RecordType::Release, r.id.to_string()));
    search::put(write, RecordType::Release, &r.id.to_string(), r.team_id, &r.name, Some(r.status.as_str()));
}

pub fn update(write: &mut Write, r: &Release) {
    write.one(&UPDATE, params(r), Miss::Moved(RecordType::Release, r.id.to_string()));
    search::put(write, RecordType::Release, &r.id.to_string(), r.team_id, &r.name, Some(r.status.as_str()));
}

impl Reader {
    pub async fn release(&self, id: ReleaseId) -> Result<Option<Release>, Fault> {
        Ok(self.kept_documents(&ONE, vec![text(id)]).await?.first().cloned())
    }
    /// Releases of exactly this name, ignoring case.
    pub async fn releases_named(&self, name: &str) -> Result<Arc<Vec<Release>>, Fault> {
        self.kept_documents(&NAMED, vec![Value::from(name.to_lowercase())]).await
    }
    pub async fn releases(&self, f: ReleaseFilter<'_>, page: Page<'_>) -> Result<Paged<Release>, Fault> {
        let filters = vec![
            teams(f.teams),
            maybe(f.team),
            list(f.statuses),
            f.query.map_or(Value::Null, |q| Value::from(format!("%{}%", q.to_lowercase()))),
        ];
        self.paged(&LIST, &COUNT, filters, page).await
    }
}
