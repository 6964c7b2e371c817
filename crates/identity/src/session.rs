//! Browser sessions: 256 random bits in a cookie, their SHA-256 in the store, an idle and an absolute end, one token
//! per session that every form and unsafe request must carry.

use std::net::IpAddr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use domain::audit::AuditKind;
use domain::digest::Digest;
use domain::id::{OrgId, SessionId};
use domain::org::{OrgStatus, Organization, User, UserStatus};
use domain::permission::Permissions;
use domain::refusal::{Code, Refusal};
use domain::time::Timestamp;
use store::SessionRecord;
use subtle::ConstantTimeEq as _;

use crate::{Actor, AuthError, Credential, Identity};

/// A session that was just opened. `cookie` is shown once and never stored.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub cookie: String,
    pub csrf: String,
    pub user: User,
    /// Seconds the cookie is good for at most.
    pub max_age_seconds: i64,
}

/// A recognised browser session.
#[derive(Debug, Clone)]
pub struct SessionActor {
    pub session_id: SessionId,
    pub csrf: String,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    pub user: User,
    /// Active organizations the person belongs to.
    pub organizations: Vec<Organization>,
    /// The caller in the selected organization; `None` when the person belongs to none.
    pub actor: Option<Actor>,
}

impl SessionActor {
    /// Whether a request carried this session's token. Takes the same time for every wrong token.
    pub fn csrf_matches(&self, token: &str) -> bool {
        self.csrf.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

fn too_many(seconds: u32) -> AuthError {
    let mut refusal = Refusal::new(
        Code::RateLimited,
        "too many failed sign-ins",
        "Wait and try again; the operator of this server can set a new password.",
    );
    refusal.retry_after_seconds = Some(seconds.max(1));
    AuthError::Refused(refusal)
}

impl Identity {
    /// Signs a person in with e-mail and password.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] for an unknown e-mail, a wrong password and an inactive account alike;
    /// `rate_limited` after too many failures of the e-mail or the address.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        address: Option<IpAddr>,
    ) -> Result<NewSession, AuthError> {
        let now = self.now();
        let by_email = email.trim().to_lowercase();
        let by_address = address.map(|a| a.to_string());
        self.parts.by_email.attempt(&by_email, now).map_err(too_many)?;
        if let Some(address) = &by_address
            && let Err(seconds) = self.parts.by_address.attempt(address, now)
        {
            self.parts.by_email.refund(&by_email);
            return Err(too_many(seconds));
        }
        let directory = self.parts.store.directory();
        let user = directory.user_by_email(email).await?;
        let stored = match &user {
            Some(user) => directory.password(user.id).await?,
            None => None,
        };
        let matched = self.verify_password(password, stored).await?;
        // A refusal is not recorded in a log: writing it for known accounts only would tell by its time which are known.
        let Some(user) = user.filter(|u| matched && u.status == UserStatus::Active) else {
            return Err(AuthError::Invalid);
        };
        self.parts.by_email.forget(&by_email);
        if let Some(address) = &by_address {
            // Only given back: a valid account of one's own must not buy more guesses at other people's.
            self.parts.by_address.refund(address);
        }
        self.open_session(user).await
    }

    async fn open_session(&self, user: User) -> Result<NewSession, AuthError> {
        let now = self.now();
        let settings = &self.parts.settings;
        let directory = self.parts.store.directory();
        let organization_id = self.organization_of(&user).await?;
        let cookie = BASE64URL_NOPAD.encode(&self.random::<32>());
        let csrf = BASE64URL_NOPAD.encode(&self.random::<32>());
        let record = SessionRecord {
            id: SessionId::from_uuid(self.parts.ids.next()),
            hash: Digest::of(cookie.as_bytes()),
            user_id: user.id,
            organization_id,
            csrf: csrf.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus_seconds(settings.session_absolute_seconds),
        };
        directory.insert_session(&record).await?;
        self.note_session(AuditKind::SignedIn, organization_id, user.id, record.id).await?;
        Ok(NewSession { cookie, csrf, user, max_age_seconds: settings.session_absolute_seconds })
    }

    /// The organization a person's next session works in: the one selected last, else the first of theirs.
    async fn organization_of(&self, user: &User) -> Result<Option<OrgId>, store::Fault> {
        let directory = self.parts.store.directory();
        let mut mine = directory.organizations_of(user.id).await?;
        mine.retain(|o| o.status == OrgStatus::Active);
        let selected = directory.selected_organization(user.id).await?;
        Ok(mine.iter().map(|o| o.id).find(|id| Some(*id) == selected).or(mine.first().map(|o| o.id)))
    }

    /// Recognises the session of a cookie, with rights read afresh. `None` for an unknown, ended or idle session.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn session(&self, cookie: &str) -> Result<Option<SessionActor>, store::Fault> {
        let directory = self.parts.store.directory();
        let Some(found) = directory.session_by_hash(&Digest::of(cookie.as_bytes())).await? else {
            return Ok(None);
        };
        let now = self.now();
        let idle_end = found.session.last_seen_at.plus_seconds(self.parts.settings.session_idle_seconds);
        if now >= found.session.expires_at || now >= idle_end || found.user.status != UserStatus::Active {
            return Ok(None);
        }
        self.used().sessions.insert(found.session.id, now);
        let mut organizations = directory.organizations_of(found.user.id).await?;
        organizations.retain(|o| o.status == OrgStatus::Active);
        let credential = Credential::Session { id: found.session.id };
        let actor = match found.organization.filter(|o| o.status == OrgStatus::Active) {
            Some(organization) => self.member(&found.user, Arc::new(organization), credential).await?,
            None => None,
        };
        Ok(Some(SessionActor {
            session_id: found.session.id,
            csrf: found.session.csrf,
            expires_at: found.session.expires_at,
            user: found.user,
            organizations,
            actor,
        }))
    }

    /// The person as a member of an organization; `None` without an active membership.
    async fn member(
        &self,
        user: &User,
        organization: Arc<Organization>,
        credential: Credential,
    ) -> Result<Option<Actor>, store::Fault> {
        let org = self.parts.store.org(organization.id).await?;
        let membership = org.reader().membership(user.id).await?;
        Ok(membership
            .filter(|m| m.status == domain::permission::MembershipStatus::Active)
            .map(|m| Actor::new(user.clone(), organization, m, Permissions::EVERY, credential)))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn sign_out(&self, session: &SessionActor) -> Result<(), store::Fault> {
        let id = session.session_id;
        self.parts.store.directory().delete_session(id).await?;
        let organization = session.actor.as_ref().map(|actor| actor.organization.id);
        self.note_session(AuditKind::SignedOut, organization, session.user.id, id).await
    }

    /// Selects the organization of a session, and of the person's next sessions.
    ///
    /// # Errors
    /// `not_found` for an organization the person does not belong to.
    pub async fn select_organization(&self, session: &SessionActor, slug: &str) -> Result<(), AuthError> {
        let Some(organization) = session.organizations.iter().find(|o| o.slug == slug) else {
            return Err(AuthError::Refused(Refusal::not_found("organization")));
        };
        let directory = self.parts.store.directory();
        let now = self.now();
        let record = SessionRecord {
            id: session.session_id,
            hash: Digest([0; 32]), // the hash of a session never changes; the update does not touch it
            user_id: session.user.id,
            organization_id: Some(organization.id),
            csrf: session.csrf.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at: session.expires_at,
        };
        directory.update_session(&record).await?;
        directory.select_organization(session.user.id, organization.id).await?;
        Ok(())
    }
}
