//! What governs a release besides its certification: checks, gates, the rollback decision.

use domain::id::{CheckId, GateId, ReleaseId};
use domain::record::RecordType;
use domain::release::{Gate, ReleaseCheck, RollbackDecision};

use super::{document, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Sql, Value, text};
use crate::write::{Miss, Write};

statements! {
    GUARD_CHECK = "select 1 from release_check where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_GATE = "select 1 from gate where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_ROLLBACK = "select 1 from rollback_decision where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT_CHECK = "insert into release_check (organization_id, id, version, release_id, team_id, status, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    UPDATE_CHECK = "update release_check set version = ?3, release_id = ?4, team_id = ?5, status = ?6, document = ?7
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    CHECK = "select document from release_check where organization_id = ?1 and id = ?2";
    CHECKS = "select document from release_check where organization_id = ?1 and release_id = ?2 order by id";
    INSERT_GATE = "insert into gate (organization_id, id, version, release_id, name_folded, document)
        values (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_GATE = "update gate set version = ?3, release_id = ?4, name_folded = ?5, document = ?6
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    GATE = "select document from gate where organization_id = ?1 and id = ?2";
    GATES = "select document from gate where organization_id = ?1 and release_id = ?2 order by id";
    INSERT_ROLLBACK = "insert into rollback_decision (organization_id, id, version, release_id, status, document)
        values (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_ROLLBACK = "update rollback_decision set version = ?3, release_id = ?4, status = ?5, document = ?6
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    ROLLBACK = "select document from rollback_decision where organization_id = ?1 and release_id = ?2";
}

fn put_check(write: &mut Write, sql: &'static Sql, c: &ReleaseCheck) {
    let params = vec![
        text(c.id),
        Value::Int(c.version),
        text(c.release_id),
        text(c.team_id),
        text(c.status),
        document(c),
    ];
    write.one(sql, params, Miss::Moved(RecordType::ReleaseCheck, c.id.to_string()));
}

pub fn create_check(write: &mut Write, c: &ReleaseCheck) {
    put_check(write, &INSERT_CHECK, c);
}

pub fn update_check(write: &mut Write, c: &ReleaseCheck) {
    put_check(write, &UPDATE_CHECK, c);
}

fn put_gate(write: &mut Write, sql: &'static Sql, g: &Gate) {
    let params = vec![
        text(g.id),
        Value::Int(g.version),
        text(g.release_id),
        Value::from(g.name.to_lowercase()),
        document(g),
    ];
    write.one(sql, params, Miss::Moved(RecordType::Gate, g.id.to_string()));
}

pub fn create_gate(write: &mut Write, g: &Gate) {
    put_gate(write, &INSERT_GATE, g);
}

pub fn update_gate(write: &mut Write, g: &Gate) {
    put_gate(write, &UPDATE_GATE, g);
}

fn put_rollback(write: &mut Write, sql: &'static Sql, r: &RollbackDecision) {
    let params = vec![text(r.id), Value::Int(r.version), text(r.release_id), text(r.status), document(r)];
    write.one(sql, params, Miss::Moved(RecordType::RollbackDecision, r.id.to_string()));
}

pub fn create_rollback(write: &mut Write, r: &RollbackDecision) {
    put_rollback(write, &INSERT_ROLLBACK, r);
}

pub fn update_rollback(write: &mut Write, r: &RollbackDecision) {
    put_rollback(write, &UPDATE_ROLLBACK, r);
}

impl Reader {
    pub async fn check(&self, id: CheckId) -> Result<Option<ReleaseCheck>, Fault> {
        self.document(&CHECK, vec![text(id)]).await
    }
    /// Checks of a release, oldest first.
    pub async fn checks(&self, release: ReleaseId) -> Result<Vec<ReleaseCheck>, Fault> {
        self.documents(&CHECKS, vec![text(release)]).await
    }
    pub async fn gate(&self, id: GateId) -> Result<Option<Gate>, Fault> {
        self.document(&GATE, vec![text(id)]).await
    }
    /// Gates of a release, oldest first.
    pub async fn gates(&self, release: ReleaseId) -> Result<Vec<Gate>, Fault> {
        self.documents(&GATES, vec![text(release)]).await
    }
    pub async fn rollback_decision(&self, release: ReleaseId) -> Result<Option<RollbackDecision>, Fault> {
        self.document(&ROLLBACK, vec![text(release)]).await
    }
}
