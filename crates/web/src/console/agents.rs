//! The agents of the organization: programs that act for people, each with what it is granted and whether it may write.

use axum::response::Response;
use domain::agent::AgentStatus;
use domain::refusal::Refusal;
use engine::tools::list_agents::{In, ListAgents, Out};
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::{icon, list, pill, text};
use super::visit::{Page, Visit};
use super::{command, paths};

/// `GET /app/agents`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit).await;
    visit.answer(page)
}

async fn page(visit: &Visit) -> Result<Page, Refusal> {
    let found = visit.ask::<ListAgents>(In::default()).await?;
    let add = command::link(visit, "loopiq_register_agent", &[]);
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Agents", html! { "Programs that act for people. An agent may do what it is granted, as far as its person may, and never approves." },
            html! { @if let Some((title, href)) = add { a.button.primary href=(href) { (icon::PLUS) (title) } } }))
        (list::panel("list", "Agents", Some(found.total), items(visit, &found)))
    };
    Ok(Page { title: "Agents".into(), part: Part::Administration, body, live: None })
}

fn items(visit: &Visit, found: &Out) -> Markup {
    html! {
        @if found.items.is_empty() {
            (text::empty("No agent yet", "Register one, then issue a token for it: what it does is then recorded under its name."))
        }
        ul.items {
            @for agent in &found.items {
                @let active = agent.status == AgentStatus::Active;
                li id=(agent.id) {
                    div.item-top {
                        span.item-title { (agent.name) }
                        span.pills {
                            (pill::toned(if active { Tone::Good } else { Tone::Quiet }, &pill::human(agent.status.as_str())))
                            (pill::toned(Tone::Info, &pill::human(agent.mutation_policy.as_str())))
                        }
                    }
                    @if !agent.description.is_empty() { p { (agent.description) } }
                    div.item-meta { @for permission in &agent.permissions { code { (permission) } } }
                    div.item-meta {
                        @if let Some(team) = &agent.team { span { "Only in team " (team.name) } } @else { span { "In every team of its person" } }
                        (text::copyable("agent id", agent.id))
                        @let given = agent.name.as_str();
                        @if let Some((_, href)) = command::link(visit, "loopiq_update_agent", &[("agent", given)]) { a href=(href) { "Change" } }
                        @if active { @if let Some((_, href)) = command::link(visit, "loopiq_issue_token", &[("agent", given)]) { a href=(href) { "Issue a token for it" } } }
                    }
                }
            }
        }
    }
}
