//! The inbox: what waits for a decision first, everything else by state. Several actions can be rejected at once, for one
//! reason; each approval is a decision of its own, on its card.

use axum::extract::Query;
use axum::response::{Redirect, Response};
use domain::action::ActionState;
use domain::id::ActionId;
use domain::permission::Permission;
use domain::refusal::Refusal;
use engine::view::ActionItem;
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::table::pager;
use super::parts::{form, icon, list, pill, text};
use super::visit::{Page, Posted, Sent, Visit};
use super::{data, home, over_time, paths};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    state: String,
    mine: String,
    cursor: String,
    period: String,
}

/// The tabs, in the order of the inbox. The first is shown when the address names none.
const TABS: [(&str, &[ActionState]); 6] = [
    ("pending_approval", &[ActionState::PendingApproval]),
    ("executed", &[ActionState::Executed]),
    ("rejected", &[ActionState::Rejected]),
    ("failed", &[ActionState::Failed]),
    ("expired", &[ActionState::Expired]),
    ("all", &[]),
];

/// The form that rejects what is chosen in the list, which lies outside of it.
const CHOSEN: &str = "reject-chosen";

/// Actions that are rejected at once.
const CHOSEN_MAX: usize = 100;

/// `GET /app/approvals`.
pub async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let page = page(&visit, &filter, &Rejecting::default()).await;
    visit.answer(page)
}

/// `GET` of the address that rejects: back to the inbox.
pub async fn back() -> Redirect {
    Redirect::to(paths::APPROVALS)
}

/// What came of rejecting several actions.
#[derive(Default)]
struct Rejecting {
    reason: String,
    /// Those that stay chosen, because nothing was done.
    chosen: Vec<String>,
    /// Why nothing was done.
    refusal: Option<Refusal>,
    /// Each action with its title, and why it was not rejected.
    results: Vec<(ActionId, String, Option<Refusal>)>,
}

/// `POST /app/approvals/reject`: each goes through the same rejection as one alone.
pub async fn reject(posted: Posted<Sent>) -> Response {
    let Posted { visit, form } = posted;
    let chosen = form.all("action");
    let reason = form.get("reason").trim();
    let mut done = Rejecting { reason: reason.to_owned(), ..Rejecting::default() };
    if reason.is_empty() {
        done.refusal = Some(Refusal::invalid("reason", "must say why"));
    } else if chosen.is_empty() {
        done.refusal = Some(Refusal::invalid("choice", "is empty: choose at least one action"));
    } else if chosen.len() > CHOSEN_MAX {
        done.refusal = Some(Refusal::invalid("choice", format!("is too long: at most {CHOSEN_MAX} at once")));
    }
    if let Some(refusal) = done.refusal.clone() {
        done.chosen = chosen.into_iter().map(str::to_owned).collect();
        let page = page(&visit, &Filter::default(), &done).await;
        return visit.answer_refused(page, &refusal);
    }
    // What is no action's id names nothing, and is nothing to tell of.
    for id in chosen.into_iter().filter_map(|id| id.parse::<ActionId>().ok()) {
        let outcome = match data::reject(&visit, id, reason).await {
            Ok(view) => (id, view.title, None),
            Err(refusal) => {
                let title = data::action(&visit, id).await.map(|view| view.title);
                (id, title.unwrap_or_else(|_| id.to_string()), Some(refusal))
            }
        };
        done.results.push(outcome);
    }
    done.reason.clear();
    let page = page(&visit, &Filter::default(), &done).await;
    visit.answer(page)
}

async fn page(visit: &Visit, filter: &Filter, rejecting: &Rejecting) -> Result<Page, Refusal> {
    // What came of a rejection stays in view until the person goes on.
    let told = rejecting.refusal.is_some() || !rejecting.results.is_empty();
    let live = if told { None } else { visit.live().await };
    let (state, states) = TABS
        .iter()
        .copied()
        .find(|(name, _)| *name == filter.state)
        .unwrap_or(("pending_approval", &[ActionState::PendingApproval]));
    let glass = data::optional(data::to_review(visit).await)?.unwrap_or_default();
    let mine = filter.mine == "1";
    let flag = if mine { "1" } else { "" };
    let found = data::actions(visit, states.to_vec(), mine, &filter.cursor).await?;
    let decisions = over_time::decisions(visit, &filter.period).await?;
    let address =
        |state: &str, mine: &str| paths::with_query(paths::APPROVALS, &[("state", state), ("mine", mine)]);
    let next = found.next.as_deref().map(|cursor| {
        paths::with_query(paths::APPROVALS, &[("state", state), ("mine", flag), ("cursor", cursor)])
    });
    let body = html! {
        (layout::heading(&[], "Approvals", html! { "What agents and colleagues propose. Nothing changes before a person approves it." }, html! {}))
        @if let Some(refusal) = &rejecting.refusal { (form::refused("Nothing was rejected", refusal)) }
        (results(&rejecting.results))
        (review(visit, &glass))
        nav.tabs aria-label="By state" {
            @for (name, _) in TABS {
                a href=(address(name, flag)) aria-current=[(name == state).then_some("page")] {
                    (if name == "pending_approval" { "Pending".to_owned() } else { pill::human(name) })
                }
            }
        }
        (list::panel_with("list", if mine { "Asked by you" } else { "Actions" }, Some(found.total),
            html! {
                @if mine { a href=(address(state, "")) { "Show everybody's" } } @else { a href=(address(state, "1")) { "Only mine" } }
            },
            html! {
                @if found.items.is_empty() {
                    @if state == "pending_approval" { (text::empty("Nothing waits for a decision", "When a change is proposed, its card appears here. Links to cards also work on their own.")) }
                    @else { (text::empty("No action in this state", "Choose another tab to see the rest.")) }
                } @else {
                    (home::choosable(visit, &found.items, &|item| choice(visit, item, &rejecting.chosen)))
                    @if found.items.iter().any(|item| rejectable(visit, item)) { (bulk(visit, &rejecting.reason)) }
                    (pager(found.items.len(), found.total, filter.cursor.is_empty(), next))
                }
            }))
        (decisions)
    };
    Ok(Page { title: "Approvals".into(), part: Part::Approvals, body, live })
}

/// Whether the visitor may reject it.
fn rejectable(visit: &Visit, item: &ActionItem) -> bool {
    let decides = visit.actor.rights.allows(Permission::ApprovalsDecide, item.team_id);
    decides && item.status == ActionState::PendingApproval && visit.now < item.expires_at
}

fn choice(visit: &Visit, item: &ActionItem, chosen: &[String]) -> Markup {
    let id = item.id.to_string();
    html! {
        @if rejectable(visit, item) {
            input.choose type="checkbox" name="action" value=(id) form=(CHOSEN) checked[chosen.contains(&id)] aria-label={ "Choose: " (item.title) };
        }
    }
}

/// One reason for all that are chosen.
fn bulk(visit: &Visit, reason: &str) -> Markup {
    html! {
        form.bulk id=(CHOSEN) method="post" action=(paths::REJECT_CHOSEN) {
            (form::csrf(&visit.csrf))
            div.field {
                label for="bulk-reason" { "Reject those that are chosen, because" }
                input id="bulk-reason" name="reason" required maxlength="2000" value=(reason) autocomplete="off" aria-describedby="bulk-hint";
                span.hint id="bulk-hint" { "Each is rejected by itself, for this one reason. Approving is a decision about one card, on that card." }
            }
            button.button.danger { (icon::CROSS) "Reject chosen" }
        }
    }
}

fn results(results: &[(ActionId, String, Option<Refusal>)]) -> Markup {
    let rejected = results.iter().filter(|(.., refusal)| refusal.is_none()).count();
    let tone = if rejected == results.len() { Tone::Good } else { Tone::Warn };
    html! {
        @if !results.is_empty() {
            (form::note(tone, Some("status"), &format!("{rejected} of {} rejected", results.len()), html! {
                ul.outcomes {
                    @for (id, title, refusal) in results {
                        li {
                            a href=(paths::action(*id)) { (title) } ": "
                            @match refusal {
                                None => "rejected",
                                Some(refusal) => { "not rejected, " (refusal.message) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// What was approved past the rules and nobody has looked at.
pub fn review(visit: &Visit, glass: &[ActionItem]) -> Markup {
    html! {
        @if !glass.is_empty() {
            (list::panel("glass", "Broken glass to review", Some(glass.len() as u32), home::actions(visit, glass)))
        }
    }
}
