//! The evidence graph of a certification as a value: what is certified, which control it requires, what supports
//! or contradicts it, what is lacking, what blocks, and what is being done about it. Built from records in memory;
//! the same facts give the same graph, in whatever order they are handed in.
//!
//! To add a kind of node, add its word where it belongs in the order, its records to [`GraphFacts`], and its
//! nodes and edges to [`build`]. Approvals have a word, because callers may filter by it, but no records here yet.

mod gather;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::certification::{
    Certification, ControlOutcome, ControlResult, Evidence, EvidenceGap, EvidenceResult, Exception,
    ExceptionStatus, Finding, GapReason, Risk,
};
use crate::control::Control;
use crate::evaluation::is_unsettled;
use crate::id::ControlId;
use crate::org::Component;
use crate::release::Release;
use crate::severity::Severity;
use crate::work::WorkItem;

crate::words! {
    /// What a node stands for. In the order of the graph: when it is cut short, the first kinds stay.
    NodeKind {
        Release = "release", Certification = "certification", Control = "control", EvidenceGap = "evidence_gap",
        ProviderBlocker = "provider_blocker", Evidence = "evidence", Risk = "risk", Exception = "exception",
        WorkItem = "work_item", Approval = "approval", Component = "component",
    }
}
crate::words! {
    /// How one node bears on another.
    EdgeKind {
        /// Certification to release.
        Certifies = "certifies",
        /// Certification to control.
        Requires = "requires",
        /// Evidence that passed, to its control.
        Supports = "supports",
        /// Evidence that failed, to its control.
        Contradicts = "contradicts",
        /// Control to its gap.
        Lacks = "lacks",
        /// Unsettled blocking gap to certification; unsettled blocker to release.
        Blocks = "blocks",
        /// Work item to the gap, blocker or control it is for.
        Remediates = "remediates",
        /// Approved exception to what it covers.
        Waives = "waives",
        /// Risk or settled blocker to release; blocker to component.
        Affects = "affects",
        /// Release to component and to evidence that speaks for or against no control; evidence to the blockers it
        /// showed; parent to child work item.
        Contains = "contains",
    }
}
crate::words! {
    /// Where text of a label came from, when that is outside: data, never instructions.
    LabelOrigin { Provider = "provider", EvidenceFile = "evidence_file", User = "user" }
}

/// The records a graph is built from: of one release and one certification. Controls are those of the
/// certification's set; results, gaps, findings and evidence may include more than belongs to it, and edges to
/// what is not among the facts are left out.
#[derive(Debug, Clone, Copy)]
pub struct GraphFacts<'a> {
    pub release: &'a Release,
    pub certification: &'a Certification,
    pub controls: &'a [Control],
    pub results: &'a [ControlResult],
    /// Superseded pieces are left out of the graph.
    pub evidence: &'a [Evidence],
    pub gaps: &'a [EvidenceGap],
    /// Only the blocking ones become nodes.
    pub findings: &'a [Finding],
    pub risks: &'a [Risk],
    pub exceptions: &'a [Exception],
    pub work_items: &'a [WorkItem],
    pub components: &'a [Component],
}

/// A record in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Node {
    /// Identifier of the record.
    pub id: String,
    pub kind: NodeKind,
    /// What a person calls it.
    pub label: String,
    /// State of the record, in the words of its kind; for a control its outcome, for evidence its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Present when the label holds text from outside: data, never instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<LabelOrigin>,
    /// How many records the node stands for, where several were put together; its id is that of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// A directed relation between two nodes of the same graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Edge {
    /// Identifier of the node it starts at.
    pub from: String,
    /// Identifier of the node it ends at.
    pub to: String,
    pub kind: EdgeKind,
}

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SummaryEntry {
    /// Identifier of the control, gap or blocker.
    pub id: String,
    /// What it is, for a person.
    pub text: String,
    pub severity: Severity,
    pub status: String,
    /// Present when the text came from outside: data, never instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<LabelOrigin>,
}

/// What stands in the way, worst first, whatever kinds of node were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Summary {
    /// Controls whose outcome is `failed`, required or not.
    pub failed_controls: Vec<SummaryEntry>,
    /// Gaps that are open or in remediation.
    pub evidence_gaps: Vec<SummaryEntry>,
    /// Blocking provider findings that are open or in remediation.
    pub provider_blockers: Vec<SummaryEntry>,
}

/// The evidence graph. Nodes are ordered by kind and id, edges by their nodes; no edge dangles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub summary: Summary,
    /// Whether nodes or summary entries were left out because there are too many; leaving out kinds that were not
    /// asked for does not count.
    pub truncated: bool,
}

/// What becomes of nodes that are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// The last are left out, and the graph says that it is truncated.
    Cut,
    /// Several become one that counts them; only what is too much even then is cut.
    Gather,
}

/// Builds the graph. `kinds` keeps only nodes of these kinds and the edges between them (`None`: all of them).
/// At most `max_nodes` nodes are returned, and at most as many entries in each list of the summary.
pub fn build(facts: &GraphFacts<'_>, kinds: Option<&[NodeKind]>, max_nodes: usize, excess: Excess) -> Graph {
    let mut nodes = nodes(facts);
    nodes.retain(|node| kinds.is_none_or(|wanted| wanted.contains(&node.kind)));
    nodes.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
    nodes.dedup_by(|a, b| a.id == b.id);
    let mut edges = edges(facts);
    if excess == Excess::Gather {
        let ids: BTreeSet<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
        edges.retain(|edge| ids.contains(edge.from.as_str()) && ids.contains(edge.to.as_str()));
        (nodes, edges) = gather::gather(nodes, edges, max_nodes);
    }
    let mut truncated = nodes.len() > max_nodes;
    nodes.truncate(max_nodes);

    let places: BTreeMap<&str, usize> =
        nodes.iter().enumerate().map(|(place, node)| (node.id.as_str(), place)).collect();
    // INVARIANT: edges never dangle: an edge is kept only when both its nodes are.
    let placed: BTreeMap<(usize, usize, EdgeKind), Edge> = edges
        .into_iter()
        .filter_map(|edge| {
            let (from, to) = (places.get(edge.from.as_str())?, places.get(edge.to.as_str())?);
            Some(((*from, *to, edge.kind), edge))
        })
        .collect();

    let mut summary = summarize(facts);
    for list in [&mut summary.failed_controls, &mut summary.evidence_gaps, &mut summary.provider_blockers] {
        truncated |= list.len() > max_nodes;
        list.truncate(max_nodes);
    }
    Graph { edges: placed.into_values().collect(), nodes, summary, truncated }
}

fn node(id: impl ToString, kind: NodeKind, label: impl Into<String>, status: Option<&str>) -> Node {
    Node {
        id: id.to_string(),
        kind,
        label: label.into(),
        status: status.map(str::to_owned),
        origin: None,
        count: None,
    }
}

impl Node {
    fn with_origin(mut self, origin: LabelOrigin) -> Node {
        self.origin = Some(origin);
        self
    }
}

fn result_of<'a>(facts: &GraphFacts<'a>, control: ControlId) -> Option<&'a ControlResult> {
    facts.results.iter().find(|r| r.control_id == control && r.certification_id == facts.certification.id)
}

fn own_gaps<'a>(facts: &GraphFacts<'a>) -> impl Iterator<Item = &'a EvidenceGap> {
    let certification = facts.certification.id;
    facts.gaps.iter().filter(move |gap| gap.certification_id == certification)
}

fn own_evidence<'a>(facts: &GraphFacts<'a>) -> impl Iterator<Item = &'a Evidence> {
    let release = facts.release.id;
    facts.evidence.iter().filter(move |e| e.release_id == release && e.superseded_by.is_none())
}

fn own_blockers<'a>(facts: &GraphFacts<'a>) -> impl Iterator<Item = &'a Finding> {
    let release = facts.release.id;
    facts.findings.iter().filter(move |f| f.release_id == release && f.blocking)
}

/// What a gap is called: what is wrong with the evidence, and of which control, for where there is room for a few words.
fn gap_label(gap: &EvidenceGap, controls: &BTreeMap<ControlId, &Control>) -> String {
    let reason = match gap.reason {
        GapReason::Missing => "Missing",
        GapReason::Stale => "Stale",
        GapReason::Failed => "Failed",
        GapReason::Unverified => "Unverified",
    };
    match controls.get(&gap.control_id) {
        Some(control) => format!("{reason} evidence: {} {}", control.code, control.title),
        None => format!("{reason} evidence"),
    }
}

fn by_id<'a>(facts: &GraphFacts<'a>) -> BTreeMap<ControlId, &'a Control> {
    facts.controls.iter().map(|control| (control.id, control)).collect()
}

fn nodes(facts: &GraphFacts<'_>) -> Vec<Node> {
    let controls = by_id(facts);
    let release = facts.release;
    let certification = facts.certification;
    let mut nodes = vec![
        node(release.id, NodeKind::Release, &release.name, Some(release.status.as_str())),
        node(
            certification.id,
            NodeKind::Certification,
            &certification.title,
            Some(certification.status.as_str()),
        ),
    ];
    nodes.extend(facts.controls.iter().map(|c| {
        let outcome = result_of(facts, c.id).map_or(ControlOutcome::NotEvaluated, |r| r.outcome);
        node(c.id, NodeKind::Control, format!("{} {}", c.code, c.title), Some(outcome.as_str()))
    }));
    nodes.extend(
        own_gaps(facts)
            .map(|g| node(g.id, NodeKind::EvidenceGap, gap_label(g, &controls), Some(g.status.as_str()))),
    );
    nodes.extend(own_blockers(facts).map(|f| {
        node(f.id, NodeKind::ProviderBlocker, &f.title, Some(f.status.as_str()))
            .with_origin(LabelOrigin::Provider)
    }));
    nodes.extend(own_evidence(facts).map(|e| {
        node(e.id, NodeKind::Evidence, &e.title, Some(e.result.as_str())).with_origin(if e.is_by_hand() {
            LabelOrigin::User
        } else {
            LabelOrigin::EvidenceFile
        })
    }));
    nodes.extend(facts.risks.iter().filter(|r| r.release_id == release.id).map(|r| {
        node(r.id, NodeKind::Risk, &r.title, Some(r.status.as_str())).with_origin(LabelOrigin::User)
    }));
    nodes.extend(facts.exceptions.iter().filter(|e| e.release_id == release.id).map(|e| {
        let day: String = e.expires_at.to_string().chars().take(10).collect();
        let kind = e.kind.as_str().replace('_', " ");
        node(e.id, NodeKind::Exception, format!("{kind} until {day}"), Some(e.status.as_str()))
    }));
    nodes.extend(facts.work_items.iter().map(|w| {
        node(w.id, NodeKind::WorkItem, &w.title, Some(w.status.as_str())).with_origin(LabelOrigin::User)
    }));
    nodes.extend(facts.components.iter().map(|c| node(c.id, NodeKind::Component, &c.name, None)));
    nodes
}

fn edges(facts: &GraphFacts<'_>) -> Vec<Edge> {
    let release = facts.release.id.to_string();
    let certification = facts.certification.id.to_string();
    let controls: BTreeSet<ControlId> = facts.controls.iter().map(|c| c.id).collect();
    let mut edges = Vec::new();
    let mut add = |from: &dyn ToString, kind: EdgeKind, to: &dyn ToString| {
        edges.push(Edge { from: from.to_string(), to: to.to_string(), kind });
    };
    add(&certification, EdgeKind::Certifies, &release);
    for id in &facts.release.component_ids {
        add(&release, EdgeKind::Contains, id);
    }
    for control in facts.controls {
        add(&certification, EdgeKind::Requires, &control.id);
    }
    for evidence in own_evidence(facts) {
        match (evidence.control_id.filter(|id| controls.contains(id)), evidence.result) {
            (Some(control), EvidenceResult::Pass) => add(&evidence.id, EdgeKind::Supports, &control),
            (Some(control), EvidenceResult::Fail) => add(&evidence.id, EdgeKind::Contradicts, &control),
            _ => add(&release, EdgeKind::Contains, &evidence.id),
        }
    }
    for gap in own_gaps(facts) {
        add(&gap.control_id, EdgeKind::Lacks, &gap.id);
        if gap.blocking && is_unsettled(gap.status) {
            add(&gap.id, EdgeKind::Blocks, &certification);
        }
        for item in &gap.work_item_ids {
            add(item, EdgeKind::Remediates, &gap.id);
        }
    }
    for finding in own_blockers(facts) {
        let bears = if is_unsettled(finding.status) { EdgeKind::Blocks } else { EdgeKind::Affects };
        add(&finding.id, bears, &release);
        add(&finding.evidence_id, EdgeKind::Contains, &finding.id);
        if let Some(component) = finding.component_id {
            add(&finding.id, EdgeKind::Affects, &component);
        }
        for item in &finding.work_item_ids {
            add(item, EdgeKind::Remediates, &finding.id);
        }
    }
    for risk in facts.risks {
        add(&risk.id, EdgeKind::Affects, &release);
    }
    for exception in facts.exceptions.iter().filter(|e| e.status == ExceptionStatus::Approved) {
        for target in &exception.target_ids {
            add(&exception.id, EdgeKind::Waives, target);
        }
    }
    for item in facts.work_items {
        for reference in &item.finding_refs {
            add(&item.id, EdgeKind::Remediates, &reference.id);
        }
        if let Some(parent) = item.parent_id {
            add(&parent, EdgeKind::Contains, &item.id);
        }
    }
    edges
}

fn summarize(facts: &GraphFacts<'_>) -> Summary {
    let controls = by_id(facts);
    let failed_controls = facts
        .controls
        .iter()
        .filter_map(|control| {
            let result = result_of(facts, control.id)?;
            (result.outcome == ControlOutcome::Failed).then(|| SummaryEntry {
                id: control.id.to_string(),
                text: format!("{} {}: {}", control.code, control.title, result.explanation),
                severity: control.severity,
                status: result.outcome.as_str().to_owned(),
                origin: None,
            })
        })
        .collect();
    let evidence_gaps = own_gaps(facts)
        .filter(|gap| is_unsettled(gap.status))
        .map(|gap| SummaryEntry {
            id: gap.id.to_string(),
            text: gap_label(gap, &controls),
            severity: gap.severity,
            status: gap.status.as_str().to_owned(),
            origin: None,
        })
        .collect();
    let provider_blockers = own_blockers(facts)
        .filter(|finding| is_unsettled(finding.status))
        .map(|finding| SummaryEntry {
            id: finding.id.to_string(),
            text: format!("{}: {}", finding.provider, finding.title),
            severity: finding.severity,
            status: finding.status.as_str().to_owned(),
            origin: Some(LabelOrigin::Provider),
        })
        .collect();
    let mut summary = Summary { failed_controls, evidence_gaps, provider_blockers };
    for list in [&mut summary.failed_controls, &mut summary.evidence_gaps, &mut summary.provider_blockers] {
        list.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
        list.dedup_by(|a, b| a.id == b.id);
    }
    summary
}
