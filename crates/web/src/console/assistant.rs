//! Helix: conversations with the assistant. A page of its own, which works without script; with script the part `#helix`
//! of it opens beside whatever page one is on (`assets/assistant.js`).

use axum::extract::{Path, Query, State as Shared};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use domain::conversation::{Block, Conversation, ReviewKind, Turn};
use domain::id::{ActionId, ConversationId, ReleaseId};
use domain::permission::Permission;
use domain::refusal::{Code, Refusal};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::parts::conversation::{self, Ask, Cards};
use super::parts::layout::{self, Part};
use super::parts::{form, icon, list, text};
use super::visit::{Csrf, Page, Posted, Visit, id_in_path};
use super::{action, data, paths};
use crate::State;
use crate::assistant::{self, Place, Question, limits};
use crate::telling::{self, Words};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct From {
    /// Path of the page that it is asked from.
    page: String,
    /// Whether all questions are to be shown.
    whole: String,
}

impl From {
    /// The page, if it is one of ours.
    fn page(&self) -> &str {
        page_of(&self.page)
    }
}

fn page_of(page: &str) -> &str {
    if page.is_empty() { "" } else { paths::safe_next(page) }
}

/// `GET /app/assistant?page=…`.
pub async fn show(visit: Visit, Query(from): Query<From>) -> Response {
    let page = page(&visit, None, &from, None).await;
    visit.answer(page)
}

/// `GET /app/assistant/{id}?page=…`.
pub async fn reopen(visit: Visit, Path(id): Path<String>, Query(from): Query<From>) -> Response {
    let page = match id_in_path(&id, "conversation") {
        Ok(id) => page(&visit, Some(id), &from, None).await,
        Err(refusal) => Err(refusal),
    };
    visit.answer(page)
}

#[derive(Debug, Deserialize)]
pub struct Sent {
    csrf: String,
    #[serde(default)]
    text: String,
    /// The release that a button was about.
    #[serde(default)]
    about: String,
    #[serde(default)]
    page: String,
    /// The governance action that a button stands for.
    #[serde(default)]
    review: String,
}
impl Csrf for Sent {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/assistant`: the first question of a new conversation.
pub async fn begin(Shared(state): Shared<State>, headers: HeaderMap, posted: Posted<Sent>) -> Response {
    asked(&state, &headers, posted.visit, None, posted.form).await
}

/// `POST /app/assistant/{id}`: one more question.
pub async fn go_on(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    headers: HeaderMap,
    posted: Posted<Sent>,
) -> Response {
    match id_in_path(&id, "conversation") {
        Ok(id) => asked(&state, &headers, posted.visit, Some(id), posted.form).await,
        Err(refusal) => posted.visit.answer(Err(refusal)),
    }
}

/// An answer is shown by the conversation's own address, so that loading it again asks nothing. To a script it is told while it is
/// made, and then that address.
async fn asked(
    state: &State,
    headers: &HeaderMap,
    visit: Visit,
    to: Option<ConversationId>,
    sent: Sent,
) -> Response {
    let at = page_of(&sent.page).to_owned();
    let question = Question {
        text: sent.text.clone(),
        about: sent.about.parse::<ReleaseId>().ok(),
        page: at.clone(),
        review: ReviewKind::parse(&sent.review),
    };
    if telling::is_wanted(headers) {
        // What is refused before anything is asked is told by the page, as without script.
        if let Ok(hearing) =
            assistant::begin(state, visit.actor.clone(), visit.ids.clone(), to, question.clone())
        {
            let begun = at.clone();
            let words = Words {
                begun: Box::new(move |id| json!({ "to": paths::assistant(Some(id), &begun) })),
                done: Box::new(
                    move |conversation, _| json!({ "to": paths::assistant(Some(conversation.id), &at) }),
                ),
            };
            return telling::stream(hearing, words);
        }
    }
    match assistant::ask(state, visit.actor.clone(), visit.ids.clone(), to, question).await {
        Ok((conversation, turn)) => {
            let address = paths::assistant(Some(conversation.id), page_of(&sent.page));
            Redirect::to(&format!("{address}#turn-{}", turn.position)).into_response()
        }
        Err(refusal) if matches!(refusal.code, Code::NotFound | Code::Internal) => visit.answer(Err(refusal)),
        Err(refusal) => {
            let from = From { page: sent.page, whole: String::new() };
            let page = page(&visit, to, &from, Some((&refusal, &sent.text))).await;
            visit.answer_refused(page, &refusal)
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct Delete {
    csrf: String,
    #[serde(default)]
    page: String,
}
impl Csrf for Delete {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/assistant/{id}/delete`.
pub async fn delete(Path(id): Path<String>, posted: Posted<Delete>) -> Response {
    let Posted { visit, form } = posted;
    let deleted = match id_in_path(&id, "conversation") {
        Ok(id) => visit.engine.delete_conversation(visit.caller(), id).await,
        Err(refusal) => Err(refusal),
    };
    match deleted {
        Ok(()) => Redirect::to(&paths::assistant(None, page_of(&form.page))).into_response(),
        Err(refusal) => visit.answer(Err(refusal)),
    }
}

/// The page: the conversation, and beside it the others.
async fn page(
    visit: &Visit,
    id: Option<ConversationId>,
    from: &From,
    refused: Option<(&Refusal, &str)>,
) -> Result<Page, Refusal> {
    let live = if refused.is_none() { visit.live().await } else { None };
    let last = if from.whole == "1" { None } else { Some(limits::TURNS_SHOWN) };
    let talk = match id {
        Some(id) => Some(visit.engine.conversation(visit.caller(), id, last).await?),
        None => None,
    };
    let all = visit.engine.conversations(visit.caller()).await?;
    let current = talk.as_ref().map(|talk| &talk.conversation);
    let turns = talk.as_ref().map_or(&[][..], |talk| &talk.turns);
    let cards = cards(visit, id, turns, from.page()).await?;
    let title = current.map_or("New conversation", |conversation| conversation.title.as_str());
    let body = html! {
        (layout::heading(&[("Helix", paths::assistant(None, from.page()))], title, context(visit, from.page()).await?, head_buttons(visit, current, from.page())))
        div.columns.talk-columns data-parts {
            div data-parts { (helix(visit, current, turns, &cards, from, refused)) }
            div.aside data-parts { (others(&all, id, from.page(), visit)) (abilities(visit, from.page())) }
        }
    };
    let title = format!("Helix: {title}");
    Ok(Page { title, part: Part::None, body, live })
}

/// The cards of the conversation: the newest action in full, earlier ones as a link to their own page.
async fn cards(
    visit: &Visit,
    conversation: Option<ConversationId>,
    turns: &[Turn],
    page: &str,
) -> Result<Cards, Refusal> {
    let Some((turn, place, id)) = newest_action(turns) else { return Ok(Vec::new()) };
    let Some(view) = data::optional(data::action(visit, id).await)? else { return Ok(Vec::new()) };
    let back = paths::assistant(conversation, page);
    Ok(vec![(turn, place, action::elsewhere(visit, &view, back).await?)])
}

/// The last action that was spoken of, and where.
fn newest_action(turns: &[Turn]) -> Option<(u32, usize, ActionId)> {
    turns.iter().rev().find_map(|turn| {
        let mut actions = turn.answer.blocks.iter().enumerate().filter_map(|(place, block)| match block {
            Block::Action { id } => Some((turn.position, place, *id)),
            _ => None,
        });
        actions.next_back()
    })
}

/// The part that opens beside other pages.
fn helix(
    visit: &Visit,
    current: Option<&Conversation>,
    turns: &[Turn],
    cards: &Cards,
    from: &From,
    refused: Option<(&Refusal, &str)>,
) -> Markup {
    let action = paths::assistant(current.map(|conversation| conversation.id), "");
    let ask = Ask { action: &action, csrf: &visit.csrf, page: from.page() };
    let earlier = current.map_or(0, |conversation| conversation.turns as usize).saturating_sub(turns.len());
    html! {
        section.panel.talk id="helix" aria-label="Conversation with Helix" data-conversation=[current.map(|conversation| conversation.id)] {
            @if earlier > 0 {
                p.small { a href={ (paths::assistant(current.map(|c| c.id), from.page())) (if from.page().is_empty() { "?" } else { "&" }) "whole=1" } { "Show " (text::count(earlier, "earlier question")) } }
            }
            @if turns.is_empty() {
                div.welcome {
                    (icon::ASSISTANT)
                    p { strong { "Ask about your releases." } }
                    p.muted { "Helix answers from the records that you may see, and plans work that a person approves. It changes nothing by itself." }
                    (conversation::offers(&assistant::openers(Place::of(from.page()), &assistant::tools_on(&visit.actor, Place::of(from.page()))), &ask))
                }
            }
            (conversation::turns(turns, cards, &ask, visit.now))
            @if let Some((refusal, _)) = refused { (form::refused("That could not be asked", refusal)) }
            (conversation::field(&ask, refused.map_or("", |(_, written)| written)))
        }
    }
}

/// Which page is looked at, by the name of its record.
async fn context(visit: &Visit, page: &str) -> Result<Markup, Refusal> {
    let name = match Place::of(page) {
        Place::Release(id) => data::optional(data::release(visit, &id.to_string()).await)?
            .map(|found| format!("release {}", found.release.name)),
        Place::Certification(id) => data::optional(data::certification(visit, id).await)?
            .map(|found| format!("certification {}", found.certification.title)),
        Place::WorkItem(id) => data::optional(data::work_item(visit, id).await)?
            .map(|(item, _)| format!("{} {}", item.item_type, item.title)),
        Place::Action(_) => Some("an action".to_owned()),
        Place::Work | Place::Running => None,
    };
    Ok(html! {
        @if let Some(name) = name { span { "Looking at " a href=(page) { (name) } } }
        @else { span { "Ask about releases, certifications, evidence, blockers, work and approvals." } }
    })
}

fn head_buttons(visit: &Visit, current: Option<&Conversation>, page: &str) -> Markup {
    html! {
        @if let Some(conversation) = current {
            div.buttons {
                a.button.small href=(paths::assistant(None, page)) { (icon::PLUS) "New conversation" }
                form method="post" action={ (paths::assistant(Some(conversation.id), "")) "/delete" } {
                    (form::csrf(&visit.csrf))
                    input type="hidden" name="page" value=(page);
                    button.button.small.danger { "Delete" }
                }
            }
        }
    }
}

fn others(all: &[Conversation], current: Option<ConversationId>, page: &str, visit: &Visit) -> Markup {
    list::panel(
        "conversations",
        "Your conversations",
        Some(all.len() as u32),
        html! {
            @if all.is_empty() { (text::empty("None yet", "Whatever you ask is kept here, for you alone, until you delete it.")) }
            ul.items {
                @for conversation in all {
                    li aria-current=[(Some(conversation.id) == current).then_some("page")] {
                        a.item-title href=(paths::assistant(Some(conversation.id), page)) { (conversation.title) }
                        div.item-meta { span { (text::count(conversation.turns as usize, "question")) } span { (text::brief_time(conversation.updated_at, visit.now)) } }
                    }
                }
            }
        },
    )
}

/// Which tools it uses on the page that is looked at.
fn abilities(visit: &Visit, page: &str) -> Markup {
    let tools = assistant::tools_on(&visit.actor, Place::of(page));
    let titled = tools.iter().filter_map(|tool| engine::tools::find(tool));
    let (reads, plans): (Vec<_>, Vec<_>) = titled.partition(|tool| tool.is_read());
    list::panel(
        "abilities",
        "What it may do for you here",
        None,
        html! {
            div.panel-body {
                p.small { "It uses your rights and nothing else. What it plans is approved on a card, as if an agent had proposed it." }
                p.small {
                    @match assistant::model_of(&visit.actor) {
                        Some(model) => { "It answers with the language model " strong { (model.model) } ", to which your questions and what the tools return are sent." }
                        None => "It answers by fixed rules, without a language model.",
                    }
                    @if visit.actor.rights.allows(Permission::IntegrationsManage, None) { " " a href=(paths::MODEL) { "Language model" } }
                }
                @for (words, tools) in [("It plans", plans), ("It reads", reads)] {
                    @if !tools.is_empty() {
                        details.fold { summary { (words) " " span.count { (tools.len()) } } ul.plain.small { @for tool in &tools { li { (tool.card.title) } } } }
                    }
                }
            }
        },
    )
}
