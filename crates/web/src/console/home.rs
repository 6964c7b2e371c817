//! What needs me: decisions I may take, and how my releases stand.

use axum::response::Response;
use domain::action::ActionState;
use domain::certification::Verdict;
use domain::refusal::Refusal;
use engine::view::{ActionItem, CertificationView};
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::table::{cell, lead, table};
use super::parts::{list, pill, readiness, text};
use super::visit::{Page, Visit};
use super::{approvals, data, paths};

/// `GET /app`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit).await;
    visit.answer(page)
}

async fn page(visit: &Visit) -> Result<Page, Refusal> {
    let live = visit.live().await;
    let pending = data::optional(data::pending(visit).await)?.unwrap_or_else(data::ListOf::none);
    let glass = data::optional(data::to_review(visit).await)?.unwrap_or_default();
    let me = visit.actor.user_id;
    let (yours, others): (Vec<ActionItem>, Vec<ActionItem>) =
        pending.items.into_iter().partition(|a| a.awaits_you);
    let asked: Vec<ActionItem> = others.into_iter().filter(|a| a.requested_by.id == me).collect();
    let selected = visit.actor.membership.selected_team.map(|id| id.to_string());
    let certifications = data::optional(data::certifications(visit, selected.clone()).await)?
        .unwrap_or_else(data::ListOf::none);
    let blocked = certifications.items.iter().filter(|c| c.readiness.verdict == Verdict::NotReady).count();
    let blockers: u32 = certifications.items.iter().map(|c| c.open_blocker_count).sum();
    let gaps: u32 = certifications.items.iter().map(|c| c.open_gap_count).sum();
    let name = visit.actor.display_name.split(' ').next().unwrap_or_default();
    let body = html! {
        (layout::heading(&[], &format!("Hello {name}"), html! { "This is what needs you in " (visit.actor.organization.name) "." }, html! {}))
        div.figures {
            (figure("#pending", yours.len() as u32, "waiting for you", "warn"))
            (figure(paths::RELEASES, blocked as u32, "releases not ready", "bad"))
            (figure("#releases", blockers, "open blockers", "bad"))
            (figure("#releases", gaps, "open gaps", "bad"))
        }
        (approvals::review(visit, &glass))
        (list::panel_with("pending", "Waiting for your decision", Some(yours.len() as u32),
            html! { a href=(paths::APPROVALS) { "All approvals" } },
            html! {
                @if yours.is_empty() {
                    (text::empty("Nothing waits for you", "When an agent or a colleague proposes a change that you may approve, its card appears here."))
                } @else { (actions(visit, &yours)) }
            }))
        @if !asked.is_empty() {
            (list::panel("asked", "Your requests, waiting for others", Some(asked.len() as u32), actions(visit, &asked)))
        }
        (list::panel_with("releases", if selected.is_some() { "Releases of your team" } else { "Releases" }, Some(certifications.total),
            html! { a href=(paths::RELEASES) { "All releases" } },
            html! {
                @if certifications.items.is_empty() {
                    (text::empty("No release is under certification", "Create a certification for a release, or choose another organization."))
                } @else { (verdicts(&certifications.items)) }
            }))
    };
    Ok(Page { title: "Home".into(), part: Part::Home, body, live })
}

fn figure(href: &str, number: u32, words: &str, class: &str) -> Markup {
    html! { a class={ "figure " (if number == 0 { "good" } else { class }) } href=(href) { b { (number) } span { (words) } } }
}

/// Actions as a table; also the inbox's.
pub fn actions(visit: &Visit, items: &[ActionItem]) -> Markup {
    choosable(visit, items, &|_| html! {})
}

/// Actions as a table, each with what stands before its title.
pub fn choosable(visit: &Visit, items: &[ActionItem], choice: &dyn Fn(&ActionItem) -> Markup) -> Markup {
    let rows = items
        .iter()
        .map(|item| {
            let mine = item.requested_by.id == visit.actor.user_id;
            let by = html! { (item.requested_by.email) @if mine { " " span.tag { "your request" } } };
            let clock = if item.status.is_final() {
                cell("Asked", text::brief_time(item.created_at, visit.now))
            } else {
                cell("Decide before", text::brief_time(item.expires_at, visit.now))
            };
            let tool = engine::tools::find(&item.tool)
                .map_or_else(|| pill::human(&item.tool), |tool| tool.card.title.to_owned());
            let title = html! {
                (choice(item))
                a href=(paths::action(item.id)) { (item.title) }
                span.sub { (tool) }
            };
            (None, vec![lead(title), cell("State", state(item)), cell("Asked by", by), clock])
        })
        .collect();
    let last = match items.iter().filter(|i| i.status.is_final()).count() {
        0 => "Decide before",
        n if n == items.len() => "Asked",
        _ => "Time",
    };
    table("Governed actions", &["Action", "State", "Asked by", last], rows)
}

/// How it stands; of what is pending, who is to decide.
fn state(item: &ActionItem) -> Markup {
    match item.status {
        ActionState::PendingApproval if item.awaits_you => pill::toned(Tone::Warn, "Waits for you"),
        ActionState::PendingApproval => pill::toned(Tone::Quiet, "Waits for others"),
        other => pill::pill(other.as_str()),
    }
}

fn verdicts(items: &[CertificationView]) -> Markup {
    let mut sorted: Vec<&CertificationView> = items.iter().collect();
    sorted.sort_by_key(|c| match c.readiness.verdict {
        Verdict::NotReady => 0,
        Verdict::ReadyWithExceptions => 1,
        Verdict::Ready => 2,
    });
    let rows = sorted
        .into_iter()
        .map(|c| {
            let name = html! {
                a href=(paths::release(c.release.id)) { (c.release.name) }
                span.sub { (c.team.name) }
            };
            let open = html! {
                a href={ (paths::release(c.release.id)) "#blocks" } {
                    (text::count(c.open_blocker_count as usize, "blocker")) ", " (text::count(c.open_gap_count as usize, "gap"))
                }
            };
            let cells = vec![
                lead(name),
                cell("Verdict", pill::pill(c.readiness.verdict.as_str())),
                cell("Readiness", readiness::bar(c.readiness)),
                cell("Open", open),
                cell("Certification", html! { a href=(paths::certification(c.id)) { (pill::pill(c.status.as_str())) } }),
            ];
            (None, cells)
        })
        .collect();
    table("Releases and their verdicts", &["Release", "Verdict", "Readiness", "Open", "Certification"], rows)
}
