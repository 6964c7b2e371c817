//! JUnit XML, as a dozen writers write it. Counted is what is there: test cases at any depth, each once, the worst
//! outcome of each; attempts that were repeated are attempts, not tests. What attributes declare is kept beside it.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;

use domain::digest::Digest;
use domain::severity::Severity;
use quick_xml::encoding::DecodingReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::limits::{DEPTH_MAX, FINDINGS_MAX, SNIFF_BYTES_MAX};
use crate::{FindingDraft, Format, IntakeError, Outcome, Report, count, text};

/// Attributes in which writers declare totals.
const DECLARED: [&str; 6] = ["tests", "failures", "errors", "skipped", "disabled", "ignored"];
const RERUNS: [&str; 4] = ["rerunFailure", "rerunError", "flakyFailure", "flakyError"];

pub fn looks_like(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(SNIFF_BYTES_MAX)).unwrap_or(bytes);
    head.windows(10).any(|w| w == b"<testsuite")
}

fn malformed(reason: &'static str) -> IntakeError {
    IntakeError::Malformed { format: Format::Junit, reason }
}

/// One test case while it is open.
struct Case {
    name: String,
    class: Option<String>,
    failures: u32,
    errors: u32,
    skips: u32,
}

#[derive(Default)]
struct Suite {
    stack: Vec<String>,
    case: Option<Case>,
    case_depth: usize,
    counts: BTreeMap<String, i64>,
    seen: HashMap<String, u32>,
    findings: Vec<FindingDraft>,
    failed: usize,
    root_seen: bool,
    root_is_suites: bool,
    writer: Option<String>,
}

pub fn read(bytes: &[u8]) -> Result<Report, IntakeError> {
    // The declared encoding is honoured; what cannot be decoded is refused.
    let mut reader = Reader::from_reader(BufReader::new(DecodingReader::new(bytes)));
    reader.config_mut().check_end_names = true;
    let mut suite = Suite::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(element)) => suite.open(&element)?,
            Ok(Event::Empty(element)) => {
                suite.open(&element)?;
                suite.close();
            }
            Ok(Event::End(_)) => suite.close(),
            Ok(Event::DocType(_)) => {
                return Err(malformed("it has a document type definition, which is never read"));
            }
            Ok(Event::GeneralRef(reference)) => {
                let known =
                    reference.is_char_ref() || matches!(&*reference, "lt" | "gt" | "amp" | "quot" | "apos");
                if !known {
                    return Err(malformed("it uses an entity that is not defined"));
                }
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(quick_xml::Error::IllFormed(_) | quick_xml::Error::Syntax(_)) => {
                return Err(malformed("the XML is not well formed"));
            }
            Err(_) => return Err(malformed("the XML cannot be decoded")),
        }
    }
    if !suite.stack.is_empty() {
        return Err(malformed("the file ends in the middle"));
    }
    if !suite.root_seen {
        return Err(malformed("there is no testsuite"));
    }
    Ok(suite.report())
}

impl Suite {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), IntakeError> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(IntakeError::TooDeep { limit: DEPTH_MAX });
        }
        let local = element.local_name();
        let name = AsRef::<str>::as_ref(&local).to_owned();
        let attributes = attributes(element)?;
        if self.stack.is_empty() {
            if self.root_seen {
                return Err(malformed("there is more than one root element"));
            }
            if name != "testsuites" && name != "testsuite" {
                return Err(malformed("the root is neither testsuites nor testsuite"));
            }
            self.root_seen = true;
            self.root_is_suites = name == "testsuites";
            self.declare("declared_on_root", &attributes);
        }
        match name.as_str() {
            "testsuite" => self.open_suite(&attributes),
            "testcase" => self.open_case(&attributes),
            "failure" | "error" | "skipped" => self.outcome(&name),
            rerun if RERUNS.contains(&rerun) => {
                count(&mut self.counts, &format!("rerun_and_flaky_elements.{rerun}"));
            }
            _ => {}
        }
        self.stack.push(name);
        Ok(())
    }

    fn declare(&mut self, place: &str, attributes: &HashMap<String, String>) {
        for name in DECLARED {
            if let Some(number) = attributes.get(name).and_then(|v| v.trim().parse::<i64>().ok()) {
                let total = self.counts.entry(format!("{place}.{name}")).or_insert(0);
                *total = total.saturating_add(number);
            }
        }
    }

    fn open_suite(&mut self, attributes: &HashMap<String, String>) {
        count(&mut self.counts, "suites");
        let nested = self.stack.iter().any(|name| name == "testsuite");
        if nested {
            count(&mut self.counts, "nested_suites");
        } else if self.root_is_suites {
            self.declare("declared_sum_of_outermost_suites", attributes);
        }
        if self.writer.is_none() {
            self.writer = attributes.get("name").and_then(|n| text::some(n));
        }
    }

    fn open_case(&mut self, attributes: &HashMap<String, String>) {
        self.finish_case(); // a case inside a case is no case writers write; the outer one ends here
        count(&mut self.counts, "testcases");
        let class = attributes.get("classname").cloned();
        if class.is_none() {
            count(&mut self.counts, "testcases_without_classname");
        }
        if !attributes.contains_key("time") {
            count(&mut self.counts, "testcases_without_time");
        }
        let name = attributes.get("name").cloned().unwrap_or_default();
        let pair = format!("{}\u{0}{name}", class.clone().unwrap_or_default());
        *self.seen.entry(pair).or_insert(0) += 1;
        self.case = Some(Case { name, class, failures: 0, errors: 0, skips: 0 });
        self.case_depth = self.stack.len();
    }

    fn outcome(&mut self, name: &str) {
        count(&mut self.counts, &format!("{name}_elements"));
        let child = self.stack.len() == self.case_depth + 1;
        if let Some(case) = self.case.as_mut().filter(|_| child) {
            match name {
                "failure" => case.failures += 1,
                "error" => case.errors += 1,
                _ => case.skips += 1,
            }
        } else if name == "error" {
            count(&mut self.counts, "errors_outside_testcases");
        }
    }

    fn close(&mut self) {
        self.stack.pop();
        if self.case.is_some() && self.stack.len() == self.case_depth {
            self.finish_case();
        }
    }

    fn finish_case(&mut self) {
        let Some(case) = self.case.take() else { return };
        for (present, name) in [
            (case.failures > 0, "testcases_with_failure"),
            (case.errors > 0, "testcases_with_error"),
            (case.skips > 0, "testcases_with_skipped"),
            (case.failures + case.errors + case.skips == 0, "testcases_without_failure_error_skipped"),
            (case.failures + case.errors + case.skips > 1, "testcases_with_more_than_one_outcome_element"),
        ] {
            if present {
                count(&mut self.counts, name);
            }
        }
        if case.failures + case.errors == 0 {
            return;
        }
        self.failed += 1;
        if self.findings.len() < FINDINGS_MAX {
            let class = case.class.unwrap_or_default();
            let occurrence = self.seen.get(&format!("{class}\u{0}{}", case.name)).copied().unwrap_or(1);
            let identity = format!("{class}\u{0}{}\u{0}{occurrence}", case.name);
            let full = if class.is_empty() { case.name } else { format!("{class} {}", case.name) };
            self.findings.push(FindingDraft {
                external_id: Digest::of(identity.as_bytes()).to_string(),
                rule: if case.errors > 0 { "test-error".into() } else { "test-failure".into() },
                title: text::clean(&full),
                severity: Severity::High,
                location: text::some(&class),
                component: None,
            });
        }
    }

    fn report(mut self) -> Report {
        let duplicates = self.seen.values().filter(|n| **n > 1).count() as i64;
        self.counts.insert("duplicate_classname_name_pairs".into(), duplicates);
        for name in [
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
            "testcases_without_classname",
            "testcases_without_time",
            "errors_outside_testcases",
        ] {
            self.counts.entry(name.to_owned()).or_insert(0);
        }
        let of = |name: &str| self.counts.get(name).copied().unwrap_or(0);
        let (tests, failures, errors) =
            (of("testcases"), of("testcases_with_failure"), of("testcases_with_error"));
        let outside = of("errors_outside_testcases");
        let place = if self.root_is_suites { "declared_sum_of_outermost_suites" } else { "declared_on_root" };
        let declared = |name: &str| {
            let sum = self.counts.get(&format!("{place}.{name}"));
            sum.or_else(|| self.counts.get(&format!("declared_on_root.{name}"))).copied()
        };
        let mut notes = Vec::new();
        if let Some(n) = declared("tests").filter(|n| *n != tests) {
            notes.push(format!("The file declares {n} tests but contains {tests}."));
        }
        let bad = declared("failures").unwrap_or(0) + declared("errors").unwrap_or(0);
        if bad > 0 && self.failed == 0 {
            notes.push(format!("The file declares {bad} failures or errors but shows none."));
        }
        if outside > 0 {
            notes.push(format!("The file has {outside} errors outside of test cases."));
        }
        let outcome = if self.failed > 0 || outside > 0 {
            Outcome::Fail
        } else if tests == 0 || bad > 0 {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        let metrics = BTreeMap::from([
            ("testcases", tests),
            ("failures", failures),
            ("errors", errors + outside),
            ("skipped", of("testcases_with_skipped")),
        ]);
        Report {
            format: Format::Junit,
            format_version: None,
            tool: None,
            tool_version: None,
            outcome,
            metrics,
            findings_truncated: self.failed > self.findings.len(),
            findings: self.findings,
            counts: self.counts,
            notes,
        }
    }
}

fn attributes(element: &BytesStart<'_>) -> Result<HashMap<String, String>, IntakeError> {
    let mut found = HashMap::new();
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|_| malformed("an attribute is not well formed"))?;
        let name = AsRef::<str>::as_ref(&attribute.key).to_owned();
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| {
            malformed("an attribute cannot be decoded, or uses an entity that is not defined")
        })?;
        found.insert(name, value.into_owned());
    }
    Ok(found)
}
