//! Plans a team. Its key is how policies and command lines name it, and never changes.

use domain::effect::Effect;
use domain::id::TeamId;
use domain::org::{Team, valid_slug};
use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::work;

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
        if !cx.rights.allows(Permission::OrganizationManage, None) {
            return Err(Refusal::forbidden(Permission::OrganizationManage).into());
        }
        Ok(Facts(cx.reader.teams(None).await?))
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let name = work::name("name", &input.name)?;
        if !valid_slug(&input.key) {
            let message = "must be 2 to 40 lower-case letters, digits and inner hyphens";
            return Err(Refusal::invalid("key", message));
        }
        let folded = name.to_lowercase();
        if facts.0.iter().any(|team| team.name.to_lowercase() == folded) {
            return Err(Refusal::invalid("name", "is the name of another team"));
        }
        if facts.0.iter().any(|team| team.key == input.key) {
            return Err(Refusal::invalid("key", "is the key of another team"));
        }
        let record = Team {
            id: TeamId::from_uuid(new_id()),
            key: input.key.clone(),
            name: name.to_owned(),
            created_at: asked.now,
            version: 1,
        };
        Ok(Plan {
            summary: format!("New team {name}"),
            effects: vec![Effect::CreateTeam { record }],
            ..Plan::default()
        })
    }
}
