//! Tests of policies, as an administrator writes them: given a person, when they use a tool, expect this answer. A
//! suite asks a text of policies the same questions that calls ask.

use domain::agent::{Agent, AgentStatus, MutationPolicy, NEVER_GRANTED};
use domain::approval::{Requirement, Tier};
use domain::id::{AgentId, OrgId, TeamId, UserId};
use domain::org::{OrgSettings, OrgStatus, Organization};
use domain::permission::{Membership, MembershipStatus, Permission, Permissions, Role, TeamRole};
use domain::record::RecordType;
use domain::time::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::{Change, Policies};
use crate::field::{self, Field};
use crate::ruling::{self, Access, Situation};
use crate::stop::Fault;
use crate::tool::{Card, Effects};
use crate::{Surface, limits, tools};

/// Words for what somebody calls with.
const CREDENTIALS: [&str; 4] = ["person", "token", "agent", "operator"];
/// The team of the record, another team, the organization of the record, another one, and the person.
const IDS: [u128; 5] = [1, 2, 3, 4, 5];

/// A file of tests.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(default)]
    pub given: Given,
    pub when: When,
    pub expect: Expect,
}

/// Who asks, in what organization.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    /// Roles held in the organization.
    pub roles: Vec<Role>,
    /// Roles held in the team that the records belong to.
    pub team_roles: Vec<Role>,
    /// Roles held in another team.
    pub other_team_roles: Vec<Role>,
    /// Permissions granted besides roles.
    pub permissions: Vec<Permission>,
    /// What the credential leaves; everything when absent.
    pub scopes: Option<Vec<Permission>>,
    pub email: String,
    pub active: bool,
    pub mcp: bool,
    pub ai: bool,
    /// Whether the records belong to an organization that is not the person's.
    pub foreign: bool,
    /// The agent that acts for the person.
    pub agent: Option<GivenAgent>,
}

/// An agent that acts for the person.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GivenAgent {
    pub name: String,
    /// Granted to it; everything that an agent may be granted when absent.
    pub permissions: Option<Vec<Permission>>,
    /// `write_with_approval` when absent.
    pub mutation_policy: MutationPolicy,
    /// Whether it is limited to a team that is not the one of the record.
    pub of_another_team: bool,
}

impl Default for GivenAgent {
    fn default() -> GivenAgent {
        GivenAgent {
            name: "agent".into(),
            permissions: None,
            mutation_policy: MutationPolicy::WriteWithApproval,
            of_another_team: false,
        }
    }
}

impl Default for Given {
    fn default() -> Given {
        Given {
            roles: Vec::new(),
            team_roles: Vec::new(),
            other_team_roles: Vec::new(),
            permissions: Vec::new(),
            scopes: None,
            email: "person@example.com".into(),
            active: true,
            mcp: true,
            ai: true,
            foreign: false,
            agent: None,
        }
    }
}

/// What they do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The tool that is called.
    pub tool: Option<String>,
    /// Or the part of a record that is read, such as `blocker.location`.
    pub see: Option<String>,
    /// Key of the team that the records belong to; the organization as a whole when absent.
    pub team: Option<String>,
    /// mcp, mcp_readonly, console, api or scim; mcp when absent.
    pub surface: Option<String>,
    /// person, token, agent or operator; when absent agent with an agent, person in the console, else token.
    pub credential: Option<String>,
    #[serde(default)]
    pub creates: usize,
    #[serde(default)]
    pub updates: usize,
    #[serde(default)]
    pub record_types: Vec<RecordType>,
    pub release: Option<OfRelease>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfRelease {
    pub name: String,
    pub status: String,
    pub environment: String,
}

domain::words! {
    /// Whether a tool may be used.
    Answer { Allow = "allow", Deny = "deny" }
}

/// What must come out; members left away are not looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub access: Option<Answer>,
    /// Ids of the policies that decide access, in any order.
    pub by: Option<Vec<String>>,
    pub approval: Option<Approval>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approval {
    /// No rule covers the write, so that it is refused.
    pub refused: bool,
    pub minimum: Option<u32>,
    pub requester_may_approve: Option<bool>,
    pub tier: Option<Tier>,
    pub passkey: Option<bool>,
    /// Ids of the policies that ask, in any order.
    pub rules: Option<Vec<String>>,
}

/// What came of a case: nothing to say when it is as expected.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Outcome {
    pub name: String,
    pub failures: Vec<String>,
}

impl Suite {
    /// Reads a file of tests, in TOML.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(text: &str) -> Result<Suite, String> {
        if text.len() > limits::POLICY_TESTS_BYTES_MAX {
            return Err(format!("the file has more than {} bytes", limits::POLICY_TESTS_BYTES_MAX));
        }
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
    }

    /// Asks the policies every question.
    ///
    /// # Errors
    /// A bug.
    pub fn run(&self, policies: &Policies) -> Result<Vec<Outcome>, Fault> {
        let run = |case: &Case| {
            let failures = match Asked::of(case) {
                Ok(asked) => asked.compare(policies, case)?,
                Err(mistake) => vec![mistake],
            };
            Ok(Outcome { name: case.name.clone(), failures })
        };
        self.cases.iter().map(run).collect()
    }
}

/// What a case is about.
#[derive(Clone, Copy)]
enum What {
    Call(Card),
    See(Field),
}

/// A case made into what policies are asked about.
struct Asked {
    what: What,
    person: Membership,
    organization: Organization,
    team: Option<(TeamId, String)>,
    scopes: Permissions,
    surface: Surface,
    credential: &'static str,
    agent: Option<Agent>,
}

impl Asked {
    /// The mistake in a case that cannot be asked.
    fn of(case: &Case) -> Result<Asked, String> {
        let (given, when) = (&case.given, &case.when);
        let what = match (&when.tool, &when.see) {
            (Some(tool), None) => What::Call(tools::find(tool).ok_or("there is no tool of this name")?.card),
            (None, Some(part)) => {
                What::See(Field::parse(&format!("{}:{part}", field::GROUP)).ok_or_else(unknown_field)?)
            }
            _ => return Err("name either the tool that is called or what somebody would see".into()),
        };
        let surface = match &when.surface {
            None => Surface::Mcp,
            Some(word) => Surface::parse(word).ok_or("surface is mcp, mcp_readonly, console, api or scim")?,
        };
        let usual = match surface {
            _ if given.agent.is_some() => "agent",
            Surface::Console => "person",
            _ => "token",
        };
        let named = when.credential.as_deref().unwrap_or(usual);
        let credential = CREDENTIALS.into_iter().find(|word| *word == named);
        if given.agent.is_some() && named != "agent" {
            return Err("with an agent, the credential is agent".into());
        }
        if !given.team_roles.is_empty() && when.team.is_none() {
            return Err("team_roles are held in the team of the record: name it as when.team".into());
        }
        let expect = &case.expect;
        if expect.access.is_none() && expect.by.is_none() && expect.approval.is_none() {
            return Err("nothing is expected: name access, by or approval".into());
        }
        let reads = match what {
            What::Call(card) => card.effects == Effects::Read,
            What::See(_) => true,
        };
        if expect.approval.is_some() && reads {
            return Err("reading needs no approval".into());
        }
        Ok(Asked {
            what,
            person: person(given),
            organization: organization(given),
            team: when.team.clone().map(|key| (TeamId::from_uuid(Uuid::from_u128(IDS[0])), key)),
            scopes: given.scopes.as_deref().map_or(Permissions::EVERY, Permissions::of),
            surface,
            credential: credential.ok_or("credential is person, token, agent or operator")?,
            agent: given.agent.as_ref().map(agent),
        })
    }

    fn compare(&self, policies: &Policies, case: &Case) -> Result<Vec<String>, Fault> {
        let situation = Situation {
            person: &self.person,
            organization: &self.organization,
            team: self.team.as_ref().map(|(id, key)| (*id, key.as_str())),
            scopes: self.scopes,
            surface: self.surface,
            credential: self.credential,
            agent: self.agent.as_ref(),
        };
        let (when, expect) = (&case.when, &case.expect);
        let access = match &self.what {
            What::Call(card) => ruling::access(policies, card, &situation)?,
            What::See(field) => ruling::sees(policies, *field, &situation)?,
        };
        let mut failures = differing(expect, &access);
        if let (Some(approval), What::Call(card)) = (&expect.approval, &self.what) {
            let release = when.release.as_ref();
            let change = Change {
                creates: when.creates,
                updates: when.updates,
                record_types: &when.record_types,
                release: release.map(|r| [r.name.as_str(), r.status.as_str(), r.environment.as_str()]),
            };
            let asked = ruling::requirement(policies, card, &situation, change)?;
            failures.extend(asking_otherwise(approval, asked.as_ref()));
        }
        Ok(failures)
    }
}

fn unknown_field() -> String {
    let known: Vec<&str> = Field::ALL.iter().filter_map(|f| f.as_str().split(':').nth(1)).collect();
    format!("what can be seen is {}", known.join(", "))
}

fn person(given: &Given) -> Membership {
    let held = |team: u128, roles: &[Role]| -> Vec<TeamRole> {
        let team_id = TeamId::from_uuid(Uuid::from_u128(team));
        roles.iter().map(|role| TeamRole { team_id, role: *role }).collect()
    };
    let mut team_roles = held(IDS[0], &given.team_roles);
    team_roles.extend(held(IDS[1], &given.other_team_roles));
    Membership {
        organization_id: OrgId::from_uuid(Uuid::from_u128(IDS[2])),
        user_id: UserId::from_uuid(Uuid::from_u128(IDS[4])),
        email: given.email.clone(),
        display_name: String::new(),
        status: if given.active { MembershipStatus::Active } else { MembershipStatus::Inactive },
        roles: given.roles.clone(),
        team_roles,
        direct_permissions: given.permissions.clone(),
        selected_team: None,
        provisioned: None,
        version: 1,
    }
}

fn agent(given: &GivenAgent) -> Agent {
    let grantable = || Permission::ALL.iter().copied().filter(|p| !NEVER_GRANTED.contains(*p)).collect();
    Agent {
        id: AgentId::from_uuid(Uuid::from_u128(IDS[4])),
        name: given.name.clone(),
        description: String::new(),
        team_id: given.of_another_team.then(|| TeamId::from_uuid(Uuid::from_u128(IDS[1]))),
        permissions: given.permissions.clone().unwrap_or_else(grantable),
        mutation_policy: given.mutation_policy,
        status: AgentStatus::Active,
        created_by: UserId::from_uuid(Uuid::from_u128(IDS[4])),
        created_at: Timestamp(0),
        version: 1,
    }
}

fn organization(given: &Given) -> Organization {
    Organization {
        id: OrgId::from_uuid(Uuid::from_u128(if given.foreign { IDS[3] } else { IDS[2] })),
        slug: "acme".into(),
        name: "Acme".into(),
        status: OrgStatus::Active,
        mcp_enabled: given.mcp,
        ai_enabled: given.ai,
        settings: OrgSettings::default(),
        model: None,
        created_at: Timestamp(0),
        version: 1,
    }
}

fn differing(expect: &Expect, access: &Access) -> Vec<String> {
    let mut failures = Vec::new();
    let found = if access.allowed { Answer::Allow } else { Answer::Deny };
    let by = match access.policies.as_slice() {
        [] => "no policy permits it".into(),
        names => format!("by {}", names.join(", ")),
    };
    if expect.access.is_some_and(|wanted| wanted != found) {
        failures.push(format!("access is {found}: {by}"));
    }
    if expect.by.as_ref().is_some_and(|wanted| !same(wanted, &access.policies)) {
        failures.push(format!("it is decided otherwise: {found}, {by}"));
    }
    failures
}

fn asking_otherwise(wanted: &Approval, found: Option<&Requirement>) -> Vec<String> {
    let Some(found) = found else {
        let refused = "no rule of approval covers the write, so it is refused".to_owned();
        return if wanted.refused { Vec::new() } else { vec![refused] };
    };
    let mut failures = Vec::new();
    if wanted.refused {
        failures.push(format!("rules of approval cover the write: {}", found.policy));
    }
    let mut differs = |what: &str, differs: bool, is: String| {
        if differs {
            failures.push(format!("{what} is {is} (asked by {})", found.policy));
        }
    };
    let least = found.minimum_approvers;
    differs("minimum", wanted.minimum.is_some_and(|n| n != least), least.to_string());
    let own = found.requester_may_approve;
    differs("requester_may_approve", wanted.requester_may_approve.is_some_and(|w| w != own), own.to_string());
    differs("tier", wanted.tier.is_some_and(|t| t != found.tier), found.tier.to_string());
    let signed = found.passkey();
    differs("passkey", wanted.passkey.is_some_and(|w| w != signed), signed.to_string());
    let names: Vec<String> = found.rules.iter().map(|rule| rule.policy.clone()).collect();
    differs("rules", wanted.rules.as_ref().is_some_and(|w| !same(w, &names)), format!("{names:?}"));
    failures
}

fn same(wanted: &[String], found: &[String]) -> bool {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    sorted(wanted) == sorted(found)
}
