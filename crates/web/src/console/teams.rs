//! The teams of the organization, and the roles that are held in them or everywhere.

use axum::response::Response;
use domain::permission::{Permission, Role};
use domain::refusal::Refusal;
use engine::view::TeamView;
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::table::{cell, lead, table};
use super::parts::{icon, list, pill, text};
use super::visit::{Page, Visit};
use super::{command, data, paths};

/// `GET /app/teams`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit).await;
    visit.answer(page)
}

async fn page(visit: &Visit) -> Result<Page, Refusal> {
    let teams = data::teams(visit).await?;
    let add = command::link(visit, "loopiq_create_team", &[]);
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Teams and roles", html! { "Records belong to teams; roles are held in the whole organization or in one team." },
            html! { @if let Some((title, href)) = add { a.button.primary href=(href) { (icon::PLUS) (title) } } }))
        (list::panel("teams", "Teams", Some(teams.len() as u32), html! {
            @if teams.is_empty() { (text::empty("No team", "Create a team; releases belong to one.")) }
            @else { (rows(visit, &teams)) }
        }))
        (list::panel("roles", "What each role gives", Some(Role::ALL.len() as u32), html! {
            ul.items { @for role in Role::ALL { (one(visit, *role)) } }
        }))
    };
    Ok(Page { title: "Teams and roles".into(), part: Part::Administration, body, live: None })
}

fn rows(visit: &Visit, teams: &[TeamView]) -> Markup {
    let rows = teams
        .iter()
        .map(|team| {
            let id = team.id.to_string();
            let change = command::link(
                visit,
                "loopiq_update_team",
                &[("team", &team.key), ("version", &team.version.to_string())],
            );
            let ways = html! {
                div.links {
                    a href=(paths::with_query(paths::RELEASES, &[("team", &id)])) { "Releases" }
                    a href=(paths::with_query(paths::WORK_ITEMS, &[("team", &id)])) { "Work" }
                    @if let Some((_, href)) = change { a href=(href) { "Change" } }
                }
            };
            (
                Some(id.clone()),
                vec![
                    lead(html! { (team.name) }),
                    cell("Key", html! { code { (team.key) } }),
                    cell("Id", text::copyable("team id", &id)),
                    cell("See and change", ways),
                ],
            )
        })
        .collect();
    table("Teams", &["Team", "Key", "Id", "See and change"], rows)
}

fn one(visit: &Visit, role: Role) -> Markup {
    let gives: Vec<Permission> = role.permissions().iter().collect();
    let all = gives.len() == Permission::ALL.len();
    let explained =
        engine::tools::find("loopiq_explain_access").is_some_and(|tool| visit.actor.permits(&tool.card));
    html! {
        li {
            div.item-top {
                span.item-title { (pill::human(role.as_str())) }
                @if explained { a href=(paths::with_query(paths::ACCESS, &[("role", role.as_str())])) { "What it may do" } }
            }
            p.item-meta {
                @if all { "Everything" } @else { @for permission in &gives { code { (permission) } } }
            }
        }
    }
}
