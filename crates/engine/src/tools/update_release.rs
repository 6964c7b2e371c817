//! Plans a change of a release: fields, or its status by a legal move. Closed blocking gates, and a certification that
//! does not stand, keep it from `ready` and `released`.

use domain::certification::{Certification, CertificationStatus};
use domain::effect::Effect;
use domain::org::Component;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::release::{Gate, Release, ReleaseCheck, ReleaseStatus};
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{release, resolve, work};

/// Change a release. Status goes planned, in_progress, in_validation, ready, released, one step at a time, back before
/// it is released, or to cancelled. Ready and released need open gates; released also a certification that stands.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id or name.
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
    /// The version you have read.
    #[schemars(range(min = 1))]
    pub version: i64,
    /// Only what is to change.
    pub changes: Changes,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Changes {
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    #[schemars(length(min = 1, max = 200))]
    pub release_version: Option<String>,
    pub status: Option<ReleaseStatus>,
    #[schemars(length(min = 1, max = 200))]
    pub target_environment: Option<String>,
    /// Replaces all components (ids or names).
    #[schemars(length(max = 100))]
    pub components: Option<Vec<String>>,
    pub planned_at: Option<Timestamp>,
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    team: String,
    /// Another release has the new name.
    taken: bool,
    components: Option<Vec<Component>>,
    checks: Vec<ReleaseCheck>,
    gates: Vec<Gate>,
    certification: Option<Certification>,
}

pub struct UpdateRelease;

impl Command for UpdateRelease {
    const CARD: Card = Card {
        name: "loopiq_update_release",
        title: "Change a release",
        permission: Some(Permission::ReleasesManage),
        effects: Effects::Write,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let release = release::managed(cx, &input.release).await?;
        let taken = match &input.changes.name {
            Some(name) => {
                let named = cx.reader.releases_named(name.trim()).await?;
                named.iter().any(|other| other.id != release.id)
            }
            None => false,
        };
        Ok(Facts {
            team: resolve::Names::teams(cx).await?.team(release.team_id).name,
            taken,
            components: match &input.changes.components {
                Some(names) => Some(release::components(cx, names).await?),
                None => None,
            },
            checks: cx.reader.checks(release.id).await?,
            gates: cx.reader.gates(release.id).await?,
            certification: resolve::current_certification(cx, release.id).await?.map(|(found, _)| found),
            release,
        })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let was = &facts.release;
        if was.version != input.version {
            return Err(Refusal::changed_meanwhile("loopiq_get_release"));
        }
        let mut record = was.clone();
        change_fields(facts, &input.changes, &mut record)?;
        let moves = input.changes.status.filter(|to| *to != was.status);
        if let Some(to) = moves {
            facts.may_become(to)?;
            record.status = to;
            if to == ReleaseStatus::Released {
                record.released_at = Some(asked.now);
            }
        }
        if record == *was {
            return Err(Refusal::invalid("changes", "must change something"));
        }
        record.version += 1;
        record.updated_at = asked.now;
        Ok(Plan {
            versions: facts.versions(moves),
            labels: facts.labels(),
            summary: match moves {
                Some(to) => format!("Release {}: {}", was.name, to.as_str().replace('_', " ")),
                None => format!("Change of release {}", was.name),
            },
            team_id: Some(was.team_id),
            release_id: Some(was.id),
            effects: vec![Effect::UpdateRelease { was: Box::new(was.clone()), record }],
            ..Plan::default()
        })
    }
}

fn change_fields(facts: &Facts, changes: &Changes, record: &mut Release) -> Result<(), Refusal> {
    if let Some(name) = &changes.name {
        work::name("changes.name", name)?.clone_into(&mut record.name);
        if facts.taken {
            return Err(release::name_taken());
        }
    }
    if let Some(version) = &changes.release_version {
        work::name("changes.releaseVersion", version)?.clone_into(&mut record.release_version);
    }
    if let Some(environment) = &changes.target_environment {
        work::name("changes.targetEnvironment", environment)?.clone_into(&mut record.target_environment);
    }
    if let Some(components) = &facts.components {
        record.component_ids = components.iter().map(|c| c.id).collect();
    }
    record.planned_at = changes.planned_at.or(record.planned_at);
    Ok(())
}

impl Facts {
    fn may_become(&self, to: ReleaseStatus) -> Result<(), Refusal> {
        let from = self.release.status;
        if to == ReleaseStatus::RolledBack {
            let message = "is set by finalizing a rollback decision that was carried out";
            return Err(Refusal::invalid("changes.status", message));
        }
        if !from.may_become(to) {
            let legal: Vec<&str> =
                ReleaseStatus::ALL.iter().filter(|s| from.may_become(**s)).map(|s| s.as_str()).collect();
            let message = if legal.is_empty() {
                format!("is {from}; nothing follows that")
            } else {
                format!("may go from {from} to: {}", legal.join(", "))
            };
            return Err(Refusal::invalid("changes.status", message));
        }
        if to.needs_open_gates() {
            let closed: Vec<&str> = self
                .gates
                .iter()
                .filter(|gate| gate.holds(&self.checks))
                .map(|gate| gate.name.as_str())
                .collect();
            if !closed.is_empty() {
                let message = format!("is held by {} closed gate(s)", closed.len());
                return Err(Refusal::invalid("changes.status", message));
            }
        }
        let stands = [CertificationStatus::Certified, CertificationStatus::CertifiedWithExceptions];
        if to == ReleaseStatus::Released
            && self.certification.as_ref().is_some_and(|c| !stands.contains(&c.status))
        {
            return Err(Refusal::invalid("changes.status", "needs a certification that stands"));
        }
        Ok(())
    }

    /// A move of the status also relies on what could have held it.
    fn versions(&self, moves: Option<ReleaseStatus>) -> Vec<VersionRead> {
        use RecordType as T;
        let mut versions = vec![VersionRead::of(T::Release, self.release.id, self.release.version)];
        if moves.is_some_and(ReleaseStatus::needs_open_gates) {
            versions.extend(self.gates.iter().map(|g| VersionRead::of(T::Gate, g.id, g.version)));
            versions.extend(self.checks.iter().map(|c| VersionRead::of(T::ReleaseCheck, c.id, c.version)));
            versions.extend(
                self.certification.as_ref().map(|c| VersionRead::of(T::Certification, c.id, c.version)),
            );
        }
        let components = self.components.iter().flatten();
        versions.extend(components.map(|c| VersionRead::of(T::Component, c.id, c.version)));
        versions
    }

    fn labels(&self) -> std::collections::BTreeMap<String, String> {
        let mut labels = std::collections::BTreeMap::from([
            (self.release.id.to_string(), self.release.name.clone()),
            (self.release.team_id.to_string(), self.team.clone()),
        ]);
        labels.extend(self.components.iter().flatten().map(|c| (c.id.to_string(), c.name.clone())));
        labels.extend(self.gates.iter().map(|g| (g.id.to_string(), g.name.clone())));
        labels.extend(self.checks.iter().map(|c| (c.id.to_string(), c.label.clone())));
        labels.extend(self.certification.iter().map(|c| (c.id.to_string(), c.title.clone())));
        labels
    }
}
