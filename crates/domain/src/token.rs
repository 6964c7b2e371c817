//! A bearer token as it is kept: never the secret, only its hash.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{AgentId, OrgId, TokenId, UserId};
use crate::permission::Permission;
use crate::time::Timestamp;

/// A bearer token of one person in one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    pub id: TokenId,
    pub organization_id: OrgId,
    pub user_id: UserId,
    /// The agent that acts for the person by it.
    pub agent_id: Option<AgentId>,
    pub label: String,
    /// SHA-256 of the secret.
    pub hash: Digest,
    /// Empty: everything the owner may do.
    pub scopes: Vec<Permission>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

crate::words! {
    /// Whether a token can still be used.
    TokenState { Valid = "valid", Expired = "expired", Revoked = "revoked" }
}

impl TokenRecord {
    /// How it stands at `now`. A token of an agent that is no longer active is valid and of no use.
    pub fn state(&self, now: Timestamp) -> TokenState {
        if self.revoked_at.is_some() {
            TokenState::Revoked
        } else if now >= self.expires_at {
            TokenState::Expired
        } else {
            TokenState::Valid
        }
    }
}
