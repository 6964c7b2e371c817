//! What policies say about one tool in one situation: whether the person may, and what approval a write needs. Pure; the
//! gate asks it of calls, tests of policies ask it of made-up situations, and a draft is asked about the past.

use std::collections::{BTreeSet, HashSet};

use domain::action::{Action, Channel};
use domain::agent::{Agent, MutationPolicy};
use domain::approval::{Requirement, Rule};
use domain::id::{TeamId, UserId};
use domain::org::Organization;
use domain::permission::{Membership, Permission, Permissions, Rights};

use crate::Surface;
use crate::field::Field;
use crate::policy::{Change, Policies, Question, Scene, Subject};
use crate::stop::Fault;
use crate::tool::{Card, Effects};

/// Tools whose writes always need an approval, whatever a policy says (domain reference, 3.2 and 6.3).
pub const ALWAYS_APPROVED: [&str; 4] = [
    "loopiq_create_remediation_work_package",
    "loopiq_propose_exception",
    "loopiq_record_rollback_decision",
    "loopiq_decide_certification",
];

/// Who asks, from where, about records of which team.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    pub person: &'a Membership,
    pub organization: &'a Organization,
    /// With its key; none: the organization as a whole.
    pub team: Option<(TeamId, &'a str)>,
    /// What the credential leaves of the person's permissions.
    pub scopes: Permissions,
    pub surface: Surface,
    /// person, token, agent or operator.
    pub credential: &'a str,
    /// The agent that acts for the person, where one does.
    pub agent: Option<&'a Agent>,
}

/// The answer to whether a tool may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub allowed: bool,
    /// Ids of the policies that decided; empty when nothing permits it.
    pub policies: Vec<String>,
}

impl<'a> Situation<'a> {
    /// The situation in which an action was proposed, as it is now; `agent` is the one that acted, where one did.
    pub fn of_action(
        action: &Action,
        organization: &'a Organization,
        requester: &'a Membership,
        team: Option<(TeamId, &'a str)>,
        agent: Option<&'a Agent>,
    ) -> Situation<'a> {
        let by = (action.channel, action.token_id.is_some());
        Situation::of_call(by, organization, requester, team, agent)
    }

    /// The situation of a call by its channel and by whether it came with a token.
    pub fn of_call(
        (channel, by_token): (Channel, bool),
        organization: &'a Organization,
        person: &'a Membership,
        team: Option<(TeamId, &'a str)>,
        agent: Option<&'a Agent>,
    ) -> Situation<'a> {
        let credential = match agent {
            Some(_) => "agent",
            None if by_token => "token",
            None => "person",
        };
        let surface = match channel {
            Channel::Mcp => Surface::Mcp,
            Channel::Helix => Surface::Console,
            Channel::Scim => Surface::Scim,
            Channel::Api | Channel::Automation | Channel::Cli => Surface::Api,
        };
        Situation { person, organization, team, scopes: Permissions::EVERY, surface, credential, agent }
    }

    fn rights(&self) -> Rights {
        let held = Rights::new(self.person, self.scopes);
        self.agent.map_or_else(|| held.clone(), |agent| held.narrowed_to(agent))
    }

    fn scene(&self) -> Result<Scene, Fault> {
        Scene::of(Subject { person: self.person, organization: self.organization, team: self.team })
    }

    fn question(&self, action: &'a str, held: bool, change: Change<'a>) -> Question<'a> {
        Question {
            action,
            surface: self.surface.as_str(),
            credential: self.credential,
            agent: self.agent,
            held,
            mcp_access: self.rights().allows_somewhere(Permission::McpAccess),
            change,
        }
    }
}

/// Whether a tool may be used: its permission must be left by policy, and the tool must be permitted.
///
/// # Errors
/// A bug.
pub fn access(policies: &Policies, card: &Card, of: &Situation<'_>) -> Result<Access, Fault> {
    let only_reads = of.agent.is_some_and(|agent| agent.mutation_policy == MutationPolicy::ReadOnly);
    if only_reads && card.effects != Effects::Read {
        return Ok(Access { allowed: false, policies: Vec::new() });
    }
    let scene = of.scene()?;
    let team = of.team.map(|(id, _)| id);
    let mut held = true;
    if let Some(permission) = card.permission {
        let has = of.rights().allows(permission, team);
        let verdict = policies.allows(&scene, &of.question(permission.as_str(), has, Change::default()))?;
        if !verdict.allowed {
            return Ok(Access { allowed: false, policies: verdict.policies });
        }
        if of.agent.is_some_and(|agent| !agent.was_granted(permission, team)) {
            return Ok(Access { allowed: false, policies: Vec::new() });
        }
        held = verdict.allowed;
    }
    let verdict = policies.allows(&scene, &of.question(card.name, held, Change::default()))?;
    Ok(Access { allowed: verdict.allowed, policies: verdict.policies })
}

/// Whether a part of records that the person may read is shown to them.
///
/// # Errors
/// A bug.
pub fn sees(policies: &Policies, field: Field, of: &Situation<'_>) -> Result<Access, Fault> {
    let verdict = policies.allows(&of.scene()?, &of.question(field.as_str(), true, Change::default()))?;
    Ok(Access { allowed: verdict.allowed, policies: verdict.policies })
}

/// Rules of approval that too few members could meet for any record, each with how many could; `signers` are those who have passkeys. Who asks is left out of
/// account: a rule that its only approver asks under is refused when it is proposed.
///
/// # Errors
/// A bug.
pub fn unmeetable<'a>(
    policies: &'a Policies,
    organization: &Organization,
    people: &[Membership],
    signers: &BTreeSet<UserId>,
    teams: &[(TeamId, String)],
) -> Result<Vec<(&'a Rule, usize)>, Fault> {
    let teams = || std::iter::once(None).chain(teams.iter().map(|(id, key)| Some((*id, key.as_str()))));
    let mut able: Vec<(&Membership, Option<TeamId>)> = Vec::new();
    for person in people {
        for team in teams() {
            let of = Situation {
                person,
                organization,
                team,
                scopes: Permissions::EVERY,
                surface: Surface::Console,
                credential: "person",
                agent: None,
            };
            let team = team.map(|(id, _)| id);
            let decide = Permission::ApprovalsDecide;
            let held = of.rights().allows(decide, team);
            let question = of.question(decide.as_str(), held, Change::default());
            if policies.allows(&of.scene()?, &question)?.allowed {
                able.push((person, team));
            }
        }
    }
    let nobody = UserId::from_uuid(uuid::Uuid::nil());
    let count = |rule: &Rule| {
        let counting = able.iter().filter(|(person, team)| rule.accepts(person, nobody, *team));
        let counting = counting.filter(|(person, _)| !rule.passkey || signers.contains(&person.user_id));
        counting.map(|(person, _)| person.user_id).collect::<HashSet<_>>().len()
    };
    let counted = policies.all_rules().map(|rule| (rule, count(rule)));
    Ok(counted.filter(|(rule, able)| *able < rule.minimum_approvers as usize).collect())
}

/// What approval a write needs. `None`: no rule covers it, so it is refused.
///
/// # Errors
/// A bug.
pub fn requirement(
    policies: &Policies,
    card: &Card,
    of: &Situation<'_>,
    change: Change<'_>,
) -> Result<Option<Requirement>, Fault> {
    let mut rules = policies.rules(&of.scene()?, &of.question(card.name, true, change))?;
    if rules.is_empty() {
        return Ok(None);
    }
    let only_proposes =
        of.agent.is_some_and(|agent| agent.mutation_policy != MutationPolicy::WriteWithApproval);
    if only_proposes || ALWAYS_APPROVED.contains(&card.name) {
        for rule in &mut rules {
            rule.auto_approve_after_seconds = None;
        }
        if rules.iter().all(|rule| rule.minimum_approvers == 0) {
            rules.push(Rule::of_anybody("always-approved", 1, card.effects != Effects::SecondPerson));
        }
    }
    Ok(Some(Requirement::of(rules)))
}
