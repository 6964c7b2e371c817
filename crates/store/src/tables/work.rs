//! Work items and remediation work packages.

use domain::id::{PackageId, ReleaseId, TeamId, WorkItemId};
use domain::record::RecordType;
use domain::work::{RemediationWorkPackage, WorkItem, WorkItemStatus, WorkItemType};

use super::{document, list_statements, search, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Page, Paged, Sql, Value, list, maybe, teams, text};
use crate::write::{Miss, Write};

list_statements!(
    LIST,
    COUNT,
    "work_item",
    "document, id",
    "(cast(?2 as text) is null or ?2 like '%,' || team_id || ',%') and (cast(?3 as text) is null or team_id = ?3)
     and (cast(?4 as text) is null or release_id = ?4) and (cast(?5 as text) is null or ?5 like '%,' || type || ',%')
     and (cast(?6 as text) is null or ?6 like '%,' || status || ',%')
     and (cast(?7 as text) is null or parent_id = ?7)",
    "?8",
    "?9"
);
statements! {
    [LIST, COUNT]
    GUARD = "select 1 from work_item where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_PACKAGE = "select 1 from remediation_work_package where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT = "insert into work_item (organization_id, id, version, team_id, release_id, parent_id, type, status, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    UPDATE = "update work_item set version = ?3, team_id = ?4, release_id = ?5, parent_id = ?6, type = ?7, status = ?8,
        document = ?9 where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    INSERT_PACKAGE = "insert into remediation_work_package (organization_id, id, version, release_id, document)
        values (?1, ?2, ?3, ?4, ?5)";
    ONE = "select document from work_item where organization_id = ?1 and id = ?2";
    ONE_PACKAGE = "select document from remediation_work_package where organization_id = ?1 and id = ?2";
    PACKAGES = "select document from remediation_work_package where organization_id = ?1
        and (cast(?2 as text) is null or release_id = ?2) order by id";
}

/// Which work items.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkItemFilter<'a> {
    pub teams: Option<&'a [TeamId]>,
    pub team: Option<TeamId>,
    pub release: Option<ReleaseId>,
    pub types: &'a [WorkItemType],
    pub statuses: &'a [WorkItemStatus],
    pub parent: Option<WorkItemId>,
}

fn put(write: &mut Write, sql: &'static Sql, w: &WorkItem) {
    let id = w.id.to_string();
    let params = vec![
        text(w.id),
        Value::Int(w.version),
        text(w.team_id),
        maybe(w.release_id),
        maybe(w.parent_id),
        text(w.item_type),
        text(w.status),
        document(w),
    ];
    write.one(sql, params, Miss::Moved(RecordType::WorkItem, id.clone()));
    search::put(write, RecordType::WorkItem, &id, w.team_id, &w.title, Some(w.status.as_str()));
}

pub fn create(write: &mut Write, w: &WorkItem) {
    put(write, &INSERT, w);
}

pub fn update(write: &mut Write, w: &WorkItem) {
    put(write, &UPDATE, w);
}

pub fn create_package(write: &mut Write, p: &RemediationWorkPackage) {
    let params = vec![text(p.id), Value::Int(p.version), text(p.release_id), document(p)];
    write.one(&INSERT_PACKAGE, params, Miss::Moved(RecordType::RemediationWorkPackage, p.id.to_string()));
}

impl Reader {
    pub async fn work_item(&self, id: WorkItemId) -> Result<Option<WorkItem>, Fault> {
        self.document(&ONE, vec![text(id)]).await
    }
    pub async fn work_items(&self, f: WorkItemFilter<'_>, page: Page<'_>) -> Result<Paged<WorkItem>, Fault> {
        let filters = vec![
            teams(f.teams),
            maybe(f.team),
            maybe(f.release),
            list(f.types),
            list(f.statuses),
            maybe(f.parent),
        ];
        self.paged(&LIST, &COUNT, filters, page).await
    }
    pub async fn package(&self, id: PackageId) -> Result<Option<RemediationWorkPackage>, Fault> {
        self.document(&ONE_PACKAGE, vec![text(id)]).await
    }
    /// Packages of a release, or all, oldest first.
    pub async fn packages(&self, release: Option<ReleaseId>) -> Result<Vec<RemediationWorkPackage>, Fault> {
        self.documents(&PACKAGES, vec![maybe(release)]).await
    }
}
