//! CycloneDX in JSON, 1.2 and newer. Nested components count, the described one does not; a vulnerability counts with
//! the highest of its ratings and is open unless its analysis says otherwise. References are looked up, never walked, so
//! a cycle in the dependency graph is no cycle here. The XML form is recognised and not read.

use std::collections::HashMap;
use std::fmt;

use domain::severity::Severity;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::counts::{ABSENT, Counts};
use crate::findings::Findings;
use crate::json::{self, Number, Parsed, Repeats, Text, members};
use crate::limits::TOOLS_MAX;
use crate::{About, FindingDraft, Format, IntakeError, Outcome, Report, Subject, ToolDraft, text};

members! { Bom<'a> {
    "bomFormat" => format: Text<'a>,
    "specVersion" => spec_version: Text<'a>,
    "serialNumber" => serial_number: Text<'a>,
    "version" => version: Number,
    "metadata" => metadata: Option<Metadata<'a>>,
    "components" => components: Option<Vec<Part<'a>>>,
    "services" => services: Option<Vec<Service<'a>>>,
    "dependencies" => dependencies: Option<Vec<Dependency<'a>>>,
    "vulnerabilities" => vulnerabilities: Option<Vec<Vulnerability<'a>>>,
} }

members! { Metadata<'a> { "tools" => tools: Tools<'a>, "component" => component: Option<Part<'a>> } }
members! { Named<'a> { "name" => name: Text<'a>, "version" => version: Text<'a> } }

members! {
    /// The form of 1.5 and newer.
    ToolLists<'a> {
        "components" => components: Option<Vec<Named<'a>>>,
        "services" => services: Option<Vec<Named<'a>>>,
    }
}

members! { Part<'a> {
    "type" => kind: Text<'a>,
    "bom-ref" => bom_ref: Text<'a>,
    "name" => name: Text<'a>,
    "version" => version: Text<'a>,
    "purl" => purl: Text<'a>,
    "components" => components: Option<Vec<Part<'a>>>,
} }

members! { Service<'a> {
    "bom-ref" => bom_ref: Text<'a>,
    "services" => services: Option<Vec<Service<'a>>>,
} }

members! { Dependency<'a> { "dependsOn" => depends_on: Option<Vec<Text<'a>>> } }

members! { Vulnerability<'a> {
    "id" => id: Text<'a>,
    "description" => description: Text<'a>,
    "ratings" => ratings: Option<Vec<Rating<'a>>>,
    "analysis" => analysis: Option<Analysis<'a>>,
    "affects" => affects: Option<Vec<Affected<'a>>>,
} }

members! { Rating<'a> { "severity" => severity: Text<'a>, "score" => score: Number } }
members! { Analysis<'a> { "state" => state: Text<'a> } }
members! { Affected<'a> { "ref" => reference: Text<'a> } }

/// The tools in either form: a list before 1.5, an object with components and services after.
#[derive(Default)]
struct Tools<'a>(Vec<Named<'a>>);

impl Repeats for Tools<'_> {
    fn repeats(&self) -> u64 {
        self.0.repeats()
    }
}

impl<'de> Deserialize<'de> for Tools<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Tools<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list or an object")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Tools::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut tools = Vec::new();
                while let Some(tool) = seq.next_element()? {
                    tools.push(tool);
                }
                Ok(Tools(tools))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let lists = ToolLists::deserialize(MapAccessDeserializer::new(map))?;
                let mut tools = lists.components.unwrap_or_default();
                tools.extend(lists.services.unwrap_or_default());
                Ok(Tools(tools))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Words of the severity scale, the highest first, and what they mean here. Not knowing is not harmless.
const SCALE: [(&str, Severity); 7] = [
    ("critical", Severity::Critical),
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
    ("info", Severity::Info),
    ("none", Severity::Info),
    ("unknown", Severity::Medium),
];

/// States of an analysis after which nothing is left to do.
const SETTLED: [&str; 4] = ["not_affected", "resolved", "resolved_with_pedigree", "false_positive"];

const COUNTED: [&str; 10] = [
    "components_top_level",
    "components_all_nested",
    "components_with_purl",
    "components_without_version",
    "services_all_nested",
    "dependency_entries",
    "dependency_edges",
    "vulnerabilities",
    "ratings",
    "affects_refs",
];

const METRICS: [(&str, &str); 25] = [
    ("components", "components_all_nested"),
    ("vulnerabilities", "vulnerabilities"),
    ("componentsTopLevel", "components_top_level"),
    ("componentsAllNested", "components_all_nested"),
    ("componentsWithPurl", "components_with_purl"),
    ("componentsWithoutVersion", "components_without_version"),
    ("duplicateBomRefs", "duplicate_bom_refs"),
    ("servicesAllNested", "services_all_nested"),
    ("dependencyEntries", "dependency_entries"),
    ("dependencyEdges", "dependency_edges"),
    ("ratings", "ratings"),
    ("affectsRefs", "affects_refs"),
    ("ratedCritical", "vulnerabilities_by_highest_rating.critical"),
    ("ratedHigh", "vulnerabilities_by_highest_rating.high"),
    ("ratedMedium", "vulnerabilities_by_highest_rating.medium"),
    ("ratedLow", "vulnerabilities_by_highest_rating.low"),
    ("ratedInfo", "vulnerabilities_by_highest_rating.info"),
    ("ratedNone", "vulnerabilities_by_highest_rating.none"),
    ("ratedUnknown", "vulnerabilities_by_highest_rating.unknown"),
    ("analysisExploitable", "vulnerabilities_by_analysis_state.exploitable"),
    ("analysisInTriage", "vulnerabilities_by_analysis_state.in_triage"),
    ("analysisNotAffected", "vulnerabilities_by_analysis_state.not_affected"),
    ("analysisResolved", "vulnerabilities_by_analysis_state.resolved"),
    ("analysisFalsePositive", "vulnerabilities_by_analysis_state.false_positive"),
    ("analysisAbsent", "vulnerabilities_by_analysis_state.(absent)"),
];

pub fn read(bytes: &[u8]) -> Result<Report, IntakeError> {
    let mut repaired = Vec::new();
    let parsed: Parsed<Bom<'_>> = json::parse(bytes, &mut repaired, Format::CyclonedxJson)?;
    let bom = &parsed.document;
    if bom.format.find() != Some("CycloneDX") {
        let reason = "bomFormat is not CycloneDX";
        return Err(IntakeError::Malformed { format: Format::CyclonedxJson, reason });
    }
    let mut tally = Tally { counts: Counts::starting_with(&COUNTED), ..Tally::default() };
    tally.contents(bom);
    if let Some(described) = bom.metadata.as_ref().and_then(|metadata| metadata.component.as_ref()) {
        tally.know(described);
    }
    for vulnerability in bom.vulnerabilities.as_deref().unwrap_or_default() {
        tally.vulnerability(vulnerability);
    }
    Ok(tally.report(bom, parsed.notes, parsed.ambiguous))
}

#[derive(Default)]
struct Tally<'a> {
    counts: Counts,
    references: HashMap<&'a str, u32>,
    /// What references stand for, the described component too.
    known: HashMap<&'a str, &'a Part<'a>>,
    findings: Findings,
}

impl<'a> Tally<'a> {
    fn contents(&mut self, bom: &'a Bom<'a>) {
        let components = bom.components.as_deref().unwrap_or_default();
        self.counts.add_length("components_top_level", components.len());
        self.parts(components);
        self.services(bom.services.as_deref().unwrap_or_default());
        let dependencies = bom.dependencies.as_deref().unwrap_or_default();
        self.counts.add_length("dependency_entries", dependencies.len());
        let edges = dependencies.iter().map(|entry| entry.depends_on.as_ref().map_or(0, Vec::len)).sum();
        self.counts.add_length("dependency_edges", edges);
        if let Some(version) = bom.version.whole() {
            self.counts.set("bom_version", version);
        }
        let duplicates = self.references.values().filter(|uses| **uses > 1).count();
        self.counts.add_length("duplicate_bom_refs", duplicates);
    }

    fn reference(&mut self, reference: Option<&'a str>) {
        if let Some(reference) = reference {
            *self.references.entry(reference).or_insert(0) += 1;
        }
    }

    fn know(&mut self, part: &'a Part<'a>) {
        if let Some(reference) = part.bom_ref.find() {
            self.known.entry(reference).or_insert(part);
        }
    }

    /// Recursion is as deep as the bound on nesting lets a document be.
    fn parts(&mut self, parts: &'a [Part<'a>]) {
        for part in parts {
            self.counts.one("components_all_nested");
            self.counts.one_by_word("components_by_type", part.kind.find().unwrap_or(ABSENT));
            self.counts.one_if(part.purl.find().is_some(), "components_with_purl");
            self.counts.one_if(part.version.find().is_none_or(str::is_empty), "components_without_version");
            self.reference(part.bom_ref.find());
            self.know(part);
            self.parts(part.components.as_deref().unwrap_or_default());
        }
    }

    fn services(&mut self, services: &'a [Service<'a>]) {
        for service in services {
            self.counts.one("services_all_nested");
            self.reference(service.bom_ref.find());
            self.services(service.services.as_deref().unwrap_or_default());
        }
    }

    fn vulnerability(&mut self, vulnerability: &'a Vulnerability<'a>) {
        let ratings = vulnerability.ratings.as_deref().unwrap_or_default();
        let affects = vulnerability.affects.as_deref().unwrap_or_default();
        self.counts.one("vulnerabilities");
        self.counts.add_length("ratings", ratings.len());
        self.counts.add_length("affects_refs", affects.len());
        let (word, severity) = highest(ratings);
        self.counts.one_by_word("vulnerabilities_by_highest_rating", word);
        let state = vulnerability.analysis.as_ref().and_then(|analysis| analysis.state.find());
        self.counts.one_by_word("vulnerabilities_by_analysis_state", state.unwrap_or(ABSENT));
        if state.is_some_and(|state| SETTLED.contains(&state)) {
            return;
        }
        if self.findings.count(severity) {
            self.keep(vulnerability, affects, severity);
        }
    }

    /// References can be made anew for every document, so what they stand for is the identity, and of several the
    /// first by name, because their order means nothing.
    fn keep(&mut self, vulnerability: &Vulnerability<'_>, affects: &[Affected<'_>], severity: Severity) {
        let id = vulnerability.id.non_blank().unwrap_or("unnamed-vulnerability");
        let component =
            affects.iter().filter_map(|affected| self.component(affected.reference.find()?)).min();
        let rule = text::cleaned(id).unwrap_or_else(|| "unnamed-vulnerability".to_owned());
        let draft = FindingDraft {
            external_id: String::new(),
            title: vulnerability.description.cleaned().unwrap_or_else(|| rule.clone()),
            rule,
            severity,
            location: None,
            component: component.as_deref().and_then(text::cleaned),
        };
        self.findings.keep(&[id, component.as_deref().unwrap_or_default()], draft);
    }

    /// The package address of what a reference stands for, else its name and version, else the reference.
    fn component(&self, reference: &str) -> Option<String> {
        let named = self.known.get(reference).and_then(|part| {
            let versioned = || {
                let name = part.name.non_blank()?;
                Some(
                    part.version
                        .non_blank()
                        .map_or_else(|| name.to_owned(), |version| format!("{name}@{version}")),
                )
            };
            part.purl.non_blank().map(str::to_owned).or_else(versioned)
        });
        named.or_else(|| Some(text::head(reference).to_owned())).filter(|name| !name.is_empty())
    }

    fn report(self, bom: &Bom<'_>, mut notes: Vec<String>, ambiguous: bool) -> Report {
        let duplicates = self.counts.get("duplicate_bom_refs");
        if duplicates > 0 {
            notes.push(format!("{duplicates} component references are not unique."));
        }
        let listed = self.counts.get("components_all_nested") + self.counts.get("vulnerabilities");
        let outcome = if self.findings.any_at_least(Severity::High) {
            Outcome::Fail
        } else if listed == 0 || ambiguous {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        let about = about(bom);
        let first = about.tools.first().cloned().unwrap_or_default();
        let mut metrics = self.counts.metrics(&METRICS);
        self.findings.add_severities(&mut metrics);
        let (findings, findings_truncated) = self.findings.into_bounded();
        Report {
            format: Format::CyclonedxJson,
            format_version: bom.spec_version.cleaned(),
            tool: first.name,
            tool_version: first.version,
            outcome,
            metrics,
            counts: self.counts.into_map(),
            findings,
            findings_truncated,
            notes,
            about,
        }
    }
}

/// The highest word among the ratings. The word alone is counted; where there is only a score, its band decides how
/// severe the finding is.
fn highest(ratings: &[Rating<'_>]) -> (&'static str, Severity) {
    let has = |word: &str| {
        ratings.iter().any(|rating| rating.severity.find().is_some_and(|own| own.eq_ignore_ascii_case(word)))
    };
    if let Some(found) = SCALE.iter().find(|(word, _)| has(word)) {
        return *found;
    }
    let scores = ratings.iter().filter_map(|rating| rating.score.find());
    let severity = match scores.fold(-1.0, f64::max) {
        score if score >= 9.0 => Severity::Critical,
        score if score >= 7.0 => Severity::High,
        score if score >= 4.0 => Severity::Medium,
        score if score > 0.0 => Severity::Low,
        _ => Severity::Medium,
    };
    (ABSENT, severity)
}

fn about(bom: &Bom<'_>) -> About {
    let metadata = bom.metadata.as_ref();
    let tools = metadata.map(|metadata| metadata.tools.0.as_slice()).unwrap_or_default();
    let draft = |tool: &Named<'_>| ToolDraft {
        name: tool.name.cleaned(),
        version: tool.version.cleaned(),
        semantic_version: None,
    };
    let subject = |part: &Part<'_>| Subject {
        kind: part.kind.cleaned(),
        name: part.name.cleaned(),
        version: part.version.cleaned(),
    };
    About {
        root: None,
        tools: tools.iter().take(TOOLS_MAX).map(draft).collect(),
        serial_number: bom.serial_number.cleaned(),
        subject: metadata.and_then(|metadata| metadata.component.as_ref()).map(subject),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bom(members: &str) -> Report {
        read(format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.6",{members}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn nothing_listed_is_never_a_pass() {
        assert_eq!(read_bom(r#""components":[]"#).outcome, Outcome::Inconclusive);
        assert_eq!(read_bom(r#""components":[{}],"components":[{}]"#).outcome, Outcome::Inconclusive);
        assert_eq!(read_bom(r#""components":[{"name":"a"}]"#).outcome, Outcome::Pass);
        assert_eq!(
            read_bom(r#""vulnerabilities":[{"ratings":[{"severity":"high"}]}]"#).outcome,
            Outcome::Fail
        );
        for refused in ["{}", r#"{"bomFormat":"SPDX"}"#, r#"{"bomFormat":"CycloneDX","components":{}}"#] {
            assert!(read(refused.as_bytes()).is_err(), "{refused}");
        }
    }

    #[test]
    fn settled_vulnerabilities_are_counted_and_are_no_findings() {
        let report = read_bom(
            r#""vulnerabilities":[{"id":"a","analysis":{"state":"resolved"}},{"id":"b","analysis":{"state":"exploitable"}},
               {"id":"c","analysis":{"state":"false_positive"}},{"id":"d"}]"#,
        );
        let rules: Vec<_> = report.findings.iter().map(|f| f.rule.as_str()).collect();
        assert_eq!(rules, ["b", "d"]);
        assert_eq!(report.metrics["vulnerabilities"], 4);
    }

    #[test]
    fn a_score_without_a_word_and_words_in_capitals_are_understood() {
        let report = read_bom(
            r#""vulnerabilities":[{"ratings":[{"score":9.1}]},{"ratings":[{"severity":"LOW"},{"severity":"High"}]},
               {"ratings":[{"severity":"unknown"}]},{"ratings":[]}]"#,
        );
        let severities: Vec<_> = report.findings.iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Critical, Severity::High, Severity::Medium, Severity::Medium]);
        assert_eq!(report.counts["vulnerabilities_by_highest_rating.(absent)"], 2);
    }

    #[test]
    fn the_identity_of_a_vulnerability_outlives_references_and_their_order() {
        let report = |one: &str, two: &str, affects: &str| {
            read_bom(&format!(
                r#""components":[{{"bom-ref":"{one}","purl":"pkg:a/b@1"}},{{"bom-ref":"{two}","name":"c","version":"2"}}],
                   "vulnerabilities":[{{"id":"CVE-1","affects":{affects}}}]"#
            ))
        };
        let first = report("r1", "r2", r#"[{"ref":"r1"},{"ref":"r2"}]"#);
        let later = report("x9", "x8", r#"[{"ref":"x8"},{"ref":"x9"}]"#);
        assert_eq!(first.findings, later.findings);
        assert_eq!(first.findings[0].component.as_deref(), Some("c@2"));
    }

    #[test]
    fn tools_are_read_in_both_forms() {
        let named = |tools: &str| read_bom(&format!(r#""metadata":{{"tools":{tools}}}"#)).tool;
        assert_eq!(named(r#"[{"name":"a","version":1}]"#).as_deref(), Some("a"));
        assert_eq!(named(r#"{"components":[{"name":"b"}]}"#).as_deref(), Some("b"));
        assert_eq!(named(r#"{"services":[{"name":"c"}]}"#).as_deref(), Some("c"));
        assert_eq!(named("null"), None);
    }
}
