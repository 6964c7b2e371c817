//! Finding: pages, things to do, and records by words of their names. A page like any other; the palette of the script
//! shows what it lists.

use axum::extract::Query as Sought;
use axum::response::Response;
use domain::id::ActionId;
use domain::refusal::Refusal;
use engine::tools::search::{self, Search};
use engine::{Effects, Query as _};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::{icon, list, pill, text};
use super::visit::{Page, Visit};
use super::{administration, passkeys, paths};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
}

/// Records, and things to do, that one search lists.
const RECORDS_MAX: u32 = 20;
const COMMANDS_MAX: usize = 8;

/// Characters of a search.
const QUERY_CHARS_MAX: usize = 200;

/// One thing that was found.
struct Found {
    href: String,
    title: String,
    about: String,
}

/// `GET /app/search?q=…`.
pub async fn show(visit: Visit, Sought(wanted): Sought<Wanted>) -> Response {
    let page = page(&visit, &wanted).await;
    visit.answer(page)
}

async fn page(visit: &Visit, wanted: &Wanted) -> Result<Page, Refusal> {
    let q: String = wanted.q.trim().chars().take(QUERY_CHARS_MAX).collect();
    let groups = [
        ("pages", "Pages", pages(visit, &q)),
        ("commands", "Things to do", commands(visit, &q)),
        ("records", "Records", records(visit, &q).await?),
    ];
    let nothing = groups.iter().all(|(.., found)| found.is_empty());
    let body = html! {
        (layout::heading(&[], "Search", html! { "Pages, things to do, and records by words of their names." }, html! {}))
        form.filters role="search" method="get" action=(paths::SEARCH) {
            div.field {
                label for="search" { "Find" }
                input id="search" type="search" name="q" value=(q) maxlength=(QUERY_CHARS_MAX) autocomplete="off";
            }
            button.button.primary { (icon::SEARCH) "Search" }
        }
        div id="results" {
            @if nothing { (text::empty("Nothing found", "Try the beginning of a word, or an id.")) }
            @for (id, title, found) in &groups {
                @if !found.is_empty() { (list::panel(id, title, Some(found.len() as u32), links(found))) }
            }
        }
    };
    Ok(Page { title: "Search".into(), part: Part::None, body, live: None })
}

fn links(found: &[Found]) -> Markup {
    html! {
        ul.items {
            @for one in found {
                li { a.item-title href=(one.href) { (one.title) } p.muted { (one.about) } }
            }
        }
    }
}

/// Whether every word of the search begins a word of the text.
fn fits(q: &str, text: &str) -> bool {
    let text = text.to_lowercase();
    let known: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    q.to_lowercase().split_whitespace().all(|word| known.iter().any(|known| known.starts_with(word)))
}

fn pages(visit: &Visit, q: &str) -> Vec<Found> {
    let everywhere = [
        (paths::HOME, "Home", "What needs you"),
        (paths::RELEASES, "Releases", "How ready each is"),
        (paths::WORK_ITEMS, "Work items", "Stories, tasks and issues"),
        (paths::APPROVALS, "Approvals", "What waits for a decision"),
        (paths::ASSISTANT, "Ask Helix", "The assistant"),
        (paths::ADMINISTRATION, "Administration", "How the organization is run"),
    ];
    let mut found: Vec<(&str, &str, &str)> = everywhere.to_vec();
    found.extend(administration::places(visit));
    // An id that names an action is one, wherever it was copied from.
    let named = q.parse::<ActionId>().ok().map(|id| Found {
        href: paths::action(id),
        title: id.to_string(),
        about: "Action".into(),
    });
    let fitting = found.into_iter().filter(|(_, title, about)| fits(q, &format!("{title} {about}")));
    let fitting = fitting.map(|(href, title, about)| Found {
        href: href.to_owned(),
        title: title.to_owned(),
        about: about.to_owned(),
    });
    named.into_iter().chain(fitting).collect()
}

fn commands(visit: &Visit, q: &str) -> Vec<Found> {
    if q.is_empty() {
        return Vec::new();
    }
    let writes = visit.actor.tools().into_iter().filter(|tool| tool.card.effects != Effects::Read);
    let fitting = writes.filter(|tool| fits(q, tool.card.title) || tool.name() == q);
    let found = fitting.map(|tool| Found {
        href: if tool.name() == passkeys::REGISTER {
            paths::PASSKEYS.into()
        } else {
            paths::command(tool.name(), &[])
        },
        title: tool.card.title.to_owned(),
        about: "Propose".to_owned(),
    });
    found.take(COMMANDS_MAX).collect()
}

async fn records(visit: &Visit, q: &str) -> Result<Vec<Found>, Refusal> {
    if q.is_empty() || !visit.actor.permits(&Search::CARD) {
        return Ok(Vec::new());
    }
    let input = search::In { query: q.to_owned(), types: Vec::new(), team: None, limit: Some(RECORDS_MAX) };
    let hits = visit.ask::<Search>(input).await?.items;
    let of = |hit: search::Hit| {
        // Links of results name the public address; here they are of whatever name the page is asked by.
        let at = hit.url.find("/app/")?;
        let kind = pill::human(hit.record_type.as_str());
        let about = hit.status.map_or_else(
            || kind.clone(),
            |status| format!("{kind}, {}", pill::human(&status).to_lowercase()),
        );
        Some(Found { href: hit.url.get(at..)?.to_owned(), title: hit.title, about })
    };
    Ok(hits.into_iter().filter_map(of).collect())
}
