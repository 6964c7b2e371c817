//! The governance actions on a release certification: eight fixed questions to the language model, each offered only where the
//! organization, the person's rights and the state of the certification allow it. They advise; what comes of them is decided by
//! people, and is attached to the certification only when somebody asks for it.

use domain::certification::CertificationStatus as S;
use domain::conversation::{Review, ReviewKind as K};
use domain::id::{CertificationId, TeamId};
use domain::permission::Permission;
use domain::refusal::{Code, Refusal};
use engine::Admitted;
use serde_json::{Value, json};

use super::results::text;
use super::{Call, Door, converse};

/// As people know it.
pub const fn title(kind: K) -> &'static str {
    match kind {
        K::ReleaseReadiness => "Release readiness review",
        K::EvidencePackage => "Evidence package generation",
        K::RegulatoryControl => "Regulatory control review",
        K::SecurityPosture => "Security posture review",
        K::RiskSummary => "Risk summary",
        K::RollbackReadiness => "Rollback readiness review",
        K::TestAndQuality => "Test and quality review",
        K::OperationalImpact => "Operational impact analysis",
    }
}

/// What the model is to look into.
const fn task(kind: K) -> &'static str {
    match kind {
        K::ReleaseReadiness => {
            "Review whether this release is ready to be certified: verdict and score, every required control that is not \
             satisfied, open gaps and blockers, and what is being worked on."
        }
        K::EvidencePackage => {
            "Put together the evidence of this certification for an auditor: for each control which evidence there is, of which \
             type and source, from when, how fresh, and its id; then what is missing."
        }
        K::RegulatoryControl => {
            "Review the controls against the rules that they are mapped to: which mappings are covered by passing evidence, \
             which rest on exceptions, and which are open."
        }
        K::SecurityPosture => {
            "Review the security of this release: scans and their findings by severity and component, what blocks, what is \
             accepted, and what the bill of materials covers."
        }
        K::RiskSummary => {
            "Summarize the risks of this release: open risks, exceptions with their ends, and what follows from open blockers."
        }
        K::RollbackReadiness => {
            "Review whether this release could be taken back: its environment, checks and gates, deployment evidence, rollback \
             decisions so far, and what would have to be known first."
        }
        K::TestAndQuality => {
            "Review tests and quality: test runs with their numbers, code quality, what failed, what is stale, and what is not \
             tested at all as far as the evidence says."
        }
        K::OperationalImpact => {
            "Analyse what this release means for operation: what changes compared with what runs, monitoring, incidents and \
             change requests among the evidence, open work, and who should know."
        }
    }
}

/// Tools without which there is nothing to look at.
const fn needs(kind: K) -> &'static [&'static str] {
    match kind {
        K::RiskSummary => &["loopiq_get_release_certification", "loopiq_list_risks"],
        K::SecurityPosture | K::ReleaseReadiness => {
            &["loopiq_get_release_certification", "loopiq_list_provider_blockers"]
        }
        _ => &["loopiq_get_release_certification", "loopiq_list_evidence"],
    }
}

/// Whether a certification that stands so can be looked into like this. What prepares a decision has no place after it.
const fn fits(kind: K, status: S) -> bool {
    let prepares =
        matches!(kind, K::ReleaseReadiness | K::RegulatoryControl | K::SecurityPosture | K::TestAndQuality);
    match status {
        S::Draft | S::CollectingEvidence | S::InReview | S::Blocked => true,
        S::Certified | S::CertifiedWithExceptions => !prepares,
        S::Rejected | S::Revoked => false,
    }
}

/// What this person may have looked into, on a certification of this team that stands so; nothing without a model.
pub fn allowed(actor: &Admitted, status: S, team: TeamId) -> Vec<K> {
    let rights = actor.rights.allows(Permission::AiRunActions, Some(team));
    if converse::model_of(actor).is_none() || !rights {
        return Vec::new();
    }
    let tools: Vec<&str> = actor.tools().iter().map(|tool| tool.name()).collect();
    let possible = |kind: &K| fits(*kind, status) && needs(*kind).iter().all(|tool| tools.contains(tool));
    K::ALL.iter().copied().filter(possible).collect()
}

async fn read<D: Door>(door: &D, id: CertificationId) -> Result<Value, Refusal> {
    let Value::Object(arguments) = json!({ "certificationId": id }) else { return Err(Refusal::internal()) };
    door.call(&Call { tool: "loopiq_get_release_certification", arguments }).await
}

/// What this person may have looked into on a certification.
///
/// # Errors
/// What reading it refuses.
pub async fn allowed_on<D: Door>(
    door: &D,
    actor: &Admitted,
    id: CertificationId,
) -> Result<(Vec<K>, Value), Refusal> {
    if converse::model_of(actor).is_none() {
        return Ok((Vec::new(), Value::Null));
    }
    let found = read(door, id).await?;
    let status = S::parse(text(&found, "/certification/status"));
    let team = text(&found, "/certification/team/id").parse().ok();
    let all = status.zip(team).map(|(status, team)| allowed(actor, status, team));
    Ok((all.unwrap_or_default(), found))
}

/// The governance action, if this person may have it here.
///
/// # Errors
/// `not_found` for the certification, `forbidden` where it is not allowed.
pub async fn admitted<D: Door>(
    door: &D,
    actor: &Admitted,
    id: CertificationId,
    kind: K,
) -> Result<Review, Refusal> {
    let (all, found) = allowed_on(door, actor, id).await?;
    let release_id = text(&found, "/certification/release/id").parse();
    match release_id {
        Ok(release_id) if all.contains(&kind) => Ok(Review { kind, certification_id: id, release_id }),
        _ => Err(Refusal::new(
            Code::Forbidden,
            "this is not looked into here",
            "It needs a language model, AI switched on, the permissions ai:use and ai:run_actions, and a certification that is \
             not decided yet.",
        )),
    }
}

/// What the model is asked for it.
pub fn prompt(review: &Review) -> String {
    format!(
        "Governance action: {} of certification {} (release {}).\n\n{}\n\nRead what you need with the tools first. Then write at most \
         500 words under exactly these four headings, each on a line of its own: Recommendation, Risks, Missing evidence, \
         Suggested next steps. Name records by their ids. Plan nothing, and preview nothing.",
        title(review.kind),
        review.certification_id,
        review.release_id,
        task(review.kind),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_is_no_longer_prepared() {
        for kind in K::ALL.iter().copied() {
            assert!(fits(kind, S::InReview) && !fits(kind, S::Revoked), "{kind}");
            for tool in needs(kind) {
                assert!(engine::tools::find(tool).is_some_and(engine::Tool::is_read), "{tool}");
            }
        }
        assert!(!fits(K::ReleaseReadiness, S::Certified) && fits(K::EvidencePackage, S::Certified));
    }
}
