//! The published policies of an organization. Versions are only added.

use domain::id::UserId;
use domain::permission::{Membership, MembershipStatus};
use domain::policy::PolicySet;
use domain::record::RecordType;

use super::{document, read_document, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Value, text};
use crate::write::{Miss, Write};

statements! {
    GUARD = "select 1 from policy_set p where p.organization_id = ?1 and ?2 = 'policies' and p.version = ?3
        and not exists (select 1 from policy_set later where later.organization_id = ?1 and later.version > ?3)";
    INSERT = "insert into policy_set (organization_id, version, document) values (?1, ?2, ?3)";
    VERSION = "select document from policy_set where organization_id = ?1 and version = ?2";
    VERSIONS = "select document from policy_set where organization_id = ?1 order by version desc limit ?2";
    STANDING = "select m.document,
        (select coalesce(max(p.version), 0) from policy_set p where p.organization_id = m.organization_id),
        (select cast(coalesce(sum(t.version), 0) as bigint) from team t where t.organization_id = m.organization_id)
        from membership m where m.organization_id = ?1 and m.id = ?2";
}

pub fn publish(write: &mut Write, set: &PolicySet) {
    let miss = Miss::Moved(RecordType::PolicySet, set.version.to_string());
    write.one(&INSERT, vec![Value::Int(set.version), document(set)], miss);
}

/// How somebody stands in an organization at one moment: their membership, and the versions of what it is judged by.
#[derive(Debug, Clone)]
pub struct Standing {
    pub membership: Membership,
    /// Version of the policies in force.
    pub policies: i64,
    /// Version of the teams, as [`domain::org::teams_version`] counts it.
    pub teams: i64,
}

impl Standing {
    pub fn is_active(&self) -> bool {
        self.membership.status == MembershipStatus::Active
    }
}

impl Reader {
    /// How a person stands here, by one question.
    pub async fn standing(&self, person: UserId) -> Result<Option<Standing>, Fault> {
        let read = |row: &dyn crate::sql::Row| {
            Ok(Standing { membership: read_document(row, 0)?, policies: row.int(1), teams: row.int(2) })
        };
        Ok(self.kept_rows(&STANDING, vec![text(person)], read).await?.first().cloned())
    }
    /// One published version.
    pub async fn policy_set(&self, version: i64) -> Result<Option<PolicySet>, Fault> {
        self.document(&VERSION, vec![Value::Int(version)]).await
    }
    /// Published versions, the one in force first.
    pub async fn policy_sets(&self, limit: u32) -> Result<Vec<PolicySet>, Fault> {
        self.documents(&VERSIONS, vec![Value::Int(i64::from(limit))]).await
    }
}
