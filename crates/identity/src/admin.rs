//! Administration by the operator: organizations, people, roles, switches. Each change of an organization is one commit
//! with its audit record, guarded by the version that was read.

use domain::action::Channel;
use domain::audit::{AuditActor, AuditBody, AuditDraft, AuditKind, AuditReference};
use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::{OrgId, UserId};
use domain::org::{OrgSettings, OrgStatus, Organization, valid_slug};
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::time::Timestamp;
use store::{CommitError, Write};

pub use crate::member::NewMember;
use crate::{AuthError, Identity};

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
            model: None,
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
        self.apply(organization.id, "create_organization", first).await?;
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
        self.apply(organization.id, "change_organization", &[effect]).await?;
        self.parts.store.carry_over(organization.id).await?;
        Ok(organization)
    }

    /// Commits administrative effects with their audit record.
    ///
    /// # Errors
    /// `version_conflict` when a record moved meanwhile.
    pub async fn apply(
        &self,
        organization: OrgId,
        operation: &str,
        effects: &[Effect],
    ) -> Result<(), AuthError> {
        self.apply_guarded(organization, operation, effects, &[]).await
    }

    /// Like [`Identity::apply`], when further records must be as they were read.
    pub(crate) async fn apply_guarded(
        &self,
        organization: OrgId,
        operation: &str,
        effects: &[Effect],
        guards: &[VersionRead],
    ) -> Result<(), AuthError> {
        let mut draft = self.administered(None, operation);
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
        self.commit(organization, effects, guards, draft).await
    }

    /// Records something that happened outside of the organization's own records: to an account, a token, a client. `by` is
    /// the person who did it, where it was not the operator.
    pub(crate) async fn note(
        &self,
        organization: OrgId,
        by: Option<UserId>,
        operation: &str,
        (record_type, id): (RecordType, String),
    ) -> Result<(), AuthError> {
        let mut draft = self.administered(by, operation);
        draft.references.push(AuditReference { record_type, id });
        self.commit(organization, &[], &[], draft).await
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
        self.commit(organization, &[], &[], self.session_draft(kind, at, actor, concerns)).await
    }

    /// The record of what happened to a session.
    pub(crate) fn session_draft(
        &self,
        kind: AuditKind,
        at: Timestamp,
        actor: AuditActor,
        concerns: UserId,
    ) -> AuditDraft {
        let mut references = vec![AuditReference { record_type: RecordType::User, id: concerns.to_string() }];
        references.extend(actor.provider_id.map(|provider| AuditReference {
            record_type: RecordType::IdentityProvider,
            id: provider.to_string(),
        }));
        AuditDraft {
            at,
            kind,
            actor,
            channel: Channel::Helix,
            tool: None,
            references,
            code: (kind == AuditKind::SignInFailed).then_some(Code::RateLimited),
            ..self.administered(None, "")
        }
    }

    pub(crate) async fn commit(
        &self,
        organization: OrgId,
        effects: &[Effect],
        guards: &[VersionRead],
        draft: AuditDraft,
    ) -> Result<(), AuthError> {
        let mut write = Write::new();
        for guard in guards {
            write.guard(guard);
        }
        for effect in effects {
            write.effect(effect);
        }
        write.audit(draft);
        self.commit_write(organization, write).await
    }

    pub(crate) async fn commit_write(&self, organization: OrgId, write: Write) -> Result<(), AuthError> {
        let org = self.parts.store.org(organization).await?;
        match org.commit(write).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict(_)) => Err(moved()),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    /// A record of what the operator does; of a token, in the name of whom it is for.
    pub(crate) fn administered(&self, owner: Option<UserId>, operation: &str) -> AuditDraft {
        let request_id = self.parts.ids.next().to_string();
        AuditDraft {
            at: self.now(),
            kind: AuditKind::Administered,
            actor: AuditActor { user_id: owner, ..AuditActor::default() },
            channel: Channel::Cli,
            tool: Some(operation.to_owned()),
            action_id: None,
            approval_id: None,
            action_digest: None,
            approval: None,
            assertion: None,
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
