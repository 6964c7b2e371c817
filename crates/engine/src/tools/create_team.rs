//! Plans a team. Its key is how policies and command lines name it.

use domain::effect::Effect;
use domain::id::TeamId;
use domain::org::Team;
use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::team;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Create a team.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Unique in the organization, ignoring case.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Short name: 2 to 40 lower-case letters, digits and inner hyphens; unique in the organization.
    #[schemars(length(min = 2, max = 40))]
    pub key: String,
}

/// Teams there are.
pub struct Facts(Vec<Team>);

pub struct CreateTeam;

impl Command for CreateTeam {
    const CARD: Card = Card {
        name: "loopiq_create_team",
        title: "Create a team",
        permission: Some(Permission::OrganizationManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, _: &In) -> Result<Facts, Stop> {
        team::managed(cx)?;
        Ok(Facts(cx.reader.teams(None).await?))
    }

    fn plan(Facts(teams): &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let record = Team {
            name: team::free_name(teams, None, &input.name)?,
            key: team::free_key(teams, None, &input.key)?,
            id: TeamId::from_uuid(new_id()),
            created_at: asked.now,
            version: 1,
        };
        Ok(Plan {
            versions: vec![team::as_read(teams)],
            summary: format!("New team {}", record.name),
            effects: vec![Effect::CreateTeam { record }],
            ..Plan::default()
        })
    }
}
