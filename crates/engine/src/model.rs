//! The key of the organization's language model, and how much of the model was used. The key is kept sealed (AES-256-GCM) under
//! a key of this storage and, where the operator gives one, of a file beside it; and it is bound to the address it was given
//! for, so that whoever changes the address does not get to see it. It is part of no record, result or message.

use std::fmt;

use domain::audit::{AuditKind, AuditReference};
use domain::id::OrgId;
use domain::identity_provider::SECRET_CHARS_MAX;
use domain::model::ModelSettings;
use domain::permission::Permission;
use domain::record::RecordType;
use domain::refusal::{Code, Refusal};
use domain::time::{MICROS_PER_SECOND, Timestamp};
use store::{CommitError, Write};

use crate::signing::{self, LogSigner, hmac_sha256};
use crate::stop::{Fault, Stop};
use crate::tool::Command as _;
use crate::tools::set_model::SetModel;
use crate::{Admitted, Caller, Engine, access, ledger};

/// As audit records call a new key.
const NEW_KEY: &str = "new_model_key";
/// As audit records call what is refused of the model's use.
const USE: &str = "use_model";
/// The name under which the directory keeps what keys are sealed with.
const SEALING: &str = "sealing";

/// The key of a model. Shows itself to nobody but to whom it is meant for.
#[derive(Clone)]
pub struct ModelKey(String);

impl ModelKey {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ModelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelKey(…)")
    }
}

/// The name under which the directory keeps the key of an organization's model.
fn key_name(organization: OrgId) -> String {
    format!("model/{organization}")
}

/// The day of a moment, in days since 1970-01-01 (UTC).
fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(86_400 * MICROS_PER_SECOND)
}

impl Engine {
    /// Keeps the key of the organization's model; an earlier one is forgotten. It is good for the address that the model has now.
    ///
    /// # Errors
    /// `forbidden` for whoever may not set the model, `not_found` while there is none, `validation_failed`.
    pub async fn set_model_key(&self, caller: Caller<'_>, key: &str) -> Result<(), Refusal> {
        match self.keep_model_key(caller, key).await {
            Ok(()) => Ok(()),
            Err(stop) => Err(self.refuse(caller, NEW_KEY, stop).await),
        }
    }

    async fn keep_model_key(&self, caller: Caller<'_>, key: &str) -> Result<(), Stop> {
        if !caller.actor.permits(&SetModel::CARD) {
            return Err(caller.actor.refusal(&SetModel::CARD).into());
        }
        access::everywhere(&caller.actor.rights, Permission::IntegrationsManage)?;
        let key = key.trim();
        if !(1..=SECRET_CHARS_MAX).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "must be 1 to 1000 printable ASCII characters, as the provider shows it";
            return Err(Refusal::invalid("key", message).into());
        }
        let organization = caller.actor.organization.id;
        let directory = self.parts.store.directory();
        let now = directory.organization(organization).await?;
        let model = now.and_then(|now| now.model).ok_or_else(|| Refusal::not_found("language model"))?;
        let sealed = signing::seal(
            &self.sealing_key(b"keys of models").await?,
            &bound_to(organization, &model),
            key.as_bytes(),
        )?;
        let mut draft = ledger::draft(caller, self.parts.clock.now(), AuditKind::Administered, Some(NEW_KEY));
        draft.updated =
            vec![AuditReference { record_type: RecordType::Organization, id: organization.to_string() }];
        self.record(organization, draft).await?;
        Ok(directory.keep_secret(&key_name(organization), &sealed).await?)
    }

    /// Whether a key is kept, good for any address or not.
    ///
    /// # Errors
    /// A fault of storage, as an internal refusal.
    pub async fn has_model_key(&self, caller: Caller<'_>) -> Result<bool, Refusal> {
        let name = key_name(caller.actor.organization.id);
        match self.parts.store.directory().secret_bytes(&name).await {
            Ok(found) => Ok(found.is_some()),
            Err(fault) => Err(self.refuse(caller, USE, fault.into()).await),
        }
    }

    /// The key of the organization's model, where there is one: local servers mostly need none.
    ///
    /// # Errors
    /// `provider_unavailable` when it was given for another address.
    pub async fn model_key(
        &self,
        caller: Caller<'_>,
        model: &ModelSettings,
    ) -> Result<Option<ModelKey>, Refusal> {
        match self.opened_key(caller.actor, model).await {
            Ok(key) => Ok(key),
            Err(stop) => Err(self.refuse(caller, USE, stop).await),
        }
    }

    async fn opened_key(&self, actor: &Admitted, model: &ModelSettings) -> Result<Option<ModelKey>, Stop> {
        let organization = actor.organization.id;
        let found = self.parts.store.directory().secret_bytes(&key_name(organization)).await?;
        let Some(sealed) = found else { return Ok(None) };
        let opened = signing::open(
            &self.sealing_key(b"keys of models").await?,
            &bound_to(organization, model),
            sealed,
        );
        let key = opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
            Refusal::new(
                Code::ProviderUnavailable,
                "the key of the language model is for another address",
                "Ask an administrator to give the key again; it is bound to the address it was given for.",
            )
        })?;
        Ok(Some(ModelKey(key)))
    }

    /// What is sealed with here, for one use among several.
    pub(crate) async fn sealing_key(&self, of: &[u8]) -> Result<[u8; 32], Fault> {
        let stored = self.parts.store.directory().secret(SEALING, LogSigner::fresh_secret()?).await?;
        let beside = self.parts.settings.sealing_key.as_slice();
        let key = hmac_sha256(&stored, &[of, beside]);
        key.try_into().map_err(|_| Fault::Bug("HMAC-SHA256 makes 32 bytes"))
    }

    /// Tokens that the organization may still use today.
    ///
    /// # Errors
    /// A fault of storage, as an internal refusal.
    pub async fn model_tokens_left(&self, caller: Caller<'_>, model: &ModelSettings) -> Result<i64, Refusal> {
        let used = async {
            let org = self.parts.store.org(caller.actor.organization.id).await?;
            Ok::<_, Stop>(org.reader().model_tokens(day(self.parts.clock.now())).await?)
        };
        match used.await {
            Ok(used) => Ok((i64::from(model.tokens_per_day_max) - used).max(0)),
            Err(stop) => Err(self.refuse(caller, USE, stop).await),
        }
    }

    /// Counts tokens that were used, for today. A failure is logged: what was used was used.
    pub async fn count_model_tokens(&self, caller: Caller<'_>, tokens: u32) {
        let counted = async {
            let org = self.parts.store.org(caller.actor.organization.id).await?;
            let mut write = Write::new();
            write.count_model_tokens(day(self.parts.clock.now()), i64::from(tokens));
            match org.commit(write).await {
                // Nothing in it can conflict.
                Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
                Err(CommitError::Fault(fault)) => Err(Fault::from(fault)),
            }
        };
        if let Err(fault) = counted.await {
            let organization = caller.actor.organization.id;
            tracing::error!(%organization, "tokens of the language model were not counted: {fault}");
        }
    }
}

/// What a sealed key belongs to: it opens for nothing else.
fn bound_to(organization: OrgId, model: &ModelSettings) -> Vec<u8> {
    format!("{organization} {}", model.address()).into_bytes()
}
