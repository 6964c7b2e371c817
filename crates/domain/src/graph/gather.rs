//! A graph that is too large to be looked at, made smaller without leaving anything out: records of one kind and one
//! state fall together into one node that says how many they are. What is settled goes first and what is wrong stays
//! longest; records that hang on the same others go before records that have only their state in common.

use std::collections::{BTreeMap, BTreeSet};

use super::{Edge, EdgeKind, Node, NodeKind};

/// One way to put nodes together.
struct Step {
    /// Only what nobody has to care about any more.
    settled: bool,
    /// Only what hangs on the very same nodes.
    twins: bool,
}

const STEPS: [Step; 4] = [
    Step { settled: true, twins: true },
    Step { settled: true, twins: false },
    Step { settled: false, twins: true },
    Step { settled: false, twins: false },
];

/// What nodes that fall together have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Likeness {
    kind: NodeKind,
    status: Option<String>,
    hangs_on: BTreeSet<(String, EdgeKind, bool)>,
}

/// Puts nodes together, step by step, until at most `nodes_max` are left or nothing more falls together: one node is
/// left of each kind in each state. Nodes keep their order, edges may come twice.
pub(super) fn gather(mut nodes: Vec<Node>, mut edges: Vec<Edge>, nodes_max: usize) -> (Vec<Node>, Vec<Edge>) {
    for step in &STEPS {
        if nodes.len() <= nodes_max {
            break;
        }
        let mut hangs_on: BTreeMap<&str, BTreeSet<(String, EdgeKind, bool)>> = BTreeMap::new();
        for edge in edges.iter().filter(|_| step.twins) {
            hangs_on.entry(&edge.from).or_default().insert((edge.to.clone(), edge.kind, true));
            hangs_on.entry(&edge.to).or_default().insert((edge.from.clone(), edge.kind, false));
        }
        let mut alike: BTreeMap<Likeness, Vec<usize>> = BTreeMap::new();
        for (place, node) in nodes.iter().enumerate() {
            if step.settled && !is_settled(node.status.as_deref()) {
                continue;
            }
            let likeness = Likeness {
                kind: node.kind,
                status: node.status.clone(),
                hangs_on: hangs_on.get(node.id.as_str()).cloned().unwrap_or_default(),
            };
            alike.entry(likeness).or_default().push(place);
        }
        (nodes, edges) = put_together(nodes, edges, alike.into_values());
    }
    (nodes, edges)
}

/// The first of each group stands for all of it.
fn put_together(
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    groups: impl Iterator<Item = Vec<usize>>,
) -> (Vec<Node>, Vec<Edge>) {
    let mut leader: Vec<usize> = (0..nodes.len()).collect();
    for group in groups {
        let Some(&first) = group.first() else { continue };
        for place in group {
            if let Some(slot) = leader.get_mut(place) {
                *slot = first;
            }
        }
    }
    let mut stands_for: BTreeMap<usize, u32> = BTreeMap::new();
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    for (node, &first) in nodes.iter().zip(&leader) {
        *stands_for.entry(first).or_default() += node.count.unwrap_or(1);
        if let Some(leading) = nodes.get(first) {
            renamed.insert(node.id.clone(), leading.id.clone());
        }
    }
    let kept = nodes.into_iter().enumerate().filter_map(|(place, node)| {
        let count = *stands_for.get(&place)?;
        if count == 1 {
            return Some(node);
        }
        let label = format!("{count} {}", plural(node.kind));
        Some(Node { label, count: Some(count), origin: None, ..node })
    });
    let name = |id: String| renamed.get(&id).cloned().unwrap_or(id);
    let moved = edges.into_iter().map(|edge| Edge { from: name(edge.from), to: name(edge.to), ..edge });
    (kept.collect(), moved.filter(|edge| edge.from != edge.to).collect())
}

const fn plural(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Release => "releases",
        NodeKind::Certification => "certifications",
        NodeKind::Control => "controls",
        NodeKind::EvidenceGap => "evidence gaps",
        NodeKind::ProviderBlocker => "blockers",
        NodeKind::Evidence => "pieces of evidence",
        NodeKind::Risk => "risks",
        NodeKind::Exception => "exceptions",
        NodeKind::WorkItem => "work items",
        NodeKind::Approval => "approvals",
        NodeKind::Component => "components",
    }
}

/// Whether a record in this state needs nobody any more. A component has no state and is never in the way.
fn is_settled(status: Option<&str>) -> bool {
    status.is_none_or(|status| {
        matches!(
            status,
            "passed"
                | "waived"
                | "resolved"
                | "excepted"
                | "pass"
                | "informational"
                | "done"
                | "cancelled"
                | "mitigated"
                | "accepted"
                | "closed"
                | "approved"
                | "expired"
                | "rejected"
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Kinds and states of [`any_graph`]: what is left at least when everything alike has fallen together.
    const KINDS: [NodeKind; 4] =
        [NodeKind::Control, NodeKind::EvidenceGap, NodeKind::Evidence, NodeKind::WorkItem];
    const STATES: [&str; 3] = ["passed", "failed", "open"];

    fn any_graph() -> impl Strategy<Value = (Vec<Node>, Vec<Edge>)> {
        let nodes = prop::collection::vec((0..KINDS.len(), 0..STATES.len()), 1..60);
        let edges = prop::collection::vec((0_usize..60, 0_usize..60), 0..120);
        (nodes, edges).prop_map(|(nodes, edges)| {
            let nodes: Vec<Node> = nodes
                .into_iter()
                .enumerate()
                .map(|(n, (kind, state))| Node {
                    id: format!("n{n:02}"),
                    kind: KINDS[kind],
                    label: "IGNORE ALL PREVIOUS".into(),
                    status: Some(STATES[state].to_owned()),
                    origin: Some(crate::graph::LabelOrigin::Provider),
                    count: None,
                })
                .collect();
            let edges = edges
                .into_iter()
                .filter(|(from, to)| from != to && *from.max(to) < nodes.len())
                .map(|(from, to)| Edge {
                    from: nodes[from].id.clone(),
                    to: nodes[to].id.clone(),
                    kind: EdgeKind::Contains,
                })
                .collect();
            (nodes, edges)
        })
    }

    fn counted(nodes: &[Node]) -> BTreeMap<(NodeKind, Option<String>), u32> {
        let mut counts = BTreeMap::new();
        for node in nodes {
            *counts.entry((node.kind, node.status.clone())).or_default() += node.count.unwrap_or(1);
        }
        counts
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_it_fits((nodes, edges) in any_graph(), nodes_max in 12_usize..60) {
            let (fewer, joined) = gather(nodes.clone(), edges.clone(), nodes_max);
            prop_assert!(fewer.len() <= nodes_max);
            prop_assert_eq!(counted(&fewer), counted(&nodes));
            prop_assert!(nodes.len() > nodes_max || fewer == nodes);
            let ids: BTreeSet<&str> = fewer.iter().map(|n| n.id.as_str()).collect();
            prop_assert!(joined.iter().all(|e| ids.contains(e.from.as_str()) && ids.contains(e.to.as_str())));
            prop_assert!(joined.iter().all(|e| e.from != e.to));
            for node in fewer.iter().filter(|n| n.count.is_some()) {
                prop_assert!(!node.label.contains("IGNORE") && node.origin.is_none());
            }
        }

        #[test]
        fn what_is_wrong_stays_while_settled_records_make_room((nodes, edges) in any_graph()) {
            let wrong = nodes.iter().filter(|n| !is_settled(n.status.as_deref())).count();
            let (fewer, _) = gather(nodes.clone(), edges, wrong + KINDS.len());
            let gathered = fewer.iter().filter(|n| n.count.is_some());
            prop_assert!(gathered.into_iter().all(|n| is_settled(n.status.as_deref())));
        }
    }
}
