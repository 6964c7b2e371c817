//! Who the caller is and which organization answers: the first thing an agent should ask, and the one tool that
//! needs no arguments. Operators use it to see what a token can do.

use domain::id::OrgId;
use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::ActingAgent;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::view::{TeamRef, TeamView};

/// Which LoopIQ tenant (organization) am I connected to, as whom, with which teams, roles and permissions. Start here.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In {}

/// An organization the caller belongs to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct OrganizationView {
    pub id: OrgId,
    pub slug: String,
    pub name: String,
    /// Whether this call was answered for it.
    pub active: bool,
}

/// A role, and where it is held.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct RoleView {
    pub role: domain::permission::Role,
    /// `organization`, or the team's name.
    pub scope: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub organizations: Vec<OrganizationView>,
    pub teams: Vec<TeamView>,
    pub roles: Vec<RoleView>,
    /// What the caller may do somewhere, after the token's scopes.
    pub permissions: Vec<Permission>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected_team: Option<TeamRef>,
    pub mcp_enabled: bool,
    /// The agent that acts for the person in this call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<ActingAgent>,
    #[serde(skip)]
    summary: String,
}

impl Say for Out {
    fn say(&self) -> String {
        self.summary.clone()
    }
    fn team(&self) -> Option<TeamRef> {
        self.selected_team.clone()
    }
}

pub struct GetContext;

impl Query for GetContext {
    const CARD: Card = Card {
        name: "loopiq_get_context",
        title: "Who am I, in which organization",
        permission: None,
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, _: In) -> Result<Out, Stop> {
        let membership = &cx.actor.membership;
        let all = cx.reader.teams(None).await?;
        let name = |id| all.iter().find(|t| t.id == id).map(|t| t.name.clone()).unwrap_or_default();
        let visible = cx.rights.teams_with(Permission::TeamsRead);
        let teams: Vec<TeamView> = all
            .iter()
            .filter(|t| visible.as_ref().is_none_or(|ids| ids.contains(&t.id)))
            .map(|t| TeamView {
                id: t.id,
                name: t.name.clone(),
                key: t.key.clone(),
                version: t.version,
                url: cx.links.team(t.id),
            })
            .collect();
        let mut roles: Vec<RoleView> =
            membership.roles.iter().map(|r| RoleView { role: *r, scope: "organization".into() }).collect();
        roles.extend(
            membership.team_roles.iter().map(|held| RoleView { role: held.role, scope: name(held.team_id) }),
        );
        // A bearer token is bound to one organization; it must not tell about the others.
        let organizations = if cx.actor.credential.is_person() {
            cx.directory.organizations_of(cx.actor.user_id).await?
        } else {
            vec![cx.organization.clone()]
        };
        let selected_team = membership.selected_team.map(|id| TeamRef { id, name: name(id) });
        let team_text = selected_team.as_ref().map_or_else(
            || "No team is selected; lists show every team you may see.".to_owned(),
            |t| format!("Selected team: {}.", t.name),
        );
        let role_text =
            roles.iter().map(|r| format!("{} ({})", r.role, r.scope)).collect::<Vec<_>>().join(", ");
        let agent = cx.actor.agent.as_deref().map(ActingAgent::from);
        let acting = agent.as_ref().map_or_else(String::new, |acting| {
            format!("the agent {} ({}) acting for ", acting.agent.name, acting.mutation_policy)
        });
        let summary = format!(
            "Organization {} ({}). You are {acting}{} with roles: {role_text}. {team_text}",
            cx.organization.name, cx.organization.slug, cx.actor.email
        );
        Ok(Out {
            organizations: organizations
                .into_iter()
                .map(|o| OrganizationView {
                    active: o.id == cx.organization.id,
                    id: o.id,
                    slug: o.slug,
                    name: o.name,
                })
                .collect(),
            teams,
            roles,
            permissions: cx.rights.everywhere().iter().collect(),
            selected_team,
            mcp_enabled: cx.organization.mcp_enabled,
            agent,
            summary,
        })
    }
}
