//! The life of a certification as people move it: submitted, then decided. The moves between `in_review` and `blocked`
//! are computed, in [`crate::evaluation`]. Who may decide is a matter of permissions and approval, not of this file.

use crate::certification::{Certification, CertificationStatus, Decision, Verdict};
use crate::id::UserId;
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;

crate::words! {
    /// What a person may decide about a certification.
    Ruling {
        Certify = "certify", CertifyWithExceptions = "certify_with_exceptions", Reject = "reject", Revoke = "revoke",
    }
}

impl CertificationStatus {
    /// The legal moves, computed ones included (domain reference, section 2.3).
    pub const fn may_become(self, next: CertificationStatus) -> bool {
        use CertificationStatus as S;
        matches!(
            (self, next),
            (S::Draft, S::CollectingEvidence)
                | (S::CollectingEvidence, S::InReview)
                | (S::InReview, S::Blocked | S::Certified | S::CertifiedWithExceptions | S::Rejected)
                | (S::Blocked, S::InReview | S::CertifiedWithExceptions | S::Rejected)
                | (S::Certified | S::CertifiedWithExceptions, S::Revoked)
        )
    }
    /// Whether a person has decided it.
    pub const fn is_decided(self) -> bool {
        use CertificationStatus as S;
        matches!(self, S::Certified | S::CertifiedWithExceptions | S::Rejected | S::Revoked)
    }
}

impl Ruling {
    pub const fn outcome(self) -> CertificationStatus {
        match self {
            Ruling::Certify => CertificationStatus::Certified,
            Ruling::CertifyWithExceptions => CertificationStatus::CertifiedWithExceptions,
            Ruling::Reject => CertificationStatus::Rejected,
            Ruling::Revoke => CertificationStatus::Revoked,
        }
    }
}

/// The status that submitting leads to: a draft collects evidence, one that collects evidence is reviewed.
///
/// # Errors
/// `validation_failed` for one that is submitted or decided already, and for one without controls, which asks
/// nothing and so could show nothing.
pub fn submitted(certification: &Certification, controls: usize) -> Result<CertificationStatus, Refusal> {
    let next = match certification.status {
        CertificationStatus::Draft => CertificationStatus::CollectingEvidence,
        CertificationStatus::CollectingEvidence => CertificationStatus::InReview,
        other => {
            return Err(wrong_status("certificationId", other, "only a draft or one that collects evidence"));
        }
    };
    if controls == 0 {
        return Err(Refusal::invalid("certificationId", "has no controls; choose a control set first"));
    }
    Ok(next)
}

/// The decision, if the certification as it was just evaluated allows it. Certifying asks for the verdict `ready`, with
/// exceptions for `ready_with_exceptions`: then nothing that blocks is open, and everything that would is excepted.
///
/// # Errors
/// `validation_failed` naming the field and what stands against it.
pub fn decided(
    certification: &Certification,
    ruling: Ruling,
    by: UserId,
    at: Timestamp,
    rationale: &str,
) -> Result<Decision, Refusal> {
    let outcome = ruling.outcome();
    if !certification.status.may_become(outcome) {
        let allowed = match ruling {
            Ruling::Revoke => "only a certified one",
            _ => "only one in review",
        };
        return Err(wrong_status("decision", certification.status, allowed));
    }
    let verdict = certification.readiness.verdict;
    let against = match ruling {
        Ruling::Certify if verdict == Verdict::ReadyWithExceptions => {
            Some("must be certify_with_exceptions: what would block is excepted".to_owned())
        }
        Ruling::CertifyWithExceptions if verdict == Verdict::Ready => {
            Some("must be certify: nothing is excepted".to_owned())
        }
        Ruling::Certify | Ruling::CertifyWithExceptions if verdict == Verdict::NotReady => Some(format!(
            "cannot be made while something blocks: {} gap(s) and {} blocker(s) are open",
            certification.open_gap_count, certification.open_blocker_count
        )),
        _ => None,
    };
    if let Some(message) = against {
        return Err(Refusal::invalid("decision", message));
    }
    let rationale = rationale.trim();
    if rationale.is_empty() && matches!(ruling, Ruling::Reject | Ruling::Revoke) {
        return Err(Refusal::invalid("rationale", "must say why, in 1 to 4000 characters"));
    }
    Ok(Decision { by, at, outcome, rationale: rationale.to_owned() })
}

fn wrong_status(field: &str, status: CertificationStatus, allowed: &str) -> Refusal {
    Refusal::new(
        Code::ValidationFailed,
        format!("the certification is {status}"),
        "Read it with loopiq_get_release_certification; its status says what may be done next.",
    )
    .detail(field, format!("is {status}; {allowed} may be"))
}
