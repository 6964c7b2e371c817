//! Passkeys by which people of an organization sign their approvals.

use domain::digest::Digest;
use domain::id::UserId;
use domain::passkey::Passkey;
use domain::record::RecordType;

use super::{document, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Value, text};
use crate::write::{Miss, Write};

statements! {
    GUARD = "select 1 from passkey where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT = "insert into passkey (organization_id, id, version, user_id, document) values (?1, ?2, ?3, ?4, ?5)";
    UPDATE = "update passkey set version = ?3, document = ?4
        where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    DELETE = "delete from passkey where organization_id = ?1 and id = ?2 and version = ?3";
    OF_USER = "select document from passkey where organization_id = ?1 and user_id = ?2 order by id";
    PASSKEY = "select document from passkey where organization_id = ?1 and id = ?2";
    PASSKEYS = "select document from passkey where organization_id = ?1 order by user_id, id";
}

fn moved(k: &Passkey) -> Miss {
    Miss::Moved(RecordType::Passkey, k.id.to_string())
}

pub fn create(write: &mut Write, k: &Passkey) {
    let params = vec![text(k.id), Value::Int(k.version), text(k.user_id), document(k)];
    write.one(&INSERT, params, moved(k));
}

pub fn remove(write: &mut Write, k: &Passkey) {
    write.one(&DELETE, vec![text(k.id), Value::Int(k.version)], moved(k));
}

impl Write {
    /// Keeps what an authenticator said when it signed, such as its counter. `now` is one version after what was read;
    /// the whole write fails when the passkey has moved or gone.
    pub fn use_passkey(&mut self, now: &Passkey) {
        self.one(&UPDATE, vec![text(now.id), Value::Int(now.version), document(now)], moved(now));
    }
}

impl Reader {
    pub async fn passkey(&self, id: Digest) -> Result<Option<Passkey>, Fault> {
        self.document(&PASSKEY, vec![text(id)]).await
    }
    pub async fn passkeys_of(&self, user: UserId) -> Result<Vec<Passkey>, Fault> {
        self.documents(&OF_USER, vec![text(user)]).await
    }
    /// All of them, by person.
    pub async fn passkeys(&self) -> Result<Vec<Passkey>, Fault> {
        self.documents(&PASSKEYS, Vec::new()).await
    }
}
