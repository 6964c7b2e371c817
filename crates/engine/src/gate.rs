//! The decision: who may see and call which tool, and what must happen before a write runs. A caller passes the gate
//! once per request and comes out [`Admitted`], with the rights that policy leaves of what roles and grants give; the one
//! answer decides listing, calling and what is read. What is worked out is kept under the versions of everything it
//! rests on, so that it can be old but never outdated.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use domain::agent::MutationPolicy;
use domain::approval::{Requirement, Rule};
use domain::effect::Effect;
use domain::id::{AgentId, OrgId, TeamId, UserId};
use domain::oauth::Scope;
use domain::permission::{Membership, MembershipStatus, Permission, Permissions, Rights};
use domain::record::RecordType;
use domain::refusal::{Code, Refusal};
use identity::{Actor, Credential};
use quick_cache::sync::Cache;
use store::Reader;

use crate::field::Field;
use crate::policy::{self, Change, Policies, Question, Scene, Subject};
use crate::ruling::{self, Situation};
use crate::stop::{Fault, Stop};
use crate::tool::{Card, Effects, Tool};
use crate::{Engine, Surface, limits, render, tools};

/// What policy leaves of one caller's rights on one surface.
struct Allowance {
    rights: Rights,
    /// For each tool of the catalogue, whether it is theirs for any record at all.
    tools: Vec<bool>,
    /// The same for records of no team and, where teams differ, of each team.
    places: HashMap<Option<TeamId>, Vec<bool>>,
    /// What tools that read may read, where that is less than the rights are: a policy keeps a tool from some team.
    narrowed: HashMap<&'static str, Rights>,
    /// What is kept from the caller: of records of no team and, where teams differ, of each team.
    hidden: HashMap<Option<TeamId>, Vec<Field>>,
    /// What other people may, as far as it was asked; see [`Admitted::may`].
    others: Answers<Other, bool>,
    /// What approval writes need, as far as it was asked; see [`Admitted::requirement`].
    requirements: Answers<Wanted, Option<Requirement>>,
    /// Whether proposals still stand, as far as it was asked; see [`Admitted::still_permits`].
    standing: Answers<Proposed, bool>,
    policies: Arc<Policies>,
}

/// A person at one version of their membership, a permission, and the team it is about.
type Other = (UserId, i64, Permission, Option<TeamId>);

/// A tool, the person at one version of their membership, the team, and how they called.
type Proposed = (&'static str, UserId, i64, Option<TeamId>, Surface, String);

/// Everything about a write that rules of approval may ask: tool, team, how much it makes and changes of what, and name,
/// status and environment of the release.
type Wanted = (&'static str, Option<TeamId>, usize, usize, Vec<RecordType>, Option<[String; 3]>);

/// Answers of policies that follow from what the allowance rests on and from the question alone.
struct Answers<K, V>(Mutex<HashMap<K, V>>);

impl<K: Eq + Hash, V: Clone> Answers<K, V> {
    fn new() -> Answers<K, V> {
        Answers(Mutex::new(HashMap::new()))
    }

    fn known_or(&self, question: K, ask: impl FnOnce() -> Result<V, Fault>) -> Result<V, Fault> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(&question).cloned();
        if let Some(answer) = found {
            return Ok(answer);
        }
        let answer = ask()?;
        let mut known = known();
        if known.len() >= limits::ANSWERS_KEPT_MAX {
            known.clear();
        }
        known.insert(question, answer.clone());
        Ok(answer)
    }
}

/// A caller who has passed the gate.
#[derive(Clone)]
pub struct Admitted {
    /// With the rights that policy leaves.
    actor: Actor,
    pub surface: Surface,
    allowance: Arc<Allowance>,
}

impl std::fmt::Debug for Admitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admitted")
            .field("actor", &self.actor)
            .field("surface", &self.surface)
            .finish_non_exhaustive()
    }
}

impl Deref for Admitted {
    type Target = Actor;
    fn deref(&self) -> &Actor {
        &self.actor
    }
}

/// Everything an allowance rests on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    organization: (OrgId, i64),
    person: (UserId, i64),
    policies: i64,
    /// Policies name teams by their keys, and an allowance lists what is granted team by team.
    teams: i64,
    scopes: Permissions,
    surface: Surface,
    credential: &'static str,
    agent: Option<(AgentId, i64)>,
}

/// What the gate remembers.
pub(crate) struct Memory {
    policies: Cache<(OrgId, i64), Arc<Policies>>,
    allowances: Cache<Key, Arc<Allowance>>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            policies: Cache::new(limits::POLICIES_KEPT_MAX),
            allowances: Cache::new(limits::ALLOWANCES_KEPT_MAX),
        }
    }
}

fn credential(actor: &Actor) -> &'static str {
    match actor.credential {
        Credential::Session { .. } => "person",
        Credential::Token(_) | Credential::Client(_) if actor.agent.is_some() => "agent",
        Credential::Token(_) | Credential::Client(_) | Credential::Outside(_) => "token",
        Credential::Local => "operator",
    }
}

impl Engine {
    /// Lets a caller through the gate, with what is theirs on this surface; perhaps nothing.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn admit(&self, mut actor: Actor, surface: Surface) -> Result<Admitted, Fault> {
        let key = Key {
            organization: (actor.organization.id, actor.organization.version),
            person: (actor.user_id, actor.membership.version),
            policies: actor.policy_version,
            teams: actor.teams_version,
            scopes: actor.scopes,
            surface,
            credential: credential(&actor),
            agent: actor.agent.as_ref().map(|agent| (agent.id, agent.version)),
        };
        let memory = &self.parts.gate;
        let allowance = if let Some(known) = memory.allowances.get(&key) {
            known
        } else {
            let org = self.parts.store.org(actor.organization.id).await?;
            let policies = self.policies(org.reader(), actor.organization.id, actor.policy_version).await?;
            let made = Arc::new(work_out(&actor, surface, policies, org.reader()).await?);
            memory.allowances.insert(key, Arc::clone(&made));
            made
        };
        actor.rights = allowance.rights.clone();
        Ok(Admitted { actor, surface, allowance })
    }

    /// The policies of an organization in one of their versions.
    pub(crate) async fn policies(
        &self,
        reader: &Reader,
        organization: OrgId,
        version: i64,
    ) -> Result<Arc<Policies>, Fault> {
        let memory = &self.parts.gate.policies;
        if let Some(known) = memory.get(&(organization, version)) {
            return Ok(known);
        }
        let text = match version {
            0 => policy::DEFAULT.to_owned(),
            version => {
                reader
                    .policy_set(version)
                    .await?
                    .ok_or(Fault::Bug("a version that is in force is there"))?
                    .text
            }
        };
        // They were checked when they were published, but perhaps by a version of the program that knew other words.
        let made = match Policies::compile(version, &text) {
            Ok(made) => made,
            Err(problems) => {
                let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(%organization, version, "the published policies cannot be read: {problem}");
                Policies::recovery(version)?
            }
        };
        let made = Arc::new(made);
        memory.insert((organization, version), Arc::clone(&made));
        Ok(made)
    }
}

/// Answers the same question once.
struct Asker<'a> {
    actor: &'a Actor,
    policies: &'a Policies,
    surface: Surface,
    mcp_access: bool,
    scenes: HashMap<Option<TeamId>, Scene>,
    answers: HashMap<(&'static str, bool, Option<TeamId>), bool>,
}

impl Asker<'_> {
    fn allows(
        &mut self,
        action: &'static str,
        held: bool,
        team: Option<(TeamId, &str)>,
    ) -> Result<bool, Fault> {
        let team = team.filter(|_| self.policies.knows_teams());
        let key = (action, held, team.map(|(id, _)| id));
        if let Some(known) = self.answers.get(&key) {
            return Ok(*known);
        }
        let scene = match self.scenes.entry(key.2) {
            std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => free.insert(Scene::of(Subject {
                person: &self.actor.membership,
                organization: &self.actor.organization,
                team,
            })?),
        };
        let question = Question {
            action,
            surface: self.surface.as_str(),
            credential: credential(self.actor),
            agent: self.actor.agent.as_deref(),
            held,
            mcp_access: self.mcp_access,
            change: Change::default(),
        };
        let allowed = self.policies.allows(scene, &question)?.allowed;
        self.answers.insert(key, allowed);
        Ok(allowed)
    }
}

async fn work_out(
    actor: &Actor,
    surface: Surface,
    policies: Arc<Policies>,
    reader: &Reader,
) -> Result<Allowance, Fault> {
    let held = &actor.rights;
    let teams: Vec<(TeamId, String)> = if policies.knows_teams() || !held.teams.is_empty() {
        reader.teams(None).await?.into_iter().map(|team| (team.id, team.key)).collect()
    } else {
        Vec::new()
    };
    let mut asker = Asker {
        actor,
        policies: &policies,
        surface,
        mcp_access: held.allows_somewhere(Permission::McpAccess),
        scenes: HashMap::new(),
        answers: HashMap::new(),
    };
    let mut rights = Rights::default();
    for permission in Permission::ALL {
        let mut grants = Vec::new();
        for (id, key) in &teams {
            let held = held.allows(*permission, Some(*id));
            grants.push((*id, asker.allows(permission.as_str(), held, Some((*id, key)))?));
        }
        let everywhere = asker.allows(permission.as_str(), held.allows(*permission, None), None)?;
        // One team that is left out, and the permission is held team by team.
        if everywhere && grants.iter().all(|(_, granted)| *granted) {
            rights.organization = rights.organization.union(Permissions::of(&[*permission]));
        } else {
            for (team, _) in grants.into_iter().filter(|(_, granted)| *granted) {
                rights.grant(team, *permission);
            }
        }
    }
    // A policy may give what roles do not; to an agent nothing that was not granted to it as well.
    if let Some(agent) = &actor.agent {
        rights = rights.narrowed_to(agent);
    }
    let only_reads = actor.agent.as_ref().is_some_and(|a| a.mutation_policy == MutationPolicy::ReadOnly);
    let mut tools = vec![false; tools::ALL.len()];
    let mut places = HashMap::new();
    let of_teams = teams.iter().map(|(id, key)| Some((*id, key.as_str())));
    for place in std::iter::once(None).chain(of_teams) {
        let team = place.map(|(id, _)| id);
        let mut here = Vec::with_capacity(tools.len());
        for (somewhere, tool) in tools.iter_mut().zip(&tools::ALL) {
            let held = tool.card.permission.is_none_or(|permission| match place {
                Some(_) => rights.allows(permission, team),
                // Whether it is listed does not hang on the team.
                None => rights.allows_somewhere(permission),
            });
            let offered = tool.card.over_mcp || !surface.is_mcp();
            let writes = tool.card.effects != Effects::Read;
            let allowed =
                held && offered && !(writes && only_reads) && asker.allows(tool.card.name, held, place)?;
            *somewhere |= allowed;
            here.push(allowed);
        }
        places.insert(team, here);
    }
    let narrowed = narrowed(&rights, &places);
    let mut hidden = HashMap::new();
    let of_teams = teams.iter().filter(|_| policies.knows_teams()).map(|(id, key)| Some((*id, key.as_str())));
    for team in std::iter::once(None).chain(of_teams) {
        let mut kept = Vec::new();
        for field in Field::ALL {
            if !asker.allows(field.as_str(), true, team)? {
                kept.push(*field);
            }
        }
        hidden.insert(team.map(|(id, _)| id), kept);
    }
    Ok(Allowance {
        rights,
        tools,
        places,
        narrowed,
        hidden,
        others: Answers::new(),
        requirements: Answers::new(),
        standing: Answers::new(),
        policies,
    })
}

/// For each tool that reads and that a policy keeps from some place where its permission holds: the rights without that
/// permission there. As everywhere, one team that is left out, and it is held team by team.
fn narrowed(rights: &Rights, places: &HashMap<Option<TeamId>, Vec<bool>>) -> HashMap<&'static str, Rights> {
    let mut narrowed = HashMap::new();
    for (index, tool) in tools::ALL.iter().enumerate() {
        let Some(permission) = tool.card.permission.filter(|_| tool.card.effects == Effects::Read) else {
            continue;
        };
        let allowed = |here: &Vec<bool>| here.get(index).is_some_and(|allowed| *allowed);
        let lost = |(team, here): (&Option<TeamId>, _)| rights.allows(permission, *team) && !allowed(here);
        if !places.iter().any(lost) {
            continue;
        }
        let mut less = rights.without(permission);
        for (team, here) in places {
            if let Some(team) = team.filter(|team| allowed(here) && rights.allows(permission, Some(*team))) {
                less.grant(team, permission);
            }
        }
        narrowed.insert(tool.card.name, less);
    }
    narrowed
}

impl Admitted {
    /// Whether the caller sees and may call this tool. Rights over single records are checked where they are read.
    pub fn permits(&self, card: &Card) -> bool {
        let index = tools::ALL.iter().position(|tool| tool.card.name == card.name);
        index.and_then(|index| self.allowance.tools.get(index)).is_some_and(|allowed| *allowed)
    }

    /// Whether the caller may use this tool for records of `team`; `None` means records of no team.
    pub(crate) fn permits_for(&self, card: &Card, team: Option<TeamId>) -> bool {
        let places = &self.allowance.places;
        let index = tools::ALL.iter().position(|tool| tool.card.name == card.name);
        let here = places.get(&team).or_else(|| places.get(&None));
        here.zip(index).and_then(|(here, index)| here.get(index)).is_some_and(|allowed| *allowed)
    }

    /// The rights with which a tool reads.
    pub(crate) fn rights_for(&self, card: &Card) -> &Rights {
        self.allowance.narrowed.get(card.name).unwrap_or(&self.actor.rights)
    }

    /// Whether what was proposed may still be called so, by the policies of now.
    ///
    /// # Errors
    /// A bug.
    pub(crate) fn still_permits(&self, card: &Card, of: &Situation<'_>) -> Result<bool, Fault> {
        let ask = || Ok(ruling::access(&self.allowance.policies, card, of)?.allowed);
        // What an agent may hangs on the agent as well; of these the answers are not kept.
        if of.agent.is_some() {
            return ask();
        }
        let team = of.team.map(|(id, _)| id);
        let person = (of.person.user_id, of.person.version);
        let proposed = (card.name, person.0, person.1, team, of.surface, of.credential.to_owned());
        self.allowance.standing.known_or(proposed, ask)
    }

    /// The tools the caller may use, in the catalogue's order.
    pub fn tools(&self) -> Vec<&'static Tool> {
        let all = tools::ALL.iter().zip(&self.allowance.tools);
        all.filter(|(_, allowed)| **allowed).map(|(tool, _)| tool).collect()
    }

    /// Whether the tool is kept from the caller only because the person has allowed their client too little: then asking the
    /// person again helps.
    pub fn wants_wider_scope(&self, card: &Card) -> bool {
        let Some(permission) = card.permission else { return false };
        matches!(self.credential, Credential::Client(_))
            && card.over_mcp
            && self.organization.mcp_enabled
            && (self.surface != Surface::McpReadonly || card.effects == Effects::Read)
            && !self.scopes.contains(permission)
            && Scope::Write.permissions().contains(permission)
            && Rights::new(&self.membership, Scope::Write.permissions()).allows_somewhere(permission)
    }

    /// Whether policy lets the caller see this part of a record of `team` that they may read.
    pub(crate) fn shows(&self, field: Field, team: Option<TeamId>) -> bool {
        let hidden = &self.allowance.hidden;
        let kept = hidden.get(&team).or_else(|| hidden.get(&None));
        kept.is_some_and(|kept| !kept.contains(&field))
    }

    /// The policies in force.
    pub(crate) fn policies(&self) -> &Policies {
        &self.allowance.policies
    }

    /// Names the policies that decide, in an approval's digest.
    pub(crate) fn policy_name(&self) -> &str {
        &self.allowance.policies.name
    }

    /// Why a tool that exists may not be called here.
    pub(crate) fn refusal(&self, card: &Card) -> Refusal {
        let mcp = self.surface.is_mcp();
        if mcp && !self.organization.mcp_enabled {
            return Refusal::new(
                Code::McpNotEnabled,
                "MCP is switched off for this organization",
                "Ask an organization administrator to switch MCP on.",
            );
        }
        let mcp_access = self.held().allows_somewhere(Permission::McpAccess);
        if mcp && !mcp_access {
            return Refusal::forbidden(Permission::McpAccess);
        }
        if self.surface == Surface::McpReadonly && card.effects != Effects::Read {
            return Refusal::new(
                Code::Forbidden,
                "this endpoint offers read tools only",
                "Use the endpoint without /readonly for tools that write.",
            );
        }
        let only_reads = self.agent.as_ref().is_some_and(|a| a.mutation_policy == MutationPolicy::ReadOnly);
        if only_reads && card.effects != Effects::Read {
            return Refusal::new(
                Code::Forbidden,
                "this agent only reads",
                "Have a person do it, or ask whoever manages agents for the mutation policy propose_only.",
            );
        }
        match card.permission {
            Some(permission) if !self.rights.allows_somewhere(permission) => Refusal::forbidden(permission),
            _ => Refusal::new(
                Code::Forbidden,
                "a policy of the organization forbids this",
                "Ask an organization administrator which policy it is; the audit log names this request.",
            ),
        }
    }

    /// What policy asks before this write runs.
    ///
    /// # Errors
    /// `forbidden` when no rule of approval covers the write.
    pub(crate) fn requirement(
        &self,
        card: &Card,
        effects: &[Effect],
        team: Option<(TeamId, &str)>,
        release: Option<[&str; 3]>,
    ) -> Result<Requirement, Stop> {
        let situation = Situation {
            person: &self.membership,
            organization: &self.organization,
            team,
            scopes: self.scopes,
            surface: self.surface,
            credential: credential(&self.actor),
            agent: self.agent.as_deref(),
        };
        let record_types = render::record_types(effects);
        let change = render::change(effects, &record_types, release);
        let wanted: Wanted = (
            card.name,
            team.map(|(id, _)| id),
            change.creates,
            change.updates,
            record_types.clone(),
            release.map(|parts| parts.map(str::to_owned)),
        );
        let asked = self
            .allowance
            .requirements
            .known_or(wanted, || ruling::requirement(&self.allowance.policies, card, &situation, change))?;
        asked.ok_or_else(|| {
            Refusal::new(
                Code::Forbidden,
                "no policy of the organization says who must approve this write",
                "Ask an organization administrator to publish a rule of approval that covers it.",
            )
            .into()
        })
    }

    /// Whether `person` has a permission for records of `team`, as policy leaves it to people in the browser.
    ///
    /// # Errors
    /// A bug.
    pub(crate) fn may(
        &self,
        person: &Membership,
        permission: Permission,
        team: Option<(TeamId, &str)>,
    ) -> Result<bool, Fault> {
        if person.status != MembershipStatus::Active {
            return Ok(false);
        }
        let other = (person.user_id, person.version, permission, team.map(|(id, _)| id));
        self.allowance.others.known_or(other, || self.asks_about(person, permission, team))
    }

    fn asks_about(
        &self,
        person: &Membership,
        permission: Permission,
        team: Option<(TeamId, &str)>,
    ) -> Result<bool, Fault> {
        let held = Rights::new(person, Permissions::EVERY);
        let question = Question {
            action: permission.as_str(),
            surface: Surface::Console.as_str(),
            credential: "person",
            agent: None,
            held: held.allows(permission, team.map(|(id, _)| id)),
            mcp_access: held.allows_somewhere(Permission::McpAccess),
            change: Change::default(),
        };
        let scene = Scene::of(Subject { person, organization: &self.organization, team })?;
        Ok(self.allowance.policies.allows(&scene, &question)?.allowed)
    }

    /// Whether enough people can meet `requirement` for a record of `team`; what nobody can meet is refused at once
    /// instead of waiting for ever.
    ///
    /// # Errors
    /// `approval_not_granted` saying how many people are missing, and for which policy.
    pub(crate) fn check_satisfiable(
        &self,
        requirement: &Requirement,
        members: &[Membership],
        signers: &BTreeSet<UserId>,
        team: Option<(TeamId, &str)>,
    ) -> Result<(), Stop> {
        let mut able = Vec::new();
        for member in members {
            if self.may(member, Permission::ApprovalsDecide, team)? {
                able.push(member);
            }
        }
        for rule in &requirement.rules {
            let accepted = able.iter().filter(|m| rule.accepts(m, self.user_id, team.map(|(id, _)| id)));
            let count = accepted.filter(|m| !rule.passkey || signers.contains(&m.user_id)).count();
            if count < rule.minimum_approvers as usize {
                return Err(unsatisfiable(rule, count).into());
            }
        }
        Ok(())
    }
}

fn unsatisfiable(rule: &Rule, able: usize) -> Refusal {
    Refusal::new(
        Code::ApprovalNotGranted,
        format!(
            "policy {} asks for {} approval(s){}, and {able} member(s) could give one",
            rule.policy,
            rule.minimum_approvers,
            if rule.passkey { " signed with a passkey" } else { "" }
        ),
        "Ask an organization administrator to give somebody a role that may approve for this team, or to change the \
         policy; where passkeys are asked for, the approvers register theirs in the console under Passkeys.",
    )
}
