//! The evidence graph: what it contains, that it never dangles, and how it is cut.

use std::collections::BTreeSet;

use domain::certification::{EvidenceResult, GapStatus, Likelihood, Risk, RiskStatus};
use domain::graph::{EdgeKind, Excess, Graph, GraphFacts, LabelOrigin, NodeKind, build};
use domain::id::{ComponentId, RiskId, UserId, WorkItemId};
use domain::org::{Component, ComponentKind};
use domain::release::{Release, ReleaseStatus};
use domain::severity::Severity;
use domain::work::{FindingRef, Priority, ReferenceKind, WorkItem, WorkItemStatus, WorkItemType};
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::world::{
    NOW, World, certification_id, control, control_id, days, evidence, evidence_id, exception, exception_id,
    finding, finding_id, gap_id, release_id, team_id, uuid, worlds,
};

fn component_id() -> ComponentId {
    ComponentId::from_uuid(uuid(600))
}
fn item_id(n: u128) -> WorkItemId {
    WorkItemId::from_uuid(uuid(700 + n))
}

fn release() -> Release {
    Release {
        id: release_id(),
        name: "backend-v1.0-GCN".into(),
        release_version: "1.0".into(),
        team_id: team_id(),
        component_ids: vec![component_id()],
        target_environment: "production".into(),
        planned_at: None,
        released_at: None,
        status: ReleaseStatus::InValidation,
        created_at: NOW,
        created_by: None,
        updated_at: NOW,
        version: 1,
    }
}

fn item(n: u128, parent: Option<u128>, refs: Vec<FindingRef>) -> WorkItem {
    WorkItem {
        id: item_id(n),
        item_type: if parent.is_some() { WorkItemType::Task } else { WorkItemType::Story },
        title: "Fix it".into(),
        description: String::new(),
        team_id: team_id(),
        parent_id: parent.map(item_id),
        release_id: Some(release_id()),
        certification_id: Some(certification_id()),
        package_id: None,
        assignee_id: None,
        reporter_id: UserId::from_uuid(uuid(8)),
        priority: Priority::High,
        status: WorkItemStatus::Todo,
        labels: Vec::new(),
        finding_refs: refs,
        due_at: None,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

struct Extra {
    release: Release,
    risks: Vec<Risk>,
    items: Vec<WorkItem>,
    components: Vec<Component>,
}

fn extra() -> Extra {
    let reference = |kind, id: String| FindingRef { kind, id };
    Extra {
        release: release(),
        risks: vec![Risk {
            id: RiskId::from_uuid(uuid(800)),
            release_id: release_id(),
            team_id: team_id(),
            title: "Late".into(),
            severity: Severity::Low,
            likelihood: Likelihood::Low,
            status: RiskStatus::Open,
            owner_id: None,
            created_at: NOW,
            version: 1,
        }],
        items: vec![
            item(0, None, Vec::new()),
            item(1, Some(0), vec![reference(ReferenceKind::EvidenceGap, gap_id(51).to_string())]),
            item(2, Some(0), vec![reference(ReferenceKind::ProviderBlocker, finding_id(0).to_string())]),
            item(3, Some(9), vec![reference(ReferenceKind::Control, control_id(42).to_string())]),
        ],
        components: vec![Component {
            id: component_id(),
            name: "api".into(),
            kind: ComponentKind::Service,
            team_id: None,
            external_ref: None,
            created_at: NOW,
            version: 1,
        }],
    }
}

fn graph(world: &World, extra: &Extra, kinds: Option<&[NodeKind]>, max_nodes: usize) -> Graph {
    let facts = GraphFacts {
        release: &extra.release,
        certification: &world.certification,
        controls: &world.controls,
        results: &world.results,
        evidence: &world.evidence,
        gaps: &world.gaps,
        findings: &world.findings,
        risks: &extra.risks,
        exceptions: &world.exceptions,
        work_items: &extra.items,
        components: &extra.components,
    };
    build(&facts, kinds, max_nodes, Excess::Cut)
}

/// Two controls, one failed and one missing; a blocker of a component, and one excepted.
fn blocked_world() -> World {
    let mut failed = evidence(0, 0);
    failed.result = EvidenceResult::Fail;
    failed.metrics.insert("failures".into(), 1);
    let mut old = evidence(1, 0);
    old.superseded_by = Some(evidence_id(0));
    let mut world = World::new(vec![control(0), control(1)], vec![failed, old]);
    world.findings =
        vec![finding(0, Severity::High), finding(1, Severity::Critical), finding(2, Severity::Low)];
    world.findings.iter_mut().for_each(|f| f.component_id = Some(component_id()));
    world.exceptions = vec![exception(0, finding_id(1))];
    world.settle();
    world
}

#[test]
fn it_says_what_bears_on_what() {
    let world = blocked_world();
    let graph = graph(&world, &extra(), None, 1_000);
    let (first, second) = (gap_id(51).to_string(), gap_id(52).to_string());
    let cert = certification_id().to_string();
    let release = release_id().to_string();
    let component = component_id().to_string();
    let blocker = |n| finding_id(n).to_string();
    let mut wanted = vec![
        (cert.clone(), release.clone(), EdgeKind::Certifies),
        (release.clone(), component.clone(), EdgeKind::Contains),
        (cert.clone(), control_id(0).to_string(), EdgeKind::Requires),
        (cert.clone(), control_id(1).to_string(), EdgeKind::Requires),
        (evidence_id(0).to_string(), control_id(0).to_string(), EdgeKind::Contradicts),
        (control_id(0).to_string(), first.clone(), EdgeKind::Lacks),
        (control_id(1).to_string(), second.clone(), EdgeKind::Lacks),
        (first.clone(), cert.clone(), EdgeKind::Blocks),
        (item_id(1).to_string(), first, EdgeKind::Remediates),
        (second, cert, EdgeKind::Blocks),
        (blocker(0), release.clone(), EdgeKind::Blocks),
        (blocker(1), release.clone(), EdgeKind::Affects),
        (blocker(0), component.clone(), EdgeKind::Affects),
        (blocker(1), component, EdgeKind::Affects),
        (evidence_id(0).to_string(), blocker(0), EdgeKind::Contains),
        (evidence_id(0).to_string(), blocker(1), EdgeKind::Contains),
        (exception_id(0).to_string(), blocker(1), EdgeKind::Waives),
        (RiskId::from_uuid(uuid(800)).to_string(), release, EdgeKind::Affects),
        (item_id(0).to_string(), item_id(1).to_string(), EdgeKind::Contains),
        (item_id(0).to_string(), item_id(2).to_string(), EdgeKind::Contains),
        (item_id(2).to_string(), blocker(0), EdgeKind::Remediates),
    ];
    let mut found: Vec<_> = graph.edges.iter().map(|e| (e.from.clone(), e.to.clone(), e.kind)).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    assert!(!graph.nodes.iter().any(|n| n.id == evidence_id(1).to_string()), "superseded");
    assert!(!graph.nodes.iter().any(|n| n.id == finding_id(2).to_string()), "not blocking");
    assert!(!graph.truncated);
}

#[test]
fn the_summary_says_what_stands_in_the_way() {
    let world = blocked_world();
    let graph = graph(&world, &extra(), Some(&[NodeKind::Release]), 1_000);
    assert_eq!((graph.nodes.len(), graph.edges.len(), graph.truncated), (1, 0, false));
    let texts =
        |list: &[domain::graph::SummaryEntry]| list.iter().map(|e| e.text.clone()).collect::<Vec<_>>();
    assert_eq!(
        texts(&graph.summary.failed_controls),
        vec!["TEST-0 Tests pass: 1 of 12 tests failed in the newest report."]
    );
    assert_eq!(
        texts(&graph.summary.evidence_gaps),
        vec!["Failed evidence: TEST-0 Tests pass", "Missing evidence: TEST-1 Tests pass"]
    );
    assert_eq!(
        graph.summary.provider_blockers.iter().map(|e| e.id.clone()).collect::<Vec<_>>(),
        vec![finding_id(0).to_string()]
    );
    assert!(graph.summary.provider_blockers.iter().all(|e| e.origin == Some(LabelOrigin::Provider)));
}

#[test]
fn text_from_outside_is_marked() {
    let graph = graph(&blocked_world(), &extra(), None, 1_000);
    for node in &graph.nodes {
        assert!(!node.label.contains("IGNORE") || node.origin.is_some(), "{node:?}");
    }
}

#[test]
fn resolved_gaps_stay_in_the_graph_but_block_nothing() {
    let mut world = blocked_world();
    world.gaps.iter_mut().for_each(|g| g.status = GapStatus::Resolved);
    let graph = graph(&world, &extra(), None, 1_000);
    assert!(
        graph
            .nodes
            .iter()
            .any(|n| n.kind == NodeKind::EvidenceGap && n.status.as_deref() == Some("resolved"))
    );
    assert!(
        !graph.edges.iter().any(|e| e.kind == EdgeKind::Blocks && e.to == certification_id().to_string())
    );
    assert!(graph.summary.evidence_gaps.is_empty());
}

#[test]
fn it_reads_as_the_contract_says() -> Result<(), serde_json::Error> {
    let value = serde_json::to_value(graph(&blocked_world(), &extra(), None, 2))?;
    for pointer in
        ["/nodes/0/id", "/nodes/0/kind", "/nodes/0/label", "/nodes/0/status", "/edges/0/from", "/edges/0/to"]
    {
        assert!(value.pointer(pointer).is_some_and(serde_json::Value::is_string), "{pointer}");
    }
    for pointer in ["/summary/failedControls", "/summary/evidenceGaps", "/summary/providerBlockers"] {
        assert!(value.pointer(pointer).is_some_and(serde_json::Value::is_array), "{pointer}");
    }
    assert_eq!(value.pointer("/truncated"), Some(&serde_json::json!(true)));
    Ok(())
}

proptest! {
    #[test]
    fn edges_never_dangle_and_order_is_stable(
        mut world in worlds(),
        kinds in prop::option::of(subsequence(NodeKind::ALL.to_vec(), 0..=NodeKind::ALL.len())),
        max_nodes in 0_usize..40,
    ) {
        world.settle();
        let extra = extra();
        let graph = graph(&world, &extra, kinds.as_deref(), max_nodes);
        let ids: BTreeSet<&String> = graph.nodes.iter().map(|n| &n.id).collect();
        prop_assert_eq!(ids.len(), graph.nodes.len());
        prop_assert!(graph.nodes.len() <= max_nodes);
        for edge in &graph.edges {
            prop_assert!(ids.contains(&edge.from) && ids.contains(&edge.to), "{:?}", edge);
        }
        let distinct: BTreeSet<_> = graph.edges.iter().map(|e| (&e.from, &e.to, e.kind)).collect();
        prop_assert_eq!(distinct.len(), graph.edges.len());
        if let Some(kinds) = &kinds {
            prop_assert!(graph.nodes.iter().all(|n| kinds.contains(&n.kind)));
        }
        prop_assert!(graph.nodes.is_sorted_by_key(|n| (n.kind, n.id.clone())));

        let mut turned = world.clone();
        turned.evidence.reverse();
        turned.findings.reverse();
        turned.gaps.reverse();
        turned.controls.reverse();
        turned.exceptions.reverse();
        turned.now = days(1);
        prop_assert_eq!(&super::graph::graph(&turned, &extra, kinds.as_deref(), max_nodes), &graph);

        let whole = super::graph::graph(&world, &extra, kinds.as_deref(), usize::MAX);
        prop_assert!(!whole.truncated);
        prop_assert!(whole.nodes.starts_with(&graph.nodes));
        prop_assert!(graph.truncated || graph == whole);
    }
}
