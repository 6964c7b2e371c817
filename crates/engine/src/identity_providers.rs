//! Identity providers as the organization's people run them: who may, and the client secret, which is no part of any record.

use domain::audit::{AuditKind, AuditReference};
use domain::id::IdentityProviderId;
use domain::identity_provider::SECRET_CHARS_MAX;
use domain::permission::Permission;
use domain::record::RecordType;
use domain::refusal::{Code, Refusal};

use crate::stop::Stop;
use crate::tool::Command as _;
use crate::tools::set_identity_provider::SetIdentityProvider;
use crate::{Admitted, Caller, Engine, ledger};

/// As audit records call a new client secret.
const NEW_SECRET: &str = "new_client_secret";

/// Refuses everybody but those who hold everything in the whole organization: an identity provider says who people are, so
/// whoever sets one could be anybody.
///
/// # Errors
/// `forbidden` naming what is missing.
pub(crate) fn check_rights(actor: &Admitted) -> Result<(), Refusal> {
    let manages = Permission::IntegrationsManage;
    if !actor.rights.allows(manages, None) {
        return Err(Refusal::forbidden(manages));
    }
    let held = actor.held();
    let lacking = Permission::ALL.iter().find(|permission| !held.allows(**permission, None));
    lacking.map_or(Ok(()), |lacking| {
        Err(Refusal::new(
            Code::Forbidden,
            format!("an identity provider says who people are, administrators too; {lacking} is missing"),
            "Ask somebody with the role organization_admin.",
        ))
    })
}

impl Engine {
    /// Keeps the client secret by which this service is known to an identity provider; an earlier one is forgotten.
    ///
    /// # Errors
    /// `forbidden` for whoever may not set identity providers, `not_found`, `validation_failed`.
    pub async fn set_client_secret(
        &self,
        caller: Caller<'_>,
        id: IdentityProviderId,
        secret: &str,
    ) -> Result<(), Refusal> {
        match self.keep_client_secret(caller, id, secret).await {
            Ok(()) => Ok(()),
            Err(stop) => Err(self.refuse(caller, NEW_SECRET, stop).await),
        }
    }

    async fn keep_client_secret(
        &self,
        caller: Caller<'_>,
        id: IdentityProviderId,
        secret: &str,
    ) -> Result<(), Stop> {
        if !caller.actor.permits(&SetIdentityProvider::CARD) {
            return Err(caller.actor.refusal(&SetIdentityProvider::CARD).into());
        }
        check_rights(caller.actor)?;
        let secret = secret.trim();
        if !(1..=SECRET_CHARS_MAX).contains(&secret.len())
            || !secret.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let message = "must be 1 to 1000 printable ASCII characters, as the identity provider shows it";
            return Err(Refusal::invalid("secret", message).into());
        }
        let organization = caller.actor.organization.id;
        let directory = self.parts.store.directory();
        let found = directory.identity_providers(organization).await?;
        let provider = found.into_iter().find(|provider| provider.id == id);
        let provider = provider.ok_or_else(|| Refusal::not_found("identity provider"))?;
        let mut draft =
            ledger::draft(caller, self.parts.clock.now(), AuditKind::Administered, Some(NEW_SECRET));
        draft.updated =
            vec![AuditReference { record_type: RecordType::IdentityProvider, id: id.to_string() }];
        self.record(organization, draft).await?;
        Ok(directory.set_client_secret(&provider, secret).await?)
    }
}
