//! Verifying an evidence pack with what is in it and what its reader knows, and with nothing else: the signature, the hash of
//! each file, what the files of the evidence say once they are read again, the records of the log, and the verdict, which is
//! computed once more. Pure: how files are read is a parameter.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    AUDIT, FORMAT, INPUTS, Inputs, PAYLOAD_TYPE, PREDICATE_TYPE, RELEASE, STATEMENT, STATEMENT_TYPE, VERSION,
    evidence_path,
};
use crate::audit::{AuditBody, AuditEntry, AuditKind, AuditReference};
use crate::certification::{
    CertificationStatus, Evidence, EvidenceResult, ExceptionStatus, Finding as Found, GapStatus,
};
use crate::digest::Digest;
use crate::dsse::Envelope;
use crate::note::{NoteError, VerifierKey, Verify};
use crate::org::OrgSettings;
use crate::release::Release;
use crate::severity::Severity;
use crate::verify::{Known, Verifier, check};

/// Findings that are named at most; all are counted.
const FINDINGS_MAX: usize = 100;
/// The tool by which people decide a certification.
const DECIDES: &str = "loopiq_decide_certification";

/// The files of a pack by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What an importer reads in an original file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub result: EvidenceResult,
    pub metrics: BTreeMap<String, i64>,
    /// Of providers: what identifies each finding of the file, and how severe it is.
    pub findings: Vec<(String, Severity)>,
}

/// Reads an original file as the evidence says it is to be read; `None` when it cannot be read.
pub type Reader<'a> = &'a dyn Fn(&Evidence, &[u8], &OrgSettings) -> Option<Reading>;

crate::words! {
    /// What can be wrong.
    Fault {
        MissingFile = "missing_file", UnreadableFile = "unreadable_file", AlteredFile = "altered_file",
        ForeignFile = "foreign_file", WrongSignature = "wrong_signature", UnknownKey = "unknown_key",
        OtherPack = "other_pack", AlteredVerdict = "altered_verdict", OtherReading = "other_reading",
        Unrecorded = "unrecorded", AlteredLog = "altered_log",
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub fault: Fault,
    /// The file of the pack it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    pub message: String,
}

/// What was verified, and what was wrong.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the inputs of the pack come to, computed once more: the predicate of the statement.
    pub computed: Option<Value>,
    /// The key that signed, and whether it was known beforehand or only comes from the pack.
    pub key: Option<String>,
    pub key_was_given: bool,
    /// What was looked at and found in order, in words.
    pub checked: Vec<String>,
    /// Everything that is wrong, up to 100 findings.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub found: u64,
    /// What could not be judged, in words.
    pub notes: Vec<String>,
}

impl Report {
    pub const fn is_good(&self) -> bool {
        self.found == 0
    }

    fn find(&mut self, fault: Fault, file: Option<&str>, message: impl Into<String>) {
        self.found += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { fault, file: file.map(str::to_owned), message: message.into() });
        }
    }

    /// Says that something was looked at, unless something was found since.
    fn checked(&mut self, before: u64, words: impl Into<String>) {
        if self.found == before {
            self.checked.push(words.into());
        }
    }
}

/// Verifies the files of a pack. Where `known` has keys, only those count.
pub fn verify(files: &Files, known: &[VerifierKey], with: &dyn Verify, read: Reader<'_>) -> Report {
    let mut report = Report::default();
    let signed = signature(&mut report, files, known, with);
    if let Some((statement, _)) = &signed {
        subjects(&mut report, files, statement);
    }
    let release: Option<Release> = parsed(&mut report, files, RELEASE);
    let inputs: Option<Inputs> = parsed(&mut report, files, INPUTS);
    let inputs = inputs.filter(|inputs| {
        let ours = inputs.format == FORMAT && inputs.version == VERSION;
        if !ours {
            report.find(Fault::OtherPack, Some(INPUTS), "the pack is of another version");
        }
        ours
    });
    let (Some(release), Some(inputs)) = (release, inputs) else { return report };
    belongs_together(&mut report, &release, &inputs);
    originals(&mut report, files, &inputs, read);
    let expected: BTreeSet<String> = inputs.evidence.iter().map(|e| evidence_path(&e.sha256)).collect();
    let ours = |name: &str| [STATEMENT, RELEASE, INPUTS, AUDIT].contains(&name) || expected.contains(name);
    for name in files.keys().filter(|name| !ours(name)) {
        report.find(Fault::ForeignFile, Some(name), "the statement knows nothing of this file");
    }
    let computed = inputs.predicate(&release);
    if let Some((statement, _)) = &signed {
        verdict(&mut report, statement, &computed, inputs.controls.len());
    }
    report.computed = Some(computed);
    // The log must be signed with the key of the statement.
    if let Some((_, key)) = signed {
        log(&mut report, files, &inputs, key, with);
    }
    report
}

/// Bytes of a file that must be there.
fn bytes<'a>(report: &mut Report, files: &'a Files, name: &str) -> Option<&'a [u8]> {
    let found = files.get(name).map(Vec::as_slice);
    if found.is_none() {
        report.find(Fault::MissingFile, Some(name), "the file is missing");
    }
    found
}

fn parsed<T: for<'de> Deserialize<'de>>(report: &mut Report, files: &Files, name: &str) -> Option<T> {
    let read = serde_json::from_slice(bytes(report, files, name)?).ok();
    if read.is_none() {
        report.find(Fault::UnreadableFile, Some(name), "the file cannot be read");
    }
    read
}

/// The statement, and the key that it is signed with if that is right.
fn signature(
    report: &mut Report,
    files: &Files,
    known: &[VerifierKey],
    with: &dyn Verify,
) -> Option<(Value, Option<VerifierKey>)> {
    let envelope: Envelope = parsed(report, files, STATEMENT)?;
    let named = envelope.named_keys();
    report.key_was_given = !known.is_empty();
    let keys = if known.is_empty() {
        report
            .notes
            .push("no key was given: that this key is the organization's is only the pack's own word".into());
        &named
    } else {
        known
    };
    let key = match envelope.verify(keys, with) {
        Ok(key) => {
            report.checked.push(format!("the statement is signed with {key}"));
            report.key = Some(key.to_string());
            Some(key.clone())
        }
        Err(NoteError::NoKnownKey) => {
            let message = if report.key_was_given {
                "the statement is signed with another key than the one that was given"
            } else {
                "the statement is signed with no key that it names"
            };
            report.find(Fault::UnknownKey, Some(STATEMENT), message);
            None
        }
        Err(error) => {
            report.find(Fault::WrongSignature, Some(STATEMENT), format!("of the statement, {error}"));
            None
        }
    };
    let statement: Option<Value> =
        envelope.payload().and_then(|payload| serde_json::from_slice(&payload).ok());
    let Some(statement) = statement else {
        report.find(Fault::UnreadableFile, Some(STATEMENT), "the statement cannot be read");
        return None;
    };
    let kind = |name: &str| statement.get(name).and_then(Value::as_str);
    if envelope.payload_type != PAYLOAD_TYPE
        || kind("_type") != Some(STATEMENT_TYPE)
        || kind("predicateType") != Some(PREDICATE_TYPE)
    {
        report.find(Fault::OtherPack, Some(STATEMENT), "the statement is not about a certification");
        return None;
    }
    Some((statement, key))
}

/// Whether the files are those that the statement is about.
fn subjects(report: &mut Report, files: &Files, statement: &Value) {
    let before = report.found;
    let subjects = statement.get("subject").and_then(Value::as_array);
    for name in [RELEASE, INPUTS, AUDIT] {
        let subject = subjects.into_iter().flatten().find(|s| s.get("name").is_some_and(|n| n == name));
        let stated = subject.and_then(|s| s.pointer("/digest/sha256")?.as_str()).and_then(Digest::parse);
        let Some(stated) = stated else {
            report.find(Fault::OtherPack, Some(STATEMENT), format!("the statement is not about {name}"));
            continue;
        };
        // A file that is missing is found where it is read.
        if let Some(bytes) = files.get(name)
            && Digest::of(bytes) != stated
        {
            report.find(Fault::AlteredFile, Some(name), "the file is not the one that was signed");
        }
    }
    report.checked(before, "release, inputs and records of the log are those that were signed");
}

fn belongs_together(report: &mut Report, release: &Release, inputs: &Inputs) {
    if inputs.certification.release_id != release.id {
        report.find(Fault::OtherPack, Some(RELEASE), "the certification is of another release");
    }
    if inputs.evidence.iter().any(|e| e.release_id != release.id) {
        report.find(Fault::OtherPack, Some(INPUTS), "there is evidence of another release");
    }
}

/// The original files: whether they are there, what they are, and what they say.
fn originals(report: &mut Report, files: &Files, inputs: &Inputs, read: Reader<'_>) {
    let before = report.found;
    let (mut by_hand, mut again) = (0, 0);
    for evidence in &inputs.evidence {
        let name = evidence_path(&evidence.sha256);
        let Some(bytes) = bytes(report, files, &name) else { continue };
        if Digest::of(bytes).to_string() != evidence.sha256 {
            report.find(Fault::AlteredFile, Some(&name), "the file is not the one that was taken in");
            continue;
        }
        if evidence.is_by_hand() {
            by_hand += 1;
            continue;
        }
        match read(evidence, bytes, &inputs.settings) {
            Some(reading) => {
                again += 1;
                says_the_same(report, inputs, evidence, &name, &reading);
            }
            None => report.find(Fault::UnreadableFile, Some(&name), "no importer can read the file"),
        }
    }
    report.checked(
        before,
        format!("{again} file(s) of evidence were read again and say what is recorded, {by_hand} were written by hand"),
    );
}

fn says_the_same(report: &mut Report, inputs: &Inputs, evidence: &Evidence, name: &str, reading: &Reading) {
    if (reading.result, &reading.metrics) != (evidence.result, &evidence.metrics) {
        let message = format!(
            "the file says {} where its record {} says {}, or has other counts",
            reading.result, evidence.id, evidence.result
        );
        report.find(Fault::OtherReading, Some(name), message);
    }
    let mut found: BTreeMap<&str, &Found> = BTreeMap::new();
    for finding in inputs.findings.iter().filter(|f| f.provider == evidence.source) {
        found.insert(&finding.external_id, finding);
    }
    for (id, severity) in &reading.findings {
        match found.get(id.as_str()) {
            None => report.find(Fault::OtherReading, Some(name), "the file has a finding without a record"),
            Some(finding) if finding.severity != *severity => {
                let message = format!(
                    "the file says {} where the finding {} says {}",
                    severity.as_str(),
                    finding.id,
                    finding.severity.as_str()
                );
                report.find(Fault::OtherReading, Some(name), message);
            }
            Some(finding) if finding.status == GapStatus::Resolved && finding.evidence_id == evidence.id => {
                let message =
                    format!("the finding {} is said to be resolved by a file that has it", finding.id);
                report.find(Fault::OtherReading, Some(name), message);
            }
            Some(_) => {}
        }
    }
}

/// Whether the statement says what the inputs come to.
fn verdict(report: &mut Report, statement: &Value, computed: &Value, controls: usize) {
    let stated = statement.get("predicate").and_then(Value::as_object);
    let empty = serde_json::Map::new();
    let (stated, computed) = (stated.unwrap_or(&empty), computed.as_object().unwrap_or(&empty));
    let names: BTreeSet<&String> = stated.keys().chain(computed.keys()).collect();
    let differing: Vec<&str> = names
        .into_iter()
        .filter(|name| stated.get(*name) != computed.get(*name))
        .map(String::as_str)
        .collect();
    if !differing.is_empty() {
        let message =
            format!("the inputs come to something else than the statement says: {}", differing.join(", "));
        report.find(Fault::AlteredVerdict, Some(STATEMENT), message);
        return;
    }
    report.checked.push(format!(
        "the verdict of {controls} control(s) and the readiness were computed once more and are those of the statement"
    ));
}

/// The records of the log: that they are under a signed head, what was approved, and what they say of the inputs.
fn log(report: &mut Report, files: &Files, inputs: &Inputs, key: Option<VerifierKey>, with: &dyn Verify) {
    let Some(bytes) = bytes(report, files, AUDIT) else { return };
    let mut lines = std::str::from_utf8(bytes).unwrap_or_default().lines();
    let mut verifier = match Verifier::new(lines.next().unwrap_or_default()) {
        Ok(verifier) => verifier.with_hidden(),
        Err(why) => return report.find(Fault::UnreadableFile, Some(AUDIT), format!("the file {why}")),
    };
    if verifier.organization() != inputs.organization.id {
        report.find(Fault::OtherPack, Some(AUDIT), "the records are of another organization");
    }
    let mut named = Named::default();
    for line in lines {
        named.gather(line);
        verifier.push(check(line, with));
    }
    let before = report.found;
    let verified = verifier.finish(&Known { keys: key.into_iter().collect(), checkpoint: None }, with);
    report.found += verified.found - verified.findings.len() as u64;
    for finding in verified.findings {
        report.find(Fault::AlteredLog, Some(AUDIT), finding.message);
    }
    let counts = verified.counts;
    report.checked(
        before,
        format!(
            "{} record(s) of the log {} are under its signed head of {}; {} execution(s) were approved by people, {} by \
             a rule, {} by broken glass, {} needed nobody",
            counts.records,
            verified.origin,
            verified.size,
            counts.approved_executions,
            counts.approved_by_rule,
            counts.broken_glass,
            counts.executions_without_requirement
        ),
    );
    report.notes.extend(verified.notes.into_iter().filter(|note| !note.starts_with("no key was given")));
    recorded(report, inputs, &named);
}

/// Whether what the verdict rests on was written to the log when it came about.
fn recorded(report: &mut Report, inputs: &Inputs, named: &Named) {
    let before = report.found;
    if named.lost {
        report
            .notes
            .push("of a record that names much, the body is erased: what it made cannot be told".into());
        return;
    }
    for evidence in &inputs.evidence {
        if !named.made.contains(&evidence.id.to_string()) {
            let message = format!("no record of the log says where the evidence {} comes from", evidence.id);
            report.find(Fault::Unrecorded, Some(AUDIT), message);
        }
    }
    for exception in inputs.exceptions.iter().filter(|e| e.status == ExceptionStatus::Approved) {
        if !named.made.contains(&exception.id.to_string()) {
            let message =
                format!("no record of the log says that the exception {} was approved", exception.id);
            report.find(Fault::Unrecorded, Some(AUDIT), message);
        }
    }
    report.checked(before, "evidence and approved exceptions are on record in the log");
    let certification = &inputs.certification;
    let decided = matches!(
        certification.status,
        CertificationStatus::Certified
            | CertificationStatus::CertifiedWithExceptions
            | CertificationStatus::Rejected
            | CertificationStatus::Revoked
    );
    if !decided {
        return;
    }
    if named.decided.contains(&certification.id.to_string()) {
        report.checked.push("the decision is on record in the log".into());
    } else {
        report.notes.push(
            "no record of the pack decides the certification: whoever set up the organization did, or it is older than \
             the records"
                .into(),
        );
    }
}

/// Ids that records of the log name.
#[derive(Default)]
struct Named {
    /// Made by something that was carried out.
    made: BTreeSet<String>,
    /// Changed by the decision of a certification.
    decided: BTreeSet<String>,
    /// Whether some of them were in a body that is erased.
    lost: bool,
}

#[derive(Deserialize)]
struct Line {
    entry: AuditEntry,
    #[serde(default)]
    body: Option<AuditBody>,
}

impl Named {
    fn gather(&mut self, line: &str) {
        let Ok(Line { entry, body }) = serde_json::from_str::<Line>(line) else { return };
        if !matches!(entry.kind, AuditKind::Executed | AuditKind::Administered) {
            return;
        }
        self.lost |= entry.named_in_body.is_some() && body.is_none();
        // What is too long for an entry is named in the body.
        let further = body.and_then(|body| body.named).unwrap_or_default();
        let ids = |list: Vec<AuditReference>| list.into_iter().map(|reference| reference.id);
        self.made.extend(ids(entry.created).chain(ids(further.created)));
        if entry.tool.as_deref() == Some(DECIDES) {
            self.decided.extend(ids(entry.updated).chain(ids(further.updated)));
        }
    }
}
