//! One release: how ready it is, what blocks it, its checks and gates, its evidence and work, and how they hang together.

use axum::extract::Path;
use axum::response::Response;
use domain::certification::{ControlOutcome, GapStatus};
use domain::id::ReleaseId;
use domain::refusal::Refusal;
use domain::release::{GateMode, GateStatus};
use domain::time::Timestamp;
use engine::view::{CheckView, ControlView, EvidenceView, GateView, ReleaseDetail};
use maud::{Markup, html};

use super::data::{self, Certified, ListOf};
use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::readiness::{self, Share};
use super::parts::table::{cell, lead, table};
use super::parts::{list, pill, text};
use super::visit::{Page, Visit};
use super::{command, difference, evidence_graph, over_time, paths, work_items};

/// `GET /app/releases/{id}`; a name does as well.
pub async fn show(mut visit: Visit, Path(reference): Path<String>) -> Response {
    let page = page(&visit, &reference).await.map(|(page, id)| {
        // By whatever name it was found, the assistant is told which release it is.
        visit.here = paths::release(id);
        page
    });
    visit.answer(page)
}

async fn page(visit: &Visit, reference: &str) -> Result<(Page, ReleaseId), Refusal> {
    let live = visit.live().await;
    let detail = data::release(visit, reference).await?;
    let release = &detail.release;
    let id = release.id.to_string();
    let now = visit.now;
    let certified = data::optional(data::certification_of(visit, &id).await)?;
    let gaps = data::optional(data::gaps_of_release(visit, &id).await)?;
    let blockers = data::optional(data::blockers(visit, &id).await)?;
    let evidence = data::optional(data::evidence_of(visit, &id).await)?;
    let wanted = data::Wanted { release: &id, ..Default::default() };
    let work = data::optional(data::work_items(visit, &wanted).await)?;
    let (overview, over_time) = match &certified {
        Some(Certified { certification, .. }) => (
            evidence_graph::overview(visit, certification.id).await?,
            over_time::readiness(visit, certification.id).await?,
        ),
        None => (html! {}, html! {}),
    };
    let seen = gaps.is_some() || blockers.is_some();
    let gaps = gaps.unwrap_or_else(ListOf::none);
    let blockers = blockers.unwrap_or_else(ListOf::none);
    let unsettled = |s: GapStatus| matches!(s, GapStatus::Open | GapStatus::InRemediation);
    let (open_gaps, settled_gaps): (Vec<_>, Vec<_>) =
        gaps.items.into_iter().partition(|g| unsettled(g.status));
    let (open_blockers, settled_blockers): (Vec<_>, Vec<_>) =
        blockers.items.into_iter().partition(|b| unsettled(b.status));
    let settled = settled_gaps.len() + settled_blockers.len();

    let body = html! {
        (layout::heading(&[("Releases", paths::RELEASES.into())], &release.name, html! {
            (pill::pill(release.status.as_str()))
            span { "Version " (release.release_version) }
            a href=(paths::with_query(paths::RELEASES, &[("team", &release.team.id.to_string())])) { "Team " (release.team.name) }
            span { "for " (release.target_environment) }
            (text::copyable("release id", release.id))
        }, changes(visit, &detail)))
        div.columns data-parts {
            div data-parts {
                @if seen {
                    (list::panel_with("blocks", "What blocks it", Some((open_blockers.len() + open_gaps.len()) as u32), difference::link(release.id), html! {
                        @if open_blockers.is_empty() && open_gaps.is_empty() {
                            (text::empty("Nothing blocks this release", "No open gap and no open blocker."))
                        }
                        // Gaps first: they sum up by control what blockers say one by one.
                        (list::gaps(&open_gaps, now))
                        (list::blockers(&open_blockers, now))
                        @if settled > 0 {
                            details.fold {
                                summary { (settled) " resolved or excepted" }
                                (list::blockers(&settled_blockers, now))
                                (list::gaps(&settled_gaps, now))
                            }
                        }
                    }))
                }
                @if let Some(evidence) = &evidence { (evidence_panel(evidence, now)) }
                @if let Some(work) = &work {
                    (list::panel("work", "Work items", Some(work.total), html! {
                        @if work.items.is_empty() {
                            (text::empty("No work for this release yet", "Ask an AI client to propose a remediation work package for it."))
                        } @else { (work_items::rows(&work.items, now)) }
                    }))
                }
            }
            div.aside data-parts {
                (readiness_panel(certified.as_ref(), true))
                (over_time)
                (facts(&detail, now))
                (checks(visit, &detail))
            }
        }
        (overview)
    };
    let page = Page { title: release.name.clone(), part: Part::Releases, body, live };
    Ok((page, release.id))
}

/// The picture and what it says; with a link to the certification, where the page is not its own.
pub fn readiness_panel(certified: Option<&Certified>, link: bool) -> Markup {
    list::panel(
        "readiness",
        "Readiness",
        None,
        html! {
            @if let Some(Certified { certification, controls, .. }) = certified {
                div.panel-body {
                    div.readiness {
                        (readiness::donut(certification.readiness))
                        div {
                            p { (pill::pill(certification.readiness.verdict.as_str())) }
                            p.small.muted { (certification.open_blocker_count) " open blockers, " (certification.open_gap_count) " open gaps" }
                            @if certification.accepted_risk_count > 0 { p.small.muted { (certification.accepted_risk_count) " accepted risks" } }
                        }
                    }
                    (control_shares(controls))
                    @if link {
                        dl.facts.stacked {
                            dt { "Certification" }
                            dd { a href=(paths::certification(certification.id)) { (certification.title) } " " (pill::pill(certification.status.as_str())) }
                        }
                    }
                }
            } @else { (text::empty("Not under certification", "No certification says yet what this release must show.")) }
        },
    )
}

pub fn control_shares(controls: &[ControlView]) -> Markup {
    let count = |outcome: ControlOutcome| controls.iter().filter(|c| c.outcome == outcome).count();
    readiness::shares(
        "Controls by outcome",
        &[
            Share { word: "passed", count: count(ControlOutcome::Passed), tone: Tone::Good },
            Share { word: "waived", count: count(ControlOutcome::Waived), tone: Tone::Warn },
            Share { word: "failed", count: count(ControlOutcome::Failed), tone: Tone::Bad },
            Share { word: "not evaluated", count: count(ControlOutcome::NotEvaluated), tone: Tone::Quiet },
        ],
    )
}

fn facts(detail: &ReleaseDetail, now: Timestamp) -> Markup {
    list::panel(
        "about",
        "About",
        None,
        html! {
            div.panel-body {
                dl.facts.stacked {
                    dt { "Components" }
                    dd { @if detail.components.is_empty() { span.muted { "none named" } } @else { (detail.components.join(", ")) } }
                    @if let Some(at) = detail.release.planned_at { dt { "Planned" } dd { (text::time(at, now)) } }
                    @if let Some(at) = detail.released_at { dt { "Released" } dd { (text::time(at, now)) } }
                    @if let Some(rollback) = &detail.rollback_decision {
                        dt { "Rollback" }
                        dd {
                            (pill::pill(rollback.status.as_str())) " " (pill::pill(rollback.execution_state.as_str()))
                            p.quote { (rollback.reason) }
                            p.small { "Plan: " (rollback.rollback_plan) }
                            @if let Some(at) = rollback.due_at { p.small { "Due " (text::time(at, now)) } }
                        }
                    }
                }
            }
        },
    )
}

fn open(gate: &GateView) -> bool {
    gate.status == GateStatus::Open
}

/// What may be proposed about a release, with what is known of it filled in.
fn changes(visit: &Visit, detail: &ReleaseDetail) -> Markup {
    let (id, team) = (detail.release.id.to_string(), detail.release.team.id.to_string());
    let version = detail.version.to_string();
    let about = [("release", id.as_str())];
    command::menu([
        command::link(visit, "loopiq_update_release", &[("release", &id), ("version", &version)]),
        command::link(visit, "loopiq_record_release_check", &about),
        command::link(visit, "loopiq_set_release_gate", &about),
        command::link(visit, "loopiq_create_release_certification", &about),
        command::link(visit, "loopiq_refresh_release_evidence", &about),
        command::link(visit, "loopiq_attach_evidence", &about),
        command::link(visit, "loopiq_create_work_item", &[("release", &id), ("teamId", &team)]),
        command::link(visit, "loopiq_record_rollback_decision", &about),
    ])
}

fn checks(visit: &Visit, detail: &ReleaseDetail) -> Markup {
    let (now, release) = (visit.now, detail.release.id.to_string());
    let check_link = |check: &CheckView| {
        let (id, version) = (check.id.to_string(), check.version.to_string());
        let given =
            [("release", release.as_str()), ("checkId", &id), ("version", &version), ("label", &check.label)];
        command::link(visit, "loopiq_record_release_check", &given)
    };
    let gate_link = |gate: &GateView| {
        let (id, version) = (gate.id.to_string(), gate.version.to_string());
        let checks = gate.check_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let given = [
            ("release", release.as_str()),
            ("gateId", &id),
            ("version", &version),
            ("name", &gate.name),
            ("mode", gate.mode.as_str()),
            ("checkIds", &checks),
        ];
        command::link(visit, "loopiq_set_release_gate", &given)
    };
    list::panel(
        "checks",
        "Checks and gates",
        Some(detail.checks.len() as u32),
        html! {
            @if detail.checks.is_empty() && detail.gates.is_empty() {
                (text::empty("No checks", "This release has no checkpoints of its own."))
            }
            ul.items {
                @for gate in &detail.gates {
                    li class=(if open(gate) { "good" } else if gate.mode == GateMode::Blocking { "bad" } else { "warn" }) {
                        div.item-top {
                            span.item-title { "Gate " (gate.name) }
                            @if open(gate) { (pill::toned(Tone::Good, "Open gate")) } @else { (pill::toned(Tone::Bad, "Closed gate")) }
                        }
                        div.item-meta { span { (gate.mode.as_str()) } span { (text::count(gate.check_ids.len(), "check")) } @if let Some((_, href)) = gate_link(gate) { a href=(href) { "Change" } } }
                    }
                }
                @for check in &detail.checks {
                    li id=(check.id) class=(pill::tone(check.status.as_str()).class()) {
                        div.item-top { span.item-title { (check.label) } (pill::pill(check.status.as_str())) }
                        div.item-meta {
                            span { "Severity " (check.severity.as_str()) }
                            @if let Some(at) = check.due_at { span { "due " (text::brief_time(at, now)) } }
                            @if let Some(source) = &check.source_entity { span.mono { (source) } }
                            @if let Some((_, href)) = check_link(check) { a href=(href) { "Record" } }
                        }
                    }
                }
            }
        },
    )
}

/// Evidence as a table; what newer evidence has replaced is kept apart.
pub fn evidence_panel(evidence: &ListOf<EvidenceView>, now: Timestamp) -> Markup {
    let (current, old): (Vec<&EvidenceView>, Vec<&EvidenceView>) =
        evidence.items.iter().partition(|e| e.superseded_by.is_none());
    list::panel(
        "evidence",
        "Evidence",
        Some(current.len() as u32),
        html! {
            @if current.is_empty() {
                (text::empty("No evidence yet", "Push a test report, a scan or an SBOM with: loopiq evidence push --release NAME FILE"))
            } @else { (evidence_table(&current, now)) }
            @if !old.is_empty() {
                details.fold { summary { (old.len()) " replaced by newer evidence" } (evidence_table(&old, now)) }
            }
            @if evidence.next.is_some() { p.pager.muted { "The newest " (evidence.items.len()) " of " (evidence.total) " are shown." } }
        },
    )
}

fn evidence_table(items: &[&EvidenceView], now: Timestamp) -> Markup {
    let rows = items
        .iter()
        .map(|e| {
            let name = html! {
                a href=(paths::evidence(e.id)) { (e.title) }
                span.sub { (pill::human(e.evidence_type.as_str())) " from " (e.source) }
            };
            let control = html! { @if let Some(control) = &e.control { span.mono { (control.code) } } };
            let cells = vec![
                lead(name),
                cell("Result", pill::pill(e.status.as_str())),
                cell("Freshness", pill::pill(e.freshness.as_str())),
                cell("Control", control),
                cell("Collected", text::brief_time(e.collected_at, now)),
            ];
            (Some(e.id.to_string()), cells)
        })
        .collect();
    table("Evidence", &["Evidence", "Result", "Freshness", "Control", "Collected"], rows)
}
