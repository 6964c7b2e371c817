//! SARIF 2.1.0. An absent level comes from the rule's default, then `warning`; results of another kind than `fail`,
//! suppressed ones and those whose baseline state is `absent` are not current problems; runs add up. Sections 3.27
//! (result), 3.49–3.50 (rule, configuration) of the specification.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use domain::digest::Digest;
use domain::severity::Severity;
use serde::Deserialize;
use serde_json::Value;

use crate::limits::FINDINGS_MAX;
use crate::{FindingDraft, Format, IntakeError, Outcome, Report, count, json, severities, text};

type Text<'a> = Option<Cow<'a, str>>;

#[derive(Deserialize)]
struct Log<'a> {
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow)]
    runs: Option<Vec<Run<'a>>>,
}

#[derive(Deserialize)]
struct Run<'a> {
    #[serde(borrow, default)]
    tool: Option<Tool<'a>>,
    #[serde(borrow, default)]
    results: Option<Vec<Finding<'a>>>,
}

#[derive(Deserialize, Default)]
struct Tool<'a> {
    #[serde(borrow, default)]
    driver: Component<'a>,
    #[serde(borrow, default)]
    extensions: Option<Vec<Component<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Component<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow, default)]
    semantic_version: Text<'a>,
    #[serde(borrow, default)]
    rules: Option<Vec<Rule<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    default_configuration: Option<Configuration<'a>>,
    #[serde(default)]
    properties: Option<Properties>,
    #[serde(borrow, default)]
    short_description: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Configuration<'a> {
    #[serde(borrow, default)]
    level: Text<'a>,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "security-severity", default)]
    security_severity: Option<Value>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    text: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'a> {
    #[serde(borrow, default)]
    rule_id: Text<'a>,
    #[serde(default)]
    rule_index: Option<i64>,
    #[serde(borrow, default)]
    rule: Option<RuleReference<'a>>,
    #[serde(borrow, default)]
    level: Text<'a>,
    #[serde(borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    baseline_state: Text<'a>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    locations: Option<Vec<Location<'a>>>,
    #[serde(default)]
    fingerprints: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    partial_fingerprints: Option<BTreeMap<String, Value>>,
    #[serde(borrow, default)]
    suppressions: Option<Vec<Suppression<'a>>>,
    #[serde(default)]
    properties: Option<Properties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleReference<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(default)]
    index: Option<i64>,
    #[serde(default)]
    tool_component: Option<ComponentReference>,
}

#[derive(Deserialize)]
struct ComponentReference {
    #[serde(default)]
    index: Option<i64>,
}

#[derive(Deserialize)]
struct Suppression<'a> {
    #[serde(borrow, default)]
    status: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    #[serde(borrow, default)]
    physical_location: Option<Physical<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Physical<'a> {
    #[serde(borrow, default)]
    artifact_location: Option<Artifact<'a>>,
    #[serde(default)]
    region: Option<Region>,
}

#[derive(Deserialize)]
struct Artifact<'a> {
    #[serde(borrow, default)]
    uri: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    #[serde(default)]
    start_line: Option<i64>,
}

fn security_severity(properties: Option<&Properties>) -> Option<f64> {
    match properties?.security_severity.as_ref()? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|score| score.is_finite())
}

/// The usual bands of the score.
fn band(score: f64) -> (&'static str, Severity) {
    if score >= 9.0 {
        ("critical (>=9.0)", Severity::Critical)
    } else if score >= 7.0 {
        ("high (7.0-8.9)", Severity::High)
    } else if score >= 4.0 {
        ("medium (4.0-6.9)", Severity::Medium)
    } else if score > 0.0 {
        ("low (0.1-3.9)", Severity::Low)
    } else {
        ("none (0)", Severity::Info)
    }
}

impl Tool<'_> {
    /// The rule of a result: by index in the component it names, then by id in all of them.
    fn rule(&self, result: &Finding<'_>) -> Option<&Rule<'_>> {
        let reference = result.rule.as_ref();
        let id = result.rule_id.as_deref().or(reference.and_then(|r| r.id.as_deref()));
        let extensions = self.extensions.as_deref().unwrap_or_default();
        let home = reference
            .and_then(|r| r.tool_component.as_ref())
            .and_then(|c| c.index)
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| extensions.get(i))
            .unwrap_or(&self.driver);
        let index = result.rule_index.or(reference.and_then(|r| r.index));
        let by_index = index
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| home.rules.as_deref().unwrap_or_default().get(i));
        by_index.or_else(|| {
            let id = id?;
            std::iter::once(&self.driver)
                .chain(extensions)
                .flat_map(|c| c.rules.as_deref().unwrap_or_default())
                .find(|rule| rule.id.as_deref() == Some(id))
        })
    }
}

#[derive(Default)]
struct Tally {
    counts: BTreeMap<String, i64>,
    findings: Vec<FindingDraft>,
    ids: HashSet<String>,
    repeats: HashMap<String, u32>,
    rule_ids: BTreeSet<String>,
    severities: Vec<Severity>,
    errors: usize,
    current: usize,
}

pub fn read(bytes: &[u8]) -> Result<Report, IntakeError> {
    let mut repaired = Vec::new();
    let (log, tolerated): (Log<'_>, bool) = json::parse(bytes, &mut repaired, Format::Sarif)?;
    let Some(runs) = log.runs else {
        return Err(IntakeError::Malformed { format: Format::Sarif, reason: "it has no runs" });
    };
    let mut tally = Tally::default();
    for run in &runs {
        let none = Tool::default();
        let tool = run.tool.as_ref().unwrap_or(&none);
        let components = std::iter::once(&tool.driver).chain(tool.extensions.as_deref().unwrap_or_default());
        let rules: usize = components.map(|c| c.rules.as_ref().map_or(0, Vec::len)).sum();
        *tally.counts.entry("rules_defined".into()).or_insert(0) += rules as i64;
        for result in run.results.as_deref().unwrap_or_default() {
            tally.result(tool, result);
        }
    }
    let driver = runs.first().and_then(|r| r.tool.as_ref()).map(|t| &t.driver);
    let mut notes = Vec::new();
    if tolerated {
        notes.push("Raw control characters inside strings were tolerated.".to_owned());
    }
    Ok(tally.report(runs.len(), log.version.as_deref(), driver, notes))
}

impl Tally {
    fn result(&mut self, tool: &Tool<'_>, result: &Finding<'_>) {
        let rule = tool.rule(result);
        let counts = &mut self.counts;
        count(counts, "results_total");
        count(
            counts,
            &format!("results_by_explicit_level.{}", result.level.as_deref().unwrap_or("(absent)")),
        );
        let kind = result.kind.as_deref().unwrap_or("fail");
        let failing = kind.eq_ignore_ascii_case("fail");
        count(counts, &format!("results_by_kind.{kind}"));
        let level = result.level.as_deref().unwrap_or_else(|| {
            if !failing {
                return "none";
            }
            let configured = rule.and_then(|r| r.default_configuration.as_ref());
            configured.and_then(|c| c.level.as_deref()).unwrap_or("warning")
        });
        count(counts, &format!("results_by_effective_level.{level}"));
        let score = security_severity(result.properties.as_ref())
            .or_else(|| security_severity(rule.and_then(|r| r.properties.as_ref())));
        if let Some(score) = score {
            count(counts, &format!("results_by_security_severity_of_rule.{}", band(score).0));
        }
        if let Some(state) = result.baseline_state.as_deref() {
            count(counts, &format!("results_by_baseline_state.{state}"));
        }
        for (present, name) in [
            (result.locations.as_ref().is_none_or(Vec::is_empty), "results_without_location"),
            (result.fingerprints.as_ref().is_some_and(|f| !f.is_empty()), "results_with_fingerprints"),
            (
                result.partial_fingerprints.as_ref().is_some_and(|f| !f.is_empty()),
                "results_with_partial_fingerprints",
            ),
            (rule.is_none(), "results_without_rule_metadata"),
            (result.suppressions.as_ref().is_some_and(|s| !s.is_empty()), "results_with_suppressions"),
        ] {
            if present {
                count(counts, name);
            }
        }
        let rule_id = result
            .rule_id
            .as_deref()
            .or(result.rule.as_ref().and_then(|r| r.id.as_deref()))
            .or(rule.and_then(|r| r.id.as_deref()));
        if let Some(id) = rule_id {
            self.rule_ids.insert(id.to_owned());
        }
        // Accepted is what has a suppression and none that is still under review or was rejected.
        let suppressed = result.suppressions.as_ref().is_some_and(|list| {
            let open = |s: &Suppression<'_>| matches!(s.status.as_deref(), Some("underReview" | "rejected"));
            !list.is_empty() && !list.iter().any(open)
        });
        if suppressed {
            count(&mut self.counts, "results_suppressed");
        }
        if !failing || suppressed || result.baseline_state.as_deref() == Some("absent") {
            return;
        }
        count(&mut self.counts, "results_current_unsuppressed_fail");
        self.current += 1;
        let severity = score.map_or_else(
            || match level {
                "error" => Severity::High,
                "warning" => Severity::Medium,
                "note" => Severity::Low,
                _ => Severity::Info,
            },
            |score| band(score).1,
        );
        self.errors += usize::from(level == "error");
        self.severities.push(severity);
        if self.findings.len() < FINDINGS_MAX {
            let draft = self.draft(result, rule, rule_id.unwrap_or("unnamed-rule"), severity);
            self.findings.push(draft);
        }
    }

    fn draft(
        &mut self,
        result: &Finding<'_>,
        rule: Option<&Rule<'_>>,
        rule_id: &str,
        severity: Severity,
    ) -> FindingDraft {
        let physical =
            result.locations.as_deref().and_then(|l| l.first()).and_then(|l| l.physical_location.as_ref());
        let uri = physical.and_then(|p| p.artifact_location.as_ref()).and_then(|a| a.uri.as_deref());
        let line = physical.and_then(|p| p.region.as_ref()).and_then(|r| r.start_line);
        let location = uri.map(|uri| line.map_or_else(|| uri.to_owned(), |line| format!("{uri}:{line}")));
        let message = result.message.as_ref().and_then(|m| m.text.as_deref());
        let short = rule.and_then(|r| r.short_description.as_ref()).and_then(|m| m.text.as_deref());
        let title = message.or(short).unwrap_or(rule_id);
        // The tool's own fingerprint survives moved lines; without one, rule, place and words must do.
        let fingerprint = [&result.fingerprints, &result.partial_fingerprints]
            .into_iter()
            .flatten()
            .find(|f| !f.is_empty())
            .map(|f| serde_json::to_string(f).unwrap_or_default());
        let identity = match fingerprint {
            Some(own) => format!("{rule_id}\u{0}{own}"),
            None => format!("{rule_id}\u{0}{}\u{0}{title}", location.as_deref().unwrap_or_default()),
        };
        let base = Digest::of(identity.as_bytes()).to_string();
        let repeat = self.repeats.entry(base.clone()).or_insert(0);
        *repeat += 1;
        let external_id = if *repeat == 1 { base } else { format!("{base}-{repeat}") };
        self.ids.insert(external_id.clone());
        FindingDraft {
            external_id,
            rule: text::clean(rule_id),
            title: text::clean(title),
            severity,
            location: location.as_deref().and_then(text::some),
            component: None,
        }
    }

    fn report(
        mut self,
        runs: usize,
        version: Option<&str>,
        driver: Option<&Component<'_>>,
        notes: Vec<String>,
    ) -> Report {
        self.counts.insert("runs".into(), runs as i64);
        self.counts.insert("distinct_rule_ids_in_results".into(), self.rule_ids.len() as i64);
        for name in [
            "results_total",
            "results_current_unsuppressed_fail",
            "results_without_location",
            "results_with_fingerprints",
            "results_with_partial_fingerprints",
            "results_without_rule_metadata",
            "rules_defined",
            "results_suppressed",
            "results_with_suppressions",
        ] {
            self.counts.entry(name.to_owned()).or_insert(0);
        }
        let mut metrics = BTreeMap::from([("results", self.current as i64)]);
        severities(&mut metrics, self.severities.iter().copied());
        let outcome = if runs == 0 {
            Outcome::Inconclusive
        } else if self.errors > 0 {
            Outcome::Fail
        } else {
            Outcome::Pass
        };
        let tool_version = driver.and_then(|d| d.version.as_deref().or(d.semantic_version.as_deref()));
        Report {
            format: Format::Sarif,
            format_version: version.and_then(text::some),
            tool: driver.and_then(|d| d.name.as_deref()).and_then(text::some),
            tool_version: tool_version.and_then(text::some),
            outcome,
            metrics,
            findings_truncated: self.current > self.findings.len(),
            findings: self.findings,
            counts: self.counts,
            notes,
        }
    }
}
