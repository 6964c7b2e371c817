//! One thing that a release lacks: a gap in its evidence or a blocker of a provider; why, by which evidence, what closes it
//! and who is at it.

use axum::extract::Path;
use axum::response::Response;
use domain::refusal::Refusal;
use engine::pages::{Blocker, Gap};
use engine::view::{EvidenceView, ReleaseRef, WorkItemView};
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::{list, pill, text};
use super::visit::{Page, Visit, id_in_path};
use super::{command, data, paths, work_items};

/// `GET /app/gaps/{id}`.
pub async fn gap(visit: Visit, Path(id): Path<String>) -> Response {
    let page = gap_page(&visit, &id).await;
    visit.answer(page)
}

/// `GET /app/blockers/{id}`.
pub async fn blocker(visit: Visit, Path(id): Path<String>) -> Response {
    let page = blocker_page(&visit, &id).await;
    visit.answer(page)
}

async fn gap_page(visit: &Visit, id: &str) -> Result<Page, Refusal> {
    let found = data::gap(visit, id_in_path(id, "gap")?).await?;
    let Gap { gap, wanted, explanation, evidence, certification, work } = &found;
    let now = visit.now;
    let mut crumbs = crumbs(&gap.release);
    if let Some(certification) = certification {
        crumbs.push((certification.title.as_str(), paths::certification(certification.id)));
    }
    let title = format!("{} · {}", gap.control.code, gap.control.title);
    let targets = gap.id.to_string();
    let body = html! {
        (layout::heading(&crumbs, &title, html! {
            span { "Gap: " (pill::human(gap.reason.as_str()).to_lowercase()) }
            (pill::pill(gap.status.as_str())) @if gap.blocking { (pill::blocking()) }
            (text::copyable("gap id", gap.id))
        }, changes(visit, &targets)))
        div.columns {
            div {
                (list::panel("why", "Why", None, html! {
                    div.panel-body.stack {
                        @if !explanation.is_empty() { p { (explanation) } }
                        p { (list::gap_sentence(gap)) }
                        @if !wanted.is_empty() { p.muted { "The control asks: " (wanted) } }
                    }
                }))
                (judged(evidence, visit))
                (at_it(work, visit))
            }
            div.aside {
                (list::panel("about", "About", None, html! {
                    div.panel-body {
                        dl.facts.stacked {
                            dt { "Release" } dd { a href=(paths::release(gap.release.id)) { (gap.release.name) } }
                            @if let Some(certification) = certification {
                                dt { "Certification" }
                                dd { a href={ (paths::certification(certification.id)) "#" (gap.control.id) } { (certification.title) } }
                            }
                            dt { "Severity" } dd { (gap.severity.as_str()) }
                            dt { "Found" } dd { (text::time(gap.detected_at, now)) }
                        }
                    }
                }))
            }
        }
    };
    Ok(Page { title, part: Part::Releases, body, live: None })
}

async fn blocker_page(visit: &Visit, id: &str) -> Result<Page, Refusal> {
    let found = data::blocker(visit, id_in_path(id, "blocker")?).await?;
    let Blocker { blocker, evidence, work } = &found;
    let now = visit.now;
    let targets = blocker.id.to_string();
    let body = html! {
        (layout::heading(&crumbs(&blocker.release), &blocker.title, html! {
            span { "Blocker of " (blocker.provider) }
            (pill::severity(blocker.severity)) (pill::pill(blocker.status.as_str())) @if blocker.blocking { (pill::blocking()) }
            (text::copyable("blocker id", blocker.id))
        }, changes(visit, &targets)))
        div.columns {
            div {
                (list::panel("why", "Why", None, html! {
                    div.panel-body.stack {
                        p { (blocker.provider) " reports it in the newest evidence. It is resolved when newer evidence no longer has it." }
                        @if let Some(location) = &blocker.location { p.mono { (location) } }
                    }
                }))
                (judged(evidence.as_slice(), visit))
                (at_it(work, visit))
            }
            div.aside {
                (list::panel("about", "About", None, html! {
                    div.panel-body {
                        dl.facts.stacked {
                            dt { "Release" } dd { a href=(paths::release(blocker.release.id)) { (blocker.release.name) } }
                            dt { "Rule" } dd.mono { (blocker.rule) }
                            dt { "Known to the provider as" } dd { (text::copyable("provider's id", &blocker.external_id)) }
                            @if let Some(component) = &blocker.component { dt { "Component" } dd { (component) } }
                            dt { "First seen" } dd { (text::time(blocker.first_seen_at, now)) }
                            dt { "Last seen" } dd { (text::time(blocker.last_seen_at, now)) }
                        }
                    }
                }))
            }
        }
    };
    Ok(Page { title: blocker.title.clone(), part: Part::Releases, body, live: None })
}

fn crumbs(release: &ReleaseRef) -> Vec<(&str, String)> {
    vec![("Releases", paths::RELEASES.to_owned()), (release.name.as_str(), paths::release(release.id))]
}

/// What may be proposed about it.
fn changes(visit: &Visit, target: &str) -> Markup {
    command::menu([command::link(visit, "loopiq_propose_exception", &[("targetIds", target)])])
}

/// The evidence that says so.
fn judged(evidence: &[EvidenceView], visit: &Visit) -> Markup {
    list::panel(
        "evidence",
        "By which evidence",
        Some(evidence.len() as u32),
        html! {
            @if evidence.is_empty() { (text::empty("None", "There is no evidence that counts for it.")) }
            ul.items {
                @for piece in evidence {
                    li {
                        div.item-top {
                            a.item-title href=(paths::evidence(piece.id)) { (piece.title) }
                            span.pills { (pill::pill(piece.status.as_str())) (pill::pill(piece.freshness.as_str())) }
                        }
                        div.item-meta { span { (piece.source) } span { "collected " (text::brief_time(piece.collected_at, visit.now)) } }
                    }
                }
            }
        },
    )
}

/// The work that is to close it.
fn at_it(work: &[WorkItemView], visit: &Visit) -> Markup {
    list::panel(
        "work",
        "Work to close it",
        Some(work.len() as u32),
        html! {
            @if work.is_empty() {
                (text::empty("Nobody is at it yet", "Ask Helix to plan remediation for this release, or propose an exception."))
            } @else { (work_items::rows(work, visit.now)) }
        },
    )
}
