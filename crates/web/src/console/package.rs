//! One remediation work package: the story, its tasks and how far they are, and the gaps and blockers they are to
//! close.

use axum::extract::Path;
use axum::response::Response;
use domain::id::PackageId;
use domain::refusal::Refusal;
use domain::work::WorkItemStatus as Status;
use engine::pages::Package;
use engine::view::WorkItemView;
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::readiness::{self, Share};
use super::parts::{list, text};
use super::visit::{Page, Visit, id_in_path};
use super::{data, paths, work_items};

/// `GET /app/packages/{id}`.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let page = page(&visit, &id).await;
    visit.answer(page)
}

async fn page(visit: &Visit, id: &str) -> Result<Page, Refusal> {
    let id: PackageId = id_in_path(id, "remediation work package")?;
    let now = visit.now;
    let package = data::package(visit, id).await?;
    let Package { release, covered, tasks, .. } = &package;
    let story = package.story.as_slice();
    let title = format!("Remediation of {}", release.name);
    let crumbs =
        [("Releases", paths::RELEASES.to_owned()), (release.name.as_str(), paths::release(release.id))];
    let body = html! {
        (layout::heading(&crumbs, &title, html! {
            span { "Remediation work package" }
            span { "Team " (package.team.name) }
            (text::copyable("package id", package.id))
        }, html! {}))
        div.columns {
            div {
                (list::panel("story", "Story", None, work_items::rows(story, now)))
                (list::panel("tasks", "Tasks", Some(tasks.len() as u32), work_items::rows(tasks, now)))
                (list::covered("covers", "What it must close", covered, now))
            }
            div.aside {
                (list::panel("progress", "Progress", None, html! {
                    div.panel-body {
                        (progress(tasks))
                        p.hint { "Finished work does not close a gap or blocker. Only new evidence does." }
                    }
                }))
                (list::panel("about", "About", None, html! {
                    div.panel-body {
                        dl.facts.stacked {
                            dt { "Release" } dd { a href=(paths::release(release.id)) { (release.name) } }
                            @if let Some(certification) = &package.certification {
                                dt { "Certification" }
                                dd { a href=(paths::certification(certification.id)) { (certification.title) } }
                            }
                            @if let Some(person) = &package.created_by { dt { "Asked for by" } dd { (person.email) } }
                            dt { "Created" } dd { (text::time(package.created_at, now)) }
                        }
                    }
                }))
            }
        }
    };
    Ok(Page { title, part: Part::Releases, body, live: None })
}

fn progress(tasks: &[WorkItemView]) -> Markup {
    let count = |statuses: &[Status]| tasks.iter().filter(|t| statuses.contains(&t.status)).count();
    readiness::shares(
        "Tasks by status",
        &[
            Share { word: "done", count: count(&[Status::Done]), tone: Tone::Good },
            Share {
                word: "under way",
                count: count(&[Status::InProgress, Status::InReview]),
                tone: Tone::Info,
            },
            Share { word: "blocked", count: count(&[Status::Blocked]), tone: Tone::Bad },
            Share { word: "to do", count: count(&[Status::Backlog, Status::Todo]), tone: Tone::Quiet },
            Share { word: "cancelled", count: count(&[Status::Cancelled]), tone: Tone::Quiet },
        ],
    )
}
