//! What a draft of policies would have decided otherwise: the actions of a period, and the calls that were refused, are
//! asked about again. People are asked about with the roles they hold today: what the policies in force would not decide
//! today as it was decided then cannot be compared, and is counted as left out. What was asked to be approved then is
//! compared with what the draft asks.

use std::collections::HashMap;
use std::sync::Arc;

use domain::action::Action;
use domain::agent::Agent;
use domain::approval::{Approval, Requirement, Rule};
use domain::audit::AuditKind;
use domain::id::{AgentId, OrgId, TeamId, UserId};
use domain::org::Organization;
use domain::permission::{Membership, MembershipStatus};
use domain::refusal::Code;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use store::{ActionFilter, AuditFilter, Page, Reader};

use crate::policy::Policies;
use crate::ruling::{self, Situation};
use crate::stop::Fault;
use crate::{Engine, limits, render, tools};

/// A period, both ends included.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// What the draft would change about the past.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhatIf {
    /// Actions of the period that were asked about.
    pub actions: usize,
    /// Refused calls that were asked about.
    pub refused_calls: usize,
    /// Actions and calls that could not be asked about: the person, the tool or the right of then is no longer there.
    pub left_out: usize,
    /// Whether the period has more than was looked at.
    pub cut_off: bool,
    pub differences: Vec<Difference>,
}

/// One decision that would have been another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    pub at: Timestamp,
    pub tool: String,
    pub person: String,
    /// Id of the action; absent for a call that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    pub was: String,
    pub would_be: String,
}

/// Everything that the questions need to know of an organization.
struct World {
    /// The policies in force.
    current: Arc<Policies>,
    organization: Organization,
    /// Those who have left, too: what they approved is approved.
    people: HashMap<UserId, Membership>,
    teams: HashMap<TeamId, String>,
    agents: HashMap<AgentId, Agent>,
}

impl World {
    /// Somebody who is still there to be asked about. Who has left holds nothing, and no draft gives them anything.
    fn person(&self, id: UserId) -> Option<&Membership> {
        self.people.get(&id).filter(|member| member.status == MembershipStatus::Active)
    }

    /// The agent that acted, if one did.
    fn acting(&self, agent: Option<AgentId>) -> Result<Option<&Agent>, Unknown> {
        agent.map(|id| self.agents.get(&id).ok_or(Unknown)).transpose()
    }
}

/// Something that is not there to be asked about.
struct Unknown;

impl Engine {
    /// Asks a draft about the past of an organization.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn what_if(
        &self,
        organization: OrgId,
        draft: &Policies,
        period: Period,
    ) -> Result<WhatIf, Fault> {
        let directory = self.parts.store.directory();
        let organization = directory.organization(organization).await?;
        let organization = organization.ok_or(Fault::Bug("an organization that is asked about is there"))?;
        let org = self.parts.store.org(organization.id).await?;
        let reader = org.reader();
        let people = reader.memberships().await?.iter().map(|m| (m.user_id, m.clone())).collect();
        let teams = reader.teams(None).await?.into_iter().map(|team| (team.id, team.key)).collect();
        let version = reader.policy_sets(1).await?.first().map_or(0, |set| set.version);
        let current = self.policies(reader, organization.id, version).await?;
        let agents = reader.agents().await?.into_iter().map(|agent| (agent.id, agent)).collect();
        let world = World { current, organization, people, teams, agents };
        let mut found = WhatIf::default();
        actions(reader, &world, draft, period, &mut found).await?;
        refusals(reader, &world, draft, period, &mut found).await?;
        found.differences.sort_by_key(|difference| difference.at);
        Ok(found)
    }
}

async fn actions(
    reader: &Reader,
    world: &World,
    draft: &Policies,
    period: Period,
    found: &mut WhatIf,
) -> Result<(), Fault> {
    let mut after: Option<String> = None;
    loop {
        let page = Page { limit: limits::PAGE_SIZE_MAX, after: after.as_deref() };
        let page = reader.actions(ActionFilter::default(), page).await?;
        for stored in page.items {
            let action = stored.action;
            // Newest first.
            if action.created_at < period.from {
                return Ok(());
            }
            // What pipelines push is no tool, and policy has no say in it.
            if action.created_at > period.to || !action.tool.starts_with("loopiq_") {
                continue;
            }
            if found.actions + found.left_out >= limits::WHAT_IF_RECORDS_MAX {
                found.cut_off = true;
                return Ok(());
            }
            replay(reader, world, draft, &action, found).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn replay(
    reader: &Reader,
    world: &World,
    draft: &Policies,
    action: &Action,
    found: &mut WhatIf,
) -> Result<(), Fault> {
    let (Some(tool), Some(person)) = (tools::find(&action.tool), world.person(action.requester_id)) else {
        found.left_out += 1;
        return Ok(());
    };
    let agent = action.agent.as_ref().map(|agent| agent.id);
    let Ok(acting) = world.acting(agent) else {
        found.left_out += 1;
        return Ok(());
    };
    let team = action.team_id.and_then(|id| world.teams.get(&id).map(|key| (id, key.as_str())));
    let situation = Situation::of_action(action, &world.organization, person, team, acting);
    if !ruling::access(&world.current, &tool.card, &situation)?.allowed {
        found.left_out += 1;
        return Ok(());
    }
    found.actions += 1;
    let mut differ = |was: String, would_be: String| {
        found.differences.push(Difference {
            at: action.created_at,
            tool: action.tool.clone(),
            person: person.email.clone(),
            action: Some(action.id.to_string()),
            was,
            would_be,
        });
    };
    let access = ruling::access(draft, &tool.card, &situation)?;
    if !access.allowed {
        differ("proposed".into(), format!("refused{}", by(&access.policies)));
        return Ok(());
    }
    let release = match action.release_id {
        Some(id) => reader.release(id).await?,
        None => None,
    };
    let release =
        release.as_ref().map(|r| [r.name.as_str(), r.status.as_str(), r.target_environment.as_str()]);
    let types = render::record_types(&action.effects);
    let change = render::change(&action.effects, &types, release);
    match ruling::requirement(draft, &tool.card, &situation, change)? {
        None => differ("proposed".into(), "refused: no rule of approval covers it".into()),
        Some(asked) if meaning(&asked) != meaning(&action.requirement) => {
            let mut would_be = asked.sentence();
            if let Some(lacking) = unmet(&asked, action, world) {
                would_be.push_str(&lacking);
            }
            differ(action.requirement.sentence(), would_be);
        }
        Some(_) => {}
    }
    Ok(())
}

/// Rules without their names: what they ask, in one order.
fn meaning(requirement: &Requirement) -> Vec<String> {
    let asking = requirement.rules.iter().filter(|rule| rule.minimum_approvers > 0);
    let mut rules: Vec<String> =
        asking.map(|rule| format!("{:?}", Rule { policy: String::new(), ..rule.clone() })).collect();
    rules.sort();
    rules.dedup();
    rules
}

/// That the approvals which were given would not have been enough, where the action was executed on them.
fn unmet(asked: &Requirement, action: &Action, world: &World) -> Option<String> {
    if action.state != domain::action::ActionState::Executed || action.broken_glass.is_some() {
        return None;
    }
    let again = |approval: &Approval| {
        let person = world.people.get(&approval.by);
        let counts_for =
            person.map(|p| asked.counts(p, action.requester_id, action.team_id, approval.passkey.is_some()));
        Approval { counts_for: counts_for.unwrap_or_default(), ..approval.clone() }
    };
    let approvals: Vec<Approval> = action.approvals.iter().map(again).collect();
    (!asked.is_met(&approvals))
        .then(|| " The approvals it was executed on would not have been enough.".into())
}

async fn refusals(
    reader: &Reader,
    world: &World,
    draft: &Policies,
    period: Period,
    found: &mut WhatIf,
) -> Result<(), Fault> {
    let filter = AuditFilter {
        kinds: &[AuditKind::Denied],
        from: Some(period.from),
        to: Some(period.to),
        ..AuditFilter::default()
    };
    let mut after: Option<String> = None;
    loop {
        let page = Page { limit: limits::PAGE_SIZE_MAX, after: after.as_deref() };
        let page = reader.audit(filter, page).await?;
        for entry in page.items.into_iter().map(|record| record.entry) {
            if entry.code != Some(Code::Forbidden) {
                continue;
            }
            if found.refused_calls >= limits::WHAT_IF_RECORDS_MAX {
                found.cut_off = true;
                return Ok(());
            }
            let person = entry.actor.user_id.and_then(|id| world.person(id));
            let tool = entry.tool.as_deref().and_then(tools::find);
            let acting = world.acting(entry.actor.agent_id);
            let (Some(tool), Some(person), Ok(acting)) = (tool, person, acting) else {
                found.left_out += 1;
                continue;
            };
            let call = (entry.channel, entry.actor.token_id.is_some());
            let situation = Situation::of_call(call, &world.organization, person, None, acting);
            if ruling::access(&world.current, &tool.card, &situation)?.allowed {
                found.left_out += 1;
                continue;
            }
            found.refused_calls += 1;
            let access = ruling::access(draft, &tool.card, &situation)?;
            if access.allowed {
                found.differences.push(Difference {
                    at: entry.at,
                    tool: tool.card.name.to_owned(),
                    person: person.email.clone(),
                    action: None,
                    was: "refused".into(),
                    would_be: format!("allowed{}", by(&access.policies)),
                });
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn by(policies: &[String]) -> String {
    if policies.is_empty() { ": no policy permits it".into() } else { format!(" by {}", policies.join(", ")) }
}
