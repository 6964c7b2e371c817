//! LoopIQ-issued bearer tokens: `liq_` (or `liqa_` for an agent), 43 characters of randomness, 6 of CRC32, both in base 62. The checksum lets
//! typing errors and other people's secrets be refused without a look-up, and secret scanners recognise a token. Stored is only the
//! SHA-256. A token belongs to one person and one organization, narrows their rights by its scopes, and ends.

use domain::agent::AgentStatus;
use domain::digest::Digest;
use domain::id::{AgentId, OrgId, TokenId};
use domain::oauth::Resource;
use domain::org::{OrgStatus, UserStatus};
use domain::permission::{Permission, Permissions};
use domain::record::RecordType;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::token::TokenRecord;
use store::Standing;

use crate::oauth::keys::is_jwt;
use crate::{Actor, AuthError, Credential, Identity, base62, bearer, tenancy};

/// Every bearer token of a person starts so.
pub const TOKEN_PREFIX: &str = "liq_";
/// Every bearer token of an agent starts so. A program that knows no agents refuses it, instead of taking it for one of
/// the person.
pub const AGENT_TOKEN_PREFIX: &str = "liqa_";
const SECRET_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;
/// The longest label of a token.
const LABEL_CHARS_MAX: usize = 100;

/// What a new token should be.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest {
    pub label: String,
    /// Empty: everything its owner may do.
    pub scopes: Vec<Permission>,
    /// Lifetime in days; the default when absent.
    pub days: Option<i64>,
    /// The agent that is to act for the owner; absent: the owner's own programs.
    pub agent: Option<AgentId>,
}

/// A token that was just issued. `secret` is shown once and never stored.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    pub secret: String,
    pub id: TokenId,
    pub expires_at: Timestamp,
}

fn checksum(secret: &str) -> String {
    base62::encode(&base62::crc32(secret.as_bytes()).to_be_bytes(), CHECK_CHARS)
}

/// Whether a text has the form of a token, checksum included.
pub(crate) fn well_formed(text: &str) -> bool {
    let of_a_kind = text.strip_prefix(TOKEN_PREFIX).or_else(|| text.strip_prefix(AGENT_TOKEN_PREFIX));
    let Some(rest) = of_a_kind else { return false };
    let Some((secret, check)) = rest.split_at_checked(SECRET_CHARS) else { return false };
    rest.len() == SECRET_CHARS + CHECK_CHARS && base62::is_base62(rest) && checksum(secret) == check
}

impl Identity {
    /// A token for a member as it would be issued, with its secret. Nothing is stored.
    ///
    /// # Errors
    /// `validation_failed` for a lifetime outside 1 day to the maximum or a label that is too long; `not_found` for an
    /// agent that is not there or not active.
    pub async fn draft_token(
        &self,
        owner: &Actor,
        request: TokenRequest,
    ) -> Result<(TokenRecord, String), AuthError> {
        let settings = &self.parts.settings;
        let days = request.days.unwrap_or(settings.token_days_default);
        if !(1..=settings.token_days_max).contains(&days) {
            let message = format!("must be 1 to {} days", settings.token_days_max);
            return Err(AuthError::Refused(Refusal::invalid("days", message)));
        }
        if request.label.chars().count() > LABEL_CHARS_MAX {
            return Err(AuthError::Refused(Refusal::invalid("label", "must have at most 100 characters")));
        }
        if let Some(id) = request.agent {
            let org = self.parts.store.org(owner.organization.id).await?;
            let agent = org.reader().agent(id).await?.filter(|agent| agent.status == AgentStatus::Active);
            agent.ok_or_else(|| AuthError::Refused(Refusal::not_found("agent")))?;
        }
        let random = base62::encode(&self.random::<32>(), SECRET_CHARS);
        let prefix = if request.agent.is_some() { AGENT_TOKEN_PREFIX } else { TOKEN_PREFIX };
        let secret = format!("{prefix}{random}{}", checksum(&random));
        let now = self.now();
        let record = TokenRecord {
            id: TokenId::from_uuid(self.parts.ids.next()),
            organization_id: owner.organization.id,
            user_id: owner.user_id,
            agent_id: request.agent,
            label: request.label,
            hash: Digest::of(secret.as_bytes()),
            scopes: request.scopes,
            created_at: now,
            expires_at: now.plus_seconds(days * 86_400),
            revoked_at: None,
            last_used_at: None,
        };
        Ok((record, secret))
    }

    /// Issues a token for a member by the operator in their name ([`Identity::local`]). Members issue theirs by an action.
    ///
    /// # Errors
    /// As [`Identity::draft_token`].
    pub async fn issue_token(&self, owner: &Actor, request: TokenRequest) -> Result<IssuedToken, AuthError> {
        let (record, secret) = self.draft_token(owner, request).await?;
        self.parts.store.directory().insert_token(&record).await?;
        let noted = (RecordType::Token, record.id.to_string());
        self.note(owner.organization.id, Some(owner.user_id), "issue_token", noted).await?;
        Ok(IssuedToken { secret, id: record.id, expires_at: record.expires_at })
    }

    /// Revokes a token at once, by the operator. Members revoke theirs by an action.
    ///
    /// # Errors
    /// `not_found` for a token of another organization or none.
    pub async fn revoke_token(&self, organization: OrgId, token: TokenId) -> Result<(), AuthError> {
        let directory = self.parts.store.directory();
        let found = directory.token(token).await?.filter(|t| t.organization_id == organization);
        if found.is_none() {
            return Err(AuthError::Refused(Refusal::not_found("token")));
        }
        directory.revoke_token(token, self.now()).await?;
        self.note(organization, None, "revoke_token", (RecordType::Token, token.to_string())).await
    }

    /// Recognises the bearer of a token, LoopIQ-issued or an access token, with rights read afresh. `header` and `path` are
    /// what the request says about the organization; they may agree with the token, never overrule it. `resource` is what
    /// is asked: an access token is good only for what it was made for.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] for anything that is not a usable token of an active member; `Expired`; `Revoked`, also for
    /// one of an agent that is no longer active; `tenant_mismatch`; for an access token of an issuer outside, as
    /// [`Identity::outside_bearer`].
    pub async fn bearer(
        &self,
        secret: &str,
        header: Option<&str>,
        path: Option<&str>,
        resource: &Resource,
    ) -> Result<Actor, AuthError> {
        if is_jwt(secret) {
            return match bearer::claimed_issuer(secret) {
                Some(issuer) if issuer != self.issuer() => self.outside_bearer(secret, header, path).await,
                _ => self.by_access_token(secret, header, path, resource).await,
            };
        }
        if !well_formed(secret) {
            return Err(AuthError::Invalid);
        }
        let directory = self.parts.store.directory();
        let found =
            directory.token_by_hash(&Digest::of(secret.as_bytes())).await?.ok_or(AuthError::Invalid)?;
        let now = self.now();
        if found.token.revoked_at.is_some() {
            return Err(AuthError::Revoked);
        }
        if now >= found.token.expires_at {
            return Err(AuthError::Expired);
        }
        if found.user.status != UserStatus::Active || found.organization.status != OrgStatus::Active {
            return Err(AuthError::Invalid);
        }
        tenancy::agree(&found.organization, header, path).map_err(AuthError::Refused)?;
        let org = self.parts.store.org(found.organization.id).await?;
        let standing = org
            .reader()
            .standing(found.user.id)
            .await?
            .filter(Standing::is_active)
            .ok_or(AuthError::Invalid)?;
        let scopes = if found.token.scopes.is_empty() {
            Permissions::EVERY
        } else {
            found.token.scopes.iter().copied().collect()
        };
        self.used().tokens.insert(found.token.id, now);
        let credential = Credential::Token(found.token.id);
        let person = Actor::new(found.user, found.organization, standing, scopes, credential);
        let Some(agent) = found.token.agent_id else { return Ok(person) };
        let agent = org.reader().agent(agent).await?.filter(|agent| agent.status == AgentStatus::Active);
        Ok(person.through(agent.ok_or(AuthError::Revoked)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{CHECK_CHARS, SECRET_CHARS, TOKEN_PREFIX, checksum, well_formed};

    #[test]
    fn only_whole_tokens_are_well_formed() {
        let secret = "A".repeat(SECRET_CHARS);
        let token = format!("{TOKEN_PREFIX}{secret}{}", checksum(&secret));
        assert!(well_formed(&token));
        assert_eq!(token.len(), TOKEN_PREFIX.len() + SECRET_CHARS + CHECK_CHARS);
        assert!(!well_formed(token.split_at(token.len() - 1).0));
        assert!(!well_formed(&format!("{token}x")));
        assert!(!well_formed(&token.replace("liq_", "lix_")));
        assert!(!well_formed(&token.replacen('A', "B", 1)), "a typing error breaks the checksum");
        for text in ["", "liq_", "liq_é", "Bearer", &"é".repeat(40)] {
            assert!(!well_formed(text));
        }
    }
}
