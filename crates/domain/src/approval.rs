//! Who may approve what: the requirement that policy puts on an action, and whether people's decisions satisfy it.
//! Pure; the gate supplies the requirement, the engine supplies the people.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{TeamId, UserId};
use crate::permission::{Membership, Role};
use crate::time::Timestamp;

crate::words! {
    /// How much a write can hurt, as a rule of the policy sees it. It informs the people who decide.
    Tier { Routine = "routine", Elevated = "elevated", Critical = "critical" }
}

/// One rule of the policy: how many people of which kind must approve. Every rule that applies to an action must be met;
/// one person's approval counts for each rule that accepts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Rule {
    /// Id of the policy that says so.
    pub policy: String,
    /// How many different people must approve. 0: the rule asks for nobody.
    pub minimum_approvers: u32,
    /// Whether the requester, in their own browser session, counts as one of them.
    pub requester_may_approve: bool,
    pub tier: Tier,
    /// Holders of one of these roles in the organization count. With `teamRoles` and `people` empty too, everybody with
    /// approvals:decide does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approver_roles: Vec<Role>,
    /// Holders of one of these roles in the team of the record count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub team_roles: Vec<Role>,
    /// People who count, by e-mail address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// Whether only approvals signed with a passkey count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passkey: bool,
    /// After this time without a decision the action is approved by the rule itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_approve_after_seconds: Option<i64>,
    /// After this time without a decision the holders of `escalateTo` are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_after_seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_to: Option<Role>,
}

impl Rule {
    /// A rule that anybody with `approvals:decide` can meet.
    pub fn of_anybody(policy: &str, minimum_approvers: u32, requester_may_approve: bool) -> Rule {
        Rule {
            policy: policy.to_owned(),
            minimum_approvers,
            requester_may_approve,
            tier: Tier::Routine,
            approver_roles: Vec::new(),
            team_roles: Vec::new(),
            people: Vec::new(),
            passkey: false,
            auto_approve_after_seconds: None,
            warn_after_seconds: None,
            escalate_to: None,
        }
    }

    /// Whether everybody with `approvals:decide` counts.
    pub fn is_open(&self) -> bool {
        self.approver_roles.is_empty() && self.team_roles.is_empty() && self.people.is_empty()
    }

    /// Whether this person's approval counts for an action of `requester` about records of `team`. Whether they may
    /// approve at all is the gate's question.
    pub fn accepts(&self, person: &Membership, requester: UserId, team: Option<TeamId>) -> bool {
        if person.user_id == requester && !self.requester_may_approve {
            return false;
        }
        let in_team = |role: &Role| {
            person.team_roles.iter().any(|held| Some(held.team_id) == team && held.role == *role)
        };
        self.is_open()
            || self.approver_roles.iter().any(|role| person.roles.contains(role))
            || self.team_roles.iter().any(in_team)
            || self.people.iter().any(|email| email.eq_ignore_ascii_case(&person.email))
    }

    /// Who counts, in words.
    fn who(&self) -> String {
        let mut kinds = Vec::new();
        kinds.extend(self.approver_roles.iter().map(|role| format!("{role} of the organization")));
        kinds.extend(self.team_roles.iter().map(|role| format!("{role} of the team")));
        kinds.extend(self.people.iter().cloned());
        if kinds.is_empty() { "with approvals:decide".into() } else { format!("({})", kinds.join(", ")) }
    }

    /// One sentence for cards and results; empty where nobody is asked for.
    fn sentence(&self) -> String {
        let (n, who) = (self.minimum_approvers, self.who());
        let signed = if self.passkey { " by passkey" } else { "" };
        match (n, self.requester_may_approve) {
            (0, _) => String::new(),
            (1, true) => format!(
                "One person {who} must approve{signed}; the requester may, in their own browser session."
            ),
            (1, false) => format!("One person {who} other than the requester must approve{signed}."),
            (_, true) => format!("{n} people {who} must approve{signed}; the requester may be one."),
            (_, false) => format!("{n} people {who} other than the requester must approve{signed}."),
        }
    }
}

/// What must happen before an action may run. Decided by policy when the action is proposed and stored with it. The
/// first three members sum the rules up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Requirement {
    /// Ids of the policies that asked for it.
    pub policy: String,
    /// How many different people must approve at least. 0: none, the action runs at once.
    pub minimum_approvers: u32,
    /// Whether the requester counts as one of them for every rule.
    pub requester_may_approve: bool,
    pub tier: Tier,
    pub rules: Vec<Rule>,
}

impl Requirement {
    /// Sums rules up; those that ask for nobody stay for the record.
    pub fn of(rules: Vec<Rule>) -> Requirement {
        let asking = || rules.iter().filter(|rule| rule.minimum_approvers > 0);
        let names = |list: Vec<&Rule>| list.iter().map(|r| r.policy.as_str()).collect::<Vec<_>>().join(", ");
        let minimum_approvers = asking().map(|rule| rule.minimum_approvers).max().unwrap_or(0);
        let policy = if minimum_approvers > 0 { asking().collect() } else { rules.iter().collect() };
        Requirement {
            policy: names(policy),
            minimum_approvers,
            requester_may_approve: minimum_approvers > 0 && asking().all(|rule| rule.requester_may_approve),
            tier: rules.iter().map(|rule| rule.tier).max().unwrap_or(Tier::Routine),
            rules,
        }
    }

    /// Nobody is asked.
    pub fn none() -> Requirement {
        Requirement::of(vec![Rule::of_anybody("none", 0, false)])
    }
    /// One person with `approvals:decide`, who may be the requester.
    pub fn one_person() -> Requirement {
        Requirement::of(vec![Rule::of_anybody("ordinary-write", 1, true)])
    }
    /// One person with `approvals:decide` other than the requester.
    pub fn second_person() -> Requirement {
        Requirement::of(vec![Rule::of_anybody("second-person", 1, false)])
    }

    /// What is asked, in words, for cards and results.
    pub fn sentence(&self) -> String {
        if self.minimum_approvers == 0 {
            return "No approval is needed.".into();
        }
        let sentences: Vec<String> =
            self.rules.iter().map(Rule::sentence).filter(|sentence| !sentence.is_empty()).collect();
        sentences.join(" ")
    }

    /// The rules this person's approval would count for, by the ids of their policies; `signed` with a passkey or not.
    pub fn counts(
        &self,
        person: &Membership,
        requester: UserId,
        team: Option<TeamId>,
        signed: bool,
    ) -> Vec<String> {
        let rules = self.rules.iter().filter(|r| r.minimum_approvers > 0 && (signed || !r.passkey));
        rules.filter(|r| r.accepts(person, requester, team)).map(|r| r.policy.clone()).collect()
    }

    /// Whether every rule has its approvals.
    pub fn is_met(&self, approvals: &[Approval]) -> bool {
        self.missing(approvals).is_empty()
    }

    /// The rules that still lack approvals, each with how many.
    pub fn missing(&self, approvals: &[Approval]) -> Vec<(&Rule, u32)> {
        let given = |rule: &Rule| approvals.iter().filter(|a| a.counts_for.contains(&rule.policy)).count();
        self.rules
            .iter()
            .filter_map(|rule| {
                let lacking =
                    rule.minimum_approvers.saturating_sub(given(rule).try_into().unwrap_or(u32::MAX));
                (lacking > 0).then_some((rule, lacking))
            })
            .collect()
    }

    /// Whether a rule counts only approvals that are signed with a passkey.
    pub fn passkey(&self) -> bool {
        self.rules.iter().any(|rule| rule.passkey)
    }

    /// The roles to tell when nobody has decided for this long, each once.
    pub fn escalates_to(&self, seconds: i64) -> Vec<Role> {
        let late = |rule: &&Rule| rule.warn_after_seconds.is_some_and(|after| seconds >= after);
        let mut roles: Vec<Role> = self.rules.iter().filter(late).filter_map(|r| r.escalate_to).collect();
        roles.sort();
        roles.dedup();
        roles
    }

    /// Seconds after which the first rule has somebody told that nobody has decided.
    pub fn warn_after_seconds(&self) -> Option<i64> {
        self.rules.iter().filter_map(|rule| rule.warn_after_seconds).min()
    }

    /// Seconds for which a proposal waits for approval: as long as the organization says, and where the rules name a time of
    /// their own, until after that time.
    pub fn waits_seconds(&self, organization: i64) -> i64 {
        let own = self.rules.iter().filter_map(|rule| rule.warn_after_seconds);
        let own = own.chain(self.auto_approve_after_seconds()).max();
        own.map_or(organization, |own| organization.max(own.saturating_add(AFTER_OWN_TIME_SECONDS)))
    }

    /// When the rules approve by themselves: all of them must say so, and the longest time counts.
    pub fn auto_approve_after_seconds(&self) -> Option<i64> {
        let asking = self.rules.iter().filter(|rule| rule.minimum_approvers > 0);
        let times: Option<Vec<i64>> = asking.map(|rule| rule.auto_approve_after_seconds).collect();
        times?.into_iter().max()
    }
}

/// Seconds for which a proposal still waits after the time that a rule names, so that what the rule says can happen.
const AFTER_OWN_TIME_SECONDS: i64 = 3_600;

/// One person's approval of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Approval {
    pub by: UserId,
    pub email: String,
    pub at: Timestamp,
    /// The passkey that signed it, by the thumbprint of its key; the signature stands in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<Digest>,
    /// Ids of the policies whose rule it counts for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts_for: Vec<String>,
}

impl Approval {
    /// A person's word that counts for no rule and is signed by no passkey: a rejection, a review, a broken glass.
    pub fn plain(by: UserId, email: &str, at: Timestamp) -> Approval {
        Approval { by, email: email.to_owned(), at, passkey: None, counts_for: Vec::new() }
    }
}
