//! Foreign evidence into values: what a report of an outside tool says, counted from its content. Pure, and total on
//! hostile input: a file is read as a whole or refused as a whole, within the bounds of [`limits`], and nothing in it
//! makes the reader fetch, expand or run anything.
//!
//! To add a format: one file here with a `read(&[u8]) -> Result<Report, IntakeError>`, a value of [`Format`], its place in
//! [`detect`] and [`read`], a fuzz target, and cases from real files.

mod cyclonedx;
mod json;
mod junit;
pub mod limits;
mod sarif;
mod text;

use std::collections::BTreeMap;

use domain::severity::Severity;

domain::words! {
    /// The formats that can be read.
    Format { Junit = "junit", Sarif = "sarif", CyclonedxJson = "cyclonedx" }
}

domain::words! {
    /// What a report as a whole says. Nothing run, nothing measured and nothing listed are never a pass.
    Outcome { Pass = "pass", Fail = "fail", Inconclusive = "inconclusive" }
}

/// What a file says, bounded and cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub format: Format,
    /// As the file states it, for example `2.1.0`.
    pub format_version: Option<String>,
    pub tool: Option<String>,
    pub tool_version: Option<String>,
    /// JUnit: `fail` with any failed or errored test (or an error outside of tests), `inconclusive` without a test, or
    /// when the file declares failures that its content does not show. SARIF: `fail` with a current result of level
    /// error, `inconclusive` without a run. CycloneDX: `fail` with an open vulnerability of high or critical
    /// severity, `inconclusive` with neither components nor vulnerabilities.
    pub outcome: Outcome,
    /// The few counts that controls ask for: `testcases`, `failures`, `errors`, `skipped`; `results`, `critical`,
    /// `high`, `medium`, `low`, `info`; `components`, `vulnerabilities`.
    pub metrics: BTreeMap<&'static str, i64>,
    /// Every count of the file, by dotted name.
    pub counts: BTreeMap<String, i64>,
    /// Problems that are current and not suppressed.
    pub findings: Vec<FindingDraft>,
    /// Whether there were more findings than [`limits::FINDINGS_MAX`].
    pub findings_truncated: bool,
    /// What a reader should know, in fixed sentences.
    pub notes: Vec<String>,
}

/// One problem a report names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingDraft {
    /// Stable over repeated reports, unique within one.
    pub external_id: String,
    pub rule: String,
    pub title: String,
    pub severity: Severity,
    pub location: Option<String>,
    /// Package or component concerned.
    pub component: Option<String>,
}

/// Why a file was refused. Never repeats anything of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("it is nested deeper than {limit} levels")]
    TooDeep { limit: usize },
    #[error("its format is not recognised")]
    NotRecognized,
    #[error("it is not whole or valid {format}: {reason}")]
    Malformed { format: Format, reason: &'static str },
}

impl IntakeError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            IntakeError::TooLarge { .. } => "Split the report, or leave passed results out of it.",
            IntakeError::TooDeep { .. } => {
                "Check that the file is what the tool wrote; reports are not nested so deep."
            }
            IntakeError::NotRecognized => {
                "Push JUnit XML, SARIF 2.1.0 or CycloneDX JSON, or name the format if the file is one of them."
            }
            IntakeError::Malformed { .. } => {
                "Check that the tool finished writing the file and that the named format is right; then push it again."
            }
        }
    }
}

/// Recognises a format by the beginning of its content, never by a name.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    let bytes = text::without_bom(bytes);
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace())?;
    match first {
        b'<' => junit::looks_like(bytes).then_some(Format::Junit),
        b'{' => json::sniff(bytes),
        _ => None,
    }
}

/// Reads a report; recognises the format when none is given.
///
/// # Errors
/// [`IntakeError`]; nothing of a refused file is kept.
pub fn read(bytes: &[u8], format: Option<Format>) -> Result<Report, IntakeError> {
    if bytes.len() > limits::DOCUMENT_BYTES_MAX {
        return Err(IntakeError::TooLarge { limit: limits::DOCUMENT_BYTES_MAX });
    }
    match format.or_else(|| detect(bytes)).ok_or(IntakeError::NotRecognized)? {
        Format::Junit => junit::read(bytes),
        Format::Sarif => sarif::read(bytes),
        Format::CyclonedxJson => cyclonedx::read(bytes),
    }
}

/// Adds one to a count.
fn count(counts: &mut BTreeMap<String, i64>, name: &str) {
    *counts.entry(name.to_owned()).or_insert(0) += 1;
}

/// Findings per severity, as metrics.
fn severities(metrics: &mut BTreeMap<&'static str, i64>, findings: impl Iterator<Item = Severity>) {
    for severity in Severity::ALL {
        metrics.insert(severity.as_str(), 0);
    }
    for severity in findings {
        *metrics.entry(severity.as_str()).or_insert(0) += 1;
    }
}
