//! Foreign evidence into values: what a report of an outside tool says, counted from its content. Pure, and total on
//! hostile input: a file is read as a whole or refused as a whole, within the bounds of [`limits`], and nothing in it
//! makes the reader fetch, expand or run anything. Nothing here says whether a report is true or whom it is from.
//!
//! To add a format: one file here with a `read(&[u8]) -> Result<Report, IntakeError>`, a value of [`Format`], its place in
//! [`detect`] and [`read`], a fuzz target, and cases from real files.

mod counts;
mod cyclonedx;
mod findings;
mod json;
mod junit;
pub mod limits;
mod sarif;
mod text;
mod xml;

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
    /// The first tool the file names.
    pub tool: Option<String>,
    pub tool_version: Option<String>,
    /// Decided in this order:
    ///
    /// - `fail`: a failed or errored test, or a failure or an error of a whole suite (JUnit); a current result of level
    ///   error (SARIF); a finding of high or critical severity (SARIF, CycloneDX).
    /// - `inconclusive`: nothing was run (JUnit without a test case that ran; SARIF without runs, with a run that has no
    ///   list of results, that keeps it elsewhere or that says it did not finish), nothing is listed (CycloneDX with
    ///   neither components nor vulnerabilities), the file declares more tests, failures or errors than it contains
    ///   or totals that are not numbers, or members stand twice, so that some of it may have gone unseen.
    /// - `pass` otherwise.
    pub outcome: Outcome,
    /// The counts that controls can set thresholds on, under fixed names. JUnit: `testcases`, and of these by their
    /// worst outcome `failures`, `errors` (also those outside of test cases) and `skipped`. SARIF: `results`
    /// (current ones) and, as for CycloneDX, the findings by severity: `critical`, `high`, `medium`, `low`, `info`.
    /// CycloneDX: `components`, `vulnerabilities`. Then every count of [`counts`](Self::counts) that has a fixed name.
    pub metrics: BTreeMap<&'static str, i64>,
    /// Every count of the file, by dotted name; words of the file in a name are cleaned and bounded in number.
    pub counts: BTreeMap<String, i64>,
    /// Problems that are current and not suppressed, in the order of the file.
    pub findings: Vec<FindingDraft>,
    /// Whether there were more findings than [`limits::FINDINGS_MAX`]; the most severe were kept.
    pub findings_truncated: bool,
    /// What a reader should know, in fixed sentences with numbers.
    pub notes: Vec<String>,
    pub about: About,
}

/// What a file says of itself beyond its counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Name of the root element of an XML document.
    pub root: Option<&'static str>,
    pub tools: Vec<ToolDraft>,
    /// The serial number of an SBOM.
    pub serial_number: Option<String>,
    /// What an SBOM describes. It is not one of the components.
    pub subject: Option<Subject>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolDraft {
    pub name: Option<String>,
    pub version: Option<String>,
    /// The second version of SARIF, in the form of semantic versioning.
    pub semantic_version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    pub kind: Option<String>,
    pub name: Option<String>,
    pub version: Option<String>,
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
    /// A format that is known by sight only.
    #[error("it is {what}, which is not read yet")]
    NotReadYet { what: &'static str },
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
                "Push JUnit XML, SARIF 2.1.0 or CycloneDX JSON in UTF-8, or name the format if the file is one of them."
            }
            IntakeError::NotReadYet { .. } => "Have the tool write JSON and push that.",
            IntakeError::Malformed { .. } => {
                "Check that the tool finished writing the file and that the named format is right; then push it again."
            }
        }
    }
}

/// Recognises a format by its content, never by a name.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    if let Some(root) = xml::root(bytes) {
        return junit::is_root(&root).then_some(Format::Junit);
    }
    json::detect(text::without_bom(bytes))
}

/// Reads a report; recognises the format when none is given.
///
/// # Errors
/// [`IntakeError`]; nothing of a refused file is kept.
pub fn read(bytes: &[u8], format: Option<Format>) -> Result<Report, IntakeError> {
    if bytes.len() > limits::DOCUMENT_BYTES_MAX {
        return Err(IntakeError::TooLarge { limit: limits::DOCUMENT_BYTES_MAX });
    }
    if xml::root(bytes).is_some_and(|root| root == "bom") {
        return Err(IntakeError::NotReadYet { what: "CycloneDX in XML" });
    }
    match format.or_else(|| detect(bytes)).ok_or(IntakeError::NotRecognized)? {
        Format::Junit => junit::read(bytes),
        Format::Sarif => sarif::read(bytes),
        Format::CyclonedxJson => cyclonedx::read(bytes),
    }
}
