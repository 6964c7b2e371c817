//! Teams, memberships and components of an organization.

use std::sync::Arc;

use domain::id::{ComponentId, TeamId, UserId};
use domain::org::{Component, Team};
use domain::permission::Membership;
use domain::record::RecordType;

use super::{document, statements};
use crate::fault::Fault;
use crate::sql::{Value, teams, text};
use crate::write::{Miss, Write};
use crate::{Reader, sql};

statements! {
    GUARD_TEAM = "select 1 from team where organization_id = ?1 and id = ?2 and version = ?3 union all
        select 1 where ?2 = 'teams' and ?3 =
        (select cast(coalesce(sum(version), 0) as bigint) from team where organization_id = ?1)";
    GUARD_MEMBERSHIP = "select 1 from membership where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_COMPONENT = "select 1 from component where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT_TEAM = "insert into team (organization_id, id, version, name, document) values (?1, ?2, ?3, ?4, ?5)";
    UPDATE_TEAM = "update team set version = ?3, name = ?4, document = ?5
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    INSERT_MEMBERSHIP = "insert into membership (organization_id, id, version, document) values (?1, ?2, ?3, ?4)";
    UPDATE_MEMBERSHIP = "update membership set version = ?3, document = ?4
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    INSERT_COMPONENT = "insert into component (organization_id, id, version, document) values (?1, ?2, ?3, ?4)";
    TEAM = "select document from team where organization_id = ?1 and id = ?2";
    TEAMS = "select document from team where organization_id = ?1
        and (cast(?2 as text) is null or ?2 like '%,' || id || ',%') order by name";
    MEMBERSHIP = "select document from membership where organization_id = ?1 and id = ?2";
    MEMBERSHIPS = "select document from membership where organization_id = ?1 order by id";
    COMPONENT = "select document from component where organization_id = ?1 and id = ?2";
    COMPONENTS = "select document from component where organization_id = ?1 order by id";
}

fn taken(record_type: RecordType, id: impl ToString) -> Miss {
    Miss::Moved(record_type, id.to_string())
}

fn team_row(t: &Team) -> Vec<Value> {
    vec![text(t.id), Value::Int(t.version), Value::from(t.name.as_str()), document(t)]
}

pub fn create_team(write: &mut Write, t: &Team) {
    write.one(&INSERT_TEAM, team_row(t), taken(RecordType::Team, t.id));
}

pub fn update_team(write: &mut Write, t: &Team) {
    write.one(&UPDATE_TEAM, team_row(t), taken(RecordType::Team, t.id));
}

pub fn create_membership(write: &mut Write, m: &Membership) {
    let params = vec![text(m.user_id), Value::Int(m.version), document(m)];
    write.one(&INSERT_MEMBERSHIP, params, taken(RecordType::Membership, m.user_id));
}

pub fn update_membership(write: &mut Write, m: &Membership) {
    let params = vec![text(m.user_id), Value::Int(m.version), document(m)];
    write.one(&UPDATE_MEMBERSHIP, params, taken(RecordType::Membership, m.user_id));
}

pub fn create_component(write: &mut Write, c: &Component) {
    let params = vec![text(c.id), Value::Int(c.version), document(c)];
    write.one(&INSERT_COMPONENT, params, taken(RecordType::Component, c.id));
}

impl Reader {
    pub async fn membership(&self, id: UserId) -> Result<Option<Membership>, Fault> {
        Ok(self.kept_documents(&MEMBERSHIP, vec![text(id)]).await?.first().cloned())
    }
    /// All memberships, inactive ones included.
    pub async fn memberships(&self) -> Result<Arc<Vec<Membership>>, Fault> {
        self.kept_documents(&MEMBERSHIPS, Vec::new()).await
    }
    pub async fn team(&self, id: TeamId) -> Result<Option<Team>, Fault> {
        Ok(self.kept_documents(&TEAM, vec![text(id)]).await?.first().cloned())
    }
    /// Teams by name; of the given ones, or all.
    pub async fn teams(&self, visible: Option<&[TeamId]>) -> Result<Vec<Team>, Fault> {
        Ok(self.kept_documents(&TEAMS, vec![teams(visible)]).await?.to_vec())
    }
    pub async fn component(&self, id: ComponentId) -> Result<Option<Component>, Fault> {
        self.document(&COMPONENT, vec![sql::text(id)]).await
    }
    pub async fn components(&self) -> Result<Vec<Component>, Fault> {
        self.documents(&COMPONENTS, Vec::new()).await
    }
}
