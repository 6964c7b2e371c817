//! One certification: every control with its outcome and the reason, down to the evidence; gaps and blockers; the
//! evidence graph in small.

use axum::extract::Path;
use axum::response::Response;
use domain::certification::{ControlOutcome, GapStatus};
use domain::id::{CertificationId, EvidenceId};
use domain::refusal::Refusal;
use domain::time::Timestamp;
use engine::view::{CertificationView, ControlView, EvidenceView, GapView};
use maud::{Markup, html};

use super::data::{self, Certified, ListOf};
use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::{form, list, pill, text};
use super::visit::{Page, Visit, id_in_path};
use super::{command, evidence_graph, over_time, paths, release};
use crate::api::certifications;
use crate::assistant::reviews;

/// `GET /app/certifications/{id}`.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let page = page(&visit, &id).await;
    visit.answer(page)
}

/// `GET /app/certifications/{id}/pack`.
pub async fn pack(visit: Visit, Path(id): Path<String>) -> Response {
    let packed = async {
        let id: CertificationId = id_in_path(&id, "certification")?;
        Ok::<_, Refusal>((id, visit.engine.evidence_pack(visit.caller(), id).await?))
    };
    match packed.await {
        Ok((id, bytes)) => certifications::download(id, bytes),
        Err(refusal) => visit.answer(Err(refusal)),
    }
}

async fn page(visit: &Visit, id: &str) -> Result<Page, Refusal> {
    let live = visit.live().await;
    let id: CertificationId = id_in_path(id, "certification")?;
    let now = visit.now;
    let certified = data::certification(visit, id).await?;
    let Certified { certification, controls, decision } = &certified;
    let release_id = certification.release.id.to_string();
    let gaps = data::optional(data::gaps_of_certification(visit, id).await)?.unwrap_or_else(ListOf::none);
    let blockers = data::optional(data::blockers(visit, &release_id).await)?.unwrap_or_else(ListOf::none);
    let evidence = data::optional(data::evidence_of(visit, &release_id).await)?.unwrap_or_else(ListOf::none);
    let overview = evidence_graph::overview(visit, id).await?;
    let over_time = over_time::readiness(visit, id).await?;
    let open = |s: GapStatus| matches!(s, GapStatus::Open | GapStatus::InRemediation);
    let (open_gaps, settled_gaps): (Vec<GapView>, Vec<GapView>) =
        gaps.items.iter().cloned().partition(|g| open(g.status));
    let (open_blockers, settled_blockers): (Vec<_>, Vec<_>) =
        blockers.items.into_iter().partition(|b| open(b.status));

    let crumbs = [
        ("Releases", paths::RELEASES.to_owned()),
        (certification.release.name.as_str(), paths::release(certification.release.id)),
    ];
    let body = html! {
        (layout::heading(&crumbs, &certification.title, html! {
            (pill::pill(certification.status.as_str()))
            span { "Control set " (certification.framework) }
            span { "Team " (certification.team.name) }
            (text::copyable("certification id", certification.id))
        }, html! {
            @if engine::pack::may_export(&visit.actor) {
                a.button href=(paths::pack(id)) download title="Everything it is evaluated from, signed; verify it with loopiq certification verify" { "Export evidence pack" }
            }
            (changes(visit, certification, &open_gaps))
        }))
        @if let Some(decision) = decision {
            (form::note(pill::tone(decision.outcome.as_str()), None, &pill::human(decision.outcome.as_str()), html! {
                p { "Decided " (text::time(decision.at, now)) "." }
                p.quote { (decision.rationale) }
            }))
        }
        div.columns data-parts {
            div data-parts {
                (list::panel("controls", "Controls", Some(controls.len() as u32), html! {
                    @if controls.is_empty() { (text::empty("No controls", "The control set of this certification is empty.")) }
                    ul.items { @for control in sorted(controls) { (control_item(control, &gaps.items, &evidence.items, now)) } }
                }))
                (list::panel("gaps", "Open gaps", Some(open_gaps.len() as u32), html! {
                    @if open_gaps.is_empty() { (text::empty("No open gap", "Every required control has the evidence it needs.")) }
                    (list::gaps(&open_gaps, now))
                    @if !settled_gaps.is_empty() {
                        details.fold { summary { (settled_gaps.len()) " resolved or excepted" } (list::gaps(&settled_gaps, now)) }
                    }
                }))
                (list::panel("blockers", "Open blockers", Some(open_blockers.len() as u32), html! {
                    @if open_blockers.is_empty() { (text::empty("No open blocker", "No provider reports anything that must hold this release.")) }
                    (list::blockers(&open_blockers, now))
                    @if !settled_blockers.is_empty() {
                        details.fold { summary { (settled_blockers.len()) " resolved or excepted" } (list::blockers(&settled_blockers, now)) }
                    }
                }))
            }
            div.aside data-parts { (release::readiness_panel(Some(&certified), false)) (reviews(visit, certification)) (refreshed(certification.evidence_refreshed_at, now)) (over_time) }
        }
        (overview)
    };
    Ok(Page { title: certification.title.clone(), part: Part::Releases, body, live })
}

/// The governance actions that the visitor may start on it: fixed questions to the language model.
fn reviews(visit: &Visit, certification: &CertificationView) -> Markup {
    let all = reviews::allowed(&visit.actor, certification.status, certification.team.id);
    let page = paths::certification(certification.id);
    html! {
        @if !all.is_empty() {
            (list::panel("reviews", "AI governance actions", None, html! {
                div.panel-body.stack {
                    p.small { "Helix reads what you may see and advises. It decides nothing; what it writes can be kept with the certification." }
                    div.offers role="group" aria-label="AI governance actions" {
                        @for kind in all {
                            form method="post" action=(paths::ASSISTANT) data-helix {
                                (form::csrf(&visit.csrf))
                                input type="hidden" name="page" value=(page);
                                input type="hidden" name="text" value=(reviews::title(kind));
                                input type="hidden" name="review" value=(kind);
                                button.button.small { (reviews::title(kind)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn refreshed(at: Option<Timestamp>, now: Timestamp) -> Markup {
    html! {
        @if let Some(at) = at { p.hint { "Evidence last changed " (text::time(at, now)) ". The verdict is recomputed with every new piece." } }
    }
}

/// Trouble first, then required before optional, then by code.
fn sorted(controls: &[ControlView]) -> Vec<&ControlView> {
    let mut sorted: Vec<&ControlView> = controls.iter().collect();
    sorted.sort_by_key(|c| {
        let rank = match c.outcome {
            ControlOutcome::Failed => 0,
            ControlOutcome::NotEvaluated => 1,
            ControlOutcome::Waived => 2,
            ControlOutcome::Passed => 3,
        };
        (rank, !c.required, c.code.clone())
    });
    sorted
}

fn control_item(
    control: &ControlView,
    gaps: &[GapView],
    evidence: &[EvidenceView],
    now: Timestamp,
) -> Markup {
    let edge = match (control.outcome, control.required) {
        (ControlOutcome::NotEvaluated, true) | (ControlOutcome::Failed, false) => Tone::Warn,
        (outcome, _) => pill::tone(outcome.as_str()),
    };
    html! {
        li id=(control.id) class=(edge.class()) {
            div.item-top {
                span.item-title { span.mono { (control.code) } " " (control.title) }
                span.pills {
                    (pill::pill(control.outcome.as_str()))
                    @if !control.required { (pill::toned(Tone::Quiet, "Optional")) }
                }
            }
            @if !control.explanation.is_empty() { p { (control.explanation) } }
            @if !control.evidence_ids.is_empty() {
                ul { @for id in &control.evidence_ids { li { (evidence_line(*id, evidence, now)) } } }
            }
            div.item-meta {
                span { "Severity " (control.severity.as_str()) }
                @for gap in gaps.iter().filter(|g| g.control.id == control.id && matches!(g.status, GapStatus::Open | GapStatus::InRemediation)) {
                    a href={ "#" (gap.id) } { "Gap: " (pill::human(gap.reason.as_str())) }
                }
                @for mapping in &control.mappings { span.tag { (mapping) } }
            }
        }
    }
}

fn evidence_line(id: EvidenceId, evidence: &[EvidenceView], now: Timestamp) -> Markup {
    html! {
        @if let Some(piece) = evidence.iter().find(|e| e.id == id) {
            a href=(paths::evidence(id)) { (piece.title) } " "
            (pill::pill(piece.status.as_str())) " " (pill::pill(piece.freshness.as_str())) " "
            span.small.muted { (piece.source) ", " (text::brief_time(piece.collected_at, now)) }
        } @else { a.mono href=(paths::evidence(id)) { (id) } }
    }
}

/// What may be proposed about a certification, with what is known of it filled in.
fn changes(visit: &Visit, certification: &CertificationView, open: &[GapView]) -> Markup {
    let targets = open.iter().map(|gap| gap.id.to_string()).collect::<Vec<_>>().join("\n");
    let (id, version) = (certification.id.to_string(), certification.version.to_string());
    let given = [("certificationId", id.as_str()), ("version", &version)];
    command::menu([
        command::link(visit, "loopiq_submit_release_certification", &given),
        command::link(visit, "loopiq_decide_certification", &given),
        command::link(visit, "loopiq_propose_exception", &[("targetIds", &targets)]),
    ])
}
