//! The policies of the organization: what is in force, how it came to be, what each version changed, and a place to write
//! the next one.

use axum::extract::Path;
use axum::response::Response;
use domain::refusal::Refusal;
use engine::tools::get_policies;
use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use super::parts::layout::{self, Part};
use super::parts::{icon, list, pill, text};
use super::policy_draft::{self, Draft};
use super::visit::{Page, Visit, id_in_path};
use super::{command, data, paths};

/// The command that publishes.
pub const PUBLISH: &str = "loopiq_publish_policies";

/// Unchanged lines around a change that a comparison shows.
const CONTEXT: usize = 3;

/// `GET /app/policies`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit, None).await;
    visit.answer(page)
}

/// `GET /app/policies/{version}`.
pub async fn version(visit: Visit, Path(version): Path<String>) -> Response {
    let page = match id_in_path::<i64>(&version, "version of the policies") {
        Ok(version) => page(&visit, Some(version)).await,
        Err(refusal) => Err(refusal),
    };
    visit.answer(page)
}

async fn page(visit: &Visit, version: Option<i64>) -> Result<Page, Refusal> {
    let found = data::policies(visit, version).await?;
    let current = found.version == found.in_force;
    let title = match found.version {
        0 => "Policies: the program's default".to_owned(),
        version => format!("Policies, version {version}"),
    };
    let mut crumbs = vec![("Administration", paths::ADMINISTRATION.to_owned())];
    if version.is_some() {
        crumbs.push(("Policies", paths::POLICIES.to_owned()));
    }
    let body = html! {
        (layout::heading(&crumbs, &title, html! {
            @if current { (pill::toned(pill::Tone::Good, "In force")) } @else { (pill::toned(pill::Tone::Quiet, "Not in force")) }
            span { "Who may do what, and what needs whose approval." }
        }, change(visit, &found)))
        div.columns {
            div {
                @if let Some(before) = &found.before { (compared(before, &found)) }
                (list::panel("text", "The text", None, html! {
                    div.panel-body { pre.source tabindex="0" { (found.text) } }
                }))
                (editor(visit, &found))
            }
            div.aside { (versions(visit, &found)) }
        }
    };
    Ok(Page { title, part: Part::Administration, body, live: None })
}

/// Going back to a version that is not in force.
fn change(visit: &Visit, found: &get_policies::Out) -> Markup {
    let (replaces, version) = (found.in_force.to_string(), found.version.to_string());
    let link = command::link(visit, PUBLISH, &[("replaces", &replaces), ("restores", &version)]);
    let link = link.filter(|_| found.version != found.in_force);
    html! { @if let Some((_, href)) = link { a.button href=(href) { (icon::EDIT) "Go back to this version" } } }
}

/// A place to write the next version, beginning with the one in force.
fn editor(visit: &Visit, found: &get_policies::Out) -> Markup {
    let may = command::link(visit, PUBLISH, &[]).is_some() && found.version == found.in_force;
    html! {
        @if may {
            (list::panel("write", "Write the next version", None, html! {
                details.fold {
                    summary { "Begin with the text in force" }
                    (policy_draft::editor(visit, &Draft { text: &found.text, replaces: found.in_force, ..Draft::default() }))
                }
            }))
        }
    }
}

fn compared(before: &str, found: &get_policies::Out) -> Markup {
    let diff = TextDiff::from_lines(before, &found.text);
    let groups = diff.grouped_ops(CONTEXT);
    list::panel(
        "changes",
        "What it changed",
        None,
        html! {
            div.panel-body {
                @if groups.is_empty() { p.muted { "Nothing: the text is that of the version before." } }
                @for group in &groups {
                    div.lines role="group" aria-label="Changed lines" {
                        @for op in group {
                            @for change in diff.iter_changes(op) {
                                @let (class, mark, said) = match change.tag() {
                                    ChangeTag::Delete => ("gone", "−", Some("removed: ")),
                                    ChangeTag::Insert => ("come", "+", Some("added: ")),
                                    ChangeTag::Equal => ("same", " ", None),
                                };
                                div class={ "line " (class) } {
                                    span.sign aria-hidden="true" { (mark) }
                                    @if let Some(said) = said { span.visually-hidden { (said) } }
                                    span { (change.value().trim_end_matches('\n')) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

fn versions(visit: &Visit, found: &get_policies::Out) -> Markup {
    let name = |version: i64, words: &str| {
        html! {
            a.item-title href=(paths::policies(version)) aria-current=[(version == found.version).then_some("page")] { (words) }
            @if version == found.in_force { span.tag { "in force" } }
        }
    };
    list::panel(
        "versions",
        "Versions",
        None,
        html! {
            ul.items {
                @for known in &found.versions {
                    li {
                        div.item-top { (name(known.version, &format!("Version {}", known.version))) }
                        p { (known.reason) }
                        div.item-meta {
                            span { (known.published_by) }
                            (text::brief_time(known.published_at, visit.now))
                            @if let Some(restores) = known.restores { span { "version " (restores) " again" } }
                        }
                    }
                }
                li { div.item-top { (name(0, "The program's default")) } }
            }
        },
    )
}
