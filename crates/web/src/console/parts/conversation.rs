//! A conversation with the assistant as it is shown: questions, answers made of their blocks, what may be asked next. All
//! texts are data; links lead to pages of this console only.

use domain::conversation::{Answer, Block, Called, Changing, Item, Offer, Turn};
use maud::{Markup, html};

use super::{form, icon, pill, text, written};
use crate::console::paths;

/// What is between the texts and cannot be said in them: cards of actions, by the block's place.
pub type Cards = Vec<(u32, usize, Markup)>;

/// The questions and answers. Only of the last one it is shown what may be asked next.
pub fn turns(turns: &[Turn], cards: &Cards, ask: &Ask<'_>, now: domain::time::Timestamp) -> Markup {
    html! {
        ol.turns {
            @for turn in turns {
                @let last = turns.last().is_some_and(|last| last.position == turn.position);
                li.turn id={ "turn-" (turn.position) } {
                    p.question { span.visually-hidden { "You asked: " } (turn.question) }
                    div.answer {
                        @for (place, block) in turn.answer.blocks.iter().enumerate() {
                            (self::block(block, cards.iter().find(|(turn_of, at, _)| (*turn_of, *at) == (turn.position, place)).map(|(.., card)| card)))
                        }
                        (calls(&turn.answer, turn.at, now))
                        @if last { (offers(&turn.answer.offers, ask)) }
                    }
                }
            }
        }
    }
}

fn block(block: &Block, card: Option<&Markup>) -> Markup {
    match block {
        Block::Said { text } => html! { p { (text) } },
        Block::Written { text, model, named } => written::written(text, model, named),
        Block::Facts { facts } => {
            html! { dl.facts { @for fact in facts { dt { (fact.label) } dd { (fact.value) } } } }
        }
        Block::Records { title, items, total, to } => records(title, items, *total, to.as_deref()),
        Block::Preview { title, changes, total, approvers, notes } => html! {
            section.found {
                h3 { "Plan: " (title) span.count { (text::count(*total as usize, "change")) } }
                ul.changes { @for change in changes { (changing(change)) } }
                @if *total as usize > changes.len() { p.hint { "and " (*total as usize - changes.len()) " more; the card shows all of them." } }
                @for note in notes { p.hint { (note) } }
                p.hint { (icon::LOCK) " " (approvers) }
            }
        },
        Block::Action { id } => html! {
            @match card {
                Some(card) => div.card-here { (card) },
                None => p { a href=(paths::action(*id)) { "The card of this action" } },
            }
        },
        Block::Refused { refusal } => form::refused("I could not do that", refusal),
    }
}

/// A page of this console; whatever else a text may be is none.
pub fn inside(to: Option<&str>) -> Option<&str> {
    to.filter(|to| to.starts_with("/app/") && paths::safe_next(to) != paths::HOME)
}

fn records(title: &str, items: &[Item], total: u32, to: Option<&str>) -> Markup {
    html! {
        section.found {
            h3 { (title) span.count { (total) } }
            ul {
                @for item in items {
                    li {
                        div.item-top {
                            span.item-title { @if let Some(to) = inside(item.to.as_deref()) { a href=(to) { (item.title) } } @else { (item.title) } }
                            @if let Some(state) = &item.state { (pill::pill(state)) }
                        }
                        @if !item.note.is_empty() { p.small.muted { (item.note) } }
                    }
                }
            }
            @if let Some(to) = inside(to) {
                p.small { a href=(to) { @if (items.len() as u32) < total { "Show all " (total) } @else { "Open the page" } } }
            } @else if (items.len() as u32) < total { p.hint { "and " (total - items.len() as u32) " more" } }
        }
    }
}

fn changing(change: &Changing) -> Markup {
    html! {
        li {
            span class={ "op " (change.operation) } {
                @if change.operation == "create" { (icon::PLUS) "Create " } @else { (icon::EDIT) "Update " }
                (change.noun)
            }
            " " (text::capital(&change.title))
        }
    }
}

/// The tools that were called, folded away.
fn calls(answer: &Answer, at: domain::time::Timestamp, now: domain::time::Timestamp) -> Markup {
    html! {
        details.fold.calls {
            summary { (text::count(answer.calls.len(), "tool call")) ", " (text::brief_time(at, now)) }
            ol { @for call in &answer.calls { (called(call)) } }
        }
    }
}

/// Characters of a call's arguments that are shown; the card has all of a proposal's.
const ARGUMENTS_CHARS_MAX: usize = 2_000;

fn called(call: &Called) -> Markup {
    let whole = serde_json::to_string_pretty(&call.arguments).unwrap_or_default();
    let mut arguments: String = whole.chars().take(ARGUMENTS_CHARS_MAX).collect();
    if arguments.len() < whole.len() {
        arguments.push('…');
    }
    html! {
        li {
            code { (call.tool) } " " span.muted { (call.outcome) }
            @if !call.arguments.is_empty() { pre tabindex="0" { (arguments) } }
        }
    }
}

/// Where a form of the conversation is sent, and what it carries.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub action: &'a str,
    pub csrf: &'a str,
    /// The page that is asked from.
    pub page: &'a str,
}

impl Ask<'_> {
    fn carried(&self) -> Markup {
        html! { (form::csrf(self.csrf)) input type="hidden" name="page" value=(self.page); }
    }
}

/// What may be asked next, as buttons.
pub fn offers(offers: &[Offer], ask: &Ask<'_>) -> Markup {
    html! {
        @if !offers.is_empty() {
            div.offers role="group" aria-label="You may ask" {
                @for (place, offer) in offers.iter().enumerate() {
                    @if let Some(to) = inside(offer.to.as_deref()) {
                        a.button.small href=(to) { (icon::EDIT) (offer.text) }
                    } @else {
                        form method="post" action=(ask.action) {
                            (ask.carried())
                            input type="hidden" name="text" value=(offer.text);
                            @if let Some(about) = offer.about { input type="hidden" name="about" value=(about); }
                            @let proposes = place == 0 && offer.text == crate::assistant::PROPOSE;
                            button class={ "button small" @if proposes { " primary" } } { (offer.text) }
                        }
                    }
                }
            }
        }
    }
}

/// The field for the next question.
pub fn field(ask: &Ask<'_>, written: &str) -> Markup {
    html! {
        form.asking method="post" action=(ask.action) {
            (ask.carried())
            label.visually-hidden for="question" { "Your question" }
            textarea id="question" name="text" required rows="2" maxlength=(crate::assistant::limits::QUESTION_CHARS_MAX)
                placeholder="Ask about a release, its gaps, what to do …" { (written) }
            button.button.primary { "Ask" }
        }
    }
}
