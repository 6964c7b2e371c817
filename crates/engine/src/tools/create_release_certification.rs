//! Plans the certification of a release against a control set, as a draft: the first one, or a new one after the last
//! was rejected or revoked. Everybody who decides certifications of the team is its reviewer.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::certification::{Certification, CertificationStatus, Readiness, Verdict};
use domain::effect::Effect;
use domain::id::CertificationId;
use domain::permission::{Membership, Permission, Permissions, Rights};
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::release::Release;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::resolve;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Begin the certification of a release against a control set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id or name.
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
    /// Control set, for example release-baseline.
    #[schemars(length(min = 1, max = 200))]
    pub framework: String,
}

/// A control set that there is, and the people who may decide by it.
pub struct Framework {
    name: String,
    people: Arc<Vec<Membership>>,
}

impl Framework {
    /// # Errors
    /// `validation_failed` naming the control sets there are.
    pub(crate) async fn load(cx: &Cx<'_>, name: &str) -> Result<Framework, Stop> {
        let mut known: Vec<String> =
            cx.reader.controls().await?.iter().map(|c| c.framework.clone()).collect();
        known.sort();
        known.dedup();
        let found = known.iter().find(|framework| framework.eq_ignore_ascii_case(name.trim()));
        let Some(found) = found else {
            let message = format!("must be a control set of the organization: {}", known.join(", "));
            return Err(Refusal::invalid("framework", message).into());
        };
        Ok(Framework { name: found.clone(), people: cx.reader.memberships().await? })
    }

    /// Names of the people it knows.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (String, String)> {
        self.people.iter().map(|person| (person.user_id.to_string(), person.email.clone()))
    }
}

/// A certification that has seen no evidence yet.
pub(crate) fn draft(
    framework: &Framework,
    release: &Release,
    asked: Asked<'_>,
    new_id: NewId<'_>,
) -> Certification {
    let decides = |person: &&Membership| {
        Rights::new(person, Permissions::EVERY)
            .allows(Permission::CertificationsDecide, Some(release.team_id))
    };
    Certification {
        id: CertificationId::from_uuid(new_id()),
        release_id: release.id,
        team_id: release.team_id,
        title: format!("{} release certification", release.name),
        framework: framework.name.clone(),
        status: CertificationStatus::Draft,
        readiness: Readiness { score: 0, verdict: Verdict::NotReady },
        open_gap_count: 0,
        open_blocker_count: 0,
        accepted_risk_count: 0,
        reviewers: framework.people.iter().filter(decides).map(|person| person.user_id).collect(),
        decision: None,
        evidence_refreshed_at: None,
        created_at: asked.now,
        created_by: Some(asked.by.user_id),
        updated_at: asked.now,
        version: 1,
    }
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    /// The one that counts today.
    current: Option<Certification>,
    framework: Framework,
}

pub struct CreateReleaseCertification;

impl Command for CreateReleaseCertification {
    const CARD: Card = Card {
        name: "loopiq_create_release_certification",
        title: "Begin a certification",
        permission: Some(Permission::CertificationsSubmit),
        effects: Effects::Write,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let release = resolve::release(cx, &input.release, Permission::ReleasesRead).await?;
        if !cx.rights.allows(Permission::CertificationsSubmit, Some(release.team_id)) {
            return Err(Refusal::forbidden(Permission::CertificationsSubmit).into());
        }
        let current = resolve::current_certification(cx, release.id).await?.map(|(found, _)| found);
        Ok(Facts { framework: Framework::load(cx, &input.framework).await?, release, current })
    }

    fn plan(facts: &Facts, _: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let ended = [CertificationStatus::Rejected, CertificationStatus::Revoked];
        if let Some(current) = facts.current.as_ref().filter(|c| !ended.contains(&c.status)) {
            let message = format!("has a certification that is {}", current.status);
            return Err(Refusal::invalid("release", message));
        }
        let release = &facts.release;
        let record = draft(&facts.framework, release, asked, new_id);
        let mut versions = vec![VersionRead::of(RecordType::Release, release.id, release.version)];
        versions.extend(
            facts.current.as_ref().map(|c| VersionRead::of(RecordType::Certification, c.id, c.version)),
        );
        let mut labels = BTreeMap::from([(release.id.to_string(), release.name.clone())]);
        labels.extend(facts.framework.labels());
        Ok(Plan {
            versions,
            labels,
            summary: format!("Begin the certification of {}", release.name),
            team_id: Some(release.team_id),
            release_id: Some(release.id),
            certification_id: Some(record.id),
            effects: vec![Effect::CreateCertification { record }],
            ..Plan::default()
        })
    }
}
