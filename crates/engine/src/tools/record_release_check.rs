//! Plans a check of a release, or a change of one: the documented fields checkpoint label, severity, status, due date
//! and source entity. A check that is waived says so with the reason of the action.

use domain::effect::Effect;
use domain::id::CheckId;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::release::{CheckStatus, Release, ReleaseCheck};
use domain::severity::Severity;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{limits, release, resolve, work};

/// Record a check of a release, or change one. Its status opens or closes the gates it belongs to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id or name.
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
    /// Check to change; a new one when left out.
    #[serde(default)]
    pub check_id: Option<CheckId>,
    /// The version you have read, of a check that is changed.
    #[schemars(range(min = 1))]
    #[serde(default)]
    pub version: Option<i64>,
    /// What is checked; needed for a new one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub label: Option<String>,
    /// Medium for a new one.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Pending for a new one.
    #[serde(default)]
    pub status: Option<CheckStatus>,
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// The record it came from, as type:id.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub source_entity: Option<String>,
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    team: String,
    was: Option<ReleaseCheck>,
    /// Checks the release has.
    count: usize,
}

pub struct RecordReleaseCheck;

impl Command for RecordReleaseCheck {
    const CARD: Card = Card {
        name: "loopiq_record_release_check",
        title: "Record a release check",
        permission: Some(Permission::ReleasesManage),
        effects: Effects::Write,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let release = release::managed(cx, &input.release).await?;
        let mut checks = cx.reader.checks(release.id).await?;
        let count = checks.len();
        let was = match input.check_id {
            Some(id) => {
                let index = checks.iter().position(|check| check.id == id);
                Some(checks.swap_remove(index.ok_or_else(|| Refusal::not_found("check"))?))
            }
            None => None,
        };
        let team = resolve::Names::teams(cx).await?.team(release.team_id).name;
        Ok(Facts { release, team, was, count })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let release = &facts.release;
        let mut record = match &facts.was {
            Some(was) if Some(was.version) != input.version => {
                return Err(Refusal::changed_meanwhile("loopiq_get_release"));
            }
            Some(was) => was.clone(),
            None => facts.begin(input, asked, new_id)?,
        };
        if let Some(label) = &input.label {
            work::name("label", label)?.clone_into(&mut record.label);
        }
        record.severity = input.severity.unwrap_or(record.severity);
        if let Some(to) = input.status.filter(|to| *to != record.status) {
            if facts.was.is_some() && !record.status.may_become(to) {
                let message = format!("may not go from {} to that", record.status);
                return Err(Refusal::invalid("status", message));
            }
            record.status = to;
        }
        record.due_at = input.due_at.or(record.due_at);
        if let Some(source) = &input.source_entity {
            record.source_entity = Some(work::name("sourceEntity", source)?.to_owned());
        }
        let mut versions = vec![VersionRead::of(RecordType::Release, release.id, release.version)];
        let summary =
            format!("Check \u{201c}{}\u{201d} of {}: {}", record.label, release.name, record.status);
        let effect = match &facts.was {
            Some(was) if record == *was => {
                return Err(Refusal::invalid("checkId", "is recorded just so already"));
            }
            Some(was) => {
                versions.push(VersionRead::of(RecordType::ReleaseCheck, was.id, was.version));
                record.version += 1;
                record.updated_at = asked.now;
                Effect::UpdateReleaseCheck { was: Box::new(was.clone()), record }
            }
            None => Effect::CreateReleaseCheck { record },
        };
        Ok(Plan {
            effects: vec![effect],
            versions,
            labels: release::labels(release, &facts.team),
            summary,
            team_id: Some(release.team_id),
            release_id: Some(release.id),
            ..Plan::default()
        })
    }
}

impl Facts {
    fn begin(&self, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<ReleaseCheck, Refusal> {
        if self.count >= limits::RELEASE_CHECKS_MAX {
            return Err(Refusal::invalid("release", "has as many checks as a release may have"));
        }
        if input.label.is_none() {
            return Err(Refusal::invalid("label", "must say what is checked"));
        }
        Ok(ReleaseCheck {
            id: CheckId::from_uuid(new_id()),
            release_id: self.release.id,
            team_id: self.release.team_id,
            label: String::new(),
            severity: Severity::Medium,
            status: CheckStatus::Pending,
            due_at: None,
            source_entity: None,
            created_at: asked.now,
            updated_at: asked.now,
            version: 1,
        })
    }
}
