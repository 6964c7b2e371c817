//! Webhooks: who is told of what happens here, and what could not be delivered.

use axum::response::Response;
use domain::refusal::Refusal;
use engine::tools::list_webhooks::{In, ListWebhooks, Out};
use maud::{Markup, html};

use super::parts::layout::{self, Part};
use super::parts::pill::{self, Tone};
use super::parts::table::{cell, lead, table};
use super::parts::{icon, list, text};
use super::visit::{Page, Visit};
use super::{command, paths};

/// `GET /app/webhooks`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit).await;
    visit.answer(page)
}

async fn page(visit: &Visit) -> Result<Page, Refusal> {
    let found = visit.ask::<ListWebhooks>(In {}).await?;
    let add = command::link(visit, "loopiq_set_webhook", &[]);
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Webhooks", html! { "Services that are told of what happens here, by signed messages." },
            html! { @if let Some((_, href)) = add { a.button.primary href=(href) { (icon::PLUS) "Add a webhook" } } }))
        (list::panel("list", "Webhooks", Some(found.total), items(visit, &found)))
        (dead(visit, &found))
    };
    Ok(Page { title: "Webhooks".into(), part: Part::Administration, body, live: None })
}

fn items(visit: &Visit, found: &Out) -> Markup {
    html! {
        @if found.items.is_empty() { (text::empty("No webhook yet", "Add one, and take its signing secret by the command loopiq webhook secret.")) }
        ul.items {
            @for item in &found.items {
                @let webhook = &item.webhook;
                @let id = webhook.id.to_string();
                li id=(id) {
                    div.item-top {
                        span.item-title { (webhook.url) }
                        span.pills {
                            (pill::toned(if webhook.enabled { Tone::Good } else { Tone::Quiet }, if webhook.enabled { "Enabled" } else { "Disabled" }))
                            @if !item.has_secret { (pill::toned(Tone::Warn, "No signing secret yet")) }
                        }
                    }
                    @if !webhook.description.is_empty() { p { (webhook.description) } }
                    div.item-meta {
                        @if webhook.events.is_empty() { span { "Told of everything" } }
                        @for event in &webhook.events { code { (event) } }
                    }
                    div.item-meta {
                        span { "By " (webhook.created_by_email) } (text::brief_time(webhook.created_at, visit.now))
                        (text::copyable("webhook id", &id))
                        @for (words, tool) in [("Change", "loopiq_set_webhook"), ("Remove", "loopiq_remove_webhook")] {
                            @if let Some((_, href)) = command::link(visit, tool, &[("webhookId", &id)]) { a href=(href) { (words) } }
                        }
                    }
                }
            }
        }
    }
}

fn dead(visit: &Visit, found: &Out) -> Markup {
    let rows = found
        .dead
        .iter()
        .map(|dead| {
            let (webhook, event) = (dead.webhook_id.to_string(), dead.event_id.to_string());
            let again = command::link(visit, "loopiq_retry_delivery", &[("webhookId", &webhook), ("eventId", &event)]);
            let about = html! { a href=(paths::action(dead.action_id)) { (pill::human(&dead.kind.to_string().replace('.', " "))) } };
            let cells = vec![
                lead(about),
                cell("Tried", html! { (text::count(dead.attempts as usize, "time")) }),
                cell("Given up", text::brief_time(dead.given_up_at, visit.now)),
                cell("Retry", html! { @if let Some((_, href)) = again { a href=(href) { "Send it again" } } }),
            ];
            (None, cells)
        })
        .collect();
    html! {
        @if !found.dead.is_empty() {
            (list::panel("dead", "Not delivered", Some(found.dead.len() as u32), table("Deliveries that were given up", &["Event", "Tried", "Given up", "Retry"], rows)))
        }
    }
}
