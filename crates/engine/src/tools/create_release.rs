//! Plans a release, and with it the draft of its certification where a control set is named.

use std::collections::BTreeMap;

use domain::effect::Effect;
use domain::id::ReleaseId;
use domain::org::{Component, Team};
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::release::{Release, ReleaseStatus};
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::tools::create_release_certification::{Framework, draft};
use crate::{release, resolve, work};

/// Create a release of a team.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Unique in the organization, ignoring case.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Version of what is released, for example 1.4.0.
    #[schemars(length(min = 1, max = 200))]
    pub release_version: String,
    /// Team that owns it (id or name).
    #[schemars(length(min = 1, max = 200))]
    pub team_id: String,
    /// Where it is released to, for example production.
    #[schemars(length(min = 1, max = 200))]
    pub target_environment: String,
    /// Components it consists of (ids or names).
    #[schemars(length(max = 100))]
    #[serde(default)]
    pub components: Vec<String>,
    #[serde(default)]
    pub planned_at: Option<Timestamp>,
    /// Control set it is certified against; its certification begins as a draft. Without one, it can be begun later.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub framework: Option<String>,
}

/// Everything the plan relies on.
pub struct Facts {
    team: Team,
    components: Vec<Component>,
    taken: bool,
    framework: Option<Framework>,
}

pub struct CreateRelease;

impl Command for CreateRelease {
    const CARD: Card = Card {
        name: "loopiq_create_release",
        title: "Create a release",
        permission: Some(Permission::ReleasesManage),
        effects: Effects::Write,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let team = resolve::team(cx, &input.team_id).await?;
        if !cx.rights.allows(Permission::ReleasesManage, Some(team.id)) {
            return Err(Refusal::forbidden(Permission::ReleasesManage).into());
        }
        Ok(Facts {
            team,
            components: release::components(cx, &input.components).await?,
            taken: !cx.reader.releases_named(input.name.trim()).await?.is_empty(),
            framework: match &input.framework {
                Some(name) => Some(Framework::load(cx, name).await?),
                None => None,
            },
        })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let name = work::name("name", &input.name)?;
        if facts.taken {
            return Err(release::name_taken());
        }
        let record = Release {
            id: ReleaseId::from_uuid(new_id()),
            name: name.to_owned(),
            release_version: work::name("releaseVersion", &input.release_version)?.to_owned(),
            team_id: facts.team.id,
            component_ids: facts.components.iter().map(|c| c.id).collect(),
            target_environment: work::name("targetEnvironment", &input.target_environment)?.to_owned(),
            planned_at: input.planned_at,
            released_at: None,
            status: ReleaseStatus::Planned,
            created_at: asked.now,
            created_by: Some(asked.by.user_id),
            updated_at: asked.now,
            version: 1,
        };
        let certification =
            facts.framework.as_ref().map(|framework| draft(framework, &record, asked, new_id));
        let mut labels = BTreeMap::from([
            (facts.team.id.to_string(), facts.team.name.clone()),
            (record.id.to_string(), record.name.clone()),
        ]);
        labels.extend(facts.components.iter().map(|c| (c.id.to_string(), c.name.clone())));
        labels.extend(facts.framework.iter().flat_map(Framework::labels));
        let mut versions = vec![VersionRead::of(RecordType::Team, facts.team.id, facts.team.version)];
        versions
            .extend(facts.components.iter().map(|c| VersionRead::of(RecordType::Component, c.id, c.version)));
        Ok(Plan {
            versions,
            labels,
            summary: format!("New release {name} of team {}", facts.team.name),
            team_id: Some(record.team_id),
            effects: std::iter::once(Effect::CreateRelease { record })
                .chain(certification.map(|record| Effect::CreateCertification { record }))
                .collect(),
            ..Plan::default()
        })
    }
}
