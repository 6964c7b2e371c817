//! The people of the organization with what they hold, and the ways to change that.

use axum::extract::Query;
use axum::response::Response;
use domain::permission::MembershipStatus;
use domain::refusal::Refusal;
use engine::tools::list_members::{In, Item, ListMembers};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::table::{cell, lead, table};
use super::parts::{form, icon, list, pill, text};
use super::visit::{Page, Visit};
use super::{command, paths};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    status: String,
    /// Words of names and addresses.
    q: String,
}

/// Members on one page.
const SHOWN_MAX: usize = 200;

/// `GET /app/members`.
pub async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let page = page(&visit, &filter).await;
    visit.answer(page)
}

async fn page(visit: &Visit, filter: &Filter) -> Result<Page, Refusal> {
    let found = visit.ask::<ListMembers>(In { status: MembershipStatus::parse(&filter.status) }).await?;
    let wanted = filter.q.trim().to_lowercase();
    let fits = |m: &&Item| {
        m.email.to_lowercase().contains(&wanted) || m.display_name.to_lowercase().contains(&wanted)
    };
    let members: Vec<&Item> = found.items.iter().filter(fits).collect();
    let states: Vec<(String, String)> =
        MembershipStatus::ALL.iter().map(|s| (s.to_string(), pill::human(s.as_str()))).collect();
    let add = command::link(visit, "loopiq_add_member", &[]);
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Members", html! { "People of this organization and what they hold." },
            html! { @if let Some((title, href)) = add { a.button.primary href=(href) { (icon::PLUS) (title) } } }))
        form.filters method="get" action=(paths::MEMBERS) {
            div.field { label for="filter-q" { "Name or e-mail" } input id="filter-q" name="q" value=(filter.q) maxlength="200" autocomplete="off"; }
            (form::select("Status", "status", "Any status", &states, &filter.status))
            button.button { (icon::SEARCH) "Filter" }
        }
        (list::panel("list", "Members", Some(members.len() as u32), html! {
            @if members.is_empty() { (text::empty("No member matches", "Loosen the filter, or add the person as a member.")) }
            @else { (rows(visit, &members)) }
            @if members.len() > SHOWN_MAX { p.panel-note.hint { "Only the first " (SHOWN_MAX) " are shown; filter by a name." } }
        }))
    };
    Ok(Page { title: "Members".into(), part: Part::Administration, body, live: None })
}

fn rows(visit: &Visit, members: &[&Item]) -> Markup {
    let rows = members
        .iter()
        .take(SHOWN_MAX)
        .map(|member| {
            let name = html! { (member.display_name) span.sub { (member.email) } };
            let held = html! {
                @for held in &member.roles {
                    div { (pill::human(held.role.as_str())) @if held.scope != "organization" { span.muted { " in " (held.scope) } } }
                }
                @for permission in &member.permissions { code { (permission) } " " }
                @if member.roles.is_empty() && member.permissions.is_empty() { span.muted { "nothing" } }
            };
            let given = [("member", member.email.as_str())];
            let ways = html! {
                div.links {
                    a href=(paths::with_query(paths::ACCESS, &given)) { "What they may do" }
                    @for (words, tool) in [("Change access", "loopiq_change_access"), ("Change status", "loopiq_set_member_status"), ("Rename", "loopiq_update_member")] {
                        @if let Some((_, href)) = command::link(visit, tool, &given) { a href=(href) { (words) } }
                    }
                }
            };
            (None, vec![lead(name), cell("Status", pill::pill(member.status.as_str())), cell("Holds", held), cell("See and change", ways)])
        })
        .collect();
    table("Members", &["Member", "Status", "Holds", "See and change"], rows)
}
