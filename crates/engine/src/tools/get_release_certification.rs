//! One certification with every control's outcome and why.

use domain::certification::{ControlOutcome, Decision};
use domain::id::CertificationId;
use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::view::{CertificationView, ControlView, ReleaseRef, TeamRef};

/// Get a release certification: status, readiness, and each control with its outcome and the reason for it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Id of the certification.
    pub certification_id: Option<CertificationId>,
    /// Release (id or name), instead of or together with the id.
    #[schemars(length(min = 1, max = 200))]
    pub release: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub certification: CertificationView,
    pub controls: Vec<ControlView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Whether the release has several certifications and the newest current one was chosen.
    pub chosen_of_several: bool,
    /// Record version, for tools that change the certification.
    pub version: i64,
}

impl Say for Out {
    fn say(&self) -> String {
        let c = &self.certification;
        let mut text = format!(
            "Certification {} of release {} is {}: {}, score {}. {} open gap(s), {} open blocker(s).",
            c.id,
            c.release.name,
            c.status,
            c.readiness.verdict,
            c.readiness.score,
            c.open_gap_count,
            c.open_blocker_count
        );
        for control in self.controls.iter().filter(|k| k.outcome != ControlOutcome::Passed) {
            text.push_str(&format!("\n- {} {}: {}", control.code, control.outcome, control.explanation));
        }
        text
    }
    fn team(&self) -> Option<TeamRef> {
        Some(self.certification.team.clone())
    }
}

pub struct GetReleaseCertification;

impl Query for GetReleaseCertification {
    const CARD: Card = Card {
        name: "loopiq_get_release_certification",
        title: "Get a release certification",
        permission: Some(Permission::CertificationsRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let (certification, release, several) =
            resolve::certification(cx, input.certification_id, input.release.as_deref()).await?;
        let results = cx.reader.control_results(certification.id).await?;
        let controls = cx
            .reader
            .controls()
            .await?
            .iter()
            .filter(|c| c.framework == certification.framework)
            .cloned()
            .map(|control| {
                let result = results.iter().find(|r| r.control_id == control.id);
                ControlView {
                    id: control.id,
                    code: control.code,
                    title: control.title,
                    required: control.required,
                    severity: control.severity,
                    outcome: result.map_or(ControlOutcome::NotEvaluated, |r| r.outcome),
                    explanation: result.map(|r| r.explanation.clone()).unwrap_or_default(),
                    evidence_ids: result.map(|r| r.evidence_ids.clone()).unwrap_or_default(),
                    mappings: control.mappings,
                }
            })
            .collect();
        let names = Names::teams(cx).await?;
        let release = ReleaseRef { id: release.id, name: release.name };
        Ok(Out {
            certification: CertificationView::new(
                &certification,
                release,
                names.team(certification.team_id),
                cx.links,
            ),
            controls,
            decision: certification.decision,
            chosen_of_several: several,
            version: certification.version,
        })
    }
}
