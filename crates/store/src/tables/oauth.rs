//! Programs that people have let in by OAuth 2.1: clients, grants, codes, refresh tokens, the names of signing keys. Codes
//! and refresh tokens are kept as hashes.

use domain::digest::Digest;
use domain::id::{OrgId, TokenId, UserId};
use domain::oauth::{Client, ClientKind, Grant};
use domain::org::{Organization, User};
use domain::record::RecordType;
use domain::time::Timestamp;

use super::directory::id;
use super::{document, read_document, statements};
use crate::Directory;
use crate::fault::{CommitError, Fault};
use crate::sql::{Row, Sql, Value, maybe, text};
use crate::write::{Miss, Write};

statements! {
    INSERT_CLIENT = "insert into oauth_client (id, kind, organization_id, created_at, used_at, document)
        values (?1, ?2, ?3, ?4, null, ?5)";
    PUT_CLIENT = "insert into oauth_client (id, kind, organization_id, created_at, used_at, document)
        values (?1, ?2, ?3, ?4, null, ?5) on conflict (id) do update set document = excluded.document";
    CLIENT = "select document from oauth_client where id = ?1";
    CLIENTS_OF_ORGANIZATION = "select document from oauth_client where organization_id = ?1
        order by created_at, id limit ?2";
    COUNT_UNUSED = "select count(*) from oauth_client where kind = ?1 and used_at is null and created_at > ?2";
    USE_CLIENT = "update oauth_client set used_at = ?2 where id = ?1 and (used_at is null or used_at < ?2)";
    DELETE_CLIENT = "delete from oauth_client where id = ?1";
    DELETE_UNUSED = "delete from oauth_client where kind = ?1 and used_at is null and created_at <= ?2";
    INSERT_GRANT = "insert into oauth_grant (id, client_id, organization_id, user_id, created_at, activated_at, expires_at,
        revoked_at, last_used_at, document) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, null, null, ?8)";
    ACTIVATE_GRANT = "update oauth_grant set activated_at = ?2 where id = ?1 and activated_at is null";
    GRANT = "select g.document, g.activated_at, g.revoked_at, g.last_used_at, u.document, o.document from oauth_grant g
        join app_user u on u.id = g.user_id join organization o on o.id = g.organization_id where g.id = ?1";
    GRANTS_OF_ORGANIZATION = "select g.document, g.activated_at, g.revoked_at, g.last_used_at, u.document, o.document
        from oauth_grant g join app_user u on u.id = g.user_id join organization o on o.id = g.organization_id
        where g.organization_id = ?1 and g.activated_at is not null and g.revoked_at is null order by g.id";
    GRANTS_OF_USER = "select g.document, g.activated_at, g.revoked_at, g.last_used_at, u.document, o.document
        from oauth_grant g join app_user u on u.id = g.user_id join organization o on o.id = g.organization_id
        where g.user_id = ?1 and g.activated_at is not null and g.revoked_at is null order by g.id";
    REVOKE_GRANT = "update oauth_grant set revoked_at = ?2 where id = ?1 and revoked_at is null";
    REVOKE_GRANTS_OF_CLIENT = "update oauth_grant set revoked_at = ?2 where client_id = ?1 and revoked_at is null";
    TOUCH_GRANT = "update oauth_grant set last_used_at = ?2 where id = ?1";
    DELETE_GRANTS = "delete from oauth_grant where (activated_at is null and created_at <= ?1) or expires_at <= ?2
        or revoked_at <= ?2";
    INSERT_CODE = "insert into oauth_code (hash, grant_id, client_id, redirect_uri, challenge, expires_at, used_at)
        values (?1, ?2, ?3, ?4, ?5, ?6, null)";
    CODE = "select grant_id, client_id, redirect_uri, challenge, expires_at, used_at from oauth_code where hash = ?1";
    USE_CODE = "update oauth_code set used_at = ?2 where hash = ?1 and used_at is null";
    INSERT_REFRESH = "insert into oauth_refresh (hash, grant_id, created_at, expires_at, rotated_at)
        values (?1, ?2, ?3, ?4, null)";
    REFRESH = "select grant_id, expires_at, rotated_at from oauth_refresh where hash = ?1";
    ROTATE_REFRESH = "update oauth_refresh set rotated_at = ?2 where hash = ?1 and rotated_at is null";
    DELETE_REFRESH = "delete from oauth_refresh where expires_at <= ?1";
    INSERT_KEY = "insert into oauth_key (id, created_at) values (?1, ?2)";
    KEYS = "select id, created_at from oauth_key order by created_at, id";
    DELETE_KEY = "delete from oauth_key where id = ?1";
    INSERT_ASSERTION = "insert into oauth_assertion (hash, expires_at) values (?1, ?2)
        on conflict (hash) do nothing";
    DELETE_ASSERTIONS = "delete from oauth_assertion where expires_at <= ?1";
}

/// A grant with its person and organization, read by one statement.
#[derive(Debug, Clone)]
pub struct GrantLookup {
    pub grant: Grant,
    pub activated_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub user: User,
    pub organization: Organization,
}

/// An authorization code as it is kept.
#[derive(Debug, Clone)]
pub struct CodeRecord {
    pub hash: Digest,
    pub grant_id: TokenId,
    pub client_id: String,
    pub redirect_uri: String,
    /// Of the proof key, by S256.
    pub challenge: String,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// A refresh token as it is kept.
#[derive(Debug, Clone)]
pub struct RefreshRecord {
    pub hash: Digest,
    pub grant_id: TokenId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When its successor took its place.
    pub rotated_at: Option<Timestamp>,
}

fn read_grant(row: &dyn Row) -> Result<GrantLookup, Fault> {
    Ok(GrantLookup {
        grant: read_document(row, 0)?,
        activated_at: row.maybe_int(1).map(Timestamp),
        revoked_at: row.maybe_int(2).map(Timestamp),
        last_used_at: row.maybe_int(3).map(Timestamp),
        user: read_document(row, 4)?,
        organization: read_document(row, 5)?,
    })
}

/// What a miss of a statement about these tables means: somebody else was first.
fn taken() -> Miss {
    Miss::Moved(RecordType::Token, String::new())
}

fn refresh_params(refresh: &RefreshRecord) -> Vec<Value> {
    vec![
        text(refresh.hash),
        text(refresh.grant_id),
        Value::Int(refresh.created_at.0),
        Value::Int(refresh.expires_at.0),
    ]
}

impl Directory {
    /// Commits a write whose guard decides who is first: true when it was this one.
    async fn first_to(&self, write: Write) -> Result<bool, Fault> {
        match self.change(write).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(CommitError::Fault(fault)) => Err(fault),
        }
    }

    /// # Errors
    /// [`Fault::Duplicate`] when the id is taken.
    pub async fn insert_client(&self, client: &Client) -> Result<(), Fault> {
        self.one(&INSERT_CLIENT, client_params(client), Fault::Duplicate { what: "client" }).await
    }
    /// Keeps what a client's document says today.
    pub async fn put_client(&self, client: &Client) -> Result<(), Fault> {
        self.any(&PUT_CLIENT, client_params(client)).await
    }
    pub async fn client(&self, client: &str) -> Result<Option<Client>, Fault> {
        self.first(&CLIENT, &[Value::from(client)], |row| read_document(row, 0)).await
    }
    /// Machines' clients of an organization.
    pub async fn clients_of(&self, organization: OrgId, most: usize) -> Result<Vec<Client>, Fault> {
        let params = [text(organization), Value::Int(most as i64)];
        self.rows(&CLIENTS_OF_ORGANIZATION, &params, |row| read_document(row, 0)).await
    }
    /// Clients that have registered themselves after `since` and that nobody has let in yet.
    pub async fn unused_clients(&self, since: Timestamp) -> Result<i64, Fault> {
        let params = [text(ClientKind::Registered), Value::Int(since.0)];
        Ok(self.first(&COUNT_UNUSED, &params, |row| Ok(row.int(0))).await?.unwrap_or(0))
    }
    /// Takes a client away, with all that it was allowed.
    pub async fn delete_client(&self, client: &str, at: Timestamp) -> Result<(), Fault> {
        let mut write = Write::new();
        write.any(&REVOKE_GRANTS_OF_CLIENT, vec![Value::from(client), Value::Int(at.0)]);
        write.any(&DELETE_CLIENT, vec![Value::from(client)]);
        self.first_to(write).await.map(drop)
    }

    /// Keeps what a person has allowed, with the code by which the client gets it.
    pub async fn insert_grant(&self, grant: &Grant, code: &CodeRecord) -> Result<(), Fault> {
        let mut write = Write::new();
        write.one(&INSERT_GRANT, grant_params(grant, None), taken());
        let params = vec![
            text(code.hash),
            text(code.grant_id),
            Value::from(code.client_id.as_str()),
            Value::from(code.redirect_uri.as_str()),
            Value::from(code.challenge.as_str()),
            Value::Int(code.expires_at.0),
        ];
        write.one(&INSERT_CODE, params, taken());
        write.any(&USE_CLIENT, vec![Value::from(grant.client_id.as_str()), Value::Int(grant.created_at.0)]);
        if self.first_to(write).await? { Ok(()) } else { Err(Fault::Duplicate { what: "grant" }) }
    }
    /// Keeps a grant that needs no code, because no person is asked.
    pub async fn insert_active_grant(&self, grant: &Grant) -> Result<(), Fault> {
        let mut write = Write::new();
        write.one(&INSERT_GRANT, grant_params(grant, Some(grant.created_at)), taken());
        write.any(&USE_CLIENT, vec![Value::from(grant.client_id.as_str()), Value::Int(grant.created_at.0)]);
        if self.first_to(write).await? { Ok(()) } else { Err(Fault::Duplicate { what: "grant" }) }
    }
    pub async fn grant(&self, grant: TokenId) -> Result<Option<GrantLookup>, Fault> {
        self.first(&GRANT, &[text(grant)], read_grant).await
    }
    /// Grants in force in an organization.
    pub async fn grants_of_organization(&self, organization: OrgId) -> Result<Vec<GrantLookup>, Fault> {
        self.rows(&GRANTS_OF_ORGANIZATION, &[text(organization)], read_grant).await
    }
    /// Grants in force of a person, in every organization.
    pub async fn grants_of_user(&self, user: UserId) -> Result<Vec<GrantLookup>, Fault> {
        self.rows(&GRANTS_OF_USER, &[text(user)], read_grant).await
    }
    /// Revoking twice changes nothing.
    pub async fn revoke_grant(&self, grant: TokenId, at: Timestamp) -> Result<(), Fault> {
        self.any(&REVOKE_GRANT, vec![text(grant), Value::Int(at.0)]).await
    }
    pub async fn touch_grants(&self, used: &[(TokenId, Timestamp)]) -> Result<(), Fault> {
        self.touch(&TOUCH_GRANT, used.iter().map(|(grant, at)| (text(grant), *at))).await
    }

    pub async fn code(&self, code: &Digest) -> Result<Option<CodeRecord>, Fault> {
        let read = |row: &dyn Row| {
            Ok(CodeRecord {
                hash: *code,
                grant_id: id(&row.text(0))?,
                client_id: row.text(1),
                redirect_uri: row.text(2),
                challenge: row.text(3),
                expires_at: Timestamp(row.int(4)),
                used_at: row.maybe_int(5).map(Timestamp),
            })
        };
        self.first(&CODE, &[text(code)], read).await
    }
    /// Redeems a code, once: false when somebody has. The grant is in force from then on, perhaps with a refresh token.
    pub async fn redeem_code(
        &self,
        code: &CodeRecord,
        refresh: Option<&RefreshRecord>,
        at: Timestamp,
    ) -> Result<bool, Fault> {
        let mut write = Write::new();
        write.one(&USE_CODE, vec![text(code.hash), Value::Int(at.0)], taken());
        write.any(&ACTIVATE_GRANT, vec![text(code.grant_id), Value::Int(at.0)]);
        if let Some(refresh) = refresh {
            write.one(&INSERT_REFRESH, refresh_params(refresh), taken());
        }
        self.first_to(write).await
    }

    pub async fn refresh(&self, token: &Digest) -> Result<Option<RefreshRecord>, Fault> {
        let read = |row: &dyn Row| {
            Ok(RefreshRecord {
                hash: *token,
                grant_id: id(&row.text(0))?,
                created_at: Timestamp(0),
                expires_at: Timestamp(row.int(1)),
                rotated_at: row.maybe_int(2).map(Timestamp),
            })
        };
        self.first(&REFRESH, &[text(token)], read).await
    }
    /// Puts a successor in the place of a refresh token, once: false when somebody has.
    pub async fn rotate_refresh(
        &self,
        old: &Digest,
        successor: &RefreshRecord,
        at: Timestamp,
    ) -> Result<bool, Fault> {
        let mut write = Write::new();
        write.one(&ROTATE_REFRESH, vec![text(old), Value::Int(at.0)], taken());
        write.one(&INSERT_REFRESH, refresh_params(successor), taken());
        self.first_to(write).await
    }

    /// Names a new signing key, whose secret is kept under the same name.
    pub async fn insert_signing_key(&self, key: &str, at: Timestamp) -> Result<bool, Fault> {
        let mut write = Write::new();
        write.one(&INSERT_KEY, vec![Value::from(key), Value::Int(at.0)], taken());
        self.first_to(write).await
    }
    /// Signing keys with the time they were made, the oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<(String, Timestamp)>, Fault> {
        self.rows(&KEYS, &[], |row| Ok((row.text(0), Timestamp(row.int(1))))).await
    }
    pub async fn delete_signing_key(&self, key: &str) -> Result<(), Fault> {
        self.any(&DELETE_KEY, vec![Value::from(key)]).await
    }

    /// Takes an assertion, once: false when it has been taken before.
    pub async fn take_assertion(&self, assertion: &Digest, expires_at: Timestamp) -> Result<bool, Fault> {
        let mut write = Write::new();
        write.one(&INSERT_ASSERTION, vec![text(assertion), Value::Int(expires_at.0)], taken());
        self.first_to(write).await
    }

    /// Forgets what is of no use any more: what ran out by `now`, grants whose code nobody redeemed and clients nobody
    /// let in since the other two times.
    pub async fn forget_oauth(
        &self,
        now: Timestamp,
        unredeemed_before: Timestamp,
        unused_before: Timestamp,
    ) -> Result<(), Fault> {
        let one = |sql: &'static Sql, params: Vec<Value>| (sql, params);
        let mut write = Write::new();
        for (sql, params) in [
            one(&DELETE_GRANTS, vec![Value::Int(unredeemed_before.0), Value::Int(unused_before.0)]),
            one(&DELETE_REFRESH, vec![Value::Int(now.0)]),
            one(&DELETE_ASSERTIONS, vec![Value::Int(now.0)]),
            one(&DELETE_UNUSED, vec![text(ClientKind::Registered), Value::Int(unused_before.0)]),
        ] {
            write.any(sql, params);
        }
        self.first_to(write).await.map(drop)
    }
}

fn client_params(client: &Client) -> Vec<Value> {
    vec![
        Value::from(client.id.as_str()),
        text(client.kind),
        maybe(client.machine.as_ref().map(|machine| machine.organization_id)),
        Value::Int(client.created_at.0),
        document(client),
    ]
}

fn grant_params(grant: &Grant, activated_at: Option<Timestamp>) -> Vec<Value> {
    vec![
        text(grant.id),
        Value::from(grant.client_id.as_str()),
        text(grant.organization_id),
        text(grant.user_id),
        Value::Int(grant.created_at.0),
        activated_at.map_or(Value::Null, |at| Value::Int(at.0)),
        Value::Int(grant.expires_at.0),
        document(grant),
    ]
}
