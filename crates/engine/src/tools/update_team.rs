//! Plans another name or key of a team. Records hold its id and follow by themselves; policies hold its key, so that under a new
//! key the team is no longer the one that they name. In force by the next call on every node.

use domain::effect::Effect;
use domain::org::Team;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{resolve, team};

/// Change the name or the key of a team. What is left out stays as it is. Policies and command lines name a team by its key:
/// those that name the old key no longer mean this team.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id, name or key of the team.
    #[schemars(length(min = 1, max = 200))]
    pub team: String,
    /// Unique in the organization, ignoring case.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub name: Option<String>,
    /// Short name: 2 to 40 lower-case letters, digits and inner hyphens; unique in the organization.
    #[schemars(length(min = 2, max = 40))]
    #[serde(default)]
    pub key: Option<String>,
    /// The version you have read; any when absent.
    #[serde(default)]
    pub version: Option<i64>,
}

/// Everything the plan relies on.
pub struct Facts {
    team: Team,
    teams: Vec<Team>,
}

pub struct UpdateTeam;

impl Command for UpdateTeam {
    const CARD: Card = Card {
        name: "loopiq_update_team",
        title: "Change a team",
        permission: Some(Permission::OrganizationManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        team::managed(cx)?;
        let team = resolve::team(cx, &input.team).await?;
        Ok(Facts { team, teams: cx.reader.teams(None).await? })
    }

    fn plan(facts: &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let was = &facts.team;
        if input.version.is_some_and(|version| version != was.version) {
            return Err(Refusal::changed_meanwhile("loopiq_list_teams"));
        }
        let mut record = was.clone();
        if let Some(name) = &input.name {
            record.name = team::free_name(&facts.teams, Some(was.id), name)?;
        }
        if let Some(key) = &input.key {
            record.key = team::free_key(&facts.teams, Some(was.id), key)?;
        }
        if record == *was {
            return Err(Refusal::invalid("name", "or key must be another than now"));
        }
        record.version += 1;
        Ok(Plan {
            versions: vec![
                VersionRead::of(RecordType::Team, was.id, was.version),
                team::as_read(&facts.teams),
            ],
            summary: format!("Change team {}", was.name),
            effects: vec![Effect::UpdateTeam { was: Box::new(was.clone()), record }],
            ..Plan::default()
        })
    }
}
