//! Plans the decision of a certification: certified, certified with exceptions, rejected, or revoked later. The
//! certification is evaluated first, so that nobody certifies on an old picture. For people in the console; by default a
//! second person must approve, and no program can ask for it.

use domain::certification::Certification;
use domain::effect::Effect;
use domain::id::CertificationId;
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::review::{self, Ruling};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::certified::Certified;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Decide a certification. Reason is kept as the rationale. Certifying asks that nothing that blocks is open; a
/// certified one may be revoked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    pub certification_id: CertificationId,
    /// The version you have read.
    #[schemars(range(min = 1))]
    pub version: i64,
    pub decision: Ruling,
}

pub struct DecideCertification;

impl Command for DecideCertification {
    const CARD: Card = Card {
        name: "loopiq_decide_certification",
        title: "Decide a certification",
        permission: Some(Permission::CertificationsDecide),
        effects: Effects::SecondPerson,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Certified;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Certified, Stop> {
        Certified::load(cx, input.certification_id, Permission::CertificationsDecide).await
    }

    fn plan(facts: &Certified, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        facts.check_version(input.version)?;
        let Certified { release, state, settings } = facts;
        let stored = &state.certification;
        let mut effects = state.reconcile(settings, asked.now, new_id);
        let evaluated = effects.iter().position(|e| matches!(e, Effect::UpdateCertification { .. }));
        let evaluated = match evaluated.map(|index| effects.remove(index)) {
            Some(Effect::UpdateCertification { record, .. }) => record,
            _ => Certification { version: stored.version + 1, ..stored.clone() },
        };
        let decision =
            review::decided(&evaluated, input.decision, asked.by.user_id, asked.now, asked.reason)?;
        let status = decision.outcome;
        let record = Certification { status, decision: Some(decision), updated_at: asked.now, ..evaluated };
        effects.insert(0, Effect::UpdateCertification { was: Box::new(stored.clone()), record });
        let mut labels = state.labels();
        labels.insert(asked.by.user_id.to_string(), asked.by.email.clone());
        Ok(Plan {
            effects,
            versions: facts.versions(),
            labels,
            summary: format!("Certification of {}: {}", release.name, status.as_str().replace('_', " ")),
            team_id: Some(stored.team_id),
            release_id: Some(release.id),
            certification_id: Some(stored.id),
            ..Plan::default()
        })
    }
}
