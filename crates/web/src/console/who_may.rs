//! Who may do what: every tool for one person or role, or everybody for one tool, with the policies that say so and whose
//! approval a write needs.

use axum::extract::Query;
use axum::response::Response;
use domain::permission::{MembershipStatus, Role};
use domain::refusal::Refusal;
use engine::tools::explain_access::{ExplainAccess, In, Item, Out, Way};
use engine::tools::list_members::{self, ListMembers};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::table::{cell, lead, table};
use super::parts::{form, icon, list, pill, text};
use super::visit::{Page, Visit};
use super::{data, paths};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    member: String,
    role: String,
    tool: String,
    team: String,
    by: String,
    /// `allowed` or `refused`; empty: both.
    answer: String,
}

/// Members that a list to choose from offers; where there are more, an address is written.
const OFFERED_MAX: usize = 200;

/// `GET /app/access`.
pub async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let page = page(&visit, &filter).await;
    visit.answer(page)
}

async fn page(visit: &Visit, filter: &Filter) -> Result<Page, Refusal> {
    let members =
        visit.ask::<ListMembers>(list_members::In { status: Some(MembershipStatus::Active) }).await?;
    let teams = data::optional(data::teams(visit).await)?.unwrap_or_default();
    let asked = !(filter.member.is_empty() && filter.role.is_empty() && filter.tool.is_empty());
    let found = if asked { Some(answers(visit, filter).await) } else { None };
    let emails: Vec<(String, String)> = members
        .items
        .iter()
        .map(|m| (m.email.clone(), format!("{} ({})", m.display_name, m.email)))
        .collect();
    let team_options: Vec<(String, String)> = teams.iter().map(|t| (t.key.clone(), t.name.clone())).collect();
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Who may do what", html! {
            "Asked of the policies in force, as every call is."
        }, html! {}))
        (questions(filter, &emails, &team_options))
        @match &found {
            None => (text::empty("Choose a person, a role or a tool", "A person or a role is answered for every tool; a tool for everybody.")),
            Some(Err(refusal)) => (form::refused("That cannot be asked", refusal)),
            Some(Ok(found)) => (answered(filter, found)),
        }
    };
    Ok(Page { title: "Who may do what".into(), part: Part::Administration, body, live: None })
}

async fn answers(visit: &Visit, filter: &Filter) -> Result<Out, Refusal> {
    let given = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    let input = In {
        member: given(&filter.member),
        role: Role::parse(&filter.role),
        tool: given(&filter.tool),
        team: given(&filter.team),
        by: Way::parse(&filter.by),
    };
    visit.ask::<ExplainAccess>(input).await
}

fn questions(filter: &Filter, emails: &[(String, String)], teams: &[(String, String)]) -> Markup {
    let roles: Vec<(String, String)> =
        Role::ALL.iter().map(|role| (role.to_string(), pill::human(role.as_str()))).collect();
    let tools: Vec<(String, String)> = engine::tools::ALL
        .iter()
        .map(|tool| (tool.name().to_owned(), format!("{} ({})", tool.card.title, tool.name())))
        .collect();
    let ways = [("client".to_owned(), "By a client (MCP)".to_owned())];
    let answers = [("allowed", "Allowed"), ("refused", "Refused")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    html! {
        form.filters method="get" action=(paths::ACCESS) {
            @if emails.len() <= OFFERED_MAX { (form::select("Person", "member", "Nobody in particular", emails, &filter.member)) }
            @else {
                div.field {
                    label for="filter-member" { "Person (e-mail)" }
                    input id="filter-member" name="member" type="email" value=(filter.member) autocomplete="off";
                }
            }
            (form::select("Or a role alone", "role", "No role", &roles, &filter.role))
            (form::select("Tool", "tool", "Every tool", &tools, &filter.tool))
            (form::select("Records of", "team", "Any team", teams, &filter.team))
            (form::select("They come", "by", "In the browser", &ways, &filter.by))
            (form::select("Answer", "answer", "Both", &answers, &filter.answer))
            button.button.primary { (icon::SEARCH) "Ask" }
        }
    }
}

fn answered(filter: &Filter, found: &Out) -> Markup {
    let of_one = !(filter.member.is_empty() && filter.role.is_empty());
    let mut shown: Vec<&Item> = found
        .items
        .iter()
        .filter(|item| match filter.answer.as_str() {
            "allowed" => item.allowed,
            "refused" => !item.allowed,
            _ => true,
        })
        .collect();
    // Writes are what one asks about; what needs whose approval stands on top.
    shown.sort_by_key(|item| !item.writes);
    let title = if of_one { "What they may do" } else { "Who may do it" };
    list::panel(
        "answers",
        title,
        Some(shown.len() as u32),
        html! {
            @if shown.is_empty() { (text::empty("No such answer", "Choose both answers to see the rest.")) }
            @else { (rows(&shown, of_one)) }
            @if found.cut_off { p.panel-note.hint { "There are more members or teams than were asked about. Choose a team, or a person." } }
            p.panel-note.hint { "Approval is what an ordinary write needs. Rules may ask more of writes to certain records; the preview of a write says exactly what it needs." }
        },
    )
}

fn rows(items: &[&Item], of_one: bool) -> Markup {
    let rows = items
        .iter()
        .map(|item| {
            let who = html! {
                @if of_one {
                    a href=(paths::with_query(paths::ACCESS, &[("tool", &item.tool)])) { (item.title) }
                    span.sub { code { (item.tool) } }
                } @else {
                    @let email = item.email.as_deref().unwrap_or_default();
                    a href=(paths::with_query(paths::ACCESS, &[("member", email)])) { (email) }
                }
            };
            let answer = html! {
                @if item.allowed { (pill::toned(Tone::Good, "Allowed")) } @else { (pill::toned(Tone::Bad, "Refused")) }
                @if !item.only_teams.is_empty() { span.sub { "only in " (item.only_teams.join(", ")) } }
            };
            let by = html! {
                @for policy in &item.policies { a href=(paths::POLICIES) { code { (policy) } } " " }
                @if item.policies.is_empty() { span.muted { (nothing_says(item)) } }
            };
            let approval = html! {
                @if let Some(approval) = &item.approval {
                    (approval)
                    @if !item.approvers.is_empty() { span.sub { "For example " (item.approvers.join(", ")) } }
                }
            };
            (None, vec![lead(who), cell("Answer", answer), cell("By policy", by), cell("Approval", approval)])
        })
        .collect();
    let first = if of_one { "Tool" } else { "Person" };
    table("Answers of the policies", &[first, "Answer", "By policy", "Approval"], rows)
}

/// Why something is refused that no policy forbids.
fn nothing_says(item: &Item) -> String {
    match item.permission {
        _ if !item.offered => "it is not offered this way".into(),
        Some(permission) => format!("nothing permits it; it needs {permission}"),
        None => "nothing permits it".into(),
    }
}
