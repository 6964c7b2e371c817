//! Plans the next step of a certification on the way to its review: a draft begins to collect evidence, one that
//! collects evidence goes to review. It is evaluated in the same commit, so that one with something blocking arrives
//! as `blocked`. Deciding it is not a tool: that takes a person.

use domain::id::CertificationId;
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::review;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::certified::Certified;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Propose to submit a release certification: a draft begins to collect evidence; one that collects evidence goes to
/// review, where it is blocked as long as something blocking is open. People decide it in the console.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    pub certification_id: CertificationId,
    /// The version you have read.
    #[schemars(range(min = 1))]
    pub version: i64,
}

pub struct SubmitReleaseCertification;

impl Command for SubmitReleaseCertification {
    const CARD: Card = Card {
        name: "loopiq_submit_release_certification",
        title: "Submit a release certification",
        permission: Some(Permission::CertificationsSubmit),
        effects: Effects::Write,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Facts = Certified;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Certified, Stop> {
        Certified::load(cx, input.certification_id, Permission::CertificationsSubmit).await
    }

    fn plan(facts: &Certified, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        facts.check_version(input.version)?;
        let Certified { release, state, settings } = facts;
        let next = review::submitted(&state.certification, state.controls.len())?;
        let effects = state.clone().advance(settings, asked.now, new_id, |c| c.status = next);
        Ok(Plan {
            effects,
            versions: facts.versions(),
            labels: state.labels(),
            summary: format!("Submit the certification of {}: {next}", release.name),
            team_id: Some(state.certification.team_id),
            release_id: Some(release.id),
            certification_id: Some(state.certification.id),
            ..Plan::default()
        })
    }
}
