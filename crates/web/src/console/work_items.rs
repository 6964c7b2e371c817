//! The list of work items.

use axum::extract::Query;
use axum::response::Response;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::work::WorkItemStatus;
use engine::view::WorkItemView;
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::table::{cell, lead, pager, table};
use super::parts::{form, icon, list, pill, text};
use super::visit::{Page, Visit};
use super::{command, data, paths};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    team: String,
    status: String,
    release: String,
    cursor: String,
}

/// `GET /app/work-items`.
pub async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let page = page(&visit, &filter).await;
    visit.answer(page)
}

async fn page(visit: &Visit, filter: &Filter) -> Result<Page, Refusal> {
    let wanted = data::Wanted {
        team: &filter.team,
        status: &filter.status,
        release: &filter.release,
        cursor: &filter.cursor,
        ..Default::default()
    };
    let items = data::work_items(visit, &wanted).await?;
    let teams = data::optional(data::teams(visit).await)?.unwrap_or_default();
    let filtered = !(filter.team.is_empty() && filter.status.is_empty() && filter.release.is_empty());
    let team_options: Vec<(String, String)> =
        teams.iter().map(|t| (t.id.to_string(), t.name.clone())).collect();
    let states: Vec<(String, String)> =
        WorkItemStatus::ALL.iter().map(|s| (s.to_string(), pill::human(s.as_str()))).collect();
    let next = items.next.as_deref().map(|cursor| {
        paths::with_query(
            paths::WORK_ITEMS,
            &[
                ("team", &filter.team),
                ("status", &filter.status),
                ("release", &filter.release),
                ("cursor", cursor),
            ],
        )
    });
    let body = html! {
        (layout::heading(&[], "Work items", html! { "Stories, tasks and issues, newest first." }, command::menu([command::link(visit, "loopiq_create_work_item", &[("release", &filter.release), ("teamId", &filter.team)])])))
        form.filters method="get" action=(paths::WORK_ITEMS) {
            div.field {
                label for="filter-release" { "Release (name or id)" }
                input id="filter-release" name="release" value=(filter.release) maxlength="200" autocomplete="off";
            }
            (form::select("Team", "team", "All teams", &team_options, &filter.team))
            (form::select("Status", "status", "Any status", &states, &filter.status))
            button.button { (icon::SEARCH) "Filter" }
            @if filtered { a.button href=(paths::WORK_ITEMS) { "Clear" } }
        }
        (list::panel("list", "Work items", Some(items.total), html! {
            @if items.items.is_empty() {
                @if filtered { (text::empty("No work item matches", "Loosen the filter or clear it.")) }
                @else { (text::empty("No work items yet", "They appear when a remediation work package has been approved.")) }
            } @else {
                (rows(&items.items, visit.now))
                (pager(items.items.len(), items.total, filter.cursor.is_empty(), next))
            }
        }))
    };
    Ok(Page { title: "Work items".into(), part: Part::Work, body, live: None })
}

/// Work items as a table.
pub fn rows(items: &[WorkItemView], now: Timestamp) -> Markup {
    let rows = items
        .iter()
        .map(|item| {
            let name = html! {
                a href=(paths::work_item(item.id)) { (item.title) }
                span.sub { (pill::human(item.item_type.as_str())) ", team " (item.team.name) }
            };
            let cells = vec![
                lead(name),
                cell("Status", pill::pill(item.status.as_str())),
                cell("Priority", pill::priority(item.priority)),
                cell("Created", text::brief_time(item.created_at, now)),
            ];
            (Some(item.id.to_string()), cells)
        })
        .collect();
    table("Work items", &["Work item", "Status", "Priority", "Created"], rows)
}
