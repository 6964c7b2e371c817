//! Administration: organizations, people, roles, switches. Each change of an organization is one commit with its
//! audit record, guarded by the version that was read.

use std::sync::Arc;

use domain::action::Channel;
use domain::audit::{AuditActor, AuditBody, AuditDraft, AuditKind, AuditReference};
use domain::effect::Effect;
use domain::id::{OrgId, TeamId, UserId};
use domain::org::{OrgSettings, OrgStatus, Organization, User, UserKind, UserStatus, valid_slug};
use domain::permission::{Membership, MembershipStatus, Permission, Permissions, Role, TeamRole};
use domain::record::RecordType;
use domain::refusal::{Code, Refusal};
use store::{CommitError, Write};

use crate::account::check_password;
use crate::{Actor, AuthError, Credential, Identity};

/// A person to be added to an organization.
#[derive(Debug, Clone, Default)]
pub struct NewMember {
    pub email: String,
    pub display_name: String,
    pub roles: Vec<Role>,
    pub team_roles: Vec<TeamRole>,
    /// At least one is required, as the product documents.
    pub direct_permissions: Vec<Permission>,
    pub selected_team: Option<TeamId>,
    /// Needed for somebody new who is to use the console.
    pub password: Option<String>,
}

/// What may be changed of an organization.
#[derive(Debug, Clone, Default)]
pub struct OrganizationChange {
    pub mcp_enabled: Option<bool>,
    pub ai_enabled: Option<bool>,
    pub settings: Option<OrgSettings>,
}

fn refused(refusal: Refusal) -> AuthError {
    AuthError::Refused(refusal)
}

fn taken(what: &str) -> AuthError {
    refused(Refusal::new(
        Code::ValidationFailed,
        format!("{what} is taken"),
        "Choose another one, or look at the existing one with the list command.",
    ))
}

fn valid_email(email: &str) -> bool {
    let email = email.trim();
    email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'))
}

impl Identity {
    /// Makes an organization with the given first records (control set, teams).
    ///
    /// # Errors
    /// `validation_failed` for a slug that is malformed or taken.
    pub async fn create_organization(
        &self,
        slug: &str,
        name: &str,
        first: &[Effect],
    ) -> Result<Organization, AuthError> {
        if !valid_slug(slug) {
            return Err(refused(Refusal::invalid(
                "slug",
                "must be 2 to 40 lower-case letters, digits and inner hyphens",
            )));
        }
        let organization = Organization {
            id: OrgId::from_uuid(self.parts.ids.next()),
            slug: slug.to_owned(),
            name: name.trim().to_owned(),
            status: OrgStatus::Active,
            mcp_enabled: true,
            ai_enabled: false,
            settings: OrgSettings::default(),
            created_at: self.now(),
            version: 1,
        };
        let directory = self.parts.store.directory();
        if directory.organization_by_slug(slug).await?.is_some() {
            return Err(taken("the slug"));
        }
        self.parts.store.create_organization(&organization).await?;
        self.apply(organization.id, None, "create_organization", first).await?;
        Ok(organization)
    }

    /// Every organization.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn organizations(&self) -> Result<Vec<Organization>, store::Fault> {
        self.parts.store.directory().organizations().await
    }

    /// The organization of a slug.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn organization(&self, slug: &str) -> Result<Organization, AuthError> {
        let found = self.parts.store.directory().organization_by_slug(slug).await?;
        found.ok_or_else(|| refused(Refusal::not_found("organization")))
    }

    /// Changes switches and settings.
    ///
    /// # Errors
    /// `not_found`; `version_conflict` when somebody changed it at the same moment.
    pub async fn change_organization(
        &self,
        slug: &str,
        change: OrganizationChange,
    ) -> Result<Organization, AuthError> {
        let mut organization = self.organization(slug).await?;
        organization.mcp_enabled = change.mcp_enabled.unwrap_or(organization.mcp_enabled);
        organization.ai_enabled = change.ai_enabled.unwrap_or(organization.ai_enabled);
        if let Some(settings) = change.settings {
            organization.settings = settings;
        }
        organization.version += 1;
        match self.parts.store.directory().update_organization(&organization).await {
            Err(store::Fault::Moved) => return Err(moved()),
            other => other?,
        }
        self.apply(organization.id, None, "change_organization", &[]).await?;
        Ok(organization)
    }

    /// Adds a person to an organization, making their account when the e-mail is new.
    ///
    /// # Errors
    /// `validation_failed` without a role, without a direct permission, for a malformed e-mail, a weak password, or
    /// somebody who is a member already.
    pub async fn add_member(&self, organization: OrgId, new: NewMember) -> Result<User, AuthError> {
        if new.roles.is_empty() && new.team_roles.is_empty() {
            return Err(refused(Refusal::invalid("roles", "at least one role is required")));
        }
        if new.direct_permissions.is_empty() {
            return Err(refused(Refusal::invalid(
                "permissions",
                "at least one direct permission is required",
            )));
        }
        if !valid_email(&new.email) {
            return Err(refused(Refusal::invalid("email", "must be an e-mail address")));
        }
        let directory = self.parts.store.directory();
        let user = match directory.user_by_email(&new.email).await? {
            Some(user) => user,
            None => self.create_account(&new).await?,
        };
        let org = self.parts.store.org(organization).await?;
        if org.reader().membership(user.id).await?.is_some() {
            return Err(taken("the membership"));
        }
        let record = Membership {
            organization_id: organization,
            user_id: user.id,
            email: user.email.clone(),
            display_name: user.display_name.clone(),
            status: MembershipStatus::Active,
            roles: new.roles,
            team_roles: new.team_roles,
            direct_permissions: new.direct_permissions,
            selected_team: new.selected_team,
            version: 1,
        };
        // The directory's entry only says where to look; the rights are the organization's own record. It comes
        // first, so that a crash in between leaves a pointer to nothing rather than rights nobody can find.
        directory.add_member(user.id, organization).await?;
        self.apply(organization, None, "add_member", &[Effect::CreateMembership { record }]).await?;
        Ok(user)
    }

    async fn create_account(&self, new: &NewMember) -> Result<User, AuthError> {
        let hash = match &new.password {
            Some(password) => {
                check_password(password).map_err(refused)?;
                Some(self.hash_password(password).await?)
            }
            None => None,
        };
        let user = User {
            id: UserId::from_uuid(self.parts.ids.next()),
            email: new.email.trim().to_lowercase(),
            display_name: new.display_name.trim().to_owned(),
            kind: UserKind::Human,
            status: UserStatus::Active,
            created_at: self.now(),
            version: 1,
        };
        match self.parts.store.directory().create_user(&user, hash.as_deref()).await {
            Err(store::Fault::Duplicate { .. }) => Err(taken("the e-mail")),
            other => Ok(other.map(|()| user)?),
        }
    }

    /// Sets a person's password and ends their sessions.
    ///
    /// # Errors
    /// `validation_failed` for a weak password, `not_found`.
    pub async fn set_password(&self, email: &str, password: &str) -> Result<(), AuthError> {
        check_password(password).map_err(refused)?;
        let directory = self.parts.store.directory();
        let user = directory.user_by_email(email).await?;
        let user = user.ok_or_else(|| refused(Refusal::not_found("user")))?;
        let hash = self.hash_password(password).await?;
        directory.set_password(user.id, &hash).await?;
        directory.delete_sessions_of(user.id).await?;
        Ok(())
    }

    /// Members of an organization.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn members(&self, organization: OrgId) -> Result<Vec<Membership>, store::Fault> {
        self.parts.store.org(organization).await?.reader().memberships().await
    }

    /// Changes one membership under the version that was read.
    ///
    /// # Errors
    /// `not_found`, `version_conflict`, `validation_failed` when no role or no direct permission would be left.
    pub async fn change_member(
        &self,
        organization: OrgId,
        email: &str,
        change: impl FnOnce(&mut Membership) + Send,
    ) -> Result<Membership, AuthError> {
        let org = self.parts.store.org(organization).await?;
        let user = self.parts.store.directory().user_by_email(email).await?;
        let found = match user {
            Some(user) => org.reader().membership(user.id).await?,
            None => None,
        };
        let mut record = found.ok_or_else(|| refused(Refusal::not_found("user")))?;
        change(&mut record);
        record.version += 1;
        let active = record.status == MembershipStatus::Active;
        if active && record.roles.is_empty() && record.team_roles.is_empty() {
            return Err(refused(Refusal::invalid("roles", "at least one role must be left; deactivate instead")));
        }
        if active && record.direct_permissions.is_empty() {
            return Err(refused(Refusal::invalid(
                "permissions",
                "at least one direct permission must be left; deactivate instead",
            )));
        }
        let effect = Effect::UpdateMembership { record: record.clone() };
        self.apply(organization, None, "change_member", &[effect]).await?;
        Ok(record)
    }

    /// The caller that the command line is, in the name of a member: everything it does is recorded as theirs,
    /// through no token and no session.
    ///
    /// # Errors
    /// `not_found` for somebody who is not an active member.
    pub async fn local(&self, slug: &str, email: &str) -> Result<Actor, AuthError> {
        let organization = self.organization(slug).await?;
        let user = self.parts.store.directory().user_by_email(email).await?;
        let user = user.ok_or_else(|| refused(Refusal::not_found("user")))?;
        let org = self.parts.store.org(organization.id).await?;
        let membership = org
            .reader()
            .membership(user.id)
            .await?
            .filter(|m| m.status == MembershipStatus::Active)
            .ok_or_else(|| refused(Refusal::not_found("user")))?;
        Ok(Actor::new(user, Arc::new(organization), membership, Permissions::EVERY, Credential::Local))
    }

    /// Commits administrative effects with their audit record.
    ///
    /// # Errors
    /// `version_conflict` when a record moved meanwhile.
    pub async fn apply(
        &self,
        organization: OrgId,
        by: Option<&Actor>,
        operation: &str,
        effects: &[Effect],
    ) -> Result<(), AuthError> {
        let mut write = Write::new();
        let mut draft = self.administered(by, operation);
        for effect in effects {
            if let Effect::CreateMembership { record } | Effect::UpdateMembership { record } = effect {
                draft.updated.push(AuditReference {
                    record_type: RecordType::Membership,
                    id: record.user_id.to_string(),
                });
            }
            write.effect(effect);
        }
        write.audit(draft);
        let org = self.parts.store.org(organization).await?;
        match org.commit(write).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict(_)) => Err(moved()),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    pub(crate) async fn note_administration(
        &self,
        by: &Actor,
        operation: &str,
        effects: &[Effect],
        token: Option<String>,
    ) -> Result<(), AuthError> {
        let mut write = Write::new();
        let mut draft = self.administered(Some(by), operation);
        draft.references.extend(token.map(|id| AuditReference { record_type: RecordType::Token, id }));
        for effect in effects {
            write.effect(effect);
        }
        write.audit(draft);
        let org = self.parts.store.org(by.organization.id).await?;
        match org.commit(write).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict(_)) => Err(moved()),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    fn administered(&self, by: Option<&Actor>, operation: &str) -> AuditDraft {
        let request_id = self.parts.ids.next().to_string();
        let (token_id, session_id) = match by.map(|a| a.credential) {
            Some(Credential::Token(id)) => (Some(id), None),
            Some(Credential::Session { id }) => (None, Some(id)),
            _ => (None, None),
        };
        AuditDraft {
            at: self.now(),
            kind: AuditKind::Administered,
            actor: AuditActor { user_id: by.map(|a| a.user_id), token_id, session_id },
            channel: Channel::Cli,
            tool: Some(operation.to_owned()),
            action_id: None,
            approval_id: None,
            action_digest: None,
            references: Vec::new(),
            created: Vec::new(),
            updated: Vec::new(),
            code: None,
            returned: None,
            trace_id: request_id.clone(),
            request_id,
            body: AuditBody::default(),
        }
    }
}

fn moved() -> AuthError {
    refused(Refusal::new(
        Code::VersionConflict,
        "somebody changed it at the same moment",
        "Look at it again and repeat the change.",
    ))
}
