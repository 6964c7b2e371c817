//! Who may do what, by the policies in force: every tool for one member or one role, or everybody for one tool; which
//! policies say so, and whose approval a write needs. For whoever manages people; never offered over MCP.

use domain::approval::Requirement;
use domain::id::{TeamId, UserId};
use domain::org::Team;
use domain::permission::{Membership, MembershipStatus, Permission, Permissions, Role, TeamRole};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::Change;
use crate::ruling::{self, Access, Situation};
use crate::stop::{Fault, Stop};
use crate::tool::{Card, Cx, Effects, Query, Say, Tool};
use crate::tools::page;
use crate::{Surface, access, limits, tools};

domain::words! {
    /// How somebody comes: in the browser, or by a client with a token.
    Way { Browser = "browser", Client = "client" }
}

/// Explain who may do what: name a member or a role for every tool, or a tool for every member; with both, that one answer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// E-mail or id of a member.
    #[schemars(length(max = 254))]
    pub member: Option<String>,
    /// Instead of a member: somebody who holds this role and nothing else, in `team` where one is named.
    pub role: Option<Role>,
    /// Name of a tool.
    #[schemars(length(max = 100))]
    pub tool: Option<String>,
    /// Team id, name or key: records of this team. Without one, records of no team and of each team where answers may differ.
    #[schemars(length(max = 200))]
    pub team: Option<String>,
    /// How they come; in the browser when absent.
    pub by: Option<Way>,
}

/// What one person may do with one tool.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    pub tool: String,
    pub title: String,
    /// Whether it writes.
    pub writes: bool,
    /// The permission that it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// Of the member; absent for a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether it is offered this way at all.
    pub offered: bool,
    pub allowed: bool,
    /// The teams whose records it is allowed for, where it is not allowed for all that was asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only_teams: Vec<String>,
    /// Ids of the policies that decided; empty when nothing permits it.
    pub policies: Vec<String>,
    /// What must happen before an ordinary write runs. Rules may ask more of writes to certain records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// Ids of the policies that ask for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approval_policies: Vec<String>,
    /// Members whose approval would count, where one person or role was asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Item>,
    pub total: u32,
    /// Whether there are more members or teams than were asked about.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut_off: bool,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("answers", &self.items, self.total, self.cut_off, |item| {
            let who = item.email.as_deref().unwrap_or("the role");
            format!("{who}: {} is {}", item.tool, if item.allowed { "allowed" } else { "refused" })
        })
    }
    fn returned(&self) -> u32 {
        self.total
    }
}

pub struct ExplainAccess;

impl Query for ExplainAccess {
    const CARD: Card = Card {
        name: "loopiq_explain_access",
        title: "Explain who may do what",
        permission: Some(Permission::UsersManage),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        access::managed(cx)?;
        let (members, teams) = (cx.members().await?, cx.reader.teams(None).await?);
        let team = match input.team.as_deref() {
            Some(named) => Some(access::team(&teams, named).ok_or_else(|| Refusal::not_found("team"))?),
            None => None,
        };
        let tool = match input.tool.as_deref() {
            Some(name) => Some(tools::find(name).ok_or_else(|| Refusal::not_found("tool"))?),
            None => None,
        };
        let one = match (input.member.as_deref(), input.role) {
            (Some(_), Some(_)) => return Err(Refusal::invalid("role", "or member, and not both").into()),
            (Some(named), None) => Some(access::anybody(&members, named)?.clone()),
            (None, Some(role)) => Some(holder(cx, role, team)),
            (None, None) => None,
        };
        let asker = Asker {
            cx,
            members: &members,
            teams: &teams,
            team,
            by: input.by.unwrap_or(Way::Browser),
            alone: one.is_some(),
        };
        let mut out = Out { items: Vec::new(), total: 0, cut_off: asker.cut_off() };
        match (&one, tool) {
            (Some(person), Some(tool)) => out.items.push(asker.item(person, tool)?),
            (Some(person), None) => {
                for tool in &tools::ALL {
                    out.items.push(asker.item(person, tool)?);
                }
            }
            (None, Some(tool)) => {
                let active = members.iter().filter(|member| member.status == MembershipStatus::Active);
                out.cut_off |= active.clone().count() > limits::EXPLAINED_MEMBERS_MAX;
                for person in active.take(limits::EXPLAINED_MEMBERS_MAX) {
                    out.items.push(asker.item(person, tool)?);
                }
            }
            (None, None) => return Err(Refusal::invalid("member", "a role or a tool must be given").into()),
        }
        out.total = out.items.len() as u32;
        Ok(out)
    }
}

/// Somebody who holds one role and nothing else.
fn holder(cx: &Cx<'_>, role: Role, team: Option<TeamId>) -> Membership {
    Membership {
        organization_id: cx.organization.id,
        user_id: UserId::from_uuid(uuid::Uuid::nil()),
        email: String::new(),
        display_name: String::new(),
        status: MembershipStatus::Active,
        roles: if team.is_none() { vec![role] } else { Vec::new() },
        team_roles: team.map(|team_id| TeamRole { team_id, role }).into_iter().collect(),
        direct_permissions: Vec::new(),
        selected_team: None,
        provisioned: None,
        version: 0,
    }
}

/// Asks the policies in force.
struct Asker<'a> {
    cx: &'a Cx<'a>,
    members: &'a [Membership],
    teams: &'a [Team],
    /// The team that was named.
    team: Option<TeamId>,
    by: Way,
    /// Whether one person or role is asked about, so that their approvers are named as well.
    alone: bool,
}

type Place<'a> = Option<(TeamId, &'a str)>;

impl<'a> Asker<'a> {
    fn cut_off(&self) -> bool {
        self.team.is_none()
            && self.cx.actor.policies().knows_teams()
            && self.teams.len() > limits::EXPLAINED_TEAMS_MAX
    }

    /// Of which team records may be: what was named, or none and each where the answer may be another.
    fn places(&self, person: &Membership) -> Vec<Place<'a>> {
        let policies = self.cx.actor.policies();
        let differs =
            |id: TeamId| policies.knows_teams() || person.team_roles.iter().any(|held| held.team_id == id);
        let here = self.teams.iter().filter(|team| match self.team {
            Some(named) => team.id == named,
            None => differs(team.id),
        });
        let here = here.take(limits::EXPLAINED_TEAMS_MAX).map(|team| Some((team.id, team.key.as_str())));
        if self.team.is_some() { here.collect() } else { std::iter::once(None).chain(here).collect() }
    }

    fn situation<'b>(&'b self, person: &'b Membership, team: Place<'b>) -> Situation<'b> {
        let (surface, credential) = match self.by {
            Way::Browser => (Surface::Console, "person"),
            Way::Client => (Surface::Mcp, "token"),
        };
        let organization = self.cx.organization;
        Situation { person, organization, team, scopes: Permissions::EVERY, surface, credential, agent: None }
    }

    fn item(&self, person: &Membership, tool: &Tool) -> Result<Item, Fault> {
        let (card, policies) = (&tool.card, self.cx.actor.policies());
        let offered = card.over_mcp || self.by == Way::Browser;
        let active = person.status == MembershipStatus::Active;
        let places = self.places(person);
        let mut allowed: Vec<Place<'_>> = Vec::new();
        let mut said: Option<Access> = None;
        for place in &places {
            let access = ruling::access(policies, card, &self.situation(person, *place))?;
            if access.allowed && allowed.is_empty() {
                said = None;
            }
            if access.allowed {
                allowed.push(*place);
            }
            said.get_or_insert(access);
        }
        let decided = said.map(|access| access.policies).unwrap_or_default();
        let may = offered && active && !allowed.is_empty();
        let writes = card.effects != Effects::Read;
        let place = allowed.first().copied().flatten();
        let requirement = if may && writes {
            ruling::requirement(policies, card, &self.situation(person, place), Change::default())?
        } else {
            None
        };
        let name = |id: TeamId| self.teams.iter().find(|team| team.id == id).map(|team| team.name.clone());
        let everywhere =
            allowed.len() == places.len() || (allowed.first() == Some(&None) && !policies.knows_teams());
        let teams = allowed.iter().flatten().filter_map(|(id, _)| name(*id));
        Ok(Item {
            tool: card.name.to_owned(),
            title: card.title.to_owned(),
            writes,
            permission: card.permission,
            email: (!person.email.is_empty()).then(|| person.email.clone()),
            offered,
            allowed: may,
            only_teams: if may && !everywhere { teams.collect() } else { Vec::new() },
            policies: if offered { decided } else { Vec::new() },
            approval: approval(may && writes, requirement.as_ref()),
            approval_policies: requirement
                .iter()
                .flat_map(|asked| asked.rules.iter().map(|rule| rule.policy.clone()))
                .collect(),
            approvers: match &requirement {
                Some(asked) if self.alone && asked.minimum_approvers > 0 => {
                    self.approvers(asked, person, place)?
                }
                _ => Vec::new(),
            },
        })
    }

    /// Whose approval would count for a write of this person.
    fn approvers(
        &self,
        asked: &Requirement,
        person: &Membership,
        team: Place<'_>,
    ) -> Result<Vec<String>, Fault> {
        let mut able = Vec::new();
        for member in self.members {
            if able.len() >= limits::EXPLAINED_APPROVERS_MAX {
                break;
            }
            let counts = asked.counts(member, person.user_id, team.map(|(id, _)| id), true);
            if !counts.is_empty() && self.cx.actor.may(member, Permission::ApprovalsDecide, team)? {
                able.push(member.email.clone());
            }
        }
        able.sort();
        Ok(able)
    }
}

fn approval(may_write: bool, requirement: Option<&Requirement>) -> Option<String> {
    if !may_write {
        return None;
    }
    let refused = || "Refused: no rule of approval covers it.".to_owned();
    Some(requirement.map_or_else(refused, Requirement::sentence))
}
