//! Changes of what is kept in the directory, because it is needed before any organization's records are opened: the
//! organization itself, tokens, who belongs to it. Each is written down among the organization's records first, in the
//! commit of the action it is part of, and carried over afterwards; what was not carried over when a process died is
//! carried over by the next. So a change must bear being carried over twice, and say which one it is of its record.

use serde::{Deserialize, Serialize};

use crate::id::{SessionId, TokenId, UserId};
use crate::identity_provider::{IdentityLink, IdentityProvider};
use crate::org::{Organization, User};
use crate::permission::Membership;
use crate::record::RecordType;
use crate::time::Timestamp;
use crate::token::TokenRecord;

/// One change of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum DirectoryChange {
    /// Replaces the organization, whose version was one less.
    Organization { was: Box<Organization>, record: Organization },
    /// A new token, by the hash of its secret.
    IssueToken { record: TokenRecord },
    /// Ends a token.
    RevokeToken { was: TokenRecord, at: Timestamp },
    /// Ends a browser session of a person, as long as it works in this organization.
    EndSession { session: SessionId, user_id: UserId },
    /// Lets the directory know whether a person belongs to the organization, by the membership in this state. The account
    /// is made where there is none.
    Member { account: User, new_account: bool, membership: Membership },
    /// A new identity provider, another version of one, or its last.
    IdentityProvider { was: Option<Box<IdentityProvider>>, record: IdentityProvider },
    /// Who somebody at an identity provider is here, and what their groups gave them.
    IdentityLink { record: IdentityLink },
}

impl DirectoryChange {
    /// Which change of which record it is. Two that claim the same are not both written down: whoever comes second has
    /// planned on what is no longer so.
    pub fn claim(&self) -> (RecordType, String, i64) {
        let token = |id: TokenId, version: i64| (RecordType::Token, id.to_string(), version);
        match self {
            DirectoryChange::Organization { record, .. } => {
                (RecordType::Organization, record.id.to_string(), record.version)
            }
            DirectoryChange::IssueToken { record } => token(record.id, 1),
            DirectoryChange::RevokeToken { was, .. } => token(was.id, 2),
            DirectoryChange::EndSession { session, .. } => (RecordType::Session, session.to_string(), 1),
            DirectoryChange::Member { membership, .. } => {
                (RecordType::Membership, membership.user_id.to_string(), membership.version)
            }
            DirectoryChange::IdentityProvider { record, .. } => {
                (RecordType::IdentityProvider, record.id.to_string(), record.version)
            }
            DirectoryChange::IdentityLink { record } => {
                (RecordType::IdentityLink, record.key.to_string(), record.version)
            }
        }
    }
}
