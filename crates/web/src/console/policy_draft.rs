//! A draft of policies: written, tried on tests and on the past, then handed to the command that publishes it.

use axum::extract::State as Shared;
use axum::response::{Redirect, Response};
use domain::refusal::Refusal;
use engine::draft::{self, Tried};
use engine::policy::suite::Outcome;
use engine::what_if::{Difference, Period, WhatIf};
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::pill::{self, Tone};
use super::parts::table::{cell, lead, table};
use super::parts::{form, icon, list, text};
use super::paths;
use super::policies::PUBLISH;
use super::visit::{Page, Posted, Sent, Visit};
use crate::State;

/// Tests to begin with: those of the program's default.
const TESTS: &str = include_str!("../../../../policies/default.tests.toml");

/// Days that a draft is tried on where no other period is chosen.
const DAYS: i64 = 30;

/// Periods that a draft can be tried on, in days.
const PERIODS: [(&str, i64); 4] = [("30", DAYS), ("7", 7), ("90", 90), ("365", 365)];

/// Differences that a page shows.
const DIFFERENCES_MAX: usize = 100;

/// What stands in the editor.
#[derive(Default)]
pub struct Draft<'a> {
    pub text: &'a str,
    pub replaces: i64,
    pub reason: &'a str,
    /// Tests; those of the default where there are none.
    pub tests: &'a str,
    pub days: &'a str,
}

/// `GET` of the address that tries drafts: back to the policies.
pub async fn back() -> Redirect {
    Redirect::to(paths::POLICIES)
}

/// `POST /app/policies/draft`: what the draft would do.
pub async fn show(Shared(state): Shared<State>, posted: Posted<Sent>) -> Response {
    let Posted { visit, form } = posted;
    // Asking about the past is work, as a write is.
    if let Err(refusal) = state.rate.write(&visit.actor) {
        return visit.answer(Err(refusal));
    }
    let page = page(&visit, &form).await;
    visit.answer(page)
}

async fn page(visit: &Visit, sent: &Sent) -> Result<Page, Refusal> {
    let days = PERIODS.iter().find(|(word, _)| *word == sent.get("days")).map_or(DAYS, |(_, days)| *days);
    let period = Period { from: visit.now.plus_seconds(-days * 86_400), to: visit.now };
    // A browser writes ends of lines its own way.
    let (draft, tests) = (sent.get("text").replace("\r\n", "\n"), sent.get("tests").replace("\r\n", "\n"));
    let tried = visit
        .engine
        .try_policies(visit.caller(), draft::Draft { text: &draft, tests: &tests, period })
        .await?;
    let written = Draft {
        text: &draft,
        replaces: sent.get("replaces").parse().unwrap_or_default(),
        reason: sent.get("reason"),
        tests: &tests,
        days: sent.get("days"),
    };
    let crumbs = [("Administration", paths::ADMINISTRATION.into()), ("Policies", paths::POLICIES.into())];
    let body = html! {
        (layout::heading(&crumbs, "A draft of the policies, tried", html! { "Nothing has been changed." }, html! {}))
        (verdict(&tried))
        (tests_run(&tried))
        @if let Some(past) = &tried.past { (asked_again(visit, past, days)) }
        (list::panel("write", "The draft", None, editor(visit, &written)))
    };
    Ok(Page { title: "A draft of the policies".into(), part: Part::Administration, body, live: None })
}

/// The form of a draft. It is tried here, and previewed by the command that publishes.
pub fn editor(visit: &Visit, draft: &Draft<'_>) -> Markup {
    let tests = if draft.tests.is_empty() { TESTS } else { draft.tests };
    html! {
        form.stack.panel-body method="post" action=(paths::command(PUBLISH, &[])) {
            (form::csrf(&visit.csrf))
            input type="hidden" name="idempotencyKey" value={ "form-" (visit.ids.request_id) };
            input type="hidden" name="given" value="replaces";
            input type="hidden" name="replaces" value=(draft.replaces);
            div.field {
                label for="draft" { "The text" }
                textarea.source id="draft" name="text" rows="24" required maxlength="65536" spellcheck="false" aria-describedby="draft-hint" { (draft.text) }
                span.hint id="draft-hint" { "In Cedar. Nothing is published before it has been checked and previewed." }
            }
            details.fold {
                summary { "Try it: tests, and what it would have decided" }
                div.stack {
                    div.field {
                        label for="draft-tests" { "Tests" }
                        textarea.source id="draft-tests" name="tests" rows="12" maxlength="65536" spellcheck="false" aria-describedby="draft-tests-hint" { (tests) }
                        span.hint id="draft-tests-hint" { "In TOML, as " code { "loopiq policy test" } " reads them: given a person, when they use a tool, expect an answer." }
                    }
                    div.field {
                        label for="draft-days" { "Actions and refused calls of the last" }
                        select id="draft-days" name="days" {
                            @for (word, days) in PERIODS { option value=(word) selected[word == draft.days] { (text::count(days as usize, "day")) } }
                        }
                    }
                    div.buttons { button.button formaction=(paths::DRAFT) formnovalidate { (icon::PROGRESS) "Try the draft" } }
                }
            }
            div.field {
                label for="why" { "Why?" }
                textarea id="why" name="reason" required maxlength="2000" { (draft.reason) }
            }
            div.buttons { button.button.primary name="step" value="preview" { (icon::SEARCH) "Check and preview" } }
        }
    }
}

fn verdict(tried: &Tried) -> Markup {
    html! {
        @if tried.problems.is_empty() {
            (form::note(Tone::Good, Some("status"), "The text is valid", html! { p { "It has " (text::count(tried.rules, "rule")) " of approval, and all can be met." } }))
        } @else {
            (form::note(Tone::Bad, Some("alert"), "It cannot be published like this", html! {
                ul.outcomes { @for problem in &tried.problems { li { (problem) } } }
            }))
        }
    }
}

fn tests_run(tried: &Tried) -> Markup {
    let (passed, failed): (Vec<&Outcome>, Vec<&Outcome>) =
        tried.outcomes.iter().partition(|outcome| outcome.failures.is_empty());
    html! {
        @if let Some(mistake) = &tried.mistake {
            (form::note(Tone::Bad, Some("alert"), "The tests cannot be read", html! { pre { (mistake) } }))
        }
        @if !tried.outcomes.is_empty() {
            (list::panel_with("tests", "Tests", Some(tried.outcomes.len() as u32), html! {
                @if failed.is_empty() { (pill::toned(Tone::Good, "All passed")) } @else { (pill::toned(Tone::Bad, &format!("{} failed", failed.len()))) }
            }, html! {
                (outcomes(&failed))
                @if !passed.is_empty() {
                    details.fold { summary { (passed.len()) " passed" } (outcomes(&passed)) }
                }
            }))
        }
    }
}

fn outcomes(outcomes: &[&Outcome]) -> Markup {
    html! {
        ul.items {
            @for outcome in outcomes {
                @let passed = outcome.failures.is_empty();
                li class=(if passed { "good" } else { "bad" }) {
                    div.item-top { span.item-title { (outcome.name) } (pill::pill(if passed { "passed" } else { "failed" })) }
                    @for failure in &outcome.failures { p { (failure) } }
                }
            }
        }
    }
}

fn asked_again(visit: &Visit, past: &WhatIf, days: i64) -> Markup {
    list::panel(
        "past",
        "What it would have decided otherwise",
        Some(past.differences.len() as u32),
        html! {
            @if past.differences.is_empty() { (text::empty("Nothing", "Every decision of the period would have been the same.")) }
            @else { (differences(visit, &past.differences)) }
            p.panel-note.hint {
                (text::count(past.actions, "action")) " and " (text::count(past.refused_calls, "refused call")) " of the last " (text::count(days as usize, "day")) " were asked again, with the roles people hold today."
                @if past.left_out > 0 { " " (past.left_out) " could not be asked about as things are today." }
                @if past.cut_off { " The period has more than was looked at: choose a shorter one." }
                @if past.differences.len() > DIFFERENCES_MAX { " Only the first " (DIFFERENCES_MAX) " differences are shown." }
            }
        },
    )
}

fn differences(visit: &Visit, differences: &[Difference]) -> Markup {
    let rows = differences
        .iter()
        .take(DIFFERENCES_MAX)
        .map(|difference| {
            let title = engine::tools::find(&difference.tool).map_or(difference.tool.as_str(), |tool| tool.card.title);
            let id = difference.action.as_ref().and_then(|id| id.parse().ok());
            let what = html! {
                @if let Some(id) = id { a href=(paths::action(id)) { (title) } } @else { (title) span.sub { "refused call" } }
            };
            let cells = vec![
                lead(what),
                cell("Who", html! { (difference.person) }),
                cell("When", text::brief_time(difference.at, visit.now)),
                cell("Was", html! { (difference.was) }),
                cell("Would be", html! { (difference.would_be) }),
            ];
            (None, cells)
        })
        .collect();
    table("Differences", &["What", "Who", "When", "Was", "Would be"], rows)
}
