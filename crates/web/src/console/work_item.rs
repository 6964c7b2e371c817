//! One work item: what it is, what it remedies, its parent and children.

use axum::extract::Path;
use axum::response::Response;
use domain::id::WorkItemId;
use domain::refusal::Refusal;
use engine::view::WorkItemView;
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::{list, pill, text};
use super::visit::{Page, Visit, id_in_path};
use super::{command, data, paths, work_items};

/// `GET /app/work-items/{id}`.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let page = page(&visit, &id).await;
    visit.answer(page)
}

async fn page(visit: &Visit, id: &str) -> Result<Page, Refusal> {
    let id: WorkItemId = id_in_path(id, "work item")?;
    let now = visit.now;
    let (item, children) = data::work_item(visit, id).await?;
    let around = data::around(visit, id).await?;
    let parent = match item.parent_id {
        Some(parent) => data::optional(data::work_item(visit, parent).await)?.map(|(parent, _)| parent),
        None => None,
    };
    let release = match item.release_id {
        Some(id) => data::optional(data::release(visit, &id.to_string()).await)?,
        None => None,
    };
    let mut crumbs = vec![("Work items", paths::WORK_ITEMS.to_owned())];
    crumbs.extend(parent.as_ref().map(|p| (p.title.as_str(), paths::work_item(p.id))));
    let body = html! {
        (layout::heading(&crumbs, &item.title, html! {
            (pill::pill(item.status.as_str()))
            span { (pill::human(item.item_type.as_str())) }
            span { "Team " (item.team.name) }
            (text::copyable("work item id", item.id))
        }, changes(visit, &item)))
        div.columns {
            div {
                (list::panel("description", "Description", None, html! {
                    div.panel-body {
                        @if item.description.is_empty() { p.muted { "No description." } } @else { p.quote { (item.description) } }
                    }
                }))
                @if !children.is_empty() {
                    (list::panel("children", "Child tasks", Some(children.len() as u32), work_items::rows(&children, now)))
                }
                // A story's references are those of its tasks.
                @if children.is_empty() { (list::covered("remedies", "What it must close", &around.covered, now)) }
            }
            div.aside {
                (list::panel("about", "About", None, html! {
                    div.panel-body {
                        dl.facts.stacked {
                            dt { "Priority" } dd { (pill::priority(item.priority)) }
                            @if let Some(parent) = &parent { dt { "Parent" } dd { a href=(paths::work_item(parent.id)) { (parent.title) } } }
                            @if let Some(release) = &release { dt { "Release" } dd { a href=(paths::release(release.release.id)) { (release.release.name) } } }
                            @if let Some(package) = around.package_id { dt { "Part of" } dd { a href=(paths::package(package)) { "Remediation work package" } } }
                            dt { "Assignee" } dd { @if let Some(person) = &around.assignee { (person.email) } @else { span.muted { "nobody yet" } } }
                            @if let Some(person) = &around.reporter { dt { "Reporter" } dd { (person.email) } }
                            dt { "Created" } dd { (text::time(item.created_at, now)) }
                            dt { "Record version" } dd { (item.version) }
                        }
                        p.hint { "Finished work does not close a gap or blocker. Only new evidence does." }
                    }
                }))
            }
        }
    };
    Ok(Page { title: item.title.clone(), part: Part::Work, body, live: None })
}

fn changes(visit: &Visit, item: &WorkItemView) -> Markup {
    let (id, version, team) = (item.id.to_string(), item.version.to_string(), item.team.id.to_string());
    let given = [("workItemId", id.as_str()), ("version", &version)];
    command::menu([
        command::link(visit, "loopiq_update_work_item", &given),
        command::link(visit, "loopiq_create_work_item", &[("parentId", &id), ("teamId", &team)]),
    ])
}
