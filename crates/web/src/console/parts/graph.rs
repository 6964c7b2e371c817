//! The evidence graph as a picture: layers from left to right (release, certification, controls, what supports or
//! contradicts them, work). Evidence graphs are layered by nature, so a small layout of our own is enough: each
//! layer is sorted by the mean height of what it hangs on. Drawn on the server, readable without script.

use std::collections::HashMap;

use maud::{Markup, html};

use super::pill;

/// A node as the picture needs it.
#[derive(Debug, Clone)]
pub struct Node {
    pub id: String,
    pub kind: String,
    pub label: String,
    pub status: Option<String>,
    pub href: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Edge {
    pub from: String,
    pub to: String,
    pub kind: String,
}

const LAYERS: [&str; 5] = ["Release", "Certification", "Controls", "Evidence, gaps, blockers", "Work"];
const BOX_WIDTH: usize = 182;
const BOX_HEIGHT: usize = 44;
const ROW: usize = 56;
const COLUMN: usize = 236;
const MARGIN: usize = 16;
const TOP: usize = 40;
/// Characters of a label that fit into a box.
const LABEL_CHARS: usize = 23;
/// The release and its certification stay near the top, where the eye starts.
const ROOT_TOP_MAX: usize = 3 * ROW;

fn layer(kind: &str) -> usize {
    match kind {
        "release" | "component" => 0,
        "certification" => 1,
        "control" => 2,
        "work_item" | "remediation_work_package" | "approval" => 4,
        _ => 3,
    }
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    x: usize,
    y: usize,
}

/// Places every node: column by kind, row by what it hangs on. Deterministic for the same input.
fn place(nodes: &[Node], edges: &[Edge]) -> (Vec<Place>, usize, usize) {
    let index: HashMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.id.as_str(), i)).collect();
    let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for edge in edges {
        if let (Some(&from), Some(&to)) = (index.get(edge.from.as_str()), index.get(edge.to.as_str())) {
            if let Some(list) = neighbours.get_mut(from) {
                list.push(to);
            }
            if let Some(list) = neighbours.get_mut(to) {
                list.push(from);
            }
        }
    }
    let mut layers: [Vec<usize>; 5] = Default::default();
    for (i, node) in nodes.iter().enumerate() {
        if let Some(list) = layers.get_mut(layer(&node.kind)) {
            list.push(i);
        }
    }
    // Trouble first among controls; what hangs on them follows their order.
    layers[2].sort_by_key(|i| {
        nodes.get(*i).map(|n| (tone_rank(n.status.as_deref()), n.label.clone())).unwrap_or_default()
    });
    let used: Vec<usize> = (0..5).filter(|l| layers.get(*l).is_some_and(|list| !list.is_empty())).collect();
    let column = |l: usize| used.iter().position(|u| *u == l).unwrap_or_default();
    let layer_of = |i: usize| nodes.get(i).map_or(0, |n| layer(&n.kind));
    let mut row: Vec<Option<f64>> = vec![None; nodes.len()];
    let mut places = vec![Place { x: 0, y: 0 }; nodes.len()];
    // From the controls to the right, then back to the controls, which move down to what hangs on them, then to the
    // left.
    for l in [2, 3, 2, 4, 1, 0] {
        let Some(list) = layers.get(l) else { continue };
        let mut wanted: Vec<(usize, f64)> = list.iter().enumerate().map(|(n, &i)| (i, n as f64)).collect();
        if l == 2 {
            for (i, at) in &mut wanted {
                let hanging = neighbours.get(*i).into_iter().flatten().filter(|n| layer_of(**n) == 3);
                let first = hanging.filter_map(|n| row.get(*n).copied().flatten()).fold(f64::MAX, f64::min);
                *at = if first < f64::MAX { first } else { 0.0 };
            }
        } else {
            let mean = |i: usize, fits: &dyn Fn(usize) -> bool, row: &[Option<f64>]| -> Option<f64> {
                let near = neighbours.get(i)?.iter().filter(|n| fits(layer_of(**n)));
                let rows: Vec<f64> = near.filter_map(|n| row.get(*n).copied().flatten()).collect();
                (!rows.is_empty()).then(|| rows.iter().sum::<f64>() / rows.len() as f64)
            };
            let inward = |other: usize| if l < 2 { other > l } else { (2..l).contains(&other) };
            for (i, at) in &mut wanted {
                *at = mean(*i, &inward, &row).unwrap_or(f64::MAX);
                if let Some(r) = row.get_mut(*i).filter(|_| *at < f64::MAX) {
                    *r = Some(*at);
                }
            }
            // What hangs on nothing of an inner layer stands by its fellows in its own: a blocker after its evidence,
            // a story before its tasks.
            let beside = if l == 4 { -0.25 } else { 0.25 };
            for (i, at) in wanted.iter_mut().filter(|(_, at)| at.total_cmp(&f64::MAX).is_eq()) {
                *at = mean(*i, &|other| other == l, &row).map_or(f64::MAX, |fellow| fellow + beside);
            }
            wanted.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        }
        let mut next = 0;
        for (i, at) in wanted {
            let ideal = if at < f64::MAX { (at * ROW as f64) as usize } else { 0 };
            let y = match l {
                0 | 1 => next.max(ideal.min(ROOT_TOP_MAX)),
                2 | 4 => next.max(ideal),
                _ => next,
            };
            next = y + ROW;
            if let (Some(r), Some(p)) = (row.get_mut(i), places.get_mut(i)) {
                *r = Some(y as f64 / ROW as f64);
                *p = Place { x: MARGIN + column(l) * COLUMN, y: TOP + y };
            }
        }
    }
    let height = places.iter().map(|p| p.y).max().unwrap_or_default() + ROW + MARGIN;
    let width = MARGIN * 3 + used.len().saturating_sub(1) * COLUMN + BOX_WIDTH;
    (places, width, height)
}

fn tone_rank(status: Option<&str>) -> u8 {
    use pill::Tone as T;
    match status.map(pill::tone) {
        Some(T::Bad) => 0,
        Some(T::Warn) => 1,
        Some(T::Info) => 2,
        Some(T::Quiet) | None => 3,
        Some(T::Good) => 4,
    }
}

fn shortened(label: &str) -> String {
    if label.chars().count() <= LABEL_CHARS {
        return label.to_owned();
    }
    let mut text: String = label.chars().take(LABEL_CHARS - 1).collect();
    text.push('…');
    text
}

/// The picture, in a box that scrolls by itself.
pub fn picture(nodes: &[Node], edges: &[Edge]) -> Markup {
    let (places, width, height) = place(nodes, edges);
    let index: HashMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.id.as_str(), i)).collect();
    let at = |id: &str| index.get(id).and_then(|i| places.get(*i)).copied();
    html! {
        div.graph tabindex="0" role="region" aria-label="Evidence graph, scrollable" {
            svg width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } aria-labelledby="graph-title graph-desc" role="group" {
                title id="graph-title" { "Evidence graph" }
                desc id="graph-desc" {
                    (nodes.len()) " records and " (edges.len()) " relations, from the release at the left to the work at the right. The same as a list below."
                }
                @for (l, name) in LAYERS.iter().enumerate() {
                    @if let Some(x) = nodes.iter().zip(&places).find(|(n, _)| layer(&n.kind) == l).map(|(_, p)| p.x) {
                        text.column x=(x) y="24" { (name) }
                    }
                }
                @for edge in drawn_edges(nodes, edges) {
                    @if let (Some(a), Some(b)) = (at(&edge.from), at(&edge.to)) {
                        path class={ "edge " (edge_class(&edge.kind)) } d=(curve(a, b)) { title { (pill::human(&edge.kind)) } }
                    }
                }
                @for (node, p) in nodes.iter().zip(&places) {
                    @if let Some(href) = &node.href {
                        a href=(href) { (drawn(node, *p)) }
                    } @else { g { (drawn(node, *p)) } }
                }
            }
        }
    }
}

/// Relations that are drawn: a long line is left out where a shorter one already ties the record in. The list has
/// them all.
fn drawn_edges<'a>(nodes: &[Node], edges: &'a [Edge]) -> Vec<&'a Edge> {
    let layers: HashMap<&str, usize> = nodes.iter().map(|n| (n.id.as_str(), layer(&n.kind))).collect();
    let ends = |edge: &Edge| -> Option<(usize, usize)> {
        Some((*layers.get(edge.from.as_str())?, *layers.get(edge.to.as_str())?))
    };
    // The shortest way in, by record.
    let mut shortest: HashMap<&str, usize> = HashMap::new();
    for edge in edges {
        let Some((from, to)) = ends(edge) else { continue };
        for end in [&edge.from, &edge.to] {
            let known = shortest.entry(end).or_insert(usize::MAX);
            *known = (*known).min(from.abs_diff(to));
        }
    }
    let outer = |edge: &'a Edge, from: usize, to: usize| {
        if from > to { edge.from.as_str() } else { edge.to.as_str() }
    };
    edges
        .iter()
        .filter(|edge| {
            ends(edge).is_some_and(|(from, to)| {
                let span = from.abs_diff(to);
                span <= 1 || shortest.get(outer(edge, from, to)).is_none_or(|least| *least >= span)
            })
        })
        .collect()
}

fn edge_class(kind: &str) -> &'static str {
    match kind {
        "contradicts" | "blocks" | "lacks" => "bad",
        "supports" => "good",
        _ => "",
    }
}

/// A line from box to box, leaving and entering sideways, whichever of the two stands left.
fn curve(a: Place, b: Place) -> String {
    let (left, right) = if a.x <= b.x { (a, b) } else { (b, a) };
    let (x1, y1) = (left.x + BOX_WIDTH, left.y + BOX_HEIGHT / 2);
    let (x2, y2) = (if right.x == left.x { x1 } else { right.x }, right.y + BOX_HEIGHT / 2);
    let bend = if right.x == left.x { 24 } else { (x2 - x1) / 2 };
    let second = if right.x == left.x { x2 + bend } else { x2 - bend };
    format!("M{x1} {y1}C{} {y1} {second} {y2} {x2} {y2}", x1 + bend)
}

fn drawn(node: &Node, p: Place) -> Markup {
    let tone = node.status.as_deref().map_or(pill::Tone::Quiet, pill::tone);
    let kind = node.kind.strip_prefix("provider_").unwrap_or(&node.kind);
    let kind = pill::human(kind.strip_prefix("evidence_").unwrap_or(kind));
    html! {
        title { (kind) ": " (node.label) @if let Some(status) = &node.status { " (" (pill::human(status)) ")" } }
        rect.box x=(p.x) y=(p.y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="6" {}
        rect class={ (tone.class()) "-fill" } x=(p.x) y=(p.y) width="4" height=(BOX_HEIGHT) rx="2" {}
        text.name x=(p.x + 13) y=(p.y + 18) { (shortened(&node.label)) }
        text.kind x=(p.x + 13) y=(p.y + 34) { (kind) @if let Some(status) = &node.status { " · " (pill::human(status)) } }
    }
}

/// The same as a list: every node with what it is related to.
pub fn as_list(nodes: &[Node], edges: &[Edge]) -> Markup {
    let label: HashMap<&str, &str> = nodes.iter().map(|n| (n.id.as_str(), n.label.as_str())).collect();
    html! {
        ul.items {
            @for node in nodes {
                li {
                    div.item-top {
                        span.item-title {
                            @if let Some(href) = &node.href { a href=(href) { (node.label) } } @else { (node.label) }
                        }
                        @if let Some(status) = &node.status { (pill::pill(status)) }
                    }
                    div.item-meta {
                        span { (pill::human(&node.kind)) }
                        @for edge in edges.iter().filter(|e| e.from == node.id) {
                            span { (edge.kind) " " (label.get(edge.to.as_str()).unwrap_or(&"a record not shown")) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, kind: &str) -> Node {
        Node { id: id.into(), kind: kind.into(), label: id.into(), status: None, href: None }
    }
    fn edge(from: &str, to: &str) -> Edge {
        Edge { from: from.into(), to: to.into(), kind: "requires".into() }
    }

    #[test]
    fn layers_go_left_to_right_and_no_boxes_overlap() {
        let mut nodes = vec![node("r", "release"), node("c", "certification")];
        let mut edges = vec![edge("c", "r")];
        for i in 0..20 {
            nodes.push(node(&format!("k{i}"), "control"));
            nodes.push(node(&format!("e{i}"), "evidence"));
            edges.push(edge("c", &format!("k{i}")));
            edges.push(edge(&format!("e{i}"), &format!("k{}", 19 - i)));
        }
        let (places, _, _) = place(&nodes, &edges);
        for (i, a) in places.iter().enumerate() {
            for b in places.iter().skip(i + 1) {
                assert!(a.x.abs_diff(b.x) >= BOX_WIDTH || a.y.abs_diff(b.y) >= BOX_HEIGHT, "{a:?} {b:?}");
            }
        }
        assert_eq!(places.first().map(|p| p.x), Some(MARGIN));
        // Evidence stands beside the control it supports.
        let y = |id: &str| nodes.iter().zip(&places).find(|(n, _)| n.id == id).map(|(_, p)| p.y);
        assert_eq!(y("e0"), y("k19"));
    }

    #[test]
    fn an_empty_graph_and_unknown_ends_do_no_harm() {
        assert!(picture(&[], &[edge("a", "b")]).into_string().contains("<svg"));
    }
}
