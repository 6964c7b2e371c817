//! Administration: organizations, people, roles, switches. Each change of an organization is one commit with its
//! audit record, guarded by the version that was read.

use domain::action::Channel;
use domain::audit::{AuditActor, AuditBody, AuditDraft, AuditKind, AuditReference};
use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::{OrgId, TokenId, UserId};
use domain::org::{OrgSettings, OrgStatus, Organization, valid_slug};
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::time::Timestamp;
use store::{CommitError, Write};

pub use crate::member::NewMember;
use crate::{Actor, AuthError, Credential, Identity};

/// What may be changed of an organization.
#[derive(Debug, Clone, Default)]
pub struct OrganizationChange {
    pub mcp_enabled: Option<bool>,
    pub ai_enabled: Option<bool>,
    pub settings: Option<OrgSettings>,
    /// A suspended organization works for nobody, from the next call on.
    pub status: Option<OrgStatus>,
}

pub(crate) fn refused(refusal: Refusal) -> AuthError {
    AuthError::Refused(refusal)
}

pub(crate) fn taken(what: &str) -> AuthError {
    refused(Refusal::new(
        Code::ValidationFailed,
        format!("{what} is taken"),
        "Choose another one, or look at the existing one with the list command.",
    ))
}

/// By which door administration came: through the console in a session, otherwise by command.
fn channel_of(by: Option<&Actor>) -> Channel {
    match by.map(|by| by.credential) {
        Some(Credential::Session { .. }) => Channel::Helix,
        Some(Credential::Token(_)) => Channel::Api,
        Some(Credential::Local) | None => Channel::Cli,
    }
}

/// Whose membership an effect changes.
fn member_of(effect: &Effect) -> Option<UserId> {
    match effect {
        Effect::CreateMembership { record } | Effect::UpdateMembership { record, .. } => Some(record.user_id),
        _ => None,
    }
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
        self.operator_only()?;
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
            settings: self.parts.settings.new_organization.clone(),
            created_at: self.now(),
            version: 1,
        };
        let directory = self.parts.store.directory();
        if directory.organization_by_slug(slug).await?.is_some() {
            return Err(taken("the slug"));
        }
        match self.parts.store.create_organization(&organization).await {
            Err(store::Fault::Duplicate { .. }) => return Err(taken("the slug")),
            other => other?,
        };
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
        let before = self.organization(slug).await?;
        let mut organization = before.clone();
        self.allowed(organization.id, Permission::OrganizationManage)?;
        if change.status.is_some() {
            self.operator_only()?;
        }
        if let Some(status) = change.status {
            organization.status = status;
        }
        organization.mcp_enabled = change.mcp_enabled.unwrap_or(organization.mcp_enabled);
        organization.ai_enabled = change.ai_enabled.unwrap_or(organization.ai_enabled);
        if let Some(settings) = change.settings {
            settings.check().map_err(refused)?;
            organization.settings = settings;
        }
        if organization == before {
            return Ok(organization);
        }
        organization.version += 1;
        let change = DirectoryChange::Organization { was: Box::new(before), record: organization.clone() };
        let effect = Effect::ChangeDirectory { change: Box::new(change) };
        self.apply(organization.id, None, "change_organization", &[effect]).await?;
        self.parts.store.carry_over(organization.id).await?;
        Ok(organization)
    }

    /// Refuses administration on behalf of somebody who may not do it in this organization. The command line may
    /// everything: whoever holds the data folder could write it by hand.
    pub(crate) fn allowed(&self, organization: OrgId, permission: Permission) -> Result<(), AuthError> {
        match &self.by {
            Some(by) if by.credential == Credential::Local => Ok(()),
            Some(by) if by.organization.id != organization => {
                Err(refused(Refusal::not_found("organization")))
            }
            Some(by) if !by.rights.organization.contains(permission) => {
                Err(refused(Refusal::forbidden(permission)))
            }
            _ => Ok(()),
        }
    }

    /// Refuses on behalf of any member what concerns more than one organization: accounts, their passwords, new
    /// organizations. No organization may decide for another.
    pub(crate) fn operator_only(&self) -> Result<(), AuthError> {
        match &self.by {
            Some(by) if by.credential != Credential::Local => Err(refused(Refusal::new(
                Code::Forbidden,
                "only the operator of this server may do this",
                "Ask whoever runs the server; it is done on its command line.",
            ))),
            _ => Ok(()),
        }
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
        self.apply_guarded(organization, by, operation, effects, &[]).await
    }

    /// Like [`Identity::apply`], when further records must be as they were read.
    pub(crate) async fn apply_guarded(
        &self,
        organization: OrgId,
        by: Option<&Actor>,
        operation: &str,
        effects: &[Effect],
        guards: &[VersionRead],
    ) -> Result<(), AuthError> {
        let by = by.or(self.by.as_deref());
        let mut draft = self.administered(by, operation);
        for effect in effects {
            if let Some(user) = member_of(effect) {
                let reference = AuditReference { record_type: RecordType::Membership, id: user.to_string() };
                match effect {
                    Effect::CreateMembership { .. } => draft.created.push(reference),
                    _ => draft.updated.push(reference),
                }
            }
            if let Effect::CreateTeam { record } = effect {
                let id = record.id.to_string();
                draft.created.push(AuditReference { record_type: RecordType::Team, id });
            }
        }
        self.commit(organization, by, effects, guards, draft).await
    }

    pub(crate) async fn note_token(
        &self,
        by: &Actor,
        operation: &str,
        token: TokenId,
    ) -> Result<(), AuthError> {
        let mut draft = self.administered(Some(by), operation);
        draft.references.push(AuditReference { record_type: RecordType::Token, id: token.to_string() });
        self.commit(by.organization.id, Some(by), &[], &[], draft).await
    }

    /// Records something that happened outside of the organization's own records: to an account, to a token.
    pub(crate) async fn note(
        &self,
        organization: OrgId,
        operation: &str,
        record_type: RecordType,
        id: String,
    ) -> Result<(), AuthError> {
        let by = self.by.as_deref();
        let mut draft = self.administered(by, operation);
        draft.references.push(AuditReference { record_type, id });
        self.commit(organization, by, &[], &[], draft).await
    }

    /// Records what happened to a session, or was tried for one, with the person it concerns.
    pub(crate) async fn note_session(
        &self,
        organization: OrgId,
        kind: AuditKind,
        at: Timestamp,
        actor: AuditActor,
        concerns: UserId,
    ) -> Result<(), AuthError> {
        let reference = AuditReference { record_type: RecordType::User, id: concerns.to_string() };
        let draft = AuditDraft {
            at,
            kind,
            actor,
            channel: Channel::Helix,
            tool: None,
            references: vec![reference],
            code: (kind == AuditKind::SignInFailed).then_some(Code::RateLimited),
            ..self.administered(None, "")
        };
        self.commit(organization, None, &[], &[], draft).await
    }

    async fn commit(
        &self,
        organization: OrgId,
        by: Option<&Actor>,
        effects: &[Effect],
        guards: &[VersionRead],
        draft: AuditDraft,
    ) -> Result<(), AuthError> {
        let mut write = Write::new();
        // Whoever administers must still be the member they were when their rights were read. Not when they change
        // their own membership: that effect carries its own version.
        if let Some(by) = by.filter(|by| by.organization.id == organization)
            && !effects.iter().any(|e| member_of(e) == Some(by.user_id))
        {
            write.guard(&VersionRead {
                record_type: RecordType::Membership,
                id: by.user_id.to_string(),
                version: by.membership.version,
            });
        }
        for guard in guards {
            write.guard(guard);
        }
        for effect in effects {
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
            actor: AuditActor {
                user_id: by.map(|a| a.user_id),
                token_id,
                agent_id: by.and_then(|a| a.agent.as_ref()).map(|agent| agent.id),
                session_id,
            },
            channel: channel_of(by),
            tool: Some(operation.to_owned()),
            action_id: None,
            approval_id: None,
            action_digest: None,
            approval: None,
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

pub(crate) fn moved() -> AuthError {
    refused(Refusal::new(
        Code::VersionConflict,
        "somebody changed it at the same moment",
        "Look at it again and repeat the change.",
    ))
}
