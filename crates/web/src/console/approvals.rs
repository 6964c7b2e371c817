//! The inbox: what waits for a decision first, everything else by state.

use axum::extract::Query;
use axum::response::Response;
use domain::action::ActionState;
use domain::refusal::Refusal;
use engine::view::ActionItem;
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::table::pager;
use super::parts::{list, pill, text};
use super::visit::{Page, Visit};
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

/// `GET /app/approvals`.
pub async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let page = page(&visit, &filter).await;
    visit.answer(page)
}

async fn page(visit: &Visit, filter: &Filter) -> Result<Page, Refusal> {
    let live = visit.live().await;
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
                    (home::actions(visit, &found.items))
                    (pager(found.items.len(), found.total, filter.cursor.is_empty(), next))
                }
            }))
        (decisions)
    };
    Ok(Page { title: "Approvals".into(), part: Part::Approvals, body, live })
}

/// What was approved past the rules and nobody has looked at.
pub fn review(visit: &Visit, glass: &[ActionItem]) -> Markup {
    html! {
        @if !glass.is_empty() {
            (list::panel("glass", "Broken glass to review", Some(glass.len() as u32), home::actions(visit, glass)))
        }
    }
}
