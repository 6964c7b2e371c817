//! The evidence graph as a picture: from the release at the left over its controls, their evidence and what was found to
//! the work at the right. Drawn on the server and readable without script; what is wrong is told by mark, outline and
//! word, so that nobody has to see colours. Where boxes stand is decided in [`super::layered`].

use std::collections::HashMap;

use maud::{Markup, html};

use super::layered::{self, BOX_HEIGHT, BOX_WIDTH, Item, Line, Place};
use super::pill::{self, Tone};

/// A node as the picture needs it.
#[derive(Debug, Clone)]
pub struct Node {
    pub id: String,
    pub kind: String,
    pub label: String,
    pub status: Option<String>,
    pub href: Option<String>,
    /// How many records it stands for, when that is more than one.
    pub count: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Edge {
    pub from: String,
    pub to: String,
    pub kind: String,
}

const COLUMNS: [&str; 6] =
    ["Release", "Certification", "Controls", "Evidence and gaps", "Blockers", "Work and exceptions"];
/// Room for a line of a label in its box, in hundredths of the size of its letters.
const LINE_WIDTH: u32 = 1_160;

fn column(kind: &str) -> usize {
    match kind {
        "release" | "component" => 0,
        "certification" | "risk" => 1,
        "control" => 2,
        "provider_blocker" => 4,
        "work_item" | "exception" | "approval" => 5,
        _ => 3,
    }
}

fn tone(node: &Node) -> Tone {
    node.status.as_deref().map_or(Tone::Quiet, pill::tone)
}

/// What is wrong stands above.
fn rank(node: &Node) -> u8 {
    // A release stands above its components.
    if node.status.is_none() {
        return 5;
    }
    match tone(node) {
        Tone::Bad => 0,
        Tone::Warn => 1,
        Tone::Info => 2,
        Tone::Quiet => 3,
        Tone::Good => 4,
    }
}

/// A node's kind as people say it.
fn kind(node: &Node) -> String {
    let kind = node.kind.strip_prefix("provider_").unwrap_or(&node.kind);
    pill::human(kind.strip_prefix("evidence_").unwrap_or(kind))
}

/// What a node says when it is read aloud or pointed at: first what is written on it, so that who speaks to the browser can
/// name it.
fn sentence(node: &Node) -> String {
    let status = node.status.as_deref().map(|s| format!(", {}", pill::human(s).to_lowercase()));
    format!("{}: {}{}", node.label, kind(node).to_lowercase(), status.unwrap_or_default())
}

/// The picture, in a box that scrolls by itself. `name` is unlike that of any other picture of the page.
pub fn picture(name: &str, nodes: &[Node], edges: &[Edge]) -> Markup {
    let places: HashMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.id.as_str(), i)).collect();
    let items: Vec<Item<'_>> =
        nodes.iter().map(|n| Item { column: column(&n.kind), rank: rank(n), name: &n.id }).collect();
    let drawn = shown(nodes, edges, &places);
    let ends: Vec<(usize, usize)> = drawn.iter().map(|(_, ends)| *ends).collect();
    let drawing = layered::draw(&items, &ends);
    let mut lines: Vec<(&str, &Line)> =
        drawing.lines.iter().filter_map(|line| Some((drawn.get(line.edge)?.0, line))).collect();
    // Lines that tell of trouble lie above the others.
    lines.sort_by_key(|(class, _)| *class == "bad");
    html! {
        div.graph tabindex="0" role="region" aria-label="Evidence graph, scrollable" {
            svg width=(drawing.width) height=(drawing.height) viewBox={ "0 0 " (drawing.width) " " (drawing.height) }
                role="group" aria-labelledby={ (name) "-title " (name) "-desc" } {
                title id={ (name) "-title" } { "Evidence graph" }
                desc id={ (name) "-desc" } {
                    (nodes.len()) " boxes from the release at the left to the work at the right. A list below says the same."
                }
                @for (kind, x) in &drawing.columns { text.column x=(x) y="20" { (COLUMNS.get(*kind).unwrap_or(&"")) } }
                g aria-hidden="true" { @for (class, line) in lines { path class={ "edge " (class) } d=(path(line)) {} } }
                @for (node, place) in nodes.iter().zip(&drawing.places) {
                    @if let Some(href) = &node.href {
                        a href=(href) { (drawn_box(node, *place)) }
                    } @else { g role="img" aria-label=(sentence(node)) { (drawn_box(node, *place)) } }
                }
            }
        }
    }
}

/// Edges that are drawn, with their class and their ends, those that tell of trouble first. A long line is left out where
/// a shorter one already ties the record in; the list has them all.
fn shown(
    nodes: &[Node],
    edges: &[Edge],
    places: &HashMap<&str, usize>,
) -> Vec<(&'static str, (usize, usize))> {
    let column_of = |place: usize| nodes.get(place).map_or(0, |n| column(&n.kind));
    let known = |edge: &Edge| -> Option<(usize, usize)> {
        Some((*places.get(edge.from.as_str())?, *places.get(edge.to.as_str())?))
    };
    // The outer end of an edge, and how many columns it spans.
    let outer = |(a, b): (usize, usize)| {
        let end = if column_of(a) > column_of(b) { a } else { b };
        (end, column_of(a).abs_diff(column_of(b)))
    };
    let mut shortest: HashMap<usize, usize> = HashMap::new();
    for (end, span) in edges.iter().filter_map(known).map(outer).filter(|(_, span)| *span > 0) {
        let least = shortest.entry(end).or_insert(span);
        *least = span.min(*least);
    }
    let mut drawn: Vec<(&Edge, (usize, usize))> = edges
        .iter()
        .filter_map(|edge| Some((edge, known(edge)?)))
        .filter(|(_, ends)| {
            let (end, span) = outer(*ends);
            span <= 1 || shortest.get(&end).is_none_or(|least| *least >= span)
        })
        .collect();
    drawn.sort_by_key(|(edge, ends)| {
        (edge_class(edge, nodes, *ends) != "bad", &edge.from, &edge.to, &edge.kind)
    });
    drawn.into_iter().map(|(edge, ends)| (edge_class(edge, nodes, ends), ends)).collect()
}

/// A gap that is closed lacks nothing any more.
fn edge_class(edge: &Edge, nodes: &[Node], ends: (usize, usize)) -> &'static str {
    let open = |end: usize| nodes.get(end).is_some_and(|node| tone(node) == Tone::Bad);
    match edge.kind.as_str() {
        "contradicts" | "blocks" => "bad",
        "lacks" if open(ends.1) => "bad",
        "supports" => "good",
        _ => "",
    }
}

/// A line that leaves and arrives sideways, straight through its lanes.
fn path(line: &Line) -> String {
    let mut text = String::new();
    let mut pairs = line.points.chunks_exact(2).peekable();
    while let Some(pair) = pairs.next() {
        let [(x1, y1), (x2, y2)] = *pair else { continue };
        if text.is_empty() {
            text = format!("M{x1} {y1}");
        }
        let (bend, back) =
            if x1 == x2 { (x1 + 22, x2 + 22) } else { (i32::midpoint(x1, x2), i32::midpoint(x1, x2)) };
        text.push_str(&format!("C{bend} {y1} {back} {y2} {x2} {y2}"));
        if let Some(next) = pairs.peek().and_then(|next| next.first()) {
            text.push_str(&format!("H{}", next.0));
        }
    }
    text
}

/// How wide a text is drawn at the most, in hundredths of its size: by the widest of the fonts that a browser may take.
fn wide(text: &str) -> u32 {
    let letter = |c: char| match c {
        'i' | 'l' | 'j' | 't' | 'f' | 'r' | ' ' | '.' | ',' | ':' | ';' | '\'' | '-' | '(' | ')' => 40,
        'm' | 'w' | 'M' | 'W' | '…' => 100,
        'a'..='z' | '0'..='9' => 64,
        'A'..='Z' => 76,
        // Letters of other scripts may be as wide as they are high.
        _ => 100,
    };
    text.chars().map(letter).sum()
}

/// The label in two lines at most, broken between words where that is possible.
fn lines(label: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in label.split_whitespace() {
        let many = lines.len();
        let Some(last) = lines.last_mut() else { break };
        if !last.is_empty() && wide(last) + wide(" ") + wide(word) > LINE_WIDTH && many == 1 {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines.into_iter().map(|line| shortened(&line)).collect()
}

fn shortened(line: &str) -> String {
    if wide(line) <= LINE_WIDTH {
        return line.to_owned();
    }
    let mut text = String::new();
    for letter in line.chars() {
        text.push(letter);
        if wide(&text) + wide("…") > LINE_WIDTH {
            text.pop();
            break;
        }
    }
    text.push('…');
    text
}

fn drawn_box(node: &Node, place: Place) -> Markup {
    let (x, y) = (place.x, place.y);
    let text = lines(&node.label);
    let first = if text.len() > 1 { 17 } else { 23 };
    // What is not there has a broken outline.
    let outline = match (tone(node), node.kind.as_str()) {
        (Tone::Bad, "evidence_gap") => "box bad lacking",
        (Tone::Bad, _) => "box bad",
        _ => "box",
    };
    html! {
        title { (sentence(node)) }
        @if node.count.is_some() {
            rect.box x=(x + 6) y=(y - 4) width=(BOX_WIDTH - 3) height=(BOX_HEIGHT) rx="6" {}
            rect.box x=(x + 3) y=(y - 2) width=(BOX_WIDTH - 1) height=(BOX_HEIGHT) rx="6" {}
        }
        rect class=(outline) x=(x) y=(y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="6" {}
        g transform={ "translate(" (x + 8) " " (y + BOX_HEIGHT / 2 - 8) ")" } { (mark(tone(node))) }
        @for (n, line) in (0..).zip(&text) { text.name x=(x + 31) y=(y + first + 13 * n) { (line) } }
        text.kind x=(x + 31) y=(y + if text.len() > 1 { 45 } else { 39 }) {
            @if node.count.is_none() { (kind(node)) @if node.status.is_some() { " · " } }
            @if let Some(status) = &node.status {
                tspan class=(tone(node).class()) { (pill::human(status).to_lowercase()) }
            }
        }
    }
}

/// A mark of sixteen by sixteen for a state; every tone has a shape of its own.
fn mark(tone: Tone) -> Markup {
    html! {
        @match tone {
            Tone::Good => { circle.mark.good cx="8" cy="8" r="7.5" {} path.sign d="M4.6 8.3l2.3 2.3 4.4-4.8" {} },
            Tone::Bad => { path.mark.bad d="M5 .5h6l4.5 4.5v6l-4.5 4.5h-6l-4.5-4.5v-6z" {} path.sign d="M5.2 5.2l5.6 5.6m0-5.6l-5.6 5.6" {} },
            Tone::Warn => { path.mark.warn d="M8 .8l7.6 14h-15.2z" {} path.sign d="M8 5.6v4.2m0 2v.4" {} },
            Tone::Info => { rect.mark.info x="1" y="1" width="14" height="14" rx="3" {} path.sign d="M4.6 8h6.2m-2.4-2.6l2.6 2.6-2.6 2.6" {} },
            Tone::Quiet => { circle.mark.quiet cx="8" cy="8" r="6.5" {} },
        }
    }
}

/// What the marks mean.
pub fn legend() -> Markup {
    html! {
        ul.graph-legend aria-label="What the marks mean" {
            @for (tone, words) in [
                (Tone::Bad, "failed, open or blocked"),
                (Tone::Warn, "waived, accepted or waiting"),
                (Tone::Info, "under way"),
                (Tone::Good, "passed, resolved or done"),
                (Tone::Quiet, "not evaluated or not begun"),
            ] {
                li { svg viewBox="0 0 16 16" aria-hidden="true" { (mark(tone)) } (words) }
            }
            li { svg viewBox="0 0 24 16" aria-hidden="true" { rect.box.bad.lacking x="1" y="2" width="22" height="12" rx="3" {} } "evidence that is lacking" }
        }
    }
}

/// The same as a list: every node with what it is related to.
pub fn as_list(nodes: &[Node], edges: &[Edge]) -> Markup {
    let label: HashMap<&str, &str> = nodes.iter().map(|n| (n.id.as_str(), n.label.as_str())).collect();
    let mut sorted: Vec<&Node> = nodes.iter().collect();
    sorted.sort_by_key(|node| (column(&node.kind), &node.kind, rank(node), &node.label));
    html! {
        ul.items {
            @for node in sorted {
                li class=(tone(node).class()) {
                    div.item-top {
                        span.item-title {
                            @if let Some(href) = &node.href { a href=(href) { (node.label) } } @else { (node.label) }
                        }
                        @if let Some(status) = &node.status { (pill::pill(status)) }
                    }
                    div.item-meta {
                        span { (kind(node)) }
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

    fn node(id: &str, kind: &str, status: &str) -> Node {
        let (id, kind, status) = (id.to_owned(), kind.to_owned(), Some(status.to_owned()));
        Node { label: format!("{id} <b>"), id, kind, status, href: None, count: None }
    }
    fn edge(from: &str, to: &str, kind: &str) -> Edge {
        Edge { from: from.into(), to: to.into(), kind: kind.into() }
    }

    #[test]
    fn a_long_line_is_left_out_where_a_shorter_one_ties_the_record_in() {
        let nodes = [
            node("r", "release", "ready"),
            node("c", "certification", "blocked"),
            node("k", "control", "failed"),
            node("e", "evidence", "fail"),
            node("b", "provider_blocker", "open"),
        ];
        let edges = [
            edge("c", "r", "certifies"),
            edge("c", "k", "requires"),
            edge("e", "k", "contradicts"),
            edge("e", "b", "contains"),
            edge("b", "r", "blocks"),
            edge("b", "x", "affects"),
        ];
        let places = nodes.iter().enumerate().map(|(i, n)| (n.id.as_str(), i)).collect();
        let drawn = shown(&nodes, &edges, &places);
        assert_eq!(drawn, [("bad", (3, 2)), ("", (1, 2)), ("", (1, 0)), ("", (3, 4))]);
        let picture = picture("graph", &nodes, &edges).into_string();
        assert!(picture.contains("aria-label=\"k &lt;b&gt;: control, failed\"") && !picture.contains("<b>"));
    }

    #[test]
    fn labels_are_broken_between_words_and_cut_at_the_end() {
        assert_eq!(
            lines("Missing evidence: SEC-1 No critical findings"),
            ["Missing evidence:", "SEC-1 No critical f…"]
        );
        assert_eq!(lines("short"), ["short"]);
        assert_eq!(lines(&"x".repeat(30)), [format!("{}…", "x".repeat(16))]);
    }
}
