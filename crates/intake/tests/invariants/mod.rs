//! What holds for every answer of the readers, whatever the bytes: used by the property tests and by the fuzz targets,
//! so that both look for the same mistakes.

use std::collections::HashSet;

use domain::severity::Severity;
use intake::limits::{DOCUMENT_BYTES_MAX, FINDINGS_MAX, TEXT_CHARS_MAX, TOOLS_MAX};
use intake::{FindingDraft, Format, Outcome, Report, detect, read};

/// Reads `bytes` as `format` and as whatever they look like, and checks both answers.
pub fn check(bytes: &[u8], format: Format) {
    let named = read(bytes, Some(format));
    assert_eq!(named, read(bytes, Some(format)), "reading is repeatable");
    let seen = read(bytes, None);
    match detect(bytes) {
        Some(detected) => assert_eq!(seen, read(bytes, Some(detected)), "recognised and named read alike"),
        None => assert!(seen.is_err(), "what is not recognised is not read"),
    }
    for answer in [named, seen] {
        match answer {
            Ok(report) => check_report(&report),
            Err(error) => {
                let told = format!("{error} {}", error.remedy());
                assert!(told.len() < 300 && told.is_ascii(), "an error repeats nothing of the file: {told}");
            }
        }
    }
}

fn check_report(report: &Report) {
    check_findings(report);
    check_outcome(report);
    let about = &report.about;
    assert!(about.tools.len() <= TOOLS_MAX);
    let tools = about.tools.iter().flat_map(|tool| [&tool.name, &tool.version, &tool.semantic_version]);
    let subject = about.subject.iter().flat_map(|subject| [&subject.kind, &subject.name, &subject.version]);
    let own = [&report.format_version, &report.tool, &report.tool_version, &about.serial_number];
    own.into_iter().chain(tools).chain(subject).flatten().for_each(|text| check_text(text));
    assert!(report.notes.len() < 20, "notes are fixed sentences");
    assert!(report.notes.iter().all(|note| note.is_ascii() && note.len() < 200));
    assert!(report.counts.len() < 1_000, "words of a document do not fill the counts");
    report.counts.keys().for_each(|name| check_text(name));
}

fn check_findings(report: &Report) {
    assert!(report.findings.len() <= FINDINGS_MAX);
    assert!(!(report.findings_truncated && report.findings.is_empty()));
    let ids: HashSet<&str> = report.findings.iter().map(|finding| finding.external_id.as_str()).collect();
    assert_eq!(ids.len(), report.findings.len(), "external ids are unique");
    for FindingDraft { external_id, rule, title, location, component, severity: _ } in &report.findings {
        assert!(external_id.len() <= 80 && external_id.is_ascii());
        assert!(!rule.is_empty() && !title.is_empty());
        [Some(rule), Some(title), location.as_ref(), component.as_ref()]
            .into_iter()
            .flatten()
            .for_each(|t| check_text(t));
    }
    if report.format != Format::Junit && !report.findings_truncated {
        for severity in Severity::ALL {
            let count = report.findings.iter().filter(|finding| finding.severity == severity).count();
            assert_eq!(
                report.metrics.get(severity.as_str()),
                Some(&(count as i64)),
                "metrics count the findings"
            );
        }
    }
}

fn check_outcome(report: &Report) {
    let metric = |name: &str| report.metrics.get(name).copied().unwrap_or(0);
    assert!(report.metrics.iter().all(|(name, value)| name.starts_with("declared") || *value >= 0));
    if report.findings.iter().any(|finding| finding.severity >= Severity::High) {
        assert_eq!(report.outcome, Outcome::Fail, "a severe finding is never a pass");
    }
    let something = match report.format {
        Format::Junit => metric("testcases") - metric("skipped"),
        Format::Sarif => metric("runs"),
        Format::CyclonedxJson => metric("components") + metric("vulnerabilities"),
    };
    if something == 0 {
        assert_ne!(report.outcome, Outcome::Pass, "nothing run, measured or listed is never a pass");
    }
    if report.format == Format::Junit && report.outcome == Outcome::Pass {
        assert!(report.findings.is_empty());
    }
}

fn check_text(text: &str) {
    assert!(text.chars().count() <= TEXT_CHARS_MAX, "texts are cut");
    assert!(!text.chars().any(char::is_control), "texts have no control characters");
    assert!(text.len() <= DOCUMENT_BYTES_MAX);
}
