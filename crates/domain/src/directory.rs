//! Changes of what is kept in the directory, because it is needed before any organization's records are opened: the
//! organization itself, tokens, who belongs to it. Each is written down among the organization's records first, in the
//! commit of the action it is part of, and carried over afterwards; what was not carried over when a process died is
//! carried over by the next. So a change must bear being carried over twice, and say which one it is of its record.

use serde::{Deserialize, Serialize};

use crate::id::TokenId;
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
    /// Lets the directory know whether a person belongs to the organization, by the membership in this state. The account
    /// is made where there is none.
    Member { account: User, new_account: bool, membership: Membership },
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
            DirectoryChange::Member { membership, .. } => {
                (RecordType::Membership, membership.user_id.to_string(), membership.version)
            }
        }
    }
}
