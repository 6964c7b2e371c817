//! Who somebody at an identity provider is here: by the link of an earlier sign-in, else by a verified e-mail address, and only
//! in the provider's own organization. What their groups give them is brought up to date at each sign-in, in one commit with its
//! audit record.

use domain::action::Channel;
use domain::audit::{AuditActor, AuditReference};
use domain::digest::Digest;
use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::UserId;
use domain::identity_provider::{IdentityLink, IdentityProvider};
use domain::org::{Organization, User, UserKind, UserStatus};
use domain::permission::{Membership, MembershipStatus, Role};
use domain::record::RecordType;
use domain::refusal::{Code, Refusal};

use crate::member::valid_email;
use crate::{AuthError, Identity};

/// Attempts to write against others who write the same; then the person is asked to try again.
const ATTEMPTS_MAX: usize = 3;
/// Characters of a name that is taken over.
const NAME_CHARS_MAX: usize = 200;

/// Somebody as a provider describes them, verified.
pub(crate) struct Subject {
    /// [`IdentityLink::key`].
    pub key: Digest,
    /// Only one that the provider has verified.
    pub email: Option<String>,
    pub name: Option<String>,
    pub groups: Vec<String>,
}

fn no_access(message: &str, remedy: &str) -> AuthError {
    AuthError::Refused(Refusal::new(Code::Forbidden, message, remedy))
}

fn no_member() -> AuthError {
    no_access(
        "you are not a member of the organization of this identity provider",
        "Ask an administrator of the organization to add you, by the e-mail address that the identity provider has of you.",
    )
}

/// What a sign-in writes.
struct Change {
    effects: Vec<Effect>,
    operation: &'static str,
    membership: Membership,
}

impl Identity {
    /// The person a subject is, a member with what their groups give them today.
    ///
    /// # Errors
    /// `forbidden` for whoever is no member and is not made one, or has ended; `version_conflict`.
    pub(crate) async fn recognise(
        &self,
        provider: &IdentityProvider,
        organization: &Organization,
        subject: Subject,
    ) -> Result<User, AuthError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.recognise_once(provider, organization, &subject).await {
                Err(AuthError::Refused(refusal))
                    if refusal.code == Code::VersionConflict && attempts < ATTEMPTS_MAX =>
                {
                    // Perhaps what was written down before has not reached the directory.
                    self.parts.store.carry_over(organization.id).await?;
                }
                done => return done,
            }
        }
    }

    async fn recognise_once(
        &self,
        provider: &IdentityProvider,
        organization: &Organization,
        subject: &Subject,
    ) -> Result<User, AuthError> {
        let linked = self.parts.store.directory().identity_link(organization.id, &subject.key).await?;
        let (link, user) = match linked {
            Some((link, user)) => (Some(link), Some(user)),
            None => (None, self.user_of_email(provider, subject).await?),
        };
        if user.as_ref().is_some_and(|user| user.status != UserStatus::Active) {
            return Err(no_access("your account is closed", "Ask the operator of this server."));
        }
        // Also of somebody linked: a domain that was taken from the provider is no longer its to speak for.
        if user.as_ref().is_some_and(|user| !provider.speaks_for(&user.email)) {
            return Err(no_access(
                "the identity provider may not speak for your e-mail address",
                "Ask an administrator of the organization whether the domain of your address should be among the provider's.",
            ));
        }
        let org = self.parts.store.org(organization.id).await?;
        let membership = match &user {
            Some(user) => org.reader().membership(user.id).await?,
            None => None,
        };
        if membership.is_none() && !provider.create_members {
            return Err(no_member());
        }
        let (user, new_account) = match user {
            Some(user) => (user, false),
            None => (self.new_account(subject)?, true),
        };
        let link = link.unwrap_or_else(|| self.new_link(provider, user.id, subject.key));
        let change = self.mapped(provider, subject, (&user, new_account), membership, link).await?;
        let status = change.membership.status;
        if !change.effects.is_empty() {
            if new_account {
                // Before anything names it; an account without a membership may do nothing.
                self.make_account(&user).await?;
            }
            self.write_mapping(provider, organization, &user, &change.effects, change.operation).await?;
        }
        if status == MembershipStatus::Active {
            return Ok(user);
        }
        Err(no_access(
            "your membership of the organization has ended, or none of your groups has a role in it",
            "Ask an administrator of the organization. Your groups are read anew at the next sign-in.",
        ))
    }

    /// Whose verified e-mail address it is; nobody yet, or an account.
    async fn user_of_email(
        &self,
        provider: &IdentityProvider,
        subject: &Subject,
    ) -> Result<Option<User>, AuthError> {
        let Some(email) = &subject.email else {
            return Err(no_access(
                "the identity provider gives no verified e-mail address of you",
                "Verify your address at the identity provider, or have its administrator release the claims email and \
                 email_verified to LoopIQ; then sign in again.",
            ));
        };
        if !valid_email(email) || !provider.speaks_for(email) {
            return Err(no_access(
                "the identity provider may not speak for your e-mail address",
                "Ask an administrator of the organization whether the domain of your address should be among the provider's.",
            ));
        }
        Ok(self.parts.store.directory().user_by_email(email).await?)
    }

    fn new_account(&self, subject: &Subject) -> Result<User, AuthError> {
        let email = subject.email.clone().ok_or_else(no_member)?;
        let name: String =
            subject.name.as_deref().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
        let name: String = name.trim().chars().take(NAME_CHARS_MAX).collect();
        Ok(User {
            id: UserId::from_uuid(self.parts.ids.next()),
            display_name: if name.is_empty() { email.clone() } else { name },
            email,
            kind: UserKind::Human,
            status: UserStatus::Active,
            created_at: self.now(),
            version: 1,
        })
    }

    async fn make_account(&self, user: &User) -> Result<(), AuthError> {
        match self.parts.store.directory().create_user(user, None).await {
            Err(store::Fault::Duplicate { .. }) => Err(crate::admin::moved()),
            done => Ok(done?),
        }
    }

    /// What has to be written so that the person holds what their groups give them.
    async fn mapped(
        &self,
        provider: &IdentityProvider,
        subject: &Subject,
        (user, new_account): (&User, bool),
        before: Option<Membership>,
        was: IdentityLink,
    ) -> Result<Change, AuthError> {
        let today = provider.access_of(&subject.groups);
        let mut link = was.clone();
        let mut membership = match &before {
            Some(membership) => membership.clone(),
            None if today.roles.is_empty() && today.team_roles.is_empty() => {
                return Err(no_access(
                    "none of your groups has a role in the organization",
                    "Ask an administrator of the organization, or of the identity provider, for a group that has one.",
                ));
            }
            None => Membership {
                organization_id: provider.organization_id,
                user_id: user.id,
                email: user.email.clone(),
                display_name: user.display_name.clone(),
                status: MembershipStatus::Active,
                roles: Vec::new(),
                team_roles: Vec::new(),
                direct_permissions: provider.member_permissions.clone(),
                selected_team: None,
                provisioned: None,
                version: 1,
            },
        };
        link.map(&mut membership, today);
        if let Some(before) = &before
            && before.administers()
            && !membership.administers()
            && self.another_administers(provider.organization_id, user.id).await.is_err()
        {
            // No group takes the last administrator away: there would be nobody left to repair that.
            membership.status = MembershipStatus::Active;
            membership.roles.push(Role::OrganizationAdmin);
            link.roles.push(Role::OrganizationAdmin);
            link.ended = None;
        }
        link.provider_id = provider.id;
        let mut effects = Vec::new();
        let mut operation = "link_identity";
        let belongs = |membership: &Membership| {
            let change = DirectoryChange::Member {
                account: user.clone(),
                new_account,
                membership: membership.clone(),
            };
            Effect::ChangeDirectory { change: Box::new(change) }
        };
        match before {
            None => {
                operation = "create_member_by_provider";
                membership.check().map_err(AuthError::Refused)?;
                effects.push(Effect::CreateMembership { record: membership.clone() });
                effects.push(belongs(&membership));
            }
            Some(before) if before != membership => {
                operation = "map_groups";
                membership.version = before.version + 1;
                let moved = before.status != membership.status;
                effects.push(Effect::UpdateMembership { was: Box::new(before), record: membership.clone() });
                effects.extend(moved.then(|| belongs(&membership)));
            }
            Some(_) => {}
        }
        if link != was || link.version == 0 {
            link.version += 1;
            let change = DirectoryChange::IdentityLink { record: link };
            effects.push(Effect::ChangeDirectory { change: Box::new(change) });
        }
        Ok(Change { effects, operation, membership })
    }

    /// Keeps that a subject is a member, whose roles stay as they are: groups are read at a sign-in.
    pub(crate) async fn link_member(
        &self,
        provider: &IdentityProvider,
        organization: &Organization,
        user: &User,
        key: Digest,
    ) -> Result<(), AuthError> {
        let record = IdentityLink { version: 1, ..self.new_link(provider, user.id, key) };
        let change = DirectoryChange::IdentityLink { record };
        let effects = [Effect::ChangeDirectory { change: Box::new(change) }];
        self.write_mapping(provider, organization, user, &effects, "link_identity").await
    }

    fn new_link(&self, provider: &IdentityProvider, user_id: UserId, key: Digest) -> IdentityLink {
        IdentityLink {
            organization_id: provider.organization_id,
            key,
            provider_id: provider.id,
            user_id,
            roles: Vec::new(),
            team_roles: Vec::new(),
            ended: None,
            created_at: self.now(),
            version: 0,
        }
    }

    async fn write_mapping(
        &self,
        provider: &IdentityProvider,
        organization: &Organization,
        user: &User,
        effects: &[Effect],
        operation: &str,
    ) -> Result<(), AuthError> {
        let mut draft = self.administered(None, operation);
        draft.channel = Channel::Helix;
        draft.actor =
            AuditActor { user_id: Some(user.id), provider_id: Some(provider.id), ..AuditActor::default() };
        let named = |record_type, id: String| AuditReference { record_type, id };
        draft.references.push(named(RecordType::IdentityProvider, provider.id.to_string()));
        for effect in effects {
            let membership = named(RecordType::Membership, user.id.to_string());
            match effect {
                Effect::CreateMembership { .. } => draft.created.push(membership),
                Effect::UpdateMembership { .. } => draft.updated.push(membership),
                _ => {}
            }
        }
        self.commit(organization.id, effects, &[], draft).await?;
        Ok(self.parts.store.carry_over(organization.id).await?)
    }
}
