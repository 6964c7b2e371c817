//! Real files of other people's projects, with counts that were made by an independent parser. They are read where
//! they are and never kept in this repository; where they are absent this test says so.
#![expect(clippy::print_stderr, reason = "a test that says what it compared")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use intake::{Format, IntakeError, Outcome, read};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "where the samples are is the environment's to say")]
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("LOOPIQ_SAMPLES").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/evidence");
    let folder = named.unwrap_or(beside);
    if folder.join("expected.json").exists() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("LOOPIQ_SAMPLES_REQUIRED").is_none(),
        "the evidence samples are required but absent: {}",
        folder.display()
    );
    eprintln!("the evidence samples are absent; their counts were not compared");
    None
}

/// Whole numbers of the expected values by dotted name. Times in fractions of seconds are not counts.
fn flatten(prefix: &str, value: &Value, out: &mut BTreeMap<String, i64>) {
    match value {
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                out.insert(prefix.to_owned(), number);
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                flatten(&if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }, value, out);
            }
        }
        _ => {}
    }
}

/// Whether a name is a count that the reader promises.
fn counted(name: &str) -> bool {
    !name.ends_with(".time") && !name.starts_with("metadata_component")
}

#[test]
fn every_expected_count_is_reproduced() {
    let Some(folder) = folder() else { return };
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let mut problems = Vec::new();
    let (mut files, mut values) = (0, 0);
    for (name, entry) in expected["files"].as_object().unwrap() {
        let format = match entry["format"].as_str().unwrap() {
            "junit" => Format::Junit,
            "sarif" => Format::Sarif,
            "cyclonedx-json" => Format::CyclonedxJson,
            _ => continue,
        };
        files += 1;
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let wanted = &entry["expected"];
        if wanted["must_be_refused"] == true {
            let error = read(&bytes, Some(format)).unwrap_err();
            assert!(matches!(error, IntakeError::Malformed { .. }), "{name}: {error}");
            values += 1;
            continue;
        }
        assert_eq!(intake::detect(&bytes), Some(format), "{name} is recognised by its content");
        let wanted = wanted.get("lenient_json").unwrap_or(wanted);
        let report = read(&bytes, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut numbers = BTreeMap::new();
        flatten("", wanted, &mut numbers);
        for (key, number) in numbers.iter().filter(|(key, _)| counted(key)) {
            values += 1;
            // A list of numbers or a count of a list is compared by its own name.
            let actual = report.counts.get(key).copied();
            if actual != Some(*number) {
                problems.push(format!("{name}: {key} is {actual:?}, expected {number}"));
            }
        }
        for key in ["version", "specVersion"] {
            if let Some(version) = wanted[key].as_str() {
                values += 1;
                if report.format_version.as_deref() != Some(version) {
                    problems.push(format!("{name}: {key} is {:?}", report.format_version));
                }
            }
        }
        if let Some(tool) = wanted["tools"].get(0).and_then(|t| t["name"].as_str()) {
            values += 1;
            if report.tool.as_deref() != Some(tool) {
                problems.push(format!("{name}: tool is {:?}, expected {tool}", report.tool));
            }
        }
        let ids: std::collections::BTreeSet<_> = report.findings.iter().map(|f| &f.external_id).collect();
        assert_eq!(ids.len(), report.findings.len(), "{name}: finding ids are unique");
        assert_eq!(report, read(&bytes, Some(format)).unwrap(), "{name}: reading is repeatable");
    }
    assert!(files >= 34, "only {files} samples were found");
    assert!(problems.is_empty(), "{} of {values} values differ:\n{}", problems.len(), problems.join("\n"));
    eprintln!("{files} files, {values} expected values reproduced");
}

#[test]
fn nothing_run_is_never_a_pass() {
    let Some(folder) = folder() else { return };
    let outcome = |name: &str| read(&std::fs::read(folder.join(name)).unwrap(), None).unwrap().outcome;
    assert_eq!(outcome("junit/failure-declared-but-no-testcase.xml"), Outcome::Inconclusive);
    assert_eq!(outcome("junit/nested-suites-totals-and-suite-level-error.xml"), Outcome::Fail);
    assert_eq!(outcome("junit/nextest-flaky-and-rerun.xml"), Outcome::Fail);
    assert_eq!(outcome("junit/maven-2653-tests-one-failure.xml"), Outcome::Fail);
    assert_eq!(outcome("sarif/snyk-clean-two-empty-runs.sarif"), Outcome::Pass);
}
