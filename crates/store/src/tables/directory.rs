//! Organizations, people and credentials.

use std::sync::Arc;

use domain::digest::Digest;
use domain::id::{IdentityProviderId, OrgId, SessionId, TokenId, UserId};
use domain::identity_provider::IdentityProvider;
use domain::org::{Organization, User};
use domain::permission::Permission;
use domain::time::Timestamp;
use domain::token::TokenRecord;

use super::{document, read_document, statements};
use crate::Directory;
use crate::engine::Database;
use crate::fault::{CommitError, Conflict, Fault};
use crate::sql::{Row, Value, maybe, text};
use crate::write::{Miss, Write};
use domain::record::RecordType;

statements! {
    INSERT_ORGANIZATION = "insert into organization (id, slug, version, document) values (?1, ?2, ?3, ?4)";
    UPDATE_ORGANIZATION = "update organization set slug = ?2, version = ?3, document = ?4
        where id = ?1 and version + 1 = ?3";
    ORGANIZATION = "select document from organization where id = ?1";
    ORGANIZATION_BY_SLUG = "select document from organization where slug = ?1";
    ORGANIZATIONS = "select document from organization order by slug";
    INSERT_USER = "insert into app_user (id, email_folded, status, version, password_hash, document)
        values (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_USER = "update app_user set email_folded = ?2, status = ?3, version = ?4, document = ?5
        where id = ?1 and version + 1 = ?4";
    USER = "select document from app_user where id = ?1";
    USER_BY_EMAIL = "select document from app_user where email_folded = ?1";
    USERS = "select document from app_user order by email_folded";
    PASSWORD = "select password_hash from app_user where id = ?1";
    SET_PASSWORD = "update app_user set password_hash = ?2 where id = ?1";
    SELECTED = "select selected_organization_id from app_user where id = ?1";
    SELECT = "update app_user set selected_organization_id = ?2 where id = ?1";
    ADD_MEMBER = "insert into member (user_id, organization_id) values (?1, ?2)
        on conflict (user_id, organization_id) do nothing";
    REMOVE_MEMBER = "delete from member where user_id = ?1 and organization_id = ?2";
    ORGANIZATIONS_OF = "select o.document from member m join organization o on o.id = m.organization_id
        where m.user_id = ?1 order by o.slug";
    INSERT_TOKEN = "insert into bearer_token (id, organization_id, user_id, hash, label, scopes, created_at, expires_at,
        revoked_at, last_used_at, agent_id) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    TOKEN = "select id, organization_id, user_id, hash, label, scopes, created_at, expires_at, revoked_at, last_used_at,
        agent_id from bearer_token where id = ?1";
    TOKENS = "select id, organization_id, user_id, hash, label, scopes, created_at, expires_at, revoked_at, last_used_at,
        agent_id from bearer_token where organization_id = ?1 order by id";
    TOKEN_BY_HASH = "select t.id, t.organization_id, t.user_id, t.hash, t.label, t.scopes, t.created_at, t.expires_at,
        t.revoked_at, t.last_used_at, t.agent_id, u.document, o.document from bearer_token t
        join app_user u on u.id = t.user_id join organization o on o.id = t.organization_id where t.hash = ?1";
    REVOKE_TOKEN = "update bearer_token set revoked_at = ?2 where id = ?1 and revoked_at is null";
    TOUCH_TOKEN = "update bearer_token set last_used_at = ?2 where id = ?1";
    INSERT_SESSION = "insert into browser_session (id, hash, user_id, organization_id, csrf, created_at, last_seen_at,
        expires_at, user_agent, provider_id, passkey_id)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    UPDATE_SESSION = "update browser_session set organization_id = ?2, csrf = ?3, last_seen_at = ?4, expires_at = ?5
        where id = ?1";
    SESSION_BY_HASH = "select s.id, s.hash, s.user_id, s.organization_id, s.csrf, s.created_at, s.last_seen_at,
        s.expires_at, s.user_agent, s.provider_id, s.passkey_id, u.document, o.document, p.document from browser_session s
        join app_user u on u.id = s.user_id left join organization o on o.id = s.organization_id
        left join identity_provider p on p.id = s.provider_id where s.hash = ?1";
    SESSIONS_OF = "select id, hash, user_id, organization_id, csrf, created_at, last_seen_at, expires_at, user_agent,
        provider_id, passkey_id from browser_session where user_id = ?1 and expires_at > ?2 order by id desc limit ?3";
    SESSIONS_IN = "select id, hash, user_id, organization_id, csrf, created_at, last_seen_at, expires_at, user_agent,
        provider_id, passkey_id from browser_session where organization_id = ?1 and expires_at > ?2 order by id desc limit ?3";
    END_SESSION_IN = "delete from browser_session where id = ?1 and organization_id = ?2";
    DELETE_SESSION = "delete from browser_session where id = ?1";
    DELETE_SESSIONS_OF = "delete from browser_session where user_id = ?1";
    TOUCH_SESSION = "update browser_session set last_seen_at = ?2 where id = ?1";
    TAKE_LEASE = "insert into lease (name, holder, held_until) values (?1, ?2, ?3)
        on conflict (name) do update set holder = excluded.holder, held_until = excluded.held_until
        where lease.holder = excluded.holder or lease.held_until <= ?4";
    END_LEASE = "delete from lease where name = ?1 and holder = ?2";
    OFFER_SECRET = "insert into secret (name, value) values (?1, ?2) on conflict (name) do nothing";
    SECRET = "select value from secret where name = ?1";
    PUT_SECRET = "insert into secret (name, value) values (?1, ?2)
        on conflict (name) do update set value = excluded.value";
    DELETE_SECRET = "delete from secret where name = ?1";
    DELETE_EXPIRED = "delete from browser_session where expires_at <= ?1";
}

/// Sessions that are listed at most.
const SESSIONS_MAX: i64 = 1_000;

/// A token with its owner and organization, read by one statement.
#[derive(Debug, Clone)]
pub struct TokenLookup {
    pub token: TokenRecord,
    pub user: User,
    pub organization: Arc<Organization>,
}

/// A browser session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    pub id: SessionId,
    pub hash: Digest,
    pub user_id: UserId,
    pub organization_id: Option<OrgId>,
    /// Token that forms and requests of this session carry.
    pub csrf: String,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    /// The kind of browser, in few words.
    pub user_agent: Option<String>,
    /// The identity provider it was made through.
    pub provider_id: Option<IdentityProviderId>,
    /// The passkey it was made with. With neither, it was made with a password.
    pub passkey_id: Option<Digest>,
}

/// A session with its person and selected organization, read by one statement.
#[derive(Debug, Clone)]
pub struct SessionLookup {
    pub session: SessionRecord,
    pub user: User,
    pub organization: Option<Organization>,
    pub provider: Option<IdentityProvider>,
}

pub(super) fn id<T: std::str::FromStr>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::Bug("a stored id is an id"))
}

pub(super) fn hash(text: &str) -> Result<Digest, Fault> {
    Digest::parse(text).ok_or(Fault::Bug("a stored hash is a digest"))
}

fn read_token(row: &dyn Row) -> Result<TokenRecord, Fault> {
    Ok(TokenRecord {
        id: id(&row.text(0))?,
        organization_id: id(&row.text(1))?,
        user_id: id(&row.text(2))?,
        hash: hash(&row.text(3))?,
        label: row.text(4),
        scopes: row.text(5).split(' ').filter_map(Permission::parse).collect(),
        created_at: Timestamp(row.int(6)),
        expires_at: Timestamp(row.int(7)),
        revoked_at: row.maybe_int(8).map(Timestamp),
        last_used_at: row.maybe_int(9).map(Timestamp),
        agent_id: row.maybe_text(10).map(|text| id(&text)).transpose()?,
    })
}

fn read_session(row: &dyn Row) -> Result<SessionRecord, Fault> {
    Ok(SessionRecord {
        id: id(&row.text(0))?,
        hash: hash(&row.text(1))?,
        user_id: id(&row.text(2))?,
        organization_id: row.maybe_text(3).map(|text| id(&text)).transpose()?,
        csrf: row.text(4),
        created_at: Timestamp(row.int(5)),
        last_seen_at: Timestamp(row.int(6)),
        expires_at: Timestamp(row.int(7)),
        user_agent: row.maybe_text(8),
        provider_id: row.maybe_text(9).map(|text| id(&text)).transpose()?,
        passkey_id: row.maybe_text(10).map(|text| hash(&text)).transpose()?,
    })
}

fn read_lookup(row: &dyn Row) -> Result<SessionLookup, Fault> {
    let session = read_session(row)?;
    let (selected, through) = (session.organization_id.is_some(), session.provider_id.is_some());
    Ok(SessionLookup {
        session,
        user: read_document(row, 11)?,
        organization: if selected { Some(read_document(row, 12)?) } else { None },
        provider: if through { Some(read_document(row, 13)?) } else { None },
    })
}

fn fold(email: &str) -> String {
    email.trim().to_lowercase()
}

impl Directory {
    pub(super) async fn change(&self, write: Write) -> Result<(), CommitError> {
        self.engine.commit(Database::Directory, write).await.map(|_| ())
    }

    /// One statement whose miss or violation means `conflict`.
    pub(super) async fn one(
        &self,
        sql: &'static crate::sql::Sql,
        params: Vec<Value>,
        conflict: Fault,
    ) -> Result<(), Fault> {
        let mut write = Write::new();
        write.one(sql, params, Miss::Moved(RecordType::Organization, String::new()));
        match self.change(write).await {
            Ok(()) => Ok(()),
            Err(CommitError::Conflict(Conflict::Moved { .. })) => Err(conflict),
            Err(CommitError::Conflict(_)) => Err(Fault::Bug("directory writes conflict in one way")),
            Err(CommitError::Fault(fault)) => Err(fault),
        }
    }

    pub(super) async fn any(&self, sql: &'static crate::sql::Sql, params: Vec<Value>) -> Result<(), Fault> {
        let mut write = Write::new();
        write.any(sql, params);
        match self.change(write).await {
            Ok(()) => Ok(()),
            Err(CommitError::Fault(fault)) => Err(fault),
            Err(CommitError::Conflict(_)) => Err(Fault::Bug("a statement without a guard cannot conflict")),
        }
    }

    pub(super) async fn first<T: Send>(
        &self,
        sql: &crate::sql::Sql,
        params: &[Value],
        read: impl FnMut(&dyn Row) -> Result<T, Fault> + Send,
    ) -> Result<Option<T>, Fault> {
        Ok(self.rows(sql, params, read).await?.into_iter().next())
    }

    pub(crate) async fn insert_organization(&self, o: &Organization) -> Result<(), Fault> {
        let params = vec![text(o.id), Value::from(o.slug.as_str()), Value::Int(o.version), document(o)];
        self.one(&INSERT_ORGANIZATION, params, Fault::Duplicate { what: "slug" }).await
    }
    /// Replaces an organization whose stored version is one less.
    ///
    /// # Errors
    /// [`Fault::Moved`] when it is not.
    pub async fn update_organization(&self, o: &Organization) -> Result<(), Fault> {
        let params = vec![text(o.id), Value::from(o.slug.as_str()), Value::Int(o.version), document(o)];
        self.one(&UPDATE_ORGANIZATION, params, Fault::Moved).await
    }
    pub async fn organization(&self, organization: OrgId) -> Result<Option<Organization>, Fault> {
        self.first(&ORGANIZATION, &[text(organization)], |row| read_document(row, 0)).await
    }
    pub async fn organization_by_slug(&self, slug: &str) -> Result<Option<Organization>, Fault> {
        self.first(&ORGANIZATION_BY_SLUG, &[Value::from(slug)], |row| read_document(row, 0)).await
    }
    pub async fn organizations(&self) -> Result<Vec<Organization>, Fault> {
        self.rows(&ORGANIZATIONS, &[], |row| read_document(row, 0)).await
    }

    /// # Errors
    /// [`Fault::Duplicate`] when the e-mail is taken.
    pub async fn create_user(&self, u: &User, password_hash: Option<&str>) -> Result<(), Fault> {
        let params = vec![
            text(u.id),
            Value::from(fold(&u.email)),
            text(u.status),
            Value::Int(u.version),
            password_hash.map_or(Value::Null, Value::from),
            document(u),
        ];
        self.one(&INSERT_USER, params, Fault::Duplicate { what: "email" }).await
    }
    /// # Errors
    /// [`Fault::Moved`] when the stored version is not one less.
    pub async fn update_user(&self, u: &User) -> Result<(), Fault> {
        let params =
            vec![text(u.id), Value::from(fold(&u.email)), text(u.status), Value::Int(u.version), document(u)];
        self.one(&UPDATE_USER, params, Fault::Moved).await
    }
    pub async fn user(&self, user: UserId) -> Result<Option<User>, Fault> {
        self.first(&USER, &[text(user)], |row| read_document(row, 0)).await
    }
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, Fault> {
        self.first(&USER_BY_EMAIL, &[Value::from(fold(email))], |row| read_document(row, 0)).await
    }
    pub async fn users(&self) -> Result<Vec<User>, Fault> {
        self.rows(&USERS, &[], |row| read_document(row, 0)).await
    }
    /// The password's hash, when the person has one.
    pub async fn password(&self, user: UserId) -> Result<Option<String>, Fault> {
        Ok(self.first(&PASSWORD, &[text(user)], |row| Ok(row.maybe_text(0))).await?.flatten())
    }
    pub async fn set_password(&self, user: UserId, password_hash: &str) -> Result<(), Fault> {
        self.one(&SET_PASSWORD, vec![text(user), Value::from(password_hash)], Fault::Moved).await
    }

    pub async fn add_member(&self, user: UserId, organization: OrgId) -> Result<(), Fault> {
        self.any(&ADD_MEMBER, vec![text(user), text(organization)]).await
    }
    pub async fn remove_member(&self, user: UserId, organization: OrgId) -> Result<(), Fault> {
        self.any(&REMOVE_MEMBER, vec![text(user), text(organization)]).await
    }
    pub async fn organizations_of(&self, user: UserId) -> Result<Vec<Organization>, Fault> {
        self.rows(&ORGANIZATIONS_OF, &[text(user)], |row| read_document(row, 0)).await
    }
    pub async fn selected_organization(&self, user: UserId) -> Result<Option<OrgId>, Fault> {
        let found = self.first(&SELECTED, &[text(user)], |row| Ok(row.maybe_text(0))).await?.flatten();
        found.map(|text| id(&text)).transpose()
    }
    pub async fn select_organization(&self, user: UserId, organization: OrgId) -> Result<(), Fault> {
        self.one(&SELECT, vec![text(user), text(organization)], Fault::Moved).await
    }

    pub async fn insert_token(&self, t: &TokenRecord) -> Result<(), Fault> {
        let scopes: Vec<&str> = t.scopes.iter().map(|s| s.as_str()).collect();
        let params = vec![
            text(t.id),
            text(t.organization_id),
            text(t.user_id),
            text(t.hash),
            Value::from(t.label.as_str()),
            Value::from(scopes.join(" ")),
            Value::Int(t.created_at.0),
            Value::Int(t.expires_at.0),
            t.revoked_at.map_or(Value::Null, |at| Value::Int(at.0)),
            t.last_used_at.map_or(Value::Null, |at| Value::Int(at.0)),
            maybe(t.agent_id),
        ];
        self.one(&INSERT_TOKEN, params, Fault::Duplicate { what: "token" }).await
    }
    pub async fn token(&self, token: TokenId) -> Result<Option<TokenRecord>, Fault> {
        self.first(&TOKEN, &[text(token)], read_token).await
    }
    pub async fn tokens(&self, organization: OrgId) -> Result<Vec<TokenRecord>, Fault> {
        self.rows(&TOKENS, &[text(organization)], read_token).await
    }
    pub async fn token_by_hash(&self, hash: &Digest) -> Result<Option<TokenLookup>, Fault> {
        let read = |row: &dyn Row| {
            Ok(TokenLookup {
                token: read_token(row)?,
                user: read_document(row, 11)?,
                organization: Arc::new(read_document(row, 12)?),
            })
        };
        Ok(self.kept_rows(&TOKEN_BY_HASH, vec![text(hash)], read).await?.first().cloned())
    }
    /// Revoking twice changes nothing.
    pub async fn revoke_token(&self, token: TokenId, at: Timestamp) -> Result<(), Fault> {
        self.any(&REVOKE_TOKEN, vec![text(token), Value::Int(at.0)]).await
    }
    pub async fn touch_tokens(&self, used: &[(TokenId, Timestamp)]) -> Result<(), Fault> {
        let used = used.iter().map(|(token, at)| (text(token), *at));
        self.touch(&TOUCH_TOKEN, used).await
    }

    pub(super) async fn touch(
        &self,
        sql: &'static crate::sql::Sql,
        used: impl Iterator<Item = (Value, Timestamp)>,
    ) -> Result<(), Fault> {
        let mut write = Write::new();
        for (key, at) in used {
            write.any(sql, vec![key, Value::Int(at.0)]);
        }
        match self.change(write).await {
            Ok(()) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(CommitError::Fault(fault)) => Err(fault),
        }
    }

    pub async fn insert_session(&self, s: &SessionRecord) -> Result<(), Fault> {
        let params = vec![
            text(s.id),
            text(s.hash),
            text(s.user_id),
            maybe(s.organization_id),
            Value::from(s.csrf.as_str()),
            Value::Int(s.created_at.0),
            Value::Int(s.last_seen_at.0),
            Value::Int(s.expires_at.0),
            s.user_agent.as_deref().map_or(Value::Null, Value::from),
            maybe(s.provider_id),
            maybe(s.passkey_id),
        ];
        self.one(&INSERT_SESSION, params, Fault::Duplicate { what: "session" }).await
    }
    pub async fn session_by_hash(&self, hash: &Digest) -> Result<Option<SessionLookup>, Fault> {
        self.first(&SESSION_BY_HASH, &[text(hash)], read_lookup).await
    }
    pub async fn update_session(&self, s: &SessionRecord) -> Result<(), Fault> {
        let params = vec![
            text(s.id),
            maybe(s.organization_id),
            Value::from(s.csrf.as_str()),
            Value::Int(s.last_seen_at.0),
            Value::Int(s.expires_at.0),
        ];
        self.one(&UPDATE_SESSION, params, Fault::Moved).await
    }
    /// Sessions of a person that have not reached their end at `now`, the latest first.
    pub async fn sessions_of(&self, user: UserId, now: Timestamp) -> Result<Vec<SessionRecord>, Fault> {
        let params = [text(user), Value::Int(now.0), Value::Int(SESSIONS_MAX)];
        self.rows(&SESSIONS_OF, &params, read_session).await
    }
    /// Those that work in an organization, of whomever.
    pub async fn sessions_in(
        &self,
        organization: OrgId,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, Fault> {
        let params = [text(organization), Value::Int(now.0), Value::Int(SESSIONS_MAX)];
        self.rows(&SESSIONS_IN, &params, read_session).await
    }
    /// Ends a session as long as it works in this organization.
    pub async fn end_session_in(&self, session: SessionId, organization: OrgId) -> Result<(), Fault> {
        self.any(&END_SESSION_IN, vec![text(session), text(organization)]).await
    }
    pub async fn delete_session(&self, session: SessionId) -> Result<(), Fault> {
        self.any(&DELETE_SESSION, vec![text(session)]).await
    }
    pub async fn delete_sessions_of(&self, user: UserId) -> Result<(), Fault> {
        self.any(&DELETE_SESSIONS_OF, vec![text(user)]).await
    }
    pub async fn touch_sessions(&self, seen: &[(SessionId, Timestamp)]) -> Result<(), Fault> {
        let seen = seen.iter().map(|(session, at)| (text(session), *at));
        self.touch(&TOUCH_SESSION, seen).await
    }
    pub async fn delete_expired_sessions(&self, now: Timestamp) -> Result<(), Fault> {
        self.any(&DELETE_EXPIRED, vec![Value::Int(now.0)]).await
    }

    /// Takes or renews a lease on a piece of work, so that one process at a time does it; true when it is held until
    /// `until`. A lease that has run out by `now` may be taken by anybody. Clocks of nodes that differ by more than the
    /// length of a lease let two hold it, so what is done under one must bear being done twice.
    pub async fn take_lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Fault> {
        let params = vec![Value::from(name), Value::from(holder), Value::Int(until.0), Value::Int(now.0)];
        match self.one(&TAKE_LEASE, params, Fault::Moved).await {
            Ok(()) => Ok(true),
            Err(Fault::Moved) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
    /// Gives a lease back before it runs out.
    pub async fn end_lease(&self, name: &str, holder: &str) -> Result<(), Fault> {
        self.any(&END_LEASE, vec![Value::from(name), Value::from(holder)]).await
    }

    /// The secret of this name that all processes on this storage share: `fresh` when there is none yet.
    pub async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], Fault> {
        if let Some(found) = self.existing_secret(name).await? {
            return Ok(found);
        }
        self.any(&OFFER_SECRET, vec![Value::from(name), Value::Bytes(fresh.to_vec())]).await?;
        self.existing_secret(name).await?.ok_or(Fault::Bug("a secret that was offered is there"))
    }
    /// The secret of this name, if there is one.
    pub async fn existing_secret(&self, name: &str) -> Result<Option<[u8; 32]>, Fault> {
        let bytes = self.secret_bytes(name).await?.map(TryInto::try_into).transpose();
        bytes.map_err(|_| Fault::Bug("a stored secret has 32 bytes"))
    }
    /// Keeps a secret of any length under this name; an earlier one is forgotten.
    pub async fn keep_secret(&self, name: &str, secret: &[u8]) -> Result<(), Fault> {
        self.any(&PUT_SECRET, vec![Value::from(name), Value::Bytes(secret.to_vec())]).await
    }
    /// The bytes kept under this name, if there are any.
    pub async fn secret_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.first(&SECRET, &[Value::from(name)], |row| Ok(row.bytes(0))).await
    }
    /// Takes a secret away for good.
    pub async fn delete_secret(&self, name: &str) -> Result<(), Fault> {
        self.any(&DELETE_SECRET, vec![Value::from(name)]).await
    }
}
