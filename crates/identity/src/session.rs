//! Browser sessions: 256 random bits in a cookie, their SHA-256 in the store, an idle and an absolute end, one token
//! per session that every form and unsafe request must carry.

use std::net::IpAddr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use domain::audit::{AuditActor, AuditKind, AuditReference};
use domain::device;
use domain::digest::Digest;
use domain::id::{OrgId, SessionId, UserId};
use domain::identity_provider::IdentityProvider;
use domain::org::{OrgStatus, Organization, User, UserStatus};
use domain::permission::Permissions;
use domain::record::RecordType;
use domain::refusal::{Code, Refusal};
use domain::time::Timestamp;
use store::{SessionRecord, Standing, Write};
use subtle::ConstantTimeEq as _;

use crate::passkey::Confirmed;
use crate::throttle::Full;
use crate::{Actor, AuthError, Credential, Identity};

/// Attempts that wait to be recorded; more are only refused.
const SLOWED_DOWN_MAX: usize = 1_000;

/// What a browser brings along when somebody signs in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Browser<'a> {
    /// Failed sign-ins are counted by it.
    pub address: Option<IpAddr>,
    /// The cookie it came with: the session it belongs to ends, since the new cookie takes its place.
    pub earlier: Option<&'a str>,
    /// What it says of itself. Only its family is kept.
    pub user_agent: Option<&'a str>,
}

/// A session as its person, or who manages people, sees it.
#[derive(Debug, Clone)]
pub struct OpenSession {
    pub id: SessionId,
    pub user_id: UserId,
    /// The kind of browser, in few words.
    pub browser: Option<String>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// The one it works in.
    pub organization_id: Option<OrgId>,
}

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

/// How somebody has shown who they are. What one organization knows opens sessions in that organization alone.
pub(crate) enum Way<'a> {
    Password,
    Provider(&'a IdentityProvider),
    Passkey(OrgId, &'a Confirmed),
}

/// The name under which attempts for an e-mail are counted.
fn folded(email: &str) -> String {
    email.trim().to_lowercase()
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
    /// Signs a person in with e-mail and password. Recorded in the organization the session works in.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] for an unknown e-mail, a wrong password and an inactive account alike;
    /// `rate_limited` after too many failures of the e-mail or the address.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        browser: Browser<'_>,
    ) -> Result<NewSession, AuthError> {
        self.attempt(email, browser.address)?;
        let directory = self.parts.store.directory();
        let user = directory.user_by_email(email).await?;
        let stored = match &user {
            Some(user) => directory.password(user.id).await?,
            None => None,
        };
        let matched = self.verify_password(password, stored).await?;
        let Some(user) = user.filter(|u| matched && u.status == UserStatus::Active) else {
            return Err(AuthError::Invalid);
        };
        self.was_no_guess(email, browser.address);
        let session = self.open_session(user, browser.user_agent, Way::Password).await?;
        self.end_earlier(browser.earlier).await?;
        Ok(session)
    }

    /// Counts an attempt to sign in, before anything is looked up for it.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn attempt(&self, email: &str, address: Option<IpAddr>) -> Result<(), AuthError> {
        let (now, email) = (self.now(), folded(email));
        if let Err(full) = self.parts.by_email.attempt(&email, now) {
            return Err(self.slowed_down(&full, email, now));
        }
        if let Some(address) = address
            && let Err(full) = self.parts.by_address.attempt(&address.to_string(), now)
        {
            // Whoever tries one password on many accounts fills the address alone; each account that is tried then is
            // recorded.
            let first = self.parts.by_email.refuse(&email).unwrap_or(full.first);
            let full = Full { first, ..full };
            return Err(self.slowed_down(&full, email, now));
        }
        Ok(())
    }

    /// Takes an attempt back that has led to a session.
    pub(crate) fn was_no_guess(&self, email: &str, address: Option<IpAddr>) {
        self.parts.by_email.forget(&folded(email));
        if let Some(address) = address {
            // Only given back: a valid account of one's own must not buy more guesses at other people's.
            self.parts.by_address.refund(&address.to_string());
        }
    }

    /// Ends the session whose place a new one takes.
    pub(crate) async fn end_earlier(&self, earlier: Option<&str>) -> Result<(), AuthError> {
        if let Some(earlier) = earlier
            && let Some(ended) = self.session(earlier).await?
        {
            self.sign_out(&ended).await?;
        }
        Ok(())
    }

    /// The refusal of an attempt. The first of a window is recorded later, with the next [`Identity::flush`]: neither
    /// the answer nor its time may tell whether the e-mail is known, and guessing must not cost a write each.
    fn slowed_down(&self, full: &Full, email: String, now: Timestamp) -> AuthError {
        let mut used = self.used();
        if full.first && used.slowed_down.len() < SLOWED_DOWN_MAX {
            used.slowed_down.push((email, now));
        }
        too_many(full.seconds)
    }

    /// Records attempts that were slowed down, in the organization where the person would have worked.
    pub(crate) async fn record_slowed_down(
        &self,
        attempts: Vec<(String, Timestamp)>,
    ) -> Result<(), AuthError> {
        for (email, at) in attempts {
            let Some(user) = self.parts.store.directory().user_by_email(&email).await? else { continue };
            let Some(organization) = self.organization_to_work_in(user.id).await? else { continue };
            let nobody = AuditActor::default();
            self.note_session(organization, AuditKind::SignInFailed, at, nobody, user.id).await?;
        }
        Ok(())
    }

    /// The organization a person's next session works in.
    async fn organization_to_work_in(&self, user: UserId) -> Result<Option<OrgId>, store::Fault> {
        let directory = self.parts.store.directory();
        let mut mine = directory.organizations_of(user).await?;
        mine.retain(|o| o.status == OrgStatus::Active);
        let selected = directory.selected_organization(user).await?;
        Ok(mine.iter().map(|o| o.id).find(|id| Some(*id) == selected).or(mine.first().map(|o| o.id)))
    }

    /// Opens a session.
    pub(crate) async fn open_session(
        &self,
        user: User,
        user_agent: Option<&str>,
        way: Way<'_>,
    ) -> Result<NewSession, AuthError> {
        let now = self.now();
        let settings = &self.parts.settings;
        let directory = self.parts.store.directory();
        let (organization_id, provider_id, passkey) = match way {
            Way::Password => (self.organization_to_work_in(user.id).await?, None, None),
            Way::Provider(provider) => (Some(provider.organization_id), Some(provider.id), None),
            Way::Passkey(organization, confirmed) => (Some(organization), None, Some(confirmed)),
        };
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
            user_agent: user_agent.map(device::family),
            provider_id,
            passkey_id: passkey.map(|confirmed| confirmed.passkey.id),
        };
        // Recorded first: a record of a session that could not be opened is better than a session without a record.
        if let Some(organization) = organization_id {
            let actor = AuditActor {
                user_id: Some(user.id),
                session_id: Some(record.id),
                provider_id,
                ..AuditActor::default()
            };
            let mut draft = self.session_draft(AuditKind::SignedIn, now, actor, user.id);
            let mut write = Write::new();
            if let Some(confirmed) = passkey {
                let id = confirmed.passkey.id.to_string();
                draft.references.push(AuditReference { record_type: RecordType::Passkey, id });
                confirmed.now.iter().for_each(|now| write.use_passkey(now));
            }
            write.audit(draft);
            self.commit_write(organization, write).await?;
        }
        directory.insert_session(&record).await?;
        Ok(NewSession { cookie, csrf, user, max_age_seconds: settings.session_absolute_seconds })
    }

    /// Recognises the session of a cookie, with rights read afresh, and notes that it was used. `None` for an unknown,
    /// ended or idle session.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn session(&self, cookie: &str) -> Result<Option<SessionActor>, store::Fault> {
        let found = self.session_unattended(cookie).await?;
        if let Some(found) = &found {
            let now = self.now();
            self.used().sessions.insert(found.session_id, now);
        }
        Ok(found)
    }

    /// As [`Identity::session`], for what a page does by itself: a session that nobody uses becomes idle and ends,
    /// however many pages of it are open.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn session_unattended(&self, cookie: &str) -> Result<Option<SessionActor>, store::Fault> {
        let directory = self.parts.store.directory();
        let Some(found) = directory.session_by_hash(&Digest::of(cookie.as_bytes())).await? else {
            return Ok(None);
        };
        let now = self.now();
        let idle_end = found.session.last_seen_at.plus_seconds(self.parts.settings.session_idle_seconds);
        if now >= found.session.expires_at || now >= idle_end || found.user.status != UserStatus::Active {
            return Ok(None);
        }
        let mut organizations = directory.organizations_of(found.user.id).await?;
        organizations.retain(|o| o.status == OrgStatus::Active);
        if let Some(provider) = &found.provider {
            if !provider.is_usable() {
                return Ok(None);
            }
            organizations.retain(|o| o.id == provider.organization_id);
        }
        if let Some(passkey) = found.session.passkey_id {
            // A passkey is of one organization, and what was opened with it ends with it.
            let Some(organization) = found.session.organization_id else { return Ok(None) };
            let held = self.parts.store.org(organization).await?.reader().passkey(passkey).await?;
            if held.is_none_or(|held| held.user_id != found.user.id) {
                return Ok(None);
            }
            organizations.retain(|o| o.id == organization);
        }
        let confined = |o: &Organization| {
            found.provider.as_ref().is_none_or(|provider| provider.organization_id == o.id)
        };
        let credential = Credential::Session { id: found.session.id };
        let actor = match found.organization.filter(|o| o.status == OrgStatus::Active && confined(o)) {
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
    pub(crate) async fn member(
        &self,
        user: &User,
        organization: Arc<Organization>,
        credential: Credential,
    ) -> Result<Option<Actor>, store::Fault> {
        let org = self.parts.store.org(organization.id).await?;
        let standing = org.reader().standing(user.id).await?;
        Ok(standing
            .filter(Standing::is_active)
            .map(|standing| Actor::new(user.clone(), organization, standing, Permissions::EVERY, credential)))
    }

    /// A person's open sessions, the latest first.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn sessions(&self, user: UserId) -> Result<Vec<OpenSession>, store::Fault> {
        Ok(self.open(self.parts.store.directory().sessions_of(user, self.now()).await?))
    }

    /// Open sessions that work in an organization, of whomever.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn sessions_in(&self, organization: OrgId) -> Result<Vec<OpenSession>, store::Fault> {
        Ok(self.open(self.parts.store.directory().sessions_in(organization, self.now()).await?))
    }

    /// Those that have not been idle too long, with what is known here of their last use and not written yet.
    fn open(&self, stored: Vec<SessionRecord>) -> Vec<OpenSession> {
        let (now, idle) = (self.now(), self.parts.settings.session_idle_seconds);
        let used = self.used();
        let seen = |s: &SessionRecord| used.sessions.get(&s.id).copied().unwrap_or(s.last_seen_at);
        let sessions = stored.into_iter().map(|s| OpenSession {
            last_seen_at: s.last_seen_at.max(seen(&s)),
            id: s.id,
            user_id: s.user_id,
            browser: s.user_agent,
            created_at: s.created_at,
            organization_id: s.organization_id,
        });
        sessions.filter(|s| now < s.last_seen_at.plus_seconds(idle)).collect()
    }

    /// Ends sessions of a person at their own wish, each recorded in the organization it worked in; on every node they are
    /// over with the next request.
    ///
    /// # Errors
    /// `not_found`, before any has ended, when one is not an open session of theirs.
    pub async fn end_sessions(&self, user: UserId, ids: &[SessionId]) -> Result<(), AuthError> {
        let own = self.sessions(user).await?;
        let find = |id: &SessionId| own.iter().find(|session| session.id == *id);
        let ending: Option<Vec<&OpenSession>> = ids.iter().map(find).collect();
        for session in ending.ok_or_else(|| AuthError::Refused(Refusal::not_found("session")))? {
            self.parts.store.directory().delete_session(session.id).await?;
            if let Some(organization) = session.organization_id {
                let session_id = Some(session.id);
                let actor = AuditActor { user_id: Some(user), session_id, ..AuditActor::default() };
                self.note_session(organization, AuditKind::SignedOut, self.now(), actor, user).await?;
            }
        }
        Ok(())
    }

    /// Ends a session, and records it in the organization it worked in.
    ///
    /// # Errors
    /// A fault of storage. The session has ended all the same when only its record could not be written.
    pub async fn sign_out(&self, session: &SessionActor) -> Result<(), AuthError> {
        self.parts.store.directory().delete_session(session.session_id).await?;
        let Some(organization) = session.actor.as_ref().map(|actor| actor.organization.id) else {
            return Ok(());
        };
        let id = session.user.id;
        let actor =
            AuditActor { user_id: Some(id), session_id: Some(session.session_id), ..AuditActor::default() };
        self.note_session(organization, AuditKind::SignedOut, self.now(), actor, id).await
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
            user_agent: None,  // nor does it touch this
            provider_id: None, // nor the way it was made
            passkey_id: None,
        };
        directory.update_session(&record).await?;
        directory.select_organization(session.user.id, organization.id).await?;
        Ok(())
    }
}
