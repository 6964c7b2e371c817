//! SARIF 2.1.0. An absent level comes from the rule's default, then `warning`; results of another kind than `fail`,
//! suppressed ones and those whose baseline state is `absent` are not current problems; runs add up. Sections 3.14
//! (run), 3.27 (result), 3.35 (suppression), 3.49 and 3.50 (rule, configuration) of the specification. Configuration
//! overrides of invocations are not applied, and files beside this one are never looked for.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::severity::Severity;
use serde::de::IgnoredAny;

use crate::counts::{ABSENT, Counts};
use crate::findings::Findings;
use crate::json::{self, Flag, Number, Parsed, Text, members};
use crate::limits::{RUNS_LISTED_MAX, TOOLS_MAX};
use crate::{About, FindingDraft, Format, IntakeError, Outcome, Report, ToolDraft, text};

members! { Log<'a> {
    "version" => version: Text<'a>,
    "runs" => runs: Option<Vec<Run<'a>>>,
    "inlineExternalProperties" => inline: Option<Vec<Elsewhere<'a>>>,
} }

members! { Run<'a> {
    "tool" => tool: Tool<'a>,
    "artifacts" => artifacts: Option<Vec<ArtifactOfRun<'a>>>,
    "results" => results: Option<Vec<Finding<'a>>>,
    "invocations" => invocations: Option<Vec<Invocation<'a>>>,
    "externalPropertyFileReferences" => external: Option<Elsewhere<'a>>,
} }

members! {
    /// Results that are kept outside of their run: inline in the log, or in files of their own.
    Elsewhere<'a> { "results" => results: Option<Vec<IgnoredAny>> }
}
members! { Invocation<'a> { "executionSuccessful" => successful: Flag } }
members! { ArtifactOfRun<'a> { "location" => location: Option<Artifact<'a>> } }

members! { Tool<'a> {
    "driver" => driver: Component<'a>,
    "extensions" => extensions: Option<Vec<Component<'a>>>,
} }

members! { Component<'a> {
    "name" => name: Text<'a>,
    "version" => version: Text<'a>,
    "semanticVersion" => semantic_version: Text<'a>,
    "rules" => rules: Option<Vec<Rule<'a>>>,
} }

members! { Rule<'a> {
    "id" => id: Text<'a>,
    "defaultConfiguration" => default_configuration: Option<Configuration<'a>>,
    "properties" => properties: Option<Properties<'a>>,
    "shortDescription" => short_description: Option<Message<'a>>,
} }

members! { Configuration<'a> { "level" => level: Text<'a> } }
members! { Properties<'a> { "security-severity" => security_severity: Number } }
members! { Message<'a> { "text" => text_member: Text<'a> } }

members! { Finding<'a> {
    "ruleId" => rule_id: Text<'a>,
    "ruleIndex" => rule_index: Number,
    "rule" => rule: Option<RuleReference<'a>>,
    "level" => level: Text<'a>,
    "kind" => kind: Text<'a>,
    "baselineState" => baseline_state: Text<'a>,
    "message" => message: Option<Message<'a>>,
    "locations" => locations: Option<Vec<Location<'a>>>,
    "fingerprints" => fingerprints: Option<BTreeMap<String, Text<'a>>>,
    "partialFingerprints" => partial_fingerprints: Option<BTreeMap<String, Text<'a>>>,
    "suppressions" => suppressions: Option<Vec<Suppression<'a>>>,
    "properties" => properties: Option<Properties<'a>>,
} }

members! { RuleReference<'a> {
    "id" => id: Text<'a>,
    "index" => index: Number,
    "toolComponent" => component: Option<ComponentReference<'a>>,
} }

members! { ComponentReference<'a> { "index" => index: Number } }
members! { Suppression<'a> { "status" => status: Text<'a> } }

members! { Location<'a> {
    "physicalLocation" => physical: Option<Physical<'a>>,
    "logicalLocations" => logical: Option<Vec<Logical<'a>>>,
} }

members! { Physical<'a> {
    "artifactLocation" => artifact: Option<Artifact<'a>>,
    "region" => region: Option<Region<'a>>,
} }

members! { Artifact<'a> { "uri" => uri: Text<'a>, "index" => index: Number } }
members! { Region<'a> { "startLine" => start_line: Number } }
members! { Logical<'a> { "fullyQualifiedName" => full_name: Text<'a>, "name" => name: Text<'a> } }

const COUNTED: [&str; 10] = [
    "runs",
    "results_total",
    "results_current_unsuppressed_fail",
    "results_suppressed",
    "results_with_suppressions",
    "results_without_location",
    "results_with_fingerprints",
    "results_with_partial_fingerprints",
    "results_without_rule_metadata",
    "rules_defined",
];

const METRICS: [(&str, &str); 24] = [
    ("results", "results_current_unsuppressed_fail"),
    ("runs", "runs"),
    ("resultsTotal", "results_total"),
    ("resultsCurrentUnsuppressedFail", "results_current_unsuppressed_fail"),
    ("resultsSuppressed", "results_suppressed"),
    ("resultsWithSuppressions", "results_with_suppressions"),
    ("resultsWithoutLocation", "results_without_location"),
    ("resultsWithFingerprints", "results_with_fingerprints"),
    ("resultsWithPartialFingerprints", "results_with_partial_fingerprints"),
    ("resultsWithoutRuleMetadata", "results_without_rule_metadata"),
    ("rulesDefined", "rules_defined"),
    ("distinctRuleIdsInResults", "distinct_rule_ids_in_results"),
    ("levelError", "results_by_effective_level.error"),
    ("levelWarning", "results_by_effective_level.warning"),
    ("levelNote", "results_by_effective_level.note"),
    ("levelNone", "results_by_effective_level.none"),
    ("baselineNew", "results_by_baseline_state.new"),
    ("baselineUnchanged", "results_by_baseline_state.unchanged"),
    ("baselineUpdated", "results_by_baseline_state.updated"),
    ("baselineAbsent", "results_by_baseline_state.absent"),
    ("securitySeverityCritical", "results_by_security_severity_of_rule.critical (>=9.0)"),
    ("securitySeverityHigh", "results_by_security_severity_of_rule.high (7.0-8.9)"),
    ("securitySeverityMedium", "results_by_security_severity_of_rule.medium (4.0-6.9)"),
    ("securitySeverityLow", "results_by_security_severity_of_rule.low (0.1-3.9)"),
];

pub fn read(bytes: &[u8]) -> Result<Report, IntakeError> {
    let mut repaired = Vec::new();
    let parsed: Parsed<Log<'_>> = json::parse(bytes, &mut repaired, Format::Sarif)?;
    let log = &parsed.document;
    let Some(runs) = log.runs.as_deref() else {
        return Err(IntakeError::Malformed { format: Format::Sarif, reason: "it has no runs" });
    };
    let mut tally = Tally { counts: Counts::starting_with(&COUNTED), ..Tally::default() };
    for (number, run) in runs.iter().enumerate() {
        tally.run(number, run);
    }
    let inline = log.inline.as_deref().unwrap_or_default();
    tally.elsewhere += inline.iter().filter(|properties| properties.has_results()).count();
    let version = log.version.cleaned();
    let tools = runs.iter().take(TOOLS_MAX).map(|run| run.tool.driver.as_draft()).collect();
    Ok(tally.report(version, tools, parsed.notes, parsed.ambiguous))
}

impl Elsewhere<'_> {
    fn has_results(&self) -> bool {
        self.results.as_ref().is_some_and(|results| !results.is_empty())
    }
}

impl Component<'_> {
    fn as_draft(&self) -> ToolDraft {
        ToolDraft {
            name: self.name.cleaned(),
            version: self.version.cleaned(),
            semantic_version: self.semantic_version.cleaned(),
        }
    }
}

/// The rules of one run. By id they are in a map, because a run can have as many rules as results.
struct Rules<'a> {
    driver: &'a Component<'a>,
    extensions: &'a [Component<'a>],
    by_id: HashMap<&'a str, &'a Rule<'a>>,
}

impl<'a> Rules<'a> {
    fn of(tool: &'a Tool<'a>) -> Rules<'a> {
        let extensions = tool.extensions.as_deref().unwrap_or_default();
        let mut by_id = HashMap::new();
        for rule in std::iter::once(&tool.driver).chain(extensions).flat_map(Component::rules) {
            if let Some(id) = rule.id.find() {
                by_id.entry(id).or_insert(rule);
            }
        }
        Rules { driver: &tool.driver, extensions, by_id }
    }

    /// The rule of a result: by index in the component it names, then by id in all of them, then by the id without
    /// its last part (section 3.27.5: `CA1000/1` is a case of `CA1000`).
    fn rule(&self, result: &Finding<'_>) -> Option<&'a Rule<'a>> {
        let reference = result.rule.as_ref();
        let component = reference.and_then(|r| r.component.as_ref()).and_then(|c| c.index.index());
        let home = component.and_then(|index| self.extensions.get(index)).unwrap_or(self.driver);
        let index = result.rule_index.index().or_else(|| reference?.index.index());
        let by_index = index.and_then(|index| home.rules().get(index));
        by_index.or_else(|| {
            let id = result.rule_id.find().or_else(|| reference?.id.find())?;
            let parent = || id.rsplit_once('/').and_then(|(parent, _)| self.by_id.get(parent));
            self.by_id.get(id).or_else(parent).copied()
        })
    }
}

impl<'a> Component<'a> {
    fn rules(&self) -> &[Rule<'a>] {
        self.rules.as_deref().unwrap_or_default()
    }
}

#[derive(Default)]
struct Tally {
    counts: Counts,
    findings: Findings,
    rule_ids: HashSet<String>,
    errors: usize,
    without_results: usize,
    unsuccessful: usize,
    elsewhere: usize,
}

/// What is known of a result once its rule is found.
struct Judged<'a> {
    rule: Option<&'a Rule<'a>>,
    rule_id: &'a str,
    severity: Severity,
}

impl Tally {
    fn run<'a>(&mut self, number: usize, run: &'a Run<'a>) {
        self.counts.one("runs");
        let rules = Rules::of(&run.tool);
        let components = std::iter::once(rules.driver).chain(rules.extensions);
        self.counts.add_length("rules_defined", components.map(|component| component.rules().len()).sum());
        self.without_results += usize::from(run.results.is_none());
        self.elsewhere += usize::from(run.external.as_ref().is_some_and(Elsewhere::has_results));
        let invocations = run.invocations.as_deref().unwrap_or_default();
        self.unsuccessful += usize::from(invocations.iter().any(|i| i.successful.0 == Some(false)));
        let results = run.results.as_deref().unwrap_or_default();
        if number < RUNS_LISTED_MAX {
            self.counts.add_length(&format!("results_per_run.{number}"), results.len());
        }
        for result in results {
            self.result(run, &rules, result);
        }
    }

    fn result<'a>(&mut self, run: &'a Run<'a>, rules: &Rules<'a>, result: &'a Finding<'a>) {
        let rule = rules.rule(result);
        let kind = result.kind.find().unwrap_or("fail");
        let failing = kind.eq_ignore_ascii_case("fail");
        let level = effective_level(result, rule, failing);
        let score = security_severity(result.properties.as_ref())
            .or_else(|| security_severity(rule.and_then(|rule| rule.properties.as_ref())));
        let suppressed = is_suppressed(result);
        self.count_words(result, kind, level, score);
        self.count_traits(result, rule, suppressed);
        let of_reference = || result.rule.as_ref().and_then(|reference| reference.id.find());
        let rule_id = result.rule_id.find().or_else(of_reference).or_else(|| rule?.id.find()).map(text::head);
        if let Some(id) = rule_id.filter(|id| !self.rule_ids.contains(*id)) {
            self.rule_ids.insert(id.to_owned());
        }
        if !failing || suppressed || result.baseline_state.find() == Some("absent") {
            return;
        }
        self.counts.one("results_current_unsuppressed_fail");
        self.errors += usize::from(level.eq_ignore_ascii_case("error"));
        let severity = score.map_or_else(|| severity_of_level(level), |score| band(score).1);
        if self.findings.count(severity) {
            let rule_id = rule_id.filter(|id| !text::is_blank(id)).unwrap_or("unnamed-rule");
            self.keep(run, result, &Judged { rule, rule_id, severity });
        }
    }

    fn count_words(&mut self, result: &Finding<'_>, kind: &str, level: &str, score: Option<f64>) {
        let counts = &mut self.counts;
        counts.one("results_total");
        counts.one_by_word("results_by_explicit_level", result.level.find().unwrap_or(ABSENT));
        counts.one_by_word("results_by_kind", kind);
        counts.one_by_word("results_by_effective_level", level);
        if let Some(score) = score {
            counts.one_by_word("results_by_security_severity_of_rule", band(score).0);
        }
        if let Some(state) = result.baseline_state.find() {
            counts.one_by_word("results_by_baseline_state", state);
        }
    }

    fn count_traits(&mut self, result: &Finding<'_>, rule: Option<&Rule<'_>>, suppressed: bool) {
        let counts = &mut self.counts;
        let any =
            |fingerprints: &Option<BTreeMap<_, _>>| fingerprints.as_ref().is_some_and(|f| !f.is_empty());
        counts.one_if(result.locations.as_ref().is_none_or(Vec::is_empty), "results_without_location");
        counts.one_if(any(&result.fingerprints), "results_with_fingerprints");
        counts.one_if(any(&result.partial_fingerprints), "results_with_partial_fingerprints");
        counts.one_if(rule.is_none(), "results_without_rule_metadata");
        counts.one_if(
            result.suppressions.as_ref().is_some_and(|list| !list.is_empty()),
            "results_with_suppressions",
        );
        counts.one_if(suppressed, "results_suppressed");
    }

    /// The tool's own fingerprint survives moved lines. A partial one tells results of one file apart (3.27.18), so
    /// the file is part of the identity then; without any, rule, place and words must do.
    fn keep(&mut self, run: &Run<'_>, result: &Finding<'_>, judged: &Judged<'_>) {
        let place = Place::of(run, result);
        let words = result.message.as_ref().and_then(|message| message.text_member.non_blank());
        let short = || judged.rule?.short_description.as_ref()?.text_member.non_blank();
        let title = words.or_else(short).unwrap_or(judged.rule_id);
        let location = place.text();
        let file = place.name.unwrap_or_default();
        let mut identity = vec![judged.rule_id];
        match [(&result.fingerprints, ""), (&result.partial_fingerprints, file)]
            .into_iter()
            .find_map(|(own, file)| Some((own.as_ref().filter(|own| !own.is_empty())?, file)))
        {
            Some((own, file)) => {
                identity.push(file);
                identity.extend(
                    own.iter().flat_map(|(name, value)| [name.as_str(), value.find().unwrap_or_default()]),
                );
            }
            None => identity.extend([location.as_deref().unwrap_or_default(), title]),
        }
        let draft = FindingDraft {
            external_id: String::new(),
            rule: text::cleaned(judged.rule_id).unwrap_or_else(|| "unnamed-rule".to_owned()),
            title: text::cleaned(title).unwrap_or_else(|| "unnamed finding".to_owned()),
            severity: judged.severity,
            location: location.as_deref().and_then(text::cleaned),
            component: None,
        };
        self.findings.keep(&identity, draft);
    }

    fn outcome(&self, ambiguous: bool) -> Outcome {
        if self.errors > 0 || self.findings.any_at_least(Severity::High) {
            return Outcome::Fail;
        }
        let unmeasured = self.without_results + self.unsuccessful + self.elsewhere;
        if self.counts.get("runs") == 0 || unmeasured > 0 || ambiguous {
            return Outcome::Inconclusive;
        }
        Outcome::Pass
    }

    fn report(
        mut self,
        format_version: Option<String>,
        tools: Vec<ToolDraft>,
        mut notes: Vec<String>,
        ambiguous: bool,
    ) -> Report {
        self.counts.set("distinct_rule_ids_in_results", self.rule_ids.len() as i64);
        for (number, sentence) in [
            (self.without_results, "runs have no list of results: nothing says that they looked"),
            (self.unsuccessful, "runs say that they did not finish successfully"),
            (self.elsewhere, "runs keep results outside of the list that is read"),
        ] {
            if number > 0 {
                notes.push(format!("{number} {sentence}."));
            }
        }
        let outcome = self.outcome(ambiguous);
        let mut metrics = self.counts.metrics(&METRICS);
        self.findings.add_severities(&mut metrics);
        let (findings, findings_truncated) = self.findings.into_bounded();
        let first = tools.first().cloned().unwrap_or_default();
        Report {
            format: Format::Sarif,
            format_version,
            tool: first.name,
            tool_version: first.version.or(first.semantic_version),
            outcome,
            metrics,
            counts: self.counts.into_map(),
            findings,
            findings_truncated,
            notes,
            about: About { tools, ..About::default() },
        }
    }
}

fn effective_level<'a>(result: &'a Finding<'_>, rule: Option<&'a Rule<'_>>, failing: bool) -> &'a str {
    result.level.find().unwrap_or_else(|| {
        if !failing {
            return "none";
        }
        let configured = rule.and_then(|rule| rule.default_configuration.as_ref());
        configured.and_then(|configuration| configuration.level.find()).unwrap_or("warning")
    })
}

/// Accepted is what has a suppression and none that is still under review or was rejected.
fn is_suppressed(result: &Finding<'_>) -> bool {
    result.suppressions.as_ref().is_some_and(|list| {
        let open = |s: &Suppression<'_>| matches!(s.status.find(), Some("underReview" | "rejected"));
        !list.is_empty() && !list.iter().any(open)
    })
}

/// A word that the specification does not know is taken for a warning: it may not make a result harmless.
fn severity_of_level(level: &str) -> Severity {
    let known = [("error", Severity::High), ("note", Severity::Low), ("none", Severity::Info)];
    let found = known.iter().find(|(word, _)| level.eq_ignore_ascii_case(word));
    found.map_or(Severity::Medium, |(_, severity)| *severity)
}

/// The score, if it is one: the scale ends at ten.
fn security_severity(properties: Option<&Properties<'_>>) -> Option<f64> {
    properties?.security_severity.find().filter(|score| (0.0..=10.0).contains(score))
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

/// Where a result is: in a file, or in something that has a name.
struct Place<'a> {
    name: Option<&'a str>,
    line: Option<i64>,
}

impl<'a> Place<'a> {
    fn of(run: &'a Run<'_>, result: &'a Finding<'_>) -> Place<'a> {
        let Some(location) = result.locations.as_deref().and_then(|l| l.first()) else {
            return Place { name: None, line: None };
        };
        let physical = location.physical.as_ref();
        let artifact = physical.and_then(|physical| physical.artifact.as_ref());
        let listed = || {
            let artifacts = run.artifacts.as_deref()?;
            artifacts.get(artifact?.index.index()?)?.location.as_ref()?.uri.non_blank()
        };
        let uri = artifact.and_then(|artifact| artifact.uri.non_blank()).or_else(listed);
        if uri.is_some() {
            let region = physical.and_then(|physical| physical.region.as_ref());
            return Place { name: uri, line: region.and_then(|region| region.start_line.whole()) };
        }
        let logical = location.logical.as_deref().and_then(|l| l.first());
        let name =
            logical.and_then(|logical| logical.full_name.non_blank().or_else(|| logical.name.non_blank()));
        Place { name, line: None }
    }

    fn text(&self) -> Option<String> {
        let name = self.name?;
        Some(self.line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_results(results: &str) -> Report {
        let log = format!(
            r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"t","rules":[
                {{"id":"scored","properties":{{"security-severity":"9.8"}}}},
                {{"id":"loud","defaultConfiguration":{{"level":"error"}}}}]}}}},
                "artifacts":[{{"location":{{"uri":"a.rs"}}}}],
                "results":{results}}}]}}"#
        );
        read(log.as_bytes()).unwrap()
    }

    fn outcome(log: &str) -> Outcome {
        read(log.as_bytes()).unwrap().outcome
    }

    #[test]
    fn severity_is_the_score_then_the_level_of_result_or_rule() {
        let report = read_results(
            r#"[{"ruleId":"scored","level":"note"},{"ruleId":"loud/7"},{"ruleIndex":1},{"ruleId":"x","level":"note"},
                {"ruleId":"scored","properties":{"security-severity":"n/a"}},{"ruleId":"x","level":"Shouting"},
                {"ruleId":"x","properties":{"security-severity":11}}]"#,
        );
        let severities: Vec<_> = report.findings.iter().map(|f| f.severity).collect();
        use Severity::{Critical, High, Low, Medium};
        assert_eq!(severities, [Critical, High, High, Low, Critical, Medium, Medium]);
        assert_eq!(report.outcome, Outcome::Fail);
    }

    #[test]
    fn only_current_failing_unsuppressed_results_are_findings() {
        let report = read_results(
            r#"[{"ruleId":"a","kind":"pass"},{"ruleId":"b","baselineState":"absent"},
                {"ruleId":"c","suppressions":[{"status":"accepted"}]},
                {"ruleId":"d","suppressions":[{},{"status":"underReview"}]},{"ruleId":"e","kind":"FAIL"}]"#,
        );
        let rules: Vec<_> = report.findings.iter().map(|f| f.rule.as_str()).collect();
        assert_eq!(rules, ["d", "e"]);
        assert_eq!(report.metrics["results"], 2);
        assert_eq!(report.outcome, Outcome::Pass);
    }

    #[test]
    fn nothing_measured_is_never_a_pass() {
        assert_eq!(outcome(r#"{"runs":[{"results":[]}]}"#), Outcome::Pass);
        for nothing in [
            r#"{"runs":[]}"#,
            r#"{"runs":[{}]}"#,
            r#"{"runs":[{"results":[]},{"results":null}]}"#,
            r#"{"runs":[{"results":[],"invocations":[{"executionSuccessful":false}]}]}"#,
            r#"{"runs":[{"results":[],"externalPropertyFileReferences":{"results":[{"location":{}}]}}]}"#,
            r#"{"runs":[{"results":[]}],"inlineExternalProperties":[{"results":[{"ruleId":"a"}]}]}"#,
            r#"{"runs":[{"results":[{"level":"error"}],"results":[]}]}"#,
        ] {
            assert_eq!(outcome(nothing), Outcome::Inconclusive, "{nothing}");
        }
        for refused in
            ["{}", r#"{"runs":null}"#, r#"{"runs":{}}"#, r#"{"runs":[{"results":{}}]}"#, r#"{"runs":[]"#]
        {
            assert!(read(refused.as_bytes()).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_identity_of_a_result_follows_the_fingerprint_of_its_tool() {
        let at = |line: u32, fingerprint: &str| {
            let report = read_results(&format!(
                r#"[{{"ruleId":"a","message":{{"text":"m"}},{fingerprint} "locations":[{{"physicalLocation":
                    {{"artifactLocation":{{"index":0}},"region":{{"startLine":{line}}}}}}}]}}]"#
            ));
            assert_eq!(report.findings[0].location, Some(format!("a.rs:{line}")));
            report.findings[0].external_id.clone()
        };
        let own = r#""partialFingerprints":{"hash":"1"},"#;
        assert_eq!(at(1, own), at(2, own));
        assert_ne!(at(1, ""), at(2, ""));
        assert_ne!(at(1, own), at(1, r#""partialFingerprints":{"hash":"2"},"#));
    }
}
