//! The evidence pack of a certification: everything that its evaluation is computed from, the original files of the evidence,
//! the records of the log about it, and a signed statement of what came out (in-toto Statement v1 in a DSSE envelope). What it
//! says follows from what it carries, so that its reader computes it once more: [`check::verify`]. Here is the form; how it
//! becomes one file is the engine's matter.

pub mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bundle::Organization;
use crate::certification::{Certification, CertificationStatus, Evidence, EvidenceGap, Exception, Finding};
use crate::control::Control;
use crate::digest::{Digest, canonical_json};
use crate::evaluation::{Facts, evaluate};
use crate::id::UserId;
use crate::org::OrgSettings;
use crate::release::Release;
use crate::time::Timestamp;

/// What the inputs begin with.
pub const FORMAT: &str = "loopiq-evidence-pack";
/// Version of the form.
pub const VERSION: u32 = 1;

/// The signed statement.
pub const STATEMENT: &str = "statement.dsse.json";
/// The release, as canonical JSON.
pub const RELEASE: &str = "release.json";
/// Everything else the evaluation is computed from, as canonical JSON.
pub const INPUTS: &str = "inputs.json";
/// The records of the log about it, as a proof bundle in which hashes stand for all others.
pub const AUDIT: &str = "audit.bundle";
/// Where the original files of the evidence lie, each under its SHA-256.
pub const EVIDENCE: &str = "evidence/";

/// Type of the payload, as in-toto names it.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Type of the statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Type of the predicate. One of our own: the verification results that in-toto knows name what was passed, and have no place for a
/// certification that was not granted, nor for the outcome of each control.
pub const PREDICATE_TYPE: &str = "https://loopiq.com/attestations/release-certification/v1";

/// Original files of one pack. A certification with more has to be told apart by release.
pub const FILES_MAX: usize = 5_000;
/// Bytes of all original files of one pack together, and of all that is read of one.
pub const EVIDENCE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Records of the log in one pack; the newest about the certification are kept.
pub const RECORDS_MAX: usize = 10_000;

/// What the evaluation is computed from, besides the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inputs {
    pub format: String,
    pub version: u32,
    /// Version of the program that made the pack.
    pub made_by: String,
    pub organization: Organization,
    pub evaluated_at: Timestamp,
    pub settings: OrgSettings,
    pub certification: Certification,
    pub controls: Vec<Control>,
    /// Current evidence of the release.
    pub evidence: Vec<Evidence>,
    pub findings: Vec<Finding>,
    pub gaps: Vec<EvidenceGap>,
    pub exceptions: Vec<Exception>,
    /// E-mail addresses of the people whom the records name.
    pub people: BTreeMap<UserId, String>,
}

/// Where a file of this content lies.
pub fn evidence_path(sha256: &str) -> String {
    format!("{EVIDENCE}{sha256}")
}

/// Whether the decision of people stands.
pub const fn is_granted(status: CertificationStatus) -> bool {
    matches!(status, CertificationStatus::Certified | CertificationStatus::CertifiedWithExceptions)
}

impl Inputs {
    /// What is said of a certification with these inputs, of this release.
    pub fn predicate(&self, release: &Release) -> Value {
        let evaluation = evaluate(&Facts {
            settings: &self.settings,
            release_id: release.id,
            team_id: release.team_id,
            certification: &self.certification,
            controls: &self.controls,
            results: &[],
            evidence: &self.evidence,
            findings: &self.findings,
            gaps: &self.gaps,
            exceptions: &self.exceptions,
            now: self.evaluated_at,
        });
        let controls: Vec<Value> = self
            .controls
            .iter()
            .zip(&evaluation.results)
            .map(|(control, result)| {
                json!({
                    "id": control.id, "code": control.code, "required": control.required,
                    "outcome": result.outcome, "explanation": result.explanation, "evidence": result.evidence_ids,
                })
            })
            .collect();
        let certification = &self.certification;
        json!({
            "evaluatedAt": self.evaluated_at,
            "organization": self.organization,
            "release": { "id": release.id, "name": release.name, "version": release.release_version },
            "certification": {
                "id": certification.id, "title": certification.title, "controlSet": certification.framework,
                "status": certification.status,
            },
            "granted": is_granted(certification.status),
            "decision": certification.decision,
            "readiness": evaluation.readiness,
            "controls": controls,
            "openGaps": evaluation.open_gap_count,
            "openBlockers": evaluation.open_blocker_count,
            "acceptedRisks": evaluation.accepted_risk_count,
        })
    }
}

/// The files that the statement is about, besides the evidence, which the inputs name.
#[derive(Debug, Clone, Copy)]
pub struct Subjects {
    pub release: Digest,
    pub inputs: Digest,
    pub audit: Digest,
}

/// The statement: the same bytes for the same pack.
///
/// # Errors
/// Only if a value cannot be written as JSON, which is a bug.
pub fn statement(inputs: &Inputs, release: &Release, of: Subjects) -> Result<Vec<u8>, serde_json::Error> {
    let subject = |name: &str, digest: Digest| json!({ "name": name, "digest": { "sha256": digest } });
    canonical_json(&json!({
        "_type": STATEMENT_TYPE,
        "subject": [subject(RELEASE, of.release), subject(INPUTS, of.inputs), subject(AUDIT, of.audit)],
        "predicateType": PREDICATE_TYPE,
        "predicate": inputs.predicate(release),
    }))
}
