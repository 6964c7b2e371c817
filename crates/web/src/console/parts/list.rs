//! Panels, and lists of what blocks: gaps and blockers with their id as anchor.

use domain::time::Timestamp;
use engine::pages::Covered;
use engine::view::{BlockerView, GapView};
use maud::{Markup, html};

use super::pill::{self, Tone};
use super::text;
use crate::console::paths;

/// A titled box. `id` lets the page be entered there.
pub fn panel(id: &str, title: &str, count: Option<u32>, body: Markup) -> Markup {
    panel_with(id, title, count, html! {}, body)
}

/// As [`panel`], with something at the right of its head.
pub fn panel_with(id: &str, title: &str, count: Option<u32>, aside: Markup, body: Markup) -> Markup {
    html! {
        section.panel id=(id) aria-labelledby={ (id) "-title" } {
            div.panel-head {
                h2 id={ (id) "-title" } { (title) @if let Some(count) = count { span.count { (count) } } }
                (aside)
            }
            (body)
        }
    }
}

/// Gaps, the blocking and open ones first.
pub fn gaps(gaps: &[GapView], now: Timestamp) -> Markup {
    let mut sorted: Vec<&GapView> = gaps.iter().collect();
    sorted.sort_by_key(|g| (g.status, !g.blocking, std::cmp::Reverse(g.severity)));
    html! {
        ul.items {
            @for gap in sorted {
                li id=(gap.id) class=(edge(gap.status.as_str(), gap.blocking)) {
                    div.item-top {
                        a.item-title href=(paths::gap(gap.id)) { (gap.control.code) " · " (gap.control.title) }
                        span.pills { (pill::pill(gap.status.as_str())) @if gap.blocking { (pill::blocking()) } }
                    }
                    p { (gap_sentence(gap)) }
                    div.item-meta {
                        span { "Severity " (gap.severity.as_str()) }
                        span { "found " (text::brief_time(gap.detected_at, now)) }
                        (work(&gap.remediation_work_item_ids))
                        (text::copyable("gap id", gap.id))
                    }
                }
            }
        }
    }
}

/// What is wrong and what closes it.
pub fn gap_sentence(gap: &GapView) -> String {
    use domain::certification::GapReason as R;
    match gap.reason {
        R::Missing => "There is no evidence for this control yet. Push the evidence it asks for.".into(),
        R::Stale => "The evidence is too old to count. Collect it again and push the new file.".into(),
        R::Failed => {
            "The newest evidence says that it failed. Only new, passing evidence closes this.".into()
        }
        R::Unverified => {
            "The evidence could not be verified. Push it with a signature that can be checked.".into()
        }
    }
}

/// Blockers that a page shows at once; the others unfold. A link to one of them unfolds them too.
const BLOCKERS_UNFOLDED: usize = 8;

/// Blockers, the open ones first, the worst on top.
pub fn blockers(blockers: &[BlockerView], now: Timestamp) -> Markup {
    let mut sorted: Vec<&BlockerView> = blockers.iter().collect();
    sorted.sort_by_key(|b| (b.status, !b.blocking, std::cmp::Reverse(b.severity)));
    let (worst, more) = sorted.split_at(sorted.len().min(BLOCKERS_UNFOLDED));
    html! {
        (blocker_items(worst, now))
        @if !more.is_empty() {
            details.fold { summary { (more.len()) " more" } (blocker_items(more, now)) }
        }
    }
}

fn blocker_items(blockers: &[&BlockerView], now: Timestamp) -> Markup {
    html! {
        ul.items {
            @for blocker in blockers {
                li id=(blocker.id) class=(edge(blocker.status.as_str(), blocker.blocking)) {
                    div.item-top {
                        a.item-title href=(paths::blocker(blocker.id)) { (blocker.title) }
                        span.pills { (pill::severity(blocker.severity)) (pill::pill(blocker.status.as_str())) }
                    }
                    div.item-meta {
                        span { (blocker.provider) }
                        span.mono { (blocker.rule) }
                        @if let Some(component) = &blocker.component { span { "in " (component) } }
                        @if let Some(location) = &blocker.location { span.mono { (location) } }
                    }
                    div.item-meta {
                        a href=(paths::evidence(blocker.evidence_id)) { "Evidence" }
                        span { "first seen " (text::brief_time(blocker.first_seen_at, now)) }
                        (work(&blocker.remediation_work_item_ids))
                        (text::copyable("blocker id", blocker.id))
                    }
                }
            }
        }
    }
}

/// What work is to close: blockers, gaps, and controls named on their own.
pub fn covered(id: &str, title: &str, covered: &Covered, now: Timestamp) -> Markup {
    let Covered { gaps: gaps_of, blockers: blockers_of, controls } = covered;
    let count = gaps_of.len() + blockers_of.len() + controls.len();
    panel(
        id,
        title,
        Some(count as u32),
        html! {
            @if count == 0 { (text::empty("Nothing of its own", "It points at no gap, blocker or control that you may see.")) }
            (blockers(blockers_of, now))
            (gaps(gaps_of, now))
            ul.items {
                @for control in controls {
                    li { div.item-top { span.item-title { (control.code) " · " (control.title) } span.tag { "control" } } }
                }
            }
        },
    )
}

fn edge(status: &str, blocking: bool) -> &'static str {
    match (pill::tone(status), blocking) {
        (Tone::Bad, false) => "warn",
        (tone, _) => tone.class(),
    }
}

fn work(ids: &[domain::id::WorkItemId]) -> Markup {
    html! {
        @for (index, id) in ids.iter().enumerate() {
            a href=(paths::work_item(*id)) { "Work item" @if ids.len() > 1 { " " (index + 1) } }
        }
    }
}
