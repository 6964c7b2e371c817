//! The list of releases: filter by team and state, search by name, all in the address.

use axum::extract::Query;
use axum::response::Response;
use domain::refusal::Refusal;
use domain::release::ReleaseStatus;
use maud::html;
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::table::{cell, lead, pager, table};
use super::parts::{form, icon, list, pill, readiness, text};
use super::visit::{Page, Visit};
use super::{command, data, paths};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    team: String,
    status: String,
    q: String,
    cursor: String,
}

/// `GET /app/releases`.
pub async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let page = page(&visit, &filter).await;
    visit.answer(page)
}

async fn page(visit: &Visit, filter: &Filter) -> Result<Page, Refusal> {
    let wanted = data::Wanted {
        team: &filter.team,
        status: &filter.status,
        query: &filter.q,
        cursor: &filter.cursor,
        ..Default::default()
    };
    let releases = data::releases(visit, &wanted).await?;
    let teams = data::optional(data::teams(visit).await)?.unwrap_or_default();
    let team = (!filter.team.is_empty()).then(|| filter.team.clone());
    let certifications = data::optional(data::certifications(visit, team).await)?;
    let filtered = !(filter.team.is_empty() && filter.status.is_empty() && filter.q.is_empty());

    let rows = releases
        .items
        .iter()
        .map(|release| {
            let certification = certifications
                .as_ref()
                .and_then(|list| list.items.iter().find(|c| c.release.id == release.id));
            let name = html! {
                a href=(paths::release(release.id)) { (release.name) }
                span.sub { "version " (release.release_version) " for " (release.target_environment) }
            };
            let verdict =
                html! { @if let Some(c) = certification { (pill::pill(c.readiness.verdict.as_str())) } };
            let score = html! { @if let Some(c) = certification { (readiness::bar(c.readiness)) } };
            let planned =
                html! { @if let Some(at) = release.planned_at { (text::brief_time(at, visit.now)) } };
            let cells = vec![
                lead(name),
                cell("Status", pill::pill(release.status.as_str())),
                cell("Team", html! { (release.team.name) }),
                cell("Verdict", verdict),
                cell("Readiness", score),
                cell("Planned", planned),
            ];
            (None, cells)
        })
        .collect();
    let next = releases.next.as_deref().map(|cursor| {
        paths::with_query(
            paths::RELEASES,
            &[("team", &filter.team), ("status", &filter.status), ("q", &filter.q), ("cursor", cursor)],
        )
    });
    let team_options: Vec<(String, String)> =
        teams.iter().map(|t| (t.id.to_string(), t.name.clone())).collect();
    let states: Vec<(String, String)> =
        ReleaseStatus::ALL.iter().map(|s| (s.to_string(), pill::human(s.as_str()))).collect();
    let body = html! {
        (layout::heading(&[], "Releases", html! { "Every release you may see in " (visit.actor.organization.name) "." }, command::menu([command::link(visit, "loopiq_create_release", &[])])))
        form.filters method="get" action=(paths::RELEASES) role="search" {
            div.field {
                label for="filter-q" { "Name contains" }
                input id="filter-q" type="search" name="q" value=(filter.q) maxlength="100" autocomplete="off";
            }
            (form::select("Team", "team", "All teams", &team_options, &filter.team))
            (form::select("Status", "status", "Any status", &states, &filter.status))
            button.button { (icon::SEARCH) "Filter" }
            @if filtered { a.button href=(paths::RELEASES) { "Clear" } }
        }
        (list::panel("list", "Releases", Some(releases.total), html! {
            @if releases.items.is_empty() {
                @if filtered { (text::empty("No release matches", "Loosen the filter or clear it.")) }
                @else { (text::empty("No releases yet", "Releases appear here once they are created for a team of yours.")) }
            } @else {
                (table("Releases", &["Release", "Status", "Team", "Verdict", "Readiness", "Planned"], rows))
                (pager(releases.items.len(), releases.total, filter.cursor.is_empty(), next))
            }
        }))
    };
    Ok(Page { title: "Releases".into(), part: Part::Releases, body, live: None })
}
