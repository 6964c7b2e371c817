//! Bearer tokens, never their secrets: one's own, and everybody's for whoever manages people.

use axum::extract::Query;
use axum::response::Response;
use domain::refusal::Refusal;
use domain::token::TokenState;
use engine::tools::list_tokens::{In, Item, ListTokens};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::pill::{self, Tone};
use super::parts::table::{cell, lead, table};
use super::parts::{form, icon, list, text};
use super::visit::{Page, Visit};
use super::{command, paths};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    state: String,
}

/// Tokens on one page.
const SHOWN_MAX: usize = 200;

/// `GET /app/tokens`.
pub async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let page = page(&visit, &filter).await;
    visit.answer(page)
}

async fn page(visit: &Visit, filter: &Filter) -> Result<Page, Refusal> {
    let found = visit.ask::<ListTokens>(In { state: TokenState::parse(&filter.state) }).await?;
    let states: Vec<(String, String)> =
        TokenState::ALL.iter().map(|s| (s.to_string(), pill::human(s.as_str()))).collect();
    let add = command::link(visit, "loopiq_issue_token", &[]);
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Tokens", html! { "For programs that cannot sign in through a browser. A token may do at most what its owner may." },
            html! { @if let Some((title, href)) = add { a.button.primary href=(href) { (icon::PLUS) (title) } } }))
        form.filters method="get" action=(paths::TOKENS) {
            (form::select("State", "state", "Any state", &states, &filter.state))
            button.button { (icon::SEARCH) "Filter" }
        }
        (list::panel("list", "Tokens", Some(found.total), html! {
            @if found.items.is_empty() { (text::empty("No token", "Clients that can sign in need none: see Connect a client. Issue one for a pipeline or an agent.")) }
            @else { (rows(visit, &found.items)) }
            @if found.items.len() > SHOWN_MAX { p.panel-note.hint { "Only the first " (SHOWN_MAX) " are shown; filter by state." } }
        }))
    };
    Ok(Page { title: "Tokens".into(), part: Part::Administration, body, live: None })
}

fn tone(state: TokenState) -> Tone {
    match state {
        TokenState::Valid => Tone::Good,
        TokenState::Expired => Tone::Quiet,
        TokenState::Revoked => Tone::Bad,
    }
}

fn rows(visit: &Visit, tokens: &[Item]) -> Markup {
    let rows = tokens
        .iter()
        .take(SHOWN_MAX)
        .map(|token| {
            let revoke = command::link(visit, "loopiq_revoke_token", &[("token", &token.id.to_string())]);
            let revoke = revoke.filter(|_| token.state == TokenState::Valid);
            let name = html! { (token.label) span.sub { (token.email) @if let Some(agent) = &token.agent { ", for the agent " (agent) } } };
            let scopes = html! {
                @if token.scopes.is_empty() { "everything its owner may" }
                @for permission in &token.scopes { code { (permission) } " " }
            };
            let used = html! { @if let Some(at) = token.last_used_at { (text::brief_time(at, visit.now)) } @else { span.muted { "never" } } };
            let way = html! { @if let Some((_, href)) = revoke { a href=(href) { "Revoke" } } };
            let cells = vec![
                lead(name),
                cell("State", pill::toned(tone(token.state), &pill::human(token.state.as_str()))),
                cell("May", scopes),
                cell("Last used", used),
                cell("Ends", text::brief_time(token.expires_at, visit.now)),
                cell("Change", way),
            ];
            (None, cells)
        })
        .collect();
    table("Tokens", &["Token", "State", "May", "Last used", "Ends", "Change"], rows)
}
