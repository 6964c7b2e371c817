//! The organization itself: its switches for MCP and AI, its settings, and what its releases are certified against.

use axum::response::Response;
use domain::org::Organization;
use domain::refusal::Refusal;
use engine::pages::{ControlOf, ControlSets, Everything};
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::pill::{self, Tone};
use super::parts::{icon, list, text};
use super::visit::{Page, Visit};
use super::{command, data, paths};

const UPDATE: &str = "loopiq_update_organization";

/// `GET /app/settings`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit).await;
    visit.answer(page)
}

async fn page(visit: &Visit) -> Result<Page, Refusal> {
    let organization = &visit.actor.organization;
    let sets = data::optional(visit.ask::<ControlSets>(Everything {}).await)?;
    let change = command::link(visit, UPDATE, &[]);
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], &organization.name, html! {
            span { "Short name " code { (organization.slug) } }
            (text::copyable("organization id", organization.id))
        }, html! { @if let Some((title, href)) = change { a.button href=(href) { (icon::EDIT) (title) } } }))
        (list::panel("switches", "Switches", None, html! {
            ul.items {
                (switch(visit, "MCP", organization.mcp_enabled, "mcpEnabled", "AI clients connect and see tools.", "Clients connect and see no tools."))
                (switch(visit, "AI", organization.ai_enabled, "aiEnabled", "The assistant answers on these pages.", "There is no assistant on these pages."))
            }
        }))
        (list::panel("settings", "Settings", None, settings(organization)))
        @if let Some(sets) = &sets { (controls(&sets.controls)) }
    };
    Ok(Page { title: "Organization".into(), part: Part::Administration, body, live: None })
}

/// One switch, and the way to turn it over.
fn switch(visit: &Visit, name: &str, on: bool, argument: &str, when_on: &str, when_off: &str) -> Markup {
    let turn = command::link(visit, UPDATE, &[(argument, if on { "false" } else { "true" })]);
    html! {
        li {
            div.item-top {
                span.item-title { (name) }
                span.pills {
                    (pill::toned(if on { Tone::Good } else { Tone::Quiet }, if on { "On" } else { "Off" }))
                    @if let Some((_, href)) = turn { a.button.small href=(href) { "Switch " (name) @if on { " off" } @else { " on" } } }
                }
            }
            p.muted { (if on { when_on } else { when_off }) }
        }
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        s if s % 86_400 == 0 => text::count((s / 86_400) as usize, "day"),
        s if s % 3_600 == 0 => text::count((s / 3_600) as usize, "hour"),
        s => text::count(s as usize, "second"),
    }
}

fn settings(organization: &Organization) -> Markup {
    let settings = &organization.settings;
    html! {
        div.panel-body {
            dl.facts {
                dt { "A proposal waits for its approval" } dd { (span(settings.approval_expiry_seconds)) }
                dt { "What was approved waits for its execution" } dd { (span(settings.execution_expiry_seconds)) }
                dt { "A release is blocked by findings from" } dd { "severity " (settings.blocker_threshold.as_str()) }
                dt { "Scans, tests and quality evidence are fresh for" } dd { (span(settings.scan_freshness_seconds)) }
                dt { "Other evidence is fresh for" } dd { (span(settings.other_freshness_seconds)) }
                dt { "Writes need an idempotency key of their own" } dd { @if settings.idempotency_key_required { "Yes" } @else { "No" } }
            }
        }
    }
}

fn controls(controls: &[ControlOf]) -> Markup {
    list::panel(
        "controls",
        "Control sets",
        Some(controls.len() as u32),
        html! {
            @for set in controls.chunk_by(|a, b| a.set == b.set) {
                @let name = set.first().map_or("", |control| control.set.as_str());
                details.fold open {
                    summary { (name) ", " (text::count(set.len(), "control")) }
                    ul.items {
                        @for control in set {
                            li {
                                div.item-top {
                                    span.item-title { span.mono { (control.code) } " " (control.title) }
                                    span.pills { (pill::severity(control.severity)) @if !control.required { (pill::toned(Tone::Quiet, "Optional")) } }
                                }
                                @if !control.description.is_empty() { p { (control.description) } }
                                div.item-meta { @for mapping in &control.mappings { span.tag { (mapping) } } }
                            }
                        }
                    }
                }
            }
        },
    )
}
