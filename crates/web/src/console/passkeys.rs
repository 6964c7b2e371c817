//! The visitor's passkeys, with which they sign approvals: what there is, and one more. Who manages people sees
//! everybody's.

use axum::response::{IntoResponse, Redirect, Response};
use domain::digest::Digest;
use domain::id::ActionId;
use domain::refusal::Refusal;
use engine::tools::list_passkeys::{Item, Out};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::parts::layout::{self, Part};
use super::parts::pill::{self, Tone};
use super::parts::{form, icon, list, text};
use super::visit::{Csrf, Page, Posted, Visit};
use super::{command, data, paths};

/// The commands whose place is this page.
pub const REGISTER: &str = "loopiq_register_passkey";
pub const REMOVE: &str = "loopiq_remove_passkey";

/// `GET /app/passkeys`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit, None).await;
    visit.answer(page)
}

#[derive(Debug, Deserialize)]
pub struct Registration {
    csrf: String,
    #[serde(default)]
    name: String,
    /// What the authenticator answered.
    #[serde(default)]
    response: String,
}
impl Csrf for Registration {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/passkeys`: registers one, or proposes it where a policy wants somebody's approval.
pub async fn register(posted: Posted<Registration>) -> Response {
    let Posted { visit, form } = posted;
    match registered(&visit, &form).await {
        Ok(place) => Redirect::to(&place).into_response(),
        Err(refusal) => {
            let page = page(&visit, Some(&refusal)).await;
            visit.answer_refused(page, &refusal)
        }
    }
}

async fn registered(visit: &Visit, form: &Registration) -> Result<String, Refusal> {
    let tool = engine::tools::find(REGISTER).ok_or_else(Refusal::internal)?;
    let response: Value = serde_json::from_str(&form.response)
        .map_err(|_| Refusal::invalid("response", "is missing: the browser must make a passkey first"))?;
    let wanted = Map::from_iter([
        ("name".to_owned(), json!(form.name)),
        ("response".to_owned(), response),
        ("reason".to_owned(), json!("To sign approvals with.")),
        // Sent twice, it is the same passkey.
        ("idempotencyKey".to_owned(), json!(format!("passkey-{}", Digest::of(form.response.as_bytes())))),
    ]);
    let done = command::call(visit, tool, &wanted).await?;
    let waits = done.get("status").and_then(Value::as_str) != Some("executed");
    let action =
        done.pointer("/action/id").and_then(Value::as_str).and_then(|id| id.parse::<ActionId>().ok());
    Ok(action.filter(|_| waits).map_or_else(|| paths::PASSKEYS.to_owned(), paths::action))
}

async fn page(visit: &Visit, refusal: Option<&Refusal>) -> Result<Page, Refusal> {
    let found = data::passkeys(visit).await?;
    let others = found.items.iter().any(|passkey| !passkey.own);
    let body = html! {
        (layout::heading(&[], "Passkeys", html! { "With a passkey you sign an approval: the log then proves that it was you, on your own device." }, html! {}))
        @if let Some(refusal) = refusal { (form::refused("The passkey was not registered", refusal)) }
        div.columns {
            div {
                (listed("own", "Yours", found.items.iter().filter(|passkey| passkey.own), visit))
                @if others { (listed("others", "Of other people", found.items.iter().filter(|passkey| !passkey.own), visit)) }
            }
            div.aside { (another(&found, visit)) }
        }
    };
    Ok(Page { title: "Passkeys".into(), part: Part::None, body, live: None })
}

fn listed<'a>(id: &str, title: &str, passkeys: impl Iterator<Item = &'a Item>, visit: &Visit) -> Markup {
    let passkeys: Vec<&Item> = passkeys.collect();
    list::panel(
        id,
        title,
        Some(passkeys.len() as u32),
        html! {
            @if passkeys.is_empty() { (text::empty("None yet", "Rules that ask for a signature cannot count your approval.")) }
            ul.items {
                @for passkey in &passkeys {
                    @let thumbprint = passkey.id.to_string();
                    li {
                        div.item-top {
                            span.item-title { (passkey.name) }
                            a.button.small href=(paths::command(REMOVE, &[("passkeyId", &thumbprint)])) { (icon::CROSS) "Remove" }
                        }
                        div.item-meta {
                            @if !passkey.own { span { (passkey.email) } }
                            span { "Registered " (text::time(passkey.created_at, visit.now)) }
                        }
                        div.item-meta { span { "Thumbprint of its key" } (text::copyable("thumbprint", &thumbprint)) }
                    }
                }
            }
        },
    )
}

fn another(found: &Out, visit: &Visit) -> Markup {
    let (Some(origin), Some(options)) = (&found.origin, &found.registration) else {
        return form::note(
            Tone::Quiet,
            None,
            "Passkeys cannot be used here",
            html! { p { "They need an address with https and the name of a host. An operator sets it with --public-url." } },
        );
    };
    list::panel(
        "register",
        "Register a passkey",
        None,
        html! {
            form.panel-body.stack method="post" action=(paths::PASSKEYS) {
                (form::csrf(&visit.csrf))
                (asked("create", "response", options, origin))
                p { "Your browser asks for the fingerprint, face or PIN of this device, or for a security key." }
                div.field {
                    label for="name" { "Name" }
                    input id="name" name="name" required maxlength="100" autocomplete="off" aria-describedby="name-hint";
                    span.hint id="name-hint" { "What you will know it by, for example the device." }
                }
                button.button.primary.wide { (icon::LOCK) "Register" }
            }
        },
    )
}

/// The field of a form that an authenticator fills before the form is sent, and the place where is said why it did not.
pub fn asked(what: &str, name: &str, options: &Value, origin: &str) -> Markup {
    html! {
        input type="hidden" name=(name) data-passkey=(what) data-options=(options) data-origin=(origin);
        p.passkey-says role="alert" {}
        noscript { (pill::toned(Tone::Warn, "Needs script")) " A passkey can only be used in a browser that runs scripts." }
    }
}
