//! Agents of an organization: programs registered to act for its people.

use domain::agent::Agent;
use domain::id::AgentId;
use domain::record::RecordType;

use super::{document, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Value, text};
use crate::write::{Miss, Write};

statements! {
    GUARD = "select 1 from agent where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT = "insert into agent (organization_id, id, version, name_folded, status, document)
        values (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE = "update agent set version = ?3, name_folded = ?4, status = ?5, document = ?6
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    AGENT = "select document from agent where organization_id = ?1 and id = ?2";
    AGENTS = "select document from agent where organization_id = ?1 order by name_folded";
}

fn params(a: &Agent) -> Vec<Value> {
    let folded = Value::from(a.name.to_lowercase());
    vec![text(a.id), Value::Int(a.version), folded, text(a.status), document(a)]
}

pub fn create(write: &mut Write, a: &Agent) {
    write.one(&INSERT, params(a), Miss::Moved(RecordType::Agent, a.id.to_string()));
}

pub fn update(write: &mut Write, a: &Agent) {
    write.one(&UPDATE, params(a), Miss::Moved(RecordType::Agent, a.id.to_string()));
}

impl Reader {
    pub async fn agent(&self, id: AgentId) -> Result<Option<Agent>, Fault> {
        Ok(self.kept_documents(&AGENT, vec![text(id)]).await?.first().cloned())
    }
    /// All of them by name, inactive ones included.
    pub async fn agents(&self) -> Result<Vec<Agent>, Fault> {
        self.documents(&AGENTS, Vec::new()).await
    }
}
