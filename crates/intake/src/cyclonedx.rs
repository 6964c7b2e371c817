//! CycloneDX JSON, 1.2 and newer. Nested components count, the described one does not; a vulnerability counts with the
//! highest of its ratings, and is open unless its analysis says otherwise.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use domain::digest::Digest;
use domain::severity::Severity;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::FINDINGS_MAX;
use crate::{FindingDraft, Format, IntakeError, Outcome, Report, count, json, severities, text};

type Text<'a> = Option<Cow<'a, str>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a> {
    #[serde(rename = "bomFormat", borrow, default)]
    format: Text<'a>,
    #[serde(borrow, default)]
    spec_version: Text<'a>,
    #[serde(default)]
    version: Option<i64>,
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow, default)]
    components: Option<Vec<Part<'a>>>,
    #[serde(borrow, default)]
    services: Option<Vec<Service<'a>>>,
    #[serde(borrow, default)]
    dependencies: Option<Vec<Dependency<'a>>>,
    #[serde(borrow, default)]
    vulnerabilities: Option<Vec<Vulnerability<'a>>>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    /// A list before 1.5, an object with components after: read only to name the tool.
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    version: Text<'a>,
}

#[derive(Deserialize)]
struct Tools<'a> {
    #[serde(borrow, default)]
    components: Option<Vec<Named<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(rename = "bom-ref", borrow, default)]
    bom_ref: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow, default)]
    purl: Text<'a>,
    #[serde(borrow, default)]
    components: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
struct Service<'a> {
    #[serde(rename = "bom-ref", borrow, default)]
    bom_ref: Text<'a>,
    #[serde(borrow, default)]
    services: Option<Vec<Service<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dependency<'a> {
    #[serde(borrow, default)]
    depends_on: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct Vulnerability<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    description: Text<'a>,
    #[serde(borrow, default)]
    ratings: Option<Vec<Rating<'a>>>,
    #[serde(borrow, default)]
    analysis: Option<Analysis<'a>>,
    #[serde(borrow, default)]
    affects: Option<Vec<Affected<'a>>>,
}

#[derive(Deserialize)]
struct Rating<'a> {
    #[serde(borrow, default)]
    severity: Text<'a>,
}

#[derive(Deserialize)]
struct Analysis<'a> {
    #[serde(borrow, default)]
    state: Text<'a>,
}

#[derive(Deserialize)]
struct Affected<'a> {
    #[serde(rename = "ref", borrow, default)]
    reference: Text<'a>,
}

/// Words of the severity scale, the highest first, and what they mean here.
const SCALE: [(&str, Severity); 7] = [
    ("critical", Severity::Critical),
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
    ("info", Severity::Info),
    ("none", Severity::Info),
    ("unknown", Severity::Medium),
];

pub fn read(bytes: &[u8]) -> Result<Report, IntakeError> {
    let mut repaired = Vec::new();
    let (bom, tolerated): (Bom<'_>, bool) = json::parse(bytes, &mut repaired, Format::CyclonedxJson)?;
    if bom.format.as_deref() != Some("CycloneDX") {
        let reason = "bomFormat is not CycloneDX";
        return Err(IntakeError::Malformed { format: Format::CyclonedxJson, reason });
    }
    let mut tally = Tally::default();
    let components = bom.components.as_deref().unwrap_or_default();
    tally.set("components_top_level", components.len());
    tally.parts(components);
    tally.services(bom.services.as_deref().unwrap_or_default());
    let dependencies = bom.dependencies.as_deref().unwrap_or_default();
    tally.set("dependency_entries", dependencies.len());
    tally.set(
        "dependency_edges",
        dependencies.iter().map(|d| d.depends_on.as_ref().map_or(0, Vec::len)).sum(),
    );
    for vulnerability in bom.vulnerabilities.as_deref().unwrap_or_default() {
        tally.vulnerability(vulnerability);
    }
    if let Some(version) = bom.version {
        tally.counts.insert("bom_version".into(), version);
    }
    let mut notes = Vec::new();
    if tolerated {
        notes.push("Raw control characters inside strings were tolerated.".to_owned());
    }
    let tool = bom.metadata.as_ref().and_then(|m| m.tools).and_then(|raw| first_tool(raw.get()));
    Ok(tally.report(bom.spec_version.as_deref(), tool, notes))
}

/// Name and version of the first tool, in either form.
fn first_tool(raw: &str) -> Option<(Option<String>, Option<String>)> {
    let named = |list: Vec<Named<'_>>| {
        let first = list.into_iter().next()?;
        Some((first.name.as_deref().and_then(text::some), first.version.as_deref().and_then(text::some)))
    };
    if let Ok(list) = serde_json::from_str::<Vec<Named<'_>>>(raw) {
        return named(list);
    }
    named(serde_json::from_str::<Tools<'_>>(raw).ok()?.components?)
}

#[derive(Default)]
struct Tally<'a> {
    counts: BTreeMap<String, i64>,
    references: HashMap<&'a str, u32>,
    purls: HashMap<&'a str, &'a str>,
    findings: Vec<FindingDraft>,
    severities: Vec<Severity>,
    repeats: HashMap<String, u32>,
    open: usize,
}

impl<'a> Tally<'a> {
    fn set(&mut self, name: &str, value: usize) {
        self.counts.insert(name.to_owned(), value as i64);
    }

    fn reference(&mut self, reference: Option<&'a str>) {
        if let Some(reference) = reference {
            *self.references.entry(reference).or_insert(0) += 1;
        }
    }

    /// Nested as deep as the JSON parser let them in.
    fn parts(&mut self, parts: &'a [Part<'a>]) {
        for part in parts {
            count(&mut self.counts, "components_all_nested");
            count(
                &mut self.counts,
                &format!("components_by_type.{}", part.kind.as_deref().unwrap_or("(absent)")),
            );
            if part.purl.is_some() {
                count(&mut self.counts, "components_with_purl");
            }
            if part.version.as_deref().is_none_or(str::is_empty) {
                count(&mut self.counts, "components_without_version");
            }
            self.reference(part.bom_ref.as_deref());
            if let (Some(reference), Some(name)) =
                (part.bom_ref.as_deref(), part.purl.as_deref().or(part.name.as_deref()))
            {
                self.purls.insert(reference, name);
            }
            self.parts(part.components.as_deref().unwrap_or_default());
        }
    }

    fn services(&mut self, services: &'a [Service<'a>]) {
        for service in services {
            count(&mut self.counts, "services_all_nested");
            self.reference(service.bom_ref.as_deref());
            self.services(service.services.as_deref().unwrap_or_default());
        }
    }

    fn vulnerability(&mut self, v: &Vulnerability<'a>) {
        count(&mut self.counts, "vulnerabilities");
        let ratings = v.ratings.as_deref().unwrap_or_default();
        *self.counts.entry("ratings".into()).or_insert(0) += ratings.len() as i64;
        let affects = v.affects.as_deref().unwrap_or_default();
        *self.counts.entry("affects_refs".into()).or_insert(0) += affects.len() as i64;
        let highest =
            SCALE.iter().find(|(word, _)| ratings.iter().any(|r| r.severity.as_deref() == Some(*word)));
        let (word, severity) = highest.copied().unwrap_or(("(absent)", Severity::Medium));
        count(&mut self.counts, &format!("vulnerabilities_by_highest_rating.{word}"));
        let state = v.analysis.as_ref().and_then(|a| a.state.as_deref());
        count(
            &mut self.counts,
            &format!("vulnerabilities_by_analysis_state.{}", state.unwrap_or("(absent)")),
        );
        if matches!(state, Some("not_affected" | "resolved" | "resolved_with_pedigree" | "false_positive")) {
            return;
        }
        self.open += 1;
        self.severities.push(severity);
        if self.findings.len() >= FINDINGS_MAX {
            return;
        }
        let id = v.id.as_deref().unwrap_or("unnamed-vulnerability");
        let target = affects.first().and_then(|a| a.reference.as_deref());
        let component = target.map(|t| self.purls.get(t).copied().unwrap_or(t));
        let base = Digest::of(format!("{id}\u{0}{}", target.unwrap_or_default()).as_bytes()).to_string();
        let repeat = self.repeats.entry(base.clone()).or_insert(0);
        *repeat += 1;
        self.findings.push(FindingDraft {
            external_id: if *repeat == 1 { base } else { format!("{base}-{repeat}") },
            rule: text::clean(id),
            title: v.description.as_deref().and_then(text::some).unwrap_or_else(|| text::clean(id)),
            severity,
            location: None,
            component: component.and_then(text::some),
        });
    }

    fn report(
        mut self,
        version: Option<&str>,
        tool: Option<(Option<String>, Option<String>)>,
        mut notes: Vec<String>,
    ) -> Report {
        let duplicates = self.references.values().filter(|n| **n > 1).count();
        self.set("duplicate_bom_refs", duplicates);
        if duplicates > 0 {
            notes.push(format!("{duplicates} component references are not unique."));
        }
        for name in [
            "components_all_nested",
            "components_with_purl",
            "components_without_version",
            "services_all_nested",
            "vulnerabilities",
            "ratings",
            "affects_refs",
        ] {
            self.counts.entry(name.to_owned()).or_insert(0);
        }
        let of = |name: &str| self.counts.get(name).copied().unwrap_or(0);
        let (components, vulnerabilities) = (of("components_all_nested"), of("vulnerabilities"));
        let mut metrics = BTreeMap::from([("components", components), ("vulnerabilities", vulnerabilities)]);
        severities(&mut metrics, self.severities.iter().copied());
        let outcome = if components == 0 && vulnerabilities == 0 {
            Outcome::Inconclusive
        } else if self.severities.iter().any(|s| *s >= Severity::High) {
            Outcome::Fail
        } else {
            Outcome::Pass
        };
        let (tool, tool_version) = tool.unwrap_or((None, None));
        Report {
            format: Format::CyclonedxJson,
            format_version: version.and_then(text::some),
            tool,
            tool_version,
            outcome,
            metrics,
            findings_truncated: self.open > self.findings.len(),
            findings: self.findings,
            counts: self.counts,
            notes,
        }
    }
}
