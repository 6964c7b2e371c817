//! Plans the rollback decision of a release, or a change of it: proposed, decided, carried out, finalized. Always
//! approved by a second person. A released release whose rollback was completed becomes `rolled_back` when the decision
//! is finalized.

use std::collections::BTreeMap;

use domain::effect::Effect;
use domain::id::RollbackId;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::release::{ExecutionState, Release, ReleaseStatus, RollbackDecision, RollbackStatus};
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::resolve;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Propose to record or update the rollback decision of a release; reason says why. Status: proposed, then
/// decided_rollback or decided_proceed, then finalized. A second person must approve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id or name.
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
    pub status: RollbackStatus,
    /// How it is rolled back; kept when left out.
    #[schemars(length(max = 4000))]
    #[serde(default)]
    pub rollback_plan: Option<String>,
    /// By when; kept when left out.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// Of a decided rollback; kept when left out.
    #[serde(default)]
    pub execution_state: Option<ExecutionState>,
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    team: String,
    decision: Option<RollbackDecision>,
}

pub struct RecordRollbackDecision;

impl Command for RecordRollbackDecision {
    const CARD: Card = Card {
        name: "loopiq_record_rollback_decision",
        title: "Record a rollback decision",
        permission: Some(Permission::RollbackDecide),
        effects: Effects::SecondPerson,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let release = resolve::release(cx, &input.release, Permission::ReleasesRead).await?;
        if !cx.rights.allows(Permission::RollbackDecide, Some(release.team_id)) {
            return Err(Refusal::forbidden(Permission::RollbackDecide).into());
        }
        Ok(Facts {
            team: resolve::Names::teams(cx).await?.team(release.team_id).name,
            decision: cx.reader.rollback_decision(release.id).await?,
            release,
        })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let was = facts.decision.as_ref();
        let record = RollbackDecision {
            id: was.map_or_else(|| RollbackId::from_uuid(new_id()), |w| w.id),
            release_id: facts.release.id,
            team_id: facts.release.team_id,
            status: input.status,
            reason: asked.reason.to_owned(),
            due_at: input.due_at.or(was.and_then(|w| w.due_at)),
            rollback_plan: match (&input.rollback_plan, was) {
                (Some(plan), _) => plan.trim().to_owned(),
                (None, Some(was)) => was.rollback_plan.clone(),
                (None, None) => String::new(),
            },
            execution_state: input
                .execution_state
                .or(was.map(|w| w.execution_state))
                .unwrap_or(ExecutionState::NotStarted),
            recorded_by: asked.by.user_id,
            created_at: was.map_or(asked.now, |w| w.created_at),
            updated_at: asked.now,
            version: was.map_or(1, |w| w.version + 1),
        };
        record.may_follow(was)?;
        let mut effects = Vec::new();
        if record.took_back() && facts.release.status == ReleaseStatus::Released {
            effects.push(taken_back(&facts.release, asked.now));
        }
        effects.insert(
            0,
            match was {
                Some(was) => Effect::UpdateRollbackDecision { was: Box::new(was.clone()), record },
                None => Effect::CreateRollbackDecision { record },
            },
        );
        Ok(into_plan(facts, input, effects))
    }
}

fn taken_back(release: &Release, at: Timestamp) -> Effect {
    let mut record = release.clone();
    record.status = ReleaseStatus::RolledBack;
    record.updated_at = at;
    record.version += 1;
    Effect::UpdateRelease { was: Box::new(release.clone()), record }
}

fn into_plan(facts: &Facts, input: &In, effects: Vec<Effect>) -> Plan {
    let release = &facts.release;
    let mut versions = vec![VersionRead::of(RecordType::Release, release.id, release.version)];
    versions.extend(
        facts.decision.as_ref().map(|d| VersionRead::of(RecordType::RollbackDecision, d.id, d.version)),
    );
    Plan {
        effects,
        versions,
        labels: BTreeMap::from([
            (release.id.to_string(), release.name.clone()),
            (release.team_id.to_string(), facts.team.clone()),
        ]),
        summary: format!("Rollback of {}: {}", release.name, input.status.as_str().replace('_', " ")),
        team_id: Some(release.team_id),
        release_id: Some(release.id),
        ..Plan::default()
    }
}
