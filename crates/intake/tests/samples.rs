//! Real files of other people's projects, with values that were made by an independent parser. They are read where they
//! are and never kept in this repository; where they are absent this test says so, or fails if they are required
//! (`LOOPIQ_SAMPLES_REQUIRED=1`). Every expected value is compared, and a name that nothing here knows fails the test.
#![expect(clippy::print_stderr, reason = "a test that says what it compared")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod invariants;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::digest::Digest;
use intake::{Format, IntakeError, Outcome, Report, ToolDraft, read};
use serde_json::Value;

/// Groups of counts by words of the file: where one is expected, exactly its words are.
const GROUPS: [&str; 10] = [
    "rerun_and_flaky_elements",
    "results_by_explicit_level",
    "results_by_effective_level",
    "results_by_kind",
    "results_by_baseline_state",
    "results_by_security_severity_of_rule",
    "results_per_run",
    "components_by_type",
    "vulnerabilities_by_highest_rating",
    "vulnerabilities_by_analysis_state",
];

#[expect(clippy::disallowed_methods, reason = "where the samples are is the environment's to say")]
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("LOOPIQ_SAMPLES").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/evidence");
    let folder = named.unwrap_or(beside);
    if folder.join("expected.json").exists() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("LOOPIQ_SAMPLES_REQUIRED").is_none_or(|required| required != "1"),
        "the evidence samples are required but absent: {}",
        folder.display()
    );
    eprintln!("the evidence samples are absent; their values were not compared");
    None
}

/// Name, format and expected values of the samples of the formats that are read.
fn samples(folder: &Path) -> Vec<(String, Format, Value)> {
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let Value::Object(expected) = serde_json::from_str(&text).unwrap() else { panic!("an object") };
    let files = expected.get("files").and_then(Value::as_object).unwrap();
    let readable = files.iter().filter_map(|(name, entry)| {
        let format = match entry.get("format")?.as_str()? {
            "junit" => Format::Junit,
            "sarif" => Format::Sarif,
            "cyclonedx-json" => Format::CyclonedxJson,
            _ => return None,
        };
        Some((name.clone(), format, entry.get("expected")?.clone()))
    });
    readable.collect()
}

/// Compares one report with what is expected of it.
struct Comparison<'a> {
    name: &'a str,
    report: &'a Report,
    values: usize,
    problems: Vec<String>,
}

impl Comparison<'_> {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, key: &str, actual: T, expected: T) {
        self.values += 1;
        if actual != expected {
            self.problems.push(format!("{}: {key} is {actual:?}, expected {expected:?}", self.name));
        }
    }

    fn member(&mut self, key: &str, expected: &Value) {
        match (key, expected) {
            ("root", _) => self.same(key, self.report.about.root, expected.as_str()),
            ("encoding", _) => self.same(key, Some("json"), expected.as_str()),
            ("bomFormat", _) => self.same(key, Some("CycloneDX"), expected.as_str()),
            ("serialNumber", _) => self.text(key, self.report.about.serial_number.clone(), expected),
            ("version" | "specVersion", _) => self.text(key, self.report.format_version.clone(), expected),
            ("tools", Value::Array(tools)) => self.tools(tools),
            ("metadata_component", _) => self.subject(expected),
            ("declared_on_root" | "declared_sum_of_outermost_suites", Value::Object(_)) => {
                self.group(key, expected);
            }
            (group, _) if GROUPS.contains(&group) => self.group(group, expected),
            (_, Value::Number(number)) => {
                self.same(key, self.report.counts.get(key).copied(), number.as_i64());
            }
            _ => self.problems.push(format!("{}: nothing compares {key}", self.name)),
        }
    }

    fn text(&mut self, key: &str, actual: Option<String>, expected: &Value) {
        self.same(key, actual.as_deref(), expected.as_str());
    }

    /// The counts under a name, all of them, with a duration in seconds as whole microseconds.
    fn group(&mut self, group: &str, expected: &Value) {
        let one = |key: &str, value: &Value| match key {
            "time" => ("time_microseconds".to_owned(), (value.as_f64().unwrap() * 1e6).round() as i64),
            _ => (key.to_owned(), value.as_i64().unwrap()),
        };
        let wanted: BTreeMap<String, i64> = match expected {
            Value::Object(members) => members.iter().map(|(key, value)| one(key, value)).collect(),
            Value::Array(list) => {
                list.iter().enumerate().map(|(n, value)| one(&n.to_string(), value)).collect()
            }
            _ => panic!("{group} is a group"),
        };
        let prefix = format!("{group}.");
        let counted = self.report.counts.iter();
        let actual: BTreeMap<String, i64> =
            counted.filter_map(|(name, n)| Some((name.strip_prefix(&prefix)?.to_owned(), *n))).collect();
        self.values += wanted.len();
        self.same(group, actual, wanted);
    }

    fn tools(&mut self, expected: &[Value]) {
        let text = |tool: &Value, key: &str| tool.get(key).and_then(Value::as_str).map(str::to_owned);
        let wanted: Vec<ToolDraft> = expected
            .iter()
            .map(|tool| ToolDraft {
                name: text(tool, "name"),
                version: text(tool, "version"),
                semantic_version: text(tool, "semanticVersion"),
            })
            .collect();
        let first = wanted.first().cloned().unwrap_or_default();
        self.same("tool", self.report.tool.clone(), first.name);
        self.same("tool version", self.report.tool_version.clone(), first.version.or(first.semantic_version));
        self.same("tools", self.report.about.tools.clone(), wanted);
    }

    fn subject(&mut self, expected: &Value) {
        let subject = self.report.about.subject.clone().unwrap();
        for (key, value) in expected.as_object().unwrap() {
            let digest = |text: &Option<String>| text.as_ref().map(|t| Digest::of(t.as_bytes()).to_string());
            let actual = match key.as_str() {
                "type" => subject.kind.clone(),
                "name" => subject.name.clone(),
                "name_sha256" => digest(&subject.name),
                "version" => subject.version.clone(),
                other => panic!("nothing compares {other} of what is described"),
            };
            self.text(&format!("metadata_component.{key}"), actual, value);
        }
    }
}

#[test]
fn every_expected_value_is_reproduced() {
    let Some(folder) = folder() else { return };
    let samples = samples(&folder);
    let (mut values, mut refused, mut problems) = (0, 0, Vec::new());
    for (name, format, expected) in &samples {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        invariants::check(&bytes, *format);
        if expected.get("must_be_refused").is_some() {
            let error = read(&bytes, Some(*format)).unwrap_err();
            assert!(matches!(error, IntakeError::Malformed { .. }), "{name}: {error}");
            eprintln!("{name}: {error}");
            refused += 1;
            continue;
        }
        // Of a file that strict parsers refuse, the expected values are those of a lenient one.
        let expected = expected.get("lenient_json").unwrap_or(expected);
        let report = read(&bytes, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.format, *format, "{name} is recognised by its content");
        let mut comparison = Comparison { name, report: &report, values: 0, problems: Vec::new() };
        for (key, value) in expected.as_object().unwrap() {
            comparison.member(key, value);
        }
        values += comparison.values;
        problems.append(&mut comparison.problems);
    }
    assert_eq!((samples.len(), refused), (34, 2), "samples, and those of them that must be refused");
    assert!(problems.is_empty(), "{} of {values} values differ:\n{}", problems.len(), problems.join("\n"));
    eprintln!("{} files, {refused} of them refused, {values} expected values reproduced", samples.len());
}

#[test]
fn outcomes_of_the_telling_samples() {
    let Some(folder) = folder() else { return };
    for (name, wanted, note) in [
        ("junit/pytest-570-tests.xml", Outcome::Pass, None),
        ("junit/iso-8859-15.xml", Outcome::Pass, None),
        (
            "junit/failure-declared-but-no-testcase.xml",
            Outcome::Inconclusive,
            Some("The root declares 1 tests but the file contains 0."),
        ),
        (
            "junit/xunit-net-bom-totals-disagree.xml",
            Outcome::Inconclusive,
            Some("The root declares 173 tests but the file contains 2."),
        ),
        (
            "junit/nested-suites-totals-and-suite-level-error.xml",
            Outcome::Fail,
            Some("The file has 1 errors or failures outside of test cases."),
        ),
        (
            "junit/surefire-one-test-counted-as-four.xml",
            Outcome::Fail,
            Some("The root declares 4 tests but the file contains 1."),
        ),
        ("junit/nextest-flaky-and-rerun.xml", Outcome::Fail, None),
        (
            "junit/maven-2653-tests-one-failure.xml",
            Outcome::Fail,
            Some("The suites together declare 2654 tests but the file contains 2653."),
        ),
        ("sarif/snyk-clean-two-empty-runs.sarif", Outcome::Pass, None),
        ("sarif/grype-nginx.sarif", Outcome::Fail, None),
        ("sarif/suppressions-with-bom.sarif", Outcome::Pass, None),
        (
            "sarif/raw-control-characters.sarif",
            Outcome::Pass,
            Some("3 raw control characters inside strings were tolerated."),
        ),
        ("cyclonedx/1.4-syft-alpine.cdx.json", Outcome::Pass, None),
        ("cyclonedx/1.4-grype-log4j.cdx.json", Outcome::Fail, None),
        (
            "cyclonedx/1.6-duplicate-bom-ref-invalid.cdx.json",
            Outcome::Pass,
            Some("1 component references are not unique."),
        ),
    ] {
        let report = read(&std::fs::read(folder.join(name)).unwrap(), None).unwrap();
        assert_eq!(report.outcome, wanted, "{name}");
        if let Some(note) = note {
            assert!(report.notes.iter().any(|own| own == note), "{name}: {:?}", report.notes);
        }
    }
}

#[test]
fn cyclonedx_in_xml_is_refused_by_name() {
    let Some(folder) = folder() else { return };
    for name in ["1.4-grype-log4j.cdx.xml", "1.4-composer-laravel.cdx.xml", "1.7-spec-vulnerability.cdx.xml"]
    {
        let bytes = std::fs::read(folder.join("cyclonedx").join(name)).unwrap();
        assert_eq!(read(&bytes, None), Err(IntakeError::NotReadYet { what: "CycloneDX in XML" }), "{name}");
    }
}
