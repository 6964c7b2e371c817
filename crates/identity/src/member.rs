//! Members of an organization: adding them, changing what they hold, ending their access. Rights are the organization's
//! own records, changed under the version that was read, in one commit with the audit record.

use std::sync::Arc;

use domain::effect::Effect;
use domain::id::{OrgId, TeamId, UserId};
use domain::org::{User, UserKind, UserStatus};
use domain::permission::{Access, Membership, MembershipStatus, Permission, Permissions, Role, TeamRole};
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use store::Standing;

use crate::account::check_password;
use crate::admin::{refused, taken};
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

/// Whether a text has the form of an e-mail address.
pub fn valid_email(email: &str) -> bool {
    let email = email.trim();
    email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'))
}

impl Identity {
    /// Adds a person to an organization, making their account when the e-mail is new.
    ///
    /// # Errors
    /// `validation_failed` without a role, without a direct permission, for a malformed e-mail, a weak password, a
    /// team that is not there, or somebody who is a member already.
    pub async fn add_member(&self, organization: OrgId, new: NewMember) -> Result<User, AuthError> {
        let mut record = Membership {
            organization_id: organization,
            user_id: UserId::from_uuid(self.parts.ids.next()),
            email: new.email.trim().to_lowercase(),
            display_name: new.display_name.trim().to_owned(),
            status: MembershipStatus::Active,
            roles: new.roles,
            team_roles: new.team_roles,
            direct_permissions: new.direct_permissions,
            selected_team: new.selected_team,
            provisioned: None,
            version: 1,
        };
        record.check().map_err(refused)?;
        if !valid_email(&new.email) {
            return Err(refused(Refusal::invalid("email", "must be an e-mail address")));
        }
        self.check_teams(&record).await?;
        let directory = self.parts.store.directory();
        let user = match directory.user_by_email(&new.email).await? {
            Some(user) => user,
            None => self.create_account(&record, new.password.as_deref()).await?,
        };
        let org = self.parts.store.org(organization).await?;
        if org.reader().membership(user.id).await?.is_some() {
            return Err(taken("the membership"));
        }
        record.user_id = user.id;
        record.email.clone_from(&user.email);
        record.display_name.clone_from(&user.display_name);
        // The directory's entry only says where to look; the rights are the organization's own record. It comes
        // first, so that a crash in between leaves a pointer to nothing rather than rights nobody can find.
        directory.add_member(user.id, organization).await?;
        self.apply(organization, "add_member", &[Effect::CreateMembership { record }]).await?;
        Ok(user)
    }

    async fn check_teams(&self, record: &Membership) -> Result<(), AuthError> {
        let org = self.parts.store.org(record.organization_id).await?;
        for team in record.team_roles.iter().map(|held| held.team_id).chain(record.selected_team) {
            if org.reader().team(team).await?.is_none() {
                return Err(refused(Refusal::invalid("team", "must be a team of the organization")));
            }
        }
        Ok(())
    }

    async fn create_account(&self, member: &Membership, password: Option<&str>) -> Result<User, AuthError> {
        let hash = match password {
            Some(password) => {
                check_password(password).map_err(refused)?;
                Some(self.hash_password(password).await?)
            }
            None => None,
        };
        let user = User {
            id: member.user_id,
            email: member.email.clone(),
            display_name: member.display_name.clone(),
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
        let user = self.user(email).await?;
        let hash = self.hash_password(password).await?;
        let directory = self.parts.store.directory();
        directory.set_password(user.id, &hash).await?;
        directory.delete_sessions_of(user.id).await?;
        Ok(())
    }

    /// The account of an e-mail.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn user(&self, email: &str) -> Result<User, AuthError> {
        let found = self.parts.store.directory().user_by_email(email).await?;
        found.ok_or_else(|| refused(Refusal::not_found("user")))
    }

    /// Members of an organization, inactive ones included.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn members(&self, organization: OrgId) -> Result<Vec<Membership>, store::Fault> {
        Ok(self.parts.store.org(organization).await?.reader().memberships().await?.to_vec())
    }

    /// Changes one membership under the version that was read.
    ///
    /// # Errors
    /// `not_found`, `version_conflict`, `validation_failed` when no role or no direct permission would be left,
    /// or when nobody would administer the organization any more.
    pub async fn change_member(
        &self,
        organization: OrgId,
        email: &str,
        change: impl FnOnce(&mut Membership) + Send,
    ) -> Result<Membership, AuthError> {
        self.change_membership(organization, email, "change_member", change).await
    }

    async fn change_membership(
        &self,
        organization: OrgId,
        email: &str,
        operation: &str,
        change: impl FnOnce(&mut Membership) + Send,
    ) -> Result<Membership, AuthError> {
        let org = self.parts.store.org(organization).await?;
        let user = self.parts.store.directory().user_by_email(email).await?;
        let found = match user {
            Some(user) => org.reader().membership(user.id).await?,
            None => None,
        };
        let before = found.ok_or_else(|| refused(Refusal::not_found("user")))?;
        let mut record = before.clone();
        change(&mut record);
        if record == before {
            return Ok(record);
        }
        record.version = before.version + 1;
        record.check().map_err(refused)?;
        let mut guards = Vec::new();
        if before.administers() && !record.administers() {
            // Guarded by the other's version, so that two cannot take the role from each other at the same moment.
            guards.push(self.another_administers(organization, record.user_id).await?);
        }
        self.check_teams(&record).await?;
        let directory = self.parts.store.directory();
        if record.status == MembershipStatus::Active {
            directory.add_member(record.user_id, organization).await?;
        }
        let effect = Effect::UpdateMembership { was: Box::new(before), record: record.clone() };
        self.apply_guarded(organization, operation, &[effect], &guards).await?;
        if record.status == MembershipStatus::Inactive {
            directory.remove_member(record.user_id, organization).await?;
        }
        Ok(record)
    }

    /// Refuses to leave an organization without anybody who administers it: an active member with the role, and with an
    /// account that is not closed. The membership that was found.
    pub(crate) async fn another_administers(
        &self,
        organization: OrgId,
        leaving: UserId,
    ) -> Result<VersionRead, AuthError> {
        let members = self.members(organization).await?;
        let directory = self.parts.store.directory();
        for member in members.iter().filter(|member| member.user_id != leaving && member.administers()) {
            let account = directory.user(member.user_id).await?;
            if account.is_some_and(|user| user.status == UserStatus::Active) {
                return Ok(VersionRead {
                    record_type: RecordType::Membership,
                    id: member.user_id.to_string(),
                    version: member.version,
                });
            }
        }
        Err(refused(Refusal::new(
            Code::ValidationFailed,
            "nobody else administers the organization",
            "Give somebody else the role organization_admin first, then repeat this.",
        )))
    }

    /// Gives a member more: roles, roles in teams, direct permissions. What is held already stays.
    ///
    /// # Errors
    /// As [`Identity::change_member`].
    pub async fn grant(
        &self,
        organization: OrgId,
        email: &str,
        access: &Access,
    ) -> Result<Membership, AuthError> {
        self.change_membership(organization, email, "grant_access", |record| record.grant(access)).await
    }

    /// Takes from a member what is named; what is not held is no error.
    ///
    /// # Errors
    /// As [`Identity::change_member`].
    pub async fn revoke(
        &self,
        organization: OrgId,
        email: &str,
        access: &Access,
    ) -> Result<Membership, AuthError> {
        self.change_membership(organization, email, "revoke_access", |record| record.revoke(access)).await
    }

    /// Ends a person's access to one organization, or gives it back as it was. Their tokens there stop working at
    /// once.
    ///
    /// # Errors
    /// `not_found`, `version_conflict`; `validation_failed` when nobody would administer the organization any more.
    pub async fn set_member_active(
        &self,
        organization: OrgId,
        email: &str,
        active: bool,
    ) -> Result<Membership, AuthError> {
        let operation = if active { "reactivate_member" } else { "deactivate_member" };
        self.change_membership(organization, email, operation, |record| {
            record.status = if active { MembershipStatus::Active } else { MembershipStatus::Inactive };
        })
        .await
    }

    /// Closes or reopens a whole account, in every organization. Closing ends its sessions; its tokens stop working at
    /// once. Recorded in each organization it belongs to.
    ///
    /// # Errors
    /// `not_found`, `version_conflict`; `validation_failed` when nobody would
    /// administer one of the organizations any more.
    pub async fn set_account_active(&self, email: &str, active: bool) -> Result<User, AuthError> {
        let mut user = self.user(email).await?;
        if !active {
            for organization in self.parts.store.directory().organizations_of(user.id).await? {
                let org = self.parts.store.org(organization.id).await?;
                if org.reader().membership(user.id).await?.is_some_and(|member| member.administers()) {
                    self.another_administers(organization.id, user.id).await?;
                }
            }
        }
        user.status = if active { UserStatus::Active } else { UserStatus::Inactive };
        user.version += 1;
        let directory = self.parts.store.directory();
        match directory.update_user(&user).await {
            Err(store::Fault::Moved) => return Err(crate::admin::moved()),
            other => other?,
        }
        if !active {
            directory.delete_sessions_of(user.id).await?;
        }
        let operation = if active { "reactivate_account" } else { "deactivate_account" };
        for organization in directory.organizations_of(user.id).await? {
            self.note(organization.id, None, operation, (RecordType::User, user.id.to_string())).await?;
        }
        Ok(user)
    }

    /// The caller that the command line is, in the name of a member: everything it does is recorded as theirs,
    /// through no token and no session.
    ///
    /// # Errors
    /// `not_found` for somebody who is not an active member.
    pub async fn local(&self, slug: &str, email: &str) -> Result<Actor, AuthError> {
        let organization = self.organization(slug).await?;
        let user = self.user(email).await?;
        let org = self.parts.store.org(organization.id).await?;
        let standing = org
            .reader()
            .standing(user.id)
            .await?
            .filter(Standing::is_active)
            .ok_or_else(|| refused(Refusal::not_found("user")))?;
        Ok(Actor::new(user, Arc::new(organization), standing, Permissions::EVERY, Credential::Local))
    }
}

/// Whether an e-mail and a password would do for a new person, asked before anything is made for them.
///
/// # Errors
/// `validation_failed` as in [`Identity::add_member`].
pub fn check_new_member(email: &str, password: Option<&str>) -> Result<(), AuthError> {
    if !valid_email(email) {
        return Err(refused(Refusal::invalid("email", "must be an e-mail address")));
    }
    password.map_or(Ok(()), check_password).map_err(refused)
}
