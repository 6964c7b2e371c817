//! JUnit XML, as a dozen writers write it. Counted is what is there: test cases at any depth, each once, the worst
//! outcome of each; attempts that were repeated are attempts, not tests. What attributes declare is kept beside it and
//! never makes a report better than its content, only worse. There is no specification; the rules here follow what
//! Surefire, pytest, xUnit.net, nextest and Jenkins write and read.

use std::collections::{BTreeMap, HashMap};

use domain::severity::Severity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::counts::Counts;
use crate::findings::Findings;
use crate::limits::DEPTH_MAX;
use crate::{About, FindingDraft, Format, IntakeError, Outcome, Report, text, xml};

/// Attributes in which writers declare totals.
const DECLARED: [&str; 6] = ["tests", "failures", "errors", "skipped", "disabled", "ignored"];
const RERUNS: [&str; 4] = ["rerunFailure", "rerunError", "flakyFailure", "flakyError"];
const ON_ROOT: &str = "declared_on_root";
const ON_SUITES: &str = "declared_sum_of_outermost_suites";
/// Longest duration that is believed: ten thousand hours in microseconds.
const DURATION_MICROSECONDS_MAX: f64 = 3.6e13;

const COUNTED: [&str; 16] = [
    "suites",
    "nested_suites",
    "testcases",
    "testcases_with_failure",
    "testcases_with_error",
    "testcases_with_skipped",
    "testcases_without_failure_error_skipped",
    "testcases_with_more_than_one_outcome_element",
    "failure_elements",
    "error_elements",
    "skipped_elements",
    "duplicate_classname_name_pairs",
    "testcases_without_classname",
    "testcases_without_time",
    "errors_outside_testcases",
    "failures_outside_testcases",
];

const METRICS: [(&str, &str); 20] = [
    ("testcases", "testcases"),
    ("suites", "suites"),
    ("nestedSuites", "nested_suites"),
    ("testcasesWithFailure", "testcases_with_failure"),
    ("testcasesWithError", "testcases_with_error"),
    ("testcasesWithSkipped", "testcases_with_skipped"),
    ("testcasesWithoutFailureErrorSkipped", "testcases_without_failure_error_skipped"),
    ("testcasesWithMoreThanOneOutcomeElement", "testcases_with_more_than_one_outcome_element"),
    ("failureElements", "failure_elements"),
    ("errorElements", "error_elements"),
    ("skippedElements", "skipped_elements"),
    ("duplicateClassnameNamePairs", "duplicate_classname_name_pairs"),
    ("testcasesWithoutClassname", "testcases_without_classname"),
    ("testcasesWithoutTime", "testcases_without_time"),
    ("errorsOutsideTestcases", "errors_outside_testcases"),
    ("failuresOutsideTestcases", "failures_outside_testcases"),
    ("rerunFailureElements", "rerun_and_flaky_elements.rerunFailure"),
    ("rerunErrorElements", "rerun_and_flaky_elements.rerunError"),
    ("flakyFailureElements", "rerun_and_flaky_elements.flakyFailure"),
    ("flakyErrorElements", "rerun_and_flaky_elements.flakyError"),
];

/// Only where the file declares them.
const DECLARED_METRICS: [(&str, &str); 4] = [
    ("declaredTests", "tests"),
    ("declaredFailures", "failures"),
    ("declaredErrors", "errors"),
    ("declaredSkipped", "skipped"),
];

pub fn is_root(name: &str) -> bool {
    matches!(name, "testsuite" | "testsuites")
}

fn malformed(reason: &'static str) -> IntakeError {
    IntakeError::Malformed { format: Format::Junit, reason }
}

pub fn read(bytes: &[u8]) -> Result<Report, IntakeError> {
    let text = xml::decode(bytes).map_err(malformed)?;
    let mut reader = Reader::from_str(&text);
    let mut reading = Reading { counts: Counts::starting_with(&COUNTED), ..Reading::default() };
    loop {
        match reader
            .read_event()
            .map_err(|_| malformed("the XML is not well formed, or ends in the middle"))?
        {
            Event::Start(element) => reading.open(&element)?,
            Event::Empty(element) => {
                reading.open(&element)?;
                reading.close();
            }
            Event::End(_) => reading.close(),
            Event::DocType(_) => {
                return Err(malformed("it has a document type definition, which is never read"));
            }
            Event::GeneralRef(reference) if !xml::is_predefined(&reference) => {
                return Err(malformed("it uses an entity that is not defined"));
            }
            Event::Text(text) if reading.is_outside() && !text.trim().is_empty() => {
                return Err(malformed("there is text outside of the root element"));
            }
            Event::CData(_) | Event::GeneralRef(_) if reading.is_outside() => {
                return Err(malformed("there is text outside of the root element"));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    reading.finish()
}

/// An element that is open.
enum Element {
    Suite { name: Option<String> },
    Case(Case),
    Other,
}

#[derive(Default)]
struct Case {
    name: String,
    class: Option<String>,
    /// Which one it is of those with the same class and name, from 1.
    occurrence: u32,
    failures: u32,
    errors: u32,
    skips: u32,
}

/// Cases by their worst outcome.
#[derive(Default)]
struct Worst {
    errors: i64,
    failures: i64,
    skipped: i64,
}

#[derive(Default)]
struct Reading {
    open: Vec<Element>,
    root: Option<&'static str>,
    counts: Counts,
    worst: Worst,
    findings: Findings,
    occurrences: HashMap<(String, String), u32>,
    unreadable_totals: usize,
}

impl Reading {
    fn is_outside(&self) -> bool {
        self.open.is_empty()
    }

    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), IntakeError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(IntakeError::TooDeep { limit: DEPTH_MAX });
        }
        let local = element.local_name();
        let name: &str = local.as_ref();
        let attributes = Attributes::of(element)?;
        if self.is_outside() {
            self.open_root(name, &attributes)?;
        }
        let opened = match name {
            "testsuite" => self.open_suite(attributes),
            "testcase" => self.open_case(attributes),
            "failure" | "error" | "skipped" => {
                self.outcome(name);
                Element::Other
            }
            rerun => {
                if let Some(rerun) = RERUNS.iter().find(|known| **known == rerun) {
                    self.counts.one(&format!("rerun_and_flaky_elements.{rerun}"));
                }
                Element::Other
            }
        };
        self.open.push(opened);
        Ok(())
    }

    fn open_root(&mut self, name: &str, attributes: &Attributes) -> Result<(), IntakeError> {
        if self.root.is_some() {
            return Err(malformed("there is more than one root element"));
        }
        self.root = ["testsuites", "testsuite"].into_iter().find(|root| *root == name);
        if self.root.is_none() {
            return Err(malformed("the root is neither testsuites nor testsuite"));
        }
        self.declare(ON_ROOT, attributes);
        Ok(())
    }

    fn declare(&mut self, place: &str, attributes: &Attributes) {
        for (name, value) in &attributes.declared {
            match value.trim().replace(',', "").parse() {
                Ok(number) => self.counts.add(&format!("{place}.{name}"), number),
                Err(_) => self.unreadable_totals += usize::from(!value.trim().is_empty()),
            }
        }
        if let Some(microseconds) = attributes.time.as_deref().and_then(duration_microseconds) {
            self.counts.add(&format!("{place}.time_microseconds"), microseconds);
        }
    }

    fn open_suite(&mut self, attributes: Attributes) -> Element {
        self.counts.one("suites");
        if self.open.iter().any(|element| matches!(element, Element::Suite { .. })) {
            self.counts.one("nested_suites");
        } else if self.root == Some("testsuites") {
            self.declare(ON_SUITES, &attributes);
        }
        Element::Suite { name: attributes.name.as_deref().map(|name| text::head(name).to_owned()) }
    }

    fn open_case(&mut self, attributes: Attributes) -> Element {
        self.counts.one("testcases");
        self.counts.one_if(attributes.class.is_none(), "testcases_without_classname");
        self.counts.one_if(attributes.time.is_none(), "testcases_without_time");
        let name = attributes.name.unwrap_or_default();
        let pair = (attributes.class.clone().unwrap_or_default(), name.clone());
        let occurrence = self.occurrences.entry(pair).or_insert(0);
        *occurrence += 1;
        if *occurrence == 2 {
            self.counts.one("duplicate_classname_name_pairs");
        }
        Element::Case(Case { name, class: attributes.class, occurrence: *occurrence, ..Case::default() })
    }

    fn outcome(&mut self, name: &str) {
        self.counts.one(&format!("{name}_elements"));
        // Anywhere deeper in a test case it belongs to an attempt or to output, not to the test.
        let in_case = self.open.iter().any(|element| matches!(element, Element::Case(_)));
        if let Some(Element::Case(case)) = self.open.last_mut() {
            match name {
                "failure" => case.failures += 1,
                "error" => case.errors += 1,
                _ => case.skips += 1,
            }
        } else if !in_case && name != "skipped" {
            self.suite_failed(name);
        }
    }

    /// A failure or an error that no test case has: of a set-up, or of a suite that could not be loaded.
    fn suite_failed(&mut self, name: &str) {
        self.counts.one(&format!("{name}s_outside_testcases"));
        if !self.findings.count(Severity::High) {
            return;
        }
        let suite = self.open.iter().rev().find_map(|element| match element {
            Element::Suite { name } => name.clone(),
            _ => None,
        });
        let suite = suite.unwrap_or_default();
        let rule = if name == "error" { "suite-error" } else { "suite-failure" };
        let title = text::cleaned(&suite).unwrap_or_else(|| "unnamed suite".to_owned());
        let draft = draft(rule, title, None);
        self.findings.keep(&[rule, &suite], draft);
    }

    fn close(&mut self) {
        if let Some(Element::Case(case)) = self.open.pop() {
            self.close_case(&case);
        }
    }

    fn close_case(&mut self, case: &Case) {
        let outcomes = case.failures + case.errors + case.skips;
        self.counts.one_if(case.failures > 0, "testcases_with_failure");
        self.counts.one_if(case.errors > 0, "testcases_with_error");
        self.counts.one_if(case.skips > 0, "testcases_with_skipped");
        self.counts.one_if(outcomes == 0, "testcases_without_failure_error_skipped");
        self.counts.one_if(outcomes > 1, "testcases_with_more_than_one_outcome_element");
        let rule = if case.errors > 0 {
            self.worst.errors += 1;
            "test-error"
        } else if case.failures > 0 {
            self.worst.failures += 1;
            "test-failure"
        } else {
            self.worst.skipped += i64::from(case.skips > 0);
            return;
        };
        if self.findings.count(Severity::High) {
            let class = case.class.as_deref().unwrap_or_default();
            let title = text::cleaned(&format!("{class} {}", case.name));
            let title = title.unwrap_or_else(|| "unnamed test".to_owned());
            let identity = [class, &case.name, &case.occurrence.to_string()];
            self.findings.keep(&identity, draft(rule, title, text::cleaned(class)));
        }
    }

    fn finish(mut self) -> Result<Report, IntakeError> {
        if !self.is_outside() {
            return Err(malformed("the file ends in the middle"));
        }
        if self.root.is_none() {
            return Err(malformed("there is no testsuite"));
        }
        let mut metrics = self.counts.metrics(&METRICS);
        self.add_own_metrics(&mut metrics);
        let doubts = self.doubts();
        let outcome = if !self.findings.is_empty() {
            Outcome::Fail
        } else if self.counts.get("testcases") == self.worst.skipped || doubts {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        let notes = self.notes();
        let (findings, findings_truncated) = std::mem::take(&mut self.findings).into_bounded();
        Ok(Report {
            format: Format::Junit,
            format_version: None,
            tool: None,
            tool_version: None,
            outcome,
            metrics,
            counts: self.counts.into_map(),
            findings,
            findings_truncated,
            notes,
            about: About { root: self.root, ..About::default() },
        })
    }

    fn add_own_metrics(&self, metrics: &mut BTreeMap<&'static str, i64>) {
        let outside = |name: &str| self.counts.get(name);
        metrics.insert("failures", self.worst.failures + outside("failures_outside_testcases"));
        metrics.insert("errors", self.worst.errors + outside("errors_outside_testcases"));
        metrics.insert("skipped", self.worst.skipped);
        for (metric, name) in DECLARED_METRICS {
            if let Some(number) = self.declared(ON_ROOT, name).or_else(|| self.declared(ON_SUITES, name)) {
                metrics.insert(metric, number);
            }
        }
    }

    fn declared(&self, place: &str, name: &str) -> Option<i64> {
        self.counts.find(&format!("{place}.{name}"))
    }

    /// Whether the totals speak of more than there is to see.
    fn doubts(&self) -> bool {
        let tests = self.counts.get("testcases");
        self.unreadable_totals > 0
            || [ON_ROOT, ON_SUITES].into_iter().any(|place| {
                let number = |name: &str| self.declared(place, name).unwrap_or(0);
                number("tests") > tests || number("failures") > 0 || number("errors") > 0
            })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let tests = self.counts.get("testcases");
        let bad = self.worst.failures + self.worst.errors;
        for (place, subject) in [(ON_ROOT, "The root"), (ON_SUITES, "The suites together")] {
            let verb = if place == ON_ROOT { "declares" } else { "declare" };
            if let Some(number) = self.declared(place, "tests").filter(|number| *number != tests) {
                notes.push(format!("{subject} {verb} {number} tests but the file contains {tests}."));
            }
            let parts = [self.declared(place, "failures"), self.declared(place, "errors")];
            let sum = parts.into_iter().flatten().fold(0_i64, i64::saturating_add);
            if parts.iter().any(Option::is_some) && sum != bad {
                notes.push(format!(
                    "{subject} {verb} {sum} failures and errors but {bad} tests of the file have one."
                ));
            }
        }
        if self.unreadable_totals > 0 {
            notes.push(format!("{} declared totals are not whole numbers.", self.unreadable_totals));
        }
        let outside = ["errors_outside_testcases", "failures_outside_testcases"];
        let outside: i64 = outside.into_iter().map(|name| self.counts.get(name)).sum();
        if outside > 0 {
            notes.push(format!("The file has {outside} errors or failures outside of test cases."));
        }
        if tests > 0 && self.worst.skipped == tests {
            notes.push(format!("All {tests} tests were skipped."));
        }
        notes
    }
}

fn draft(rule: &str, title: String, location: Option<String>) -> FindingDraft {
    FindingDraft {
        external_id: String::new(),
        rule: rule.to_owned(),
        title,
        severity: Severity::High,
        location,
        component: None,
    }
}

/// A declared duration in seconds, also with commas between the thousands as Surefire writes it. Senseless ones are
/// as good as missing.
fn duration_microseconds(text: &str) -> Option<i64> {
    let microseconds = text.trim().replace(',', "").parse::<f64>().ok()? * 1e6;
    (0.0..=DURATION_MICROSECONDS_MAX).contains(&microseconds).then(|| microseconds.round() as i64)
}

/// The attributes that are read of an element; all of its attributes have to be well formed.
#[derive(Default)]
struct Attributes {
    name: Option<String>,
    class: Option<String>,
    time: Option<String>,
    declared: Vec<(&'static str, String)>,
}

impl Attributes {
    fn of(element: &BytesStart<'_>) -> Result<Attributes, IntakeError> {
        let mut read = Attributes::default();
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|_| malformed("an attribute is not well formed"))?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| malformed("an attribute uses an entity or a character that is not defined"))?;
            let key: &str = attribute.key.as_ref();
            match key {
                "name" => read.name = Some(value.into_owned()),
                "classname" => read.class = Some(value.into_owned()),
                "time" => read.time = Some(value.into_owned()),
                key => {
                    if let Some(declared) = DECLARED.iter().find(|name| **name == key) {
                        read.declared.push((declared, value.into_owned()));
                    }
                }
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(xml: &str) -> Outcome {
        read(xml.as_bytes()).unwrap().outcome
    }

    fn reason(xml: &str) -> &'static str {
        match read(xml.as_bytes()) {
            Err(IntakeError::Malformed { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_run_is_never_a_pass() {
        for nothing in [
            "<testsuites/>",
            "<testsuite tests='0'/>",
            "<testsuite><testcase name='a'><skipped/></testcase></testsuite>",
            "<testsuite tests='2'><testcase name='a'/></testsuite>",
            "<testsuite failures='1'><testcase name='a'/></testsuite>",
            "<testsuite tests='many'><testcase name='a'/></testsuite>",
        ] {
            assert_eq!(outcome(nothing), Outcome::Inconclusive, "{nothing}");
        }
        assert_eq!(outcome("<testsuite tests='1' errors=''><testcase/></testsuite>"), Outcome::Pass);
    }

    #[test]
    fn no_failure_hides_wherever_it_stands() {
        for failing in [
            "<testsuite><error/></testsuite>",
            "<testsuites><testsuite><failure/><testcase/></testsuite></testsuites>",
            "<testsuite><testcase><testcase/><failure/></testcase></testsuite>",
            "<testsuite><testcase><skipped/><error/></testcase></testsuite>",
        ] {
            assert_eq!(outcome(failing), Outcome::Fail, "{failing}");
        }
        let attempts = "<testsuite><testcase><flakyFailure><error/></flakyFailure></testcase></testsuite>";
        assert_eq!(outcome(attempts), Outcome::Pass);
    }

    #[test]
    fn outcomes_of_test_cases_add_up_to_the_test_cases() {
        let report = read(
            b"<testsuite><testcase/><testcase><failure/><error/><skipped/></testcase>\
              <testcase><failure/><skipped/></testcase><testcase><skipped/></testcase></testsuite>",
        )
        .unwrap();
        let metric = |name: &str| report.metrics.get(name).copied();
        assert_eq!(metric("errors"), Some(1));
        assert_eq!(metric("failures"), Some(1));
        assert_eq!(metric("skipped"), Some(1));
        assert_eq!(metric("testcases"), Some(4));
        assert_eq!(metric("testcasesWithFailure"), Some(2));
        assert_eq!(metric("declaredTests"), None);
    }

    #[test]
    fn a_document_is_whole_or_refused() {
        for (xml, wanted) in [
            ("<testsuite><testcase>", "the file ends in the middle"),
            ("<testsuite/><testsuite/>", "there is more than one root element"),
            ("<testsuite/>text", "there is text outside of the root element"),
            (
                "<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite/>",
                "it has a document type definition, which is never read",
            ),
            ("<testsuite>&b;</testsuite>", "it uses an entity that is not defined"),
            ("<html/>", "the root is neither testsuites nor testsuite"),
            ("", "there is no testsuite"),
        ] {
            assert_eq!(reason(xml), wanted, "{xml}");
        }
        assert!(read(b"<testsuite name='&b;'/>").is_err());
        assert!(read(b"<testsuite name='a' name='b'/>").is_err());
        assert!(read(b"<testsuite></testcase>").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "<testsuite>".repeat(DEPTH_MAX + 1);
        assert_eq!(read(deep.as_bytes()).unwrap_err(), IntakeError::TooDeep { limit: DEPTH_MAX });
    }

    #[test]
    fn the_identity_of_a_test_outlives_its_place_and_message() {
        let ids = |xml: &str| -> Vec<String> {
            read(xml.as_bytes()).unwrap().findings.into_iter().map(|f| f.external_id).collect()
        };
        let first =
            ids("<testsuite><testcase classname='c' name='n'><failure message='a'/></testcase></testsuite>");
        let later = ids("<testsuite><testcase classname='c' name='m'/>\
             <testcase name='n' classname='c'><error>b</error></testcase></testsuite>");
        assert_eq!(first, later);
    }

    #[test]
    fn senseless_durations_are_as_good_as_missing() {
        assert_eq!(duration_microseconds("1,234.5"), Some(1_234_500_000));
        for senseless in ["", "-1", "NaN", "inf", "1e300", "soon"] {
            assert_eq!(duration_microseconds(senseless), None, "{senseless}");
        }
    }
}
