//! Who may approve what: the requirement a policy puts on an action, and whether one person's decision satisfies
//! it. Pure; the gate supplies the requirement, the engine supplies the people.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::time::Timestamp;

/// What must happen before an action may run. Decided by policy when the action is proposed and stored with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Requirement {
    /// Name of the policy that asked for it.
    pub policy: String,
    /// How many different people must approve. 0: none, the action runs at once.
    pub minimum_approvers: u32,
    /// Whether the requester, in their own browser session, counts as one of them.
    pub requester_may_approve: bool,
}

impl Requirement {
    pub fn none() -> Requirement {
        Requirement { policy: "none".into(), minimum_approvers: 0, requester_may_approve: false }
    }
    /// Ordinary writes: one person with `approvals:decide`, who may be the requester.
    pub fn one_person() -> Requirement {
        Requirement { policy: "ordinary-write".into(), minimum_approvers: 1, requester_may_approve: true }
    }
    /// Exceptions, rollback decisions, certification: somebody else.
    pub fn second_person() -> Requirement {
        Requirement { policy: "second-person".into(), minimum_approvers: 1, requester_may_approve: false }
    }
    /// One sentence for cards and results.
    pub fn sentence(&self) -> String {
        let n = self.minimum_approvers;
        match (n, self.requester_may_approve) {
            (0, _) => "No approval is needed.".into(),
            (1, true) => {
                "One person with approvals:decide must approve; the requester may, in their own browser \
                          session."
                    .into()
            }
            (1, false) => "One person with approvals:decide other than the requester must approve.".into(),
            (_, true) => format!("{n} people with approvals:decide must approve; the requester may be one."),
            (_, false) => format!("{n} people with approvals:decide other than the requester must approve."),
        }
    }
    /// Whether `person` may count towards this requirement for an action of `requester`.
    pub fn accepts(&self, person: UserId, requester: UserId) -> bool {
        self.requester_may_approve || person != requester
    }
}

/// One person's approval of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Approval {
    pub by: UserId,
    pub email: String,
    pub at: Timestamp,
}
