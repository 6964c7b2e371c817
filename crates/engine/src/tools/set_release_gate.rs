//! Plans a gate of a release, or a change of one: which checks it is made of, and whether it holds the release while one
//! of them is neither passed nor waived.

use domain::effect::Effect;
use domain::id::{CheckId, GateId};
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::release::{Gate, GateMode, Release, ReleaseCheck};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{limits, release, resolve, work};

/// Make a gate of a release, or change one. It is open when all its checks are passed or waived.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id or name.
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
    /// Gate to change; a new one when left out.
    #[serde(default)]
    pub gate_id: Option<GateId>,
    /// The version you have read, of a gate that is changed.
    #[schemars(range(min = 1))]
    #[serde(default)]
    pub version: Option<i64>,
    /// Unique in the release, ignoring case.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    pub mode: GateMode,
    /// All its checks.
    #[schemars(length(min = 1, max = 100))]
    pub check_ids: Vec<CheckId>,
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    team: String,
    checks: Vec<ReleaseCheck>,
    gates: Vec<Gate>,
}

pub struct SetReleaseGate;

impl Command for SetReleaseGate {
    const CARD: Card = Card {
        name: "loopiq_set_release_gate",
        title: "Set a release gate",
        permission: Some(Permission::ReleasesManage),
        effects: Effects::Write,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let release = release::managed(cx, &input.release).await?;
        let gates = cx.reader.gates(release.id).await?;
        if input.gate_id.is_some_and(|id| gates.iter().all(|gate| gate.id != id)) {
            return Err(Refusal::not_found("gate").into());
        }
        let team = resolve::Names::teams(cx).await?.team(release.team_id).name;
        Ok(Facts { checks: cx.reader.checks(release.id).await?, gates, release, team })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let release = &facts.release;
        let name = work::name("name", &input.name)?;
        let was = facts.gates.iter().find(|gate| Some(gate.id) == input.gate_id);
        if was.is_some_and(|was| Some(was.version) != input.version) {
            return Err(Refusal::changed_meanwhile("loopiq_get_release"));
        }
        let same_name = |gate: &&Gate| gate.name.to_lowercase() == name.to_lowercase();
        if facts.gates.iter().filter(same_name).any(|gate| Some(gate.id) != input.gate_id) {
            return Err(Refusal::invalid("name", "is the name of another gate of the release"));
        }
        if was.is_none() && facts.gates.len() >= limits::RELEASE_GATES_MAX {
            return Err(Refusal::invalid("release", "has as many gates as a release may have"));
        }
        let checks = facts.chosen(&input.check_ids)?;
        let record = Gate {
            id: was.map_or_else(|| GateId::from_uuid(new_id()), |was| was.id),
            release_id: release.id,
            team_id: release.team_id,
            name: name.to_owned(),
            mode: input.mode,
            check_ids: checks.iter().map(|check| check.id).collect(),
            created_at: was.map_or(asked.now, |was| was.created_at),
            updated_at: asked.now,
            version: was.map_or(1, |was| was.version + 1),
        };
        let mut versions = vec![VersionRead::of(RecordType::Release, release.id, release.version)];
        versions.extend(was.map(|was| VersionRead::of(RecordType::Gate, was.id, was.version)));
        versions.extend(checks.iter().map(|c| VersionRead::of(RecordType::ReleaseCheck, c.id, c.version)));
        let mut labels = release::labels(release, &facts.team);
        labels.extend(facts.checks.iter().map(|check| (check.id.to_string(), check.label.clone())));
        Ok(Plan {
            versions,
            labels,
            summary: format!("Gate \u{201c}{name}\u{201d} of {}", release.name),
            team_id: Some(release.team_id),
            release_id: Some(release.id),
            effects: vec![match was {
                Some(was) => Effect::UpdateGate { was: Box::new(was.clone()), record },
                None => Effect::CreateGate { record },
            }],
            ..Plan::default()
        })
    }
}

impl Facts {
    /// The checks of these ids, each once.
    fn chosen(&self, ids: &[CheckId]) -> Result<Vec<&ReleaseCheck>, Refusal> {
        let mut chosen: Vec<&ReleaseCheck> = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            let check = self.checks.iter().find(|check| check.id == *id).ok_or_else(|| {
                Refusal::invalid(format!("checkIds[{index}]"), "must be a check of the release")
            })?;
            if !chosen.iter().any(|known| known.id == *id) {
                chosen.push(check);
            }
        }
        Ok(chosen)
    }
}
