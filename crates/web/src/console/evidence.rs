//! One piece of evidence: what it says, for which control, how long it counts, and its hash.

use axum::extract::Path;
use axum::response::Response;
use domain::id::EvidenceId;
use domain::refusal::Refusal;
use engine::view::BlockerView;
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::{form, list, pill, text};
use super::visit::{Page, Visit, id_in_path};
use super::{data, paths};

/// `GET /app/evidence/{id}`.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let page = page(&visit, &id).await;
    visit.answer(page)
}

async fn page(visit: &Visit, id: &str) -> Result<Page, Refusal> {
    let id: EvidenceId = id_in_path(id, "evidence")?;
    let now = visit.now;
    let engine::pages::Evidence { evidence: piece, statement } = data::evidence(visit, id).await?;
    // The newest evidence that has a blocker is the one it belongs to; older pieces show none.
    let found = data::optional(data::blockers(visit, &piece.release.id.to_string()).await)?;
    let found: Vec<BlockerView> =
        found.into_iter().flat_map(|list| list.items).filter(|b| b.evidence_id == id).collect();
    let (zero, counted): (Vec<_>, Vec<_>) = piece.metrics.iter().partition(|(_, count)| **count == 0);
    let crumbs = [
        ("Releases", paths::RELEASES.to_owned()),
        (piece.release.name.as_str(), paths::release(piece.release.id)),
    ];
    let body = html! {
        (layout::heading(&crumbs, &piece.title, html! {
            (pill::pill(piece.status.as_str())) (pill::pill(piece.freshness.as_str()))
            span { (pill::human(piece.evidence_type.as_str())) " from " (piece.source) }
            (text::copyable("evidence id", piece.id))
        }, html! {}))
        @if let Some(newer) = piece.superseded_by {
            (form::note(Tone::Warn, None, "Replaced by newer evidence", html! {
                p { "This piece no longer counts. " a href=(paths::evidence(newer)) { "Open the newer one" } "." }
            }))
        }
        div.columns {
            div {
                @if !found.is_empty() {
                    (list::panel("blockers", "Open blockers in it", Some(found.len() as u32), list::blockers(&found, now)))
                }
                @if let Some(statement) = &statement {
                    (list::panel("statement", "In the words of a person", None, html! {
                        div.panel-body { p.quote { (statement) } }
                    }))
                }
                @if statement.is_none() { (list::panel("figures", "What was counted in it", None, html! {
                    @if piece.metrics.is_empty() { (text::empty("No counts", "The file carries no figures that could be read.")) }
                    @else { div.panel-body { (figures(&counted)) } }
                    @if !zero.is_empty() { details.fold { summary { (text::count(zero.len(), "count")) " of zero" } (figures(&zero)) } }
                })) }
                @if !piece.notes.is_empty() {
                    (list::panel("notes", "Notes of the importer", Some(piece.notes.len() as u32), html! {
                        ul.items { @for note in &piece.notes { li { (note) } } }
                    }))
                }
            }
            div.aside {
                (list::panel("about", "About", None, html! {
                    div.panel-body {
                        dl.facts.stacked {
                            dt { "Release" } dd { a href=(paths::release(piece.release.id)) { (piece.release.name) } }
                            dt { "Control" }
                            dd { @if let Some(control) = &piece.control { span.mono { (control.code) } " " (control.title) } @else { span.muted { "none" } } }
                            dt { "Format" } dd { (piece.format.as_deref().unwrap_or("added by hand")) }
                            dt { "Collected" } dd { (text::time(piece.collected_at, now)) }
                            dt { "Counts until" } dd { (text::time(piece.valid_until, now)) }
                            dt { "Size" } dd { (text::bytes(piece.size_bytes)) }
                            dt { "SHA-256 of the content" } dd { (text::copyable("SHA-256", &piece.sha256)) }
                        }
                    }
                }))
            }
        }
    };
    Ok(Page { title: piece.title.clone(), part: Part::Releases, body, live: None })
}

fn figures(counts: &[(&String, &i64)]) -> Markup {
    html! { dl.facts.figures-list { @for (name, count) in counts { div { dt { (text::words(name)) } dd { (count) } } } } }
}
